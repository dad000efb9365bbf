//! Legacy JSON templates, as a user meets them.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use ingot_test_support::{
    BASE, Pipe, Run, docker, ingot, ingot_command, ingot_with, output_of, require,
};

fn directory(template: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.json"), template).unwrap();
    dir
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap_or_default()
}

fn good(dir: &Path, args: &[&str]) -> Run {
    let run = ingot(dir, args);
    assert_eq!(run.code, Some(0), "{args:?}: {}{}", run.stdout, run.stderr);
    run
}

fn refused(template: &str) -> String {
    let run = ingot(directory(template).path(), &["validate", "t.json"]);
    assert_eq!(run.code, Some(1), "{template}: {}", run.stdout);
    assert_eq!(run.stdout.matches("error:").count(), 1, "{template}: {}", run.stdout);
    run.stdout
}

const FILES: &str = r#"{
  "_comment": "two files and a null",
  "description": "files",
  "variables": {
    "who": null,
    "home": "{{ env `LEGACY_HOME` }}",
    "greeting": "hello {{ user `who` }} of {{ user `home` }}",
    "token": ""
  },
  "sensitive-variables": ["token"],
  "builders": [
    { "type": "file", "name": "b", "content": "{{ user `greeting` }} {{ build_name }} {{ build_type }}", "target": "b.txt" },
    { "type": "file", "content": "{{ isotime `2006` }} {{ user `token` }}", "target": "{{ template_dir }}/file.txt" },
    { "type": "null", "name": "{{ user `who` }}-null", "communicator": "none" }
  ],
  "provisioners": [
    { "type": "shell-local", "only": ["{{ user `who` }}-null"],
      "inline": ["echo $PACKER_BUILD_NAME $PACKER_BUILDER_TYPE {{ build `PackerRunUUID` }} {{ user `token` }}"],
      "override": { "{{ user `who` }}-null": { "environment_vars": "A=1,B=2" } } },
    { "type": "shell-local", "except": ["b", "file"], "inline": "echo A is $A,echo B is $B", "environment_vars": ["A=x"] }
  ],
  "post-processors": [
    { "type": "checksum", "only": ["b"], "checksum_types": "md5", "output": "{{.BuildName}}.sum", "keep_input_artifact": true },
    [
      { "type": "compress", "name": "packed", "except": ["file", "{{ user `who` }}-null"], "output": "{{.BuildName}}.tar.gz", "keep_input_artifact": true },
      { "type": "checksum", "except": ["{{ user `who` }}-null"], "output": "{{ build_name }}.packed", "keep_input_artifact": true }
    ]
  ]
}"#;

#[test]
fn a_json_template_builds() {
    let dir = directory(FILES);
    let args = ["build", "-var", "who=me", "-var", "token=s3cret-t0ken", "t.json"];
    let run = ingot_with(dir.path(), &args, &[("LEGACY_HOME", "here")]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(read(dir.path(), "b.txt"), "hello me of here b file");
    assert!(read(dir.path(), "file.txt").ends_with(" s3cret-t0ken"));
    // Names are Packer's: TYPE.NAME, and the type alone.
    for part in ["==> file.b: ", "==> file: ", "null.me-null: me-null null ", "--> file.b: "] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("s3cret") && run.stdout.contains("<sensitive>"), "{}", run.stdout);
    assert!(run.stdout.contains("A is x") && run.stdout.contains("B is"), "{}", run.stdout);
    for name in ["b.sum", "b.tar.gz", "b.packed", "file.packed"] {
        assert!(dir.path().join(name).exists(), "{name}: {}", run.stdout);
    }
    assert!(!dir.path().join("file.tar.gz").exists() && !dir.path().join("file.sum").exists());
}

/// As of `ingot build <(jsonnet t.jsonnet)`.
#[test]
fn a_template_may_come_through_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("t");
    for command in ["validate", "fix", "build"] {
        let text = r#"{ "builders": [{ "type": "null", "communicator": "none" }] }"#;
        let pipe = Pipe::feed(&pipe, text);
        good(dir.path(), &[command, "t"]);
        pipe.end();
    }
}

#[test]
fn an_override_adds_to_a_map() {
    let dir = directory(
        r#"{ "builders": [{ "type": "null", "communicator": "none" }],
  "provisioners": [{ "type": "shell-local", "env": { "A": "1", "B": "1" }, "inline": ["echo $A-$B-$C"],
    "override": { "null": { "env": { "B": "2", "C": "2" } } } }] }"#,
    );
    let run = good(dir.path(), &["build", "t.json"]);
    assert!(run.stdout.contains("null: 1-2-2"), "{}", run.stdout);
}

#[test]
fn builds_are_selected_by_their_names() {
    let dir = directory(FILES);
    good(dir.path(), &["build", "-var", "who=me", "-only=b", "-except=packed", "t.json"]);
    assert!(dir.path().join("b.txt").exists() && dir.path().join("b.sum").exists());
    // What follows a post-processor that is left out is left out too.
    assert!(!dir.path().join("b.packed").exists() && !dir.path().join("file.txt").exists());
    // Nothing in a name stands for anything else.
    let run = ingot(dir.path(), &["validate", "-var", "who=me", "-only=file.*", "t.json"]);
    assert!(run.stdout.contains("no build is called `file.*`"), "{}", run.stdout);
}

#[test]
fn programs_read_the_names_of_builds() {
    let dir = directory(FILES);
    let args = ["-machine-readable", "build", "-var", "who=me", "-only=b", "t.json"];
    let run = good(dir.path(), &args);
    let lines: Vec<&str> = run.stdout.lines().filter(|line| line.contains(",artifact,")).collect();
    assert!(lines.iter().all(|line| line.split(',').nth(1) == Some("file.b")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains(",id,")), "{}", run.stdout);
}

#[test]
fn values_come_in_packers_order() {
    let dir = directory(
        r#"{ "variables": { "a": "default", "b": "default", "c": "default" },
  "builders": [{ "type": "file", "target": "out", "content": "{{user `a`}} {{user `b`}} {{user `c`}} {{user `d`}}" }] }"#,
    );
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("one.json", r#"{ "a": "one", "b": "one", "d": "more" }"#);
    write("two.vars", r#"{ "b": "two {{ user `c` }}" }"#);
    let args = ["build", "-var", "c=flag", "-var-file=one.json", "-var-file=two.vars", "t.json"];
    // The environment of HCL2's variables means nothing here, as in Packer.
    let run = ingot_with(dir.path(), &args, &[("PKR_VAR_a", "environment")]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_eq!(read(dir.path(), "out"), "one two flag flag more");
}

#[test]
fn what_variables_hold_is_put_in_as_it_is() {
    let dir = directory(
        r#"{ "variables": { "v": "{{ env `LEGACY_V` }}", "a": "x{", "b": "{y" },
  "builders": [
    { "type": "file", "target": "out",
      "content": "{{ user `v` }} {{ build_name }} {{ user `a` }}{{ user `b` }}" },
    { "type": "null", "communicator": "none" }
  ],
  "provisioners": [
    { "type": "shell-local", "only": ["null"], "env": { "V": "{{ user `v` }}" },
      "inline": ["echo \"$V|$W\" > env"], "override": { "null": { "env": { "W": "{{ user `v` }}" } } } }
  ] }"#,
    );
    let value = "a{{b {{build_type}} {{.Names}}";
    for command in ["validate", "build"] {
        let run = ingot_with(dir.path(), &[command, "t.json"], &[("LEGACY_V", value)]);
        assert_eq!(run.code, Some(0), "{command}: {}{}", run.stdout, run.stderr);
    }
    assert_eq!(read(dir.path(), "out"), format!("{value} file x{{{{y"));
    assert_eq!(read(dir.path(), "env"), format!("{value}|{value}\n"));
}

#[test]
fn standard_input_is_a_template() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = ingot_command();
    command.current_dir(dir.path()).args(["build", "-"]).env("INGOT_STATE_DIR", dir.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let template = r#"{ "builders": [{ "type": "file", "content": "x", "target": "x.txt" }] }"#;
    child.stdin.take().unwrap().write_all(template.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(read(dir.path(), "x.txt"), "x");
}

#[test]
fn hcl2_on_standard_input_is_told_where_it_belongs() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = ingot_command();
    command.current_dir(dir.path()).args(["validate", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let template = b"source \"null\" \"n\" {\n  communicator = \"none\"\n}\n";
    child.stdin.take().unwrap().write_all(template).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("HCL2 is read from files whose names end in .pkr.hcl"), "{said}");
}

#[test]
fn mistakes_have_their_place() {
    let said = refused(
        "{\n  \"variables\": { \"size\": \"big\" },\n  \"builders\": [\n    { \"type\": \"null\", \
         \"ssh_host\": \"h\", \"ssh_username\": \"u\",\n      \"ssh_password\": \"p\", \"ssh_port\": \
         \"{{ user `size` }}\" }\n  ]\n}",
    );
    assert!(said.contains("t.json:5:"), "{said}");
    assert!(said.contains("\"ssh_port\": \"{{ user `size` }}\""), "{said}");
    for (template, parts) in [
        (r#"{ "builders": [{ "type": "null" "x": 1 }] }"#, &["t.json:1:", "not valid JSON"][..]),
        (r#"{ "builder": [] }"#, &["t.json:1:3", "did you mean `builders`?"]),
        (
            r#"{ "builders": [{ "type": "docker", "image": "a", "comit": true }] }"#,
            &["t.json:1:50", "did you mean `commit`?"],
        ),
        (
            r#"{ "builders": [{ "type": "null", "communicator": "none" }], "provisioners": [
{ "type": "shell-local", "inline": ["echo {{ uper `a` }}"] }] }"#,
            &["t.json:2:", "there is no function \"uper\""],
        ),
        (
            r#"{ "variables": { "token": "{{ usr `x` }} s3cret" }, "sensitive-variables": ["token"],
"builders": [{ "type": "null", "communicator": "none" }] }"#,
            &["t.json:1:", "the variable `token` cannot be filled in"],
        ),
        (
            r#"{ "builders": [{ "type": "no-such-thing" }] }"#,
            &["no builder is called `no-such-thing`", "ingot plugins install"],
        ),
        (
            r#"{ "builders": [{ "type": "qemu", "iso_url": "x", "iso_checksum": "none", "iso_checksum_type": "md5",
"ssh_username": "u", "ssh_password": "p" }] }"#,
            &["no option called `iso_checksum_type`", "`ingot fix` replaces it"],
        ),
    ] {
        let said = refused(template);
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn values_that_are_secret_stay_so() {
    let dir = directory(
        r#"{ "variables": { "token": null, "header": "Bearer {{ user `token` }}" }, "sensitive-variables": ["token"],
  "builders": [{ "type": "null", "communicator": "none" }],
  "provisioners": [{ "type": "shell-local", "inline": ["echo '{{ user `header` }}' ; echo '{{ user `token` | upper }}' ; false"] }] }"#,
    );
    std::fs::write(dir.path().join("v.json"), r#"{ "token": "s3cret-w0rd" }"#).unwrap();
    let run = ingot(dir.path(), &["build", "-var-file=v.json", "t.json"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let all = format!("{}{}", run.stdout, run.stderr).to_lowercase();
    assert!(!all.contains("s3cret") && all.contains("<sensitive>"), "{all}");
    std::fs::write(dir.path().join("v.json"), r#"{ "token": ["s3cret-w0rd"] }"#).unwrap();
    let run = ingot(dir.path(), &["validate", "-var-file=v.json", "t.json"]);
    assert!(run.code == Some(1) && !run.stdout.contains("s3cret"), "{}", run.stdout);
    assert!(run.stdout.contains("v.json:1:"), "{}", run.stdout);
}

#[test]
fn a_docker_image_is_built() {
    require!(docker());
    let dir = directory(
        &r#"{
  "variables": { "text": "from json", "repository": "ingot-e2e-legacy" },
  "builders": [{ "type": "docker", "name": "web", "image": "BASE", "pull": "false", "commit": "true",
    "changes": ["LABEL maker={{ user `repository` }}"] }],
  "provisioners": [
    { "type": "shell", "inline": "echo {{ user `text` }} {{ build `ConnType` }} > /made,echo two >> /made",
      "execute_command": "chmod +x {{ .Path }}; {{ .Vars }} sh {{ .Path }}" },
    { "type": "file", "source": "{{ template_dir }}/t.json", "destination": "/t.json" }
  ],
  "post-processors": [
    [{ "type": "docker-tag", "repository": "{{ user `repository` }}", "tags": "a,b" }, "manifest"]
  ]
}"#
        .replace("BASE", BASE),
    );
    let run = good(dir.path(), &["build", "t.json"]);
    assert!(run.stdout.contains("docker.web"), "{}", run.stdout);
    let created = output_of("docker", &["run", "--rm", "ingot-e2e-legacy:b", "cat", "/made"]);
    assert_eq!(created, "from json docker\ntwo");
    let manifest = read(dir.path(), "packer-manifest.json");
    assert!(manifest.contains("\"name\": \"web\""), "{manifest}");
    for tag in ["a", "b"] {
        output_of("docker", &["rmi", &format!("ingot-e2e-legacy:{tag}")]);
    }
}

#[test]
fn a_registry_gets_the_template_type_json() {
    let dir = directory(FILES);
    let env = [
        ("INGOT_REGISTRY", "local"),
        ("HCP_PACKER_REGISTRY", "on"),
        ("HCP_PACKER_BUCKET_NAME", "legacy"),
        ("HCP_PACKER_BUILD_FINGERPRINT", "first"),
    ];
    let args = ["build", "-var", "who=me", "-only=b", "t.json"];
    let run = ingot_with(dir.path(), &args, &env);
    // The other builds are missing, which is no failure.
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let args = ["registry", "versions", "show", "legacy", "first", "-json"];
    let shown = ingot_with(dir.path(), &args, &env);
    let all = format!("{}{}", shown.stdout, shown.stderr);
    assert!(all.contains("\"JSON\"") && all.contains("\"me-null\""), "{all}");
}

#[test]
fn plugins_cannot_be_required() {
    let dir = directory(r#"{ "builders": [{ "type": "null", "communicator": "none" }] }"#);
    let run = ingot(dir.path(), &["init", "t.json"]);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(run.code == Some(1) && said.contains("ingot plugins install"), "{said}");
}

#[test]
fn fixed_templates_are_printed() {
    let dir = directory(
        r#"{ "variables": { "b": "<&>", "a": "" },
  "builders": [{ "type": "qemu", "iso_checksum_type": "md5", "iso_checksum": "abc", "disk_size": 10 }] }"#,
    );
    let run = good(dir.path(), &["fix", "t.json"]);
    let wanted = "{\n  \"variables\": {\n    \"b\": \"<&>\",\n    \"a\": \"\"\n  },\n  \"builders\": [\n    {\n      \"type\": \"qemu\",\n      \"iso_checksum\": \"md5:abc\",\n      \"disk_size\": \"10M\"\n    }\n  ]\n}\n";
    assert_eq!(run.stdout, wanted);
    // The `override` of vagrant names providers, not builders.
    let dir = directory(
        r#"{ "builders": [{ "type": "qemu" }], "post-processors": [{ "type": "vagrant", "aws": { "a": 1 } }] }"#,
    );
    let run = good(dir.path(), &["fix", "t.json"]);
    assert!(run.stdout.contains("\"override\": {"), "{}", run.stdout);
    // What it prints is checked, unless that is not wanted.
    let dir = directory(r#"{ "builders": [] }"#);
    let run = ingot(dir.path(), &["fix", "t.json"]);
    assert!(run.code == Some(1) && run.stderr.contains("there is no builder"), "{}", run.stderr);
    good(dir.path(), &["fix", "-validate=false", "t.json"]);
    std::fs::write(dir.path().join("t.pkr.hcl"), "").unwrap();
    let run = ingot(dir.path(), &["fix", "t.pkr.hcl"]);
    assert!(run.code == Some(1) && run.stderr.contains("HCL2"), "{}", run.stderr);
    std::fs::write(dir.path().join("t.json"), "{ \"builders\": [1] }").unwrap();
    let run = ingot(dir.path(), &["fix", "t.json"]);
    assert!(run.code == Some(1) && run.stderr.contains("not an object"), "{}", run.stderr);
}

#[test]
fn a_template_is_written_as_hcl2_and_builds_the_same() {
    let dir = directory(FILES);
    let run = good(dir.path(), &["hcl2_upgrade", "-with-annotations", "t.json"]);
    assert_eq!(run.stdout, "Successfully created t.json.pkr.hcl. Exit 0\n");
    let text = read(dir.path(), "t.json.pkr.hcl");
    assert!(text.contains("# two files and a null\n"), "{text}");
    good(dir.path(), &["fmt", "-check", "t.json.pkr.hcl"]);
    let args = ["build", "-var", "who=me", "-var", "token=t", "t.json.pkr.hcl"];
    let run = ingot_with(dir.path(), &args, &[("LEGACY_HOME", "here")]);
    assert_eq!(run.code, Some(0), "{text}\n{}{}", run.stdout, run.stderr);
    assert_eq!(read(dir.path(), "b.txt"), "hello me of here b file");
    for name in ["b.sum", "b.tar.gz", "b.packed", "file.packed"] {
        assert!(dir.path().join(name).exists(), "{name}: {}", run.stdout);
    }
    assert!(run.stdout.contains("A is x"), "{}", run.stdout);
}

#[test]
fn an_empty_variable_is_an_empty_list_in_hcl2_too() {
    let dir = directory(
        r#"{ "variables": { "envs": "" }, "builders": [{ "type": "null", "communicator": "none" }],
"provisioners": [{ "type": "shell-local", "inline": ["true"], "environment_vars": "{{ user `envs` }}" },
                 { "type": "shell-local", "inline": ["true"], "environment_vars": "" }] }"#,
    );
    good(dir.path(), &["validate", "t.json"]);
    good(dir.path(), &["hcl2_upgrade", "t.json"]);
    good(dir.path(), &["validate", "t.json.pkr.hcl"]);
    good(dir.path(), &["validate", "-var", "envs=A=b,C=d", "t.json.pkr.hcl"]);
    let run = ingot(dir.path(), &["validate", "-var", "envs=A=b,C", "t.json.pkr.hcl"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
}

#[test]
fn an_upgrade_leaves_nothing_where_it_fails() {
    let dir = directory("{ \"builders\": [");
    let run = ingot(dir.path(), &["hcl2_upgrade", "-output-file=new/out.pkr.hcl", "t.json"]);
    assert!(run.code == Some(1) && run.stderr.contains("t.json:1:"), "{}", run.stderr);
    assert!(!dir.path().join("new").exists());
    std::fs::write(
        dir.path().join("t.json"),
        r#"{ "builders": [{ "type": "odd-one", "x": "{{ if true }}{{ user `a` }}{{ end }}" }] }"#,
    )
    .unwrap();
    let run = ingot(dir.path(), &["hcl2_upgrade", "-output-file=new/out.pkr.hcl", "t.json"]);
    // As in Packer, it is written all the same.
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stdout.ends_with("Successfully created new/out.pkr.hcl. Exit 1\n"));
    assert!(run.stderr.contains("the builder odd-one is not known"), "{}", run.stderr);
    assert!(run.stderr.contains("look for TODO in new/out.pkr.hcl"), "{}", run.stderr);
    assert!(read(dir.path(), "new/out.pkr.hcl").contains("# TODO: `x`"));
}

#[test]
fn the_console_fills_in_what_strings_hold() {
    let dir = directory(
        r#"{ "variables": { "a": "b{{ user `c` }}", "c": "d" }, "builders": [{ "type": "null" }] }"#,
    );
    let console = |args: &[&str], line: &str| {
        let mut command = ingot_command();
        command.current_dir(dir.path()).arg("console").args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(console(&["t.json"], "{{ user `a` | upper }}\n"), (Some(0), "BD\n".to_owned()));
    assert_eq!(console(&["t.json"], "variables\n").1, "\na: bd,\nc: d,\n\n");
    assert_eq!(console(&["-config-type=json"], "x{{ lower `A` }}\n").1, "xa\n");
    assert_eq!(console(&["-config-type=json"], "{{ nothing }}\n").0, Some(1));
    // What has no value is no mistake.
    let none = "{{ user `gone` }}|{{ .Foo }}\n";
    assert_eq!(console(&["t.json"], none), (Some(0), "|<no value>\n".to_owned()));
    // Variables need no template.
    std::fs::write(dir.path().join("v.json"), r#"{ "b": "in {{ user `a` }}" }"#).unwrap();
    let flags = ["-config-type=json", "-var-file=v.json", "-var=a=b"];
    assert_eq!(console(&flags, "{{ user `b` }}\n"), (Some(0), "in b\n".to_owned()));
    assert_eq!(console(&flags, "variables\n").1, "\na: b,\nb: in b,\n\n");
    assert_eq!(console(&["-config-type=json", "-var-file=gone.json"], "x\n").0, Some(1));
    assert_eq!(console(&["-var=a=b"], "1\n").0, Some(1));
}
