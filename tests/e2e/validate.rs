//! `ingot validate`: exit codes and diagnostics.

use ingot_test_support::{NULL, ingot, ingot_with, template};

/// Validates an invalid template and returns the output.
fn complaint(text: &str) -> String {
    let dir = template(text);
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stdout);
    run.stdout
}

#[test]
fn a_valid_template_is_valid() {
    let dir = template(NULL);
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "The configuration is valid.\n"));
    let run = ingot(dir.path(), &["validate", "-syntax-only", "t.pkr.hcl"]);
    assert_eq!(run.code, Some(0));
}

#[test]
fn errors_show_place_line_and_cure() {
    let said = complaint(&NULL.replace("communicator", "comunicator"));
    assert!(said.contains("t.pkr.hcl:2:3"), "{said}");
    assert!(said.contains("comunicator = \"none\""), "{said}");
    assert!(said.contains("did you mean `communicator`?"), "{said}");

    let said = complaint("locals {\n  a = var.nope\n}\n");
    assert!(said.contains("t.pkr.hcl:2:11") && said.contains("no variable is called"), "{said}");

    let said = complaint("locals {\n  a = local.b\n  b = local.a\n}\n");
    assert!(said.contains("local.a → local.b → local.a"), "{said}");

    let said = complaint("locals {\n  a = \"x\n}\n");
    assert!(said.contains("t.pkr.hcl:2") && said.contains("does not end on its line"), "{said}");

    let said = complaint(&NULL.replace("source.null.n", "source.null.m"));
    assert!(said.contains("no source is called `null.m`"), "{said}");

    let said = complaint(&format!("{NULL}\nbuidl {{}}\n"));
    assert!(said.contains("did you mean `build`?"), "{said}");
}

#[test]
fn an_option_without_effect_is_a_warning() {
    let options = "ssh_host = \"h\"\n  ssh_username = \"u\"\n  ssh_password = \"p\"\n  \
                   ssh_disable_agent_forwarding = false";
    let dir = template(&NULL.replace("communicator = \"none\"", options));
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let warning =
        "`ssh_disable_agent_forwarding` = false has no effect: the agent is not forwarded";
    assert!(run.stdout.contains(warning), "{}", run.stdout);
    assert!(run.stdout.contains("t.pkr.hcl:5:34"), "it points at the option: {}", run.stdout);
    assert!(run.stdout.contains("The configuration is valid"), "{}", run.stdout);
}

#[test]
fn what_a_plugin_says_of_nested_blocks_points_into_them() {
    let text = r#"
source "amazon-ebs" "a" {
  region        = "us-east-1"
  ami_name      = "golden"
  source_ami    = "ami-00000000"
  instance_type = "t3.micro"
  ssh_username  = "admin"
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    delete_on_termination = true
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvdb"
    volume_size           = 1
    volume_type           = "st1"
    delete_on_termination = true
  }
}
build {
  sources = ["source.amazon-ebs.a"]
}
"#;
    let run = ingot(template(text).path(), &["validate", "."]);
    assert!(run.stdout.contains("`volume_size` of /dev/xvdb is 1 GiB"), "{}", run.stdout);
    assert!(run.stdout.contains("t.pkr.hcl:14:29"), "{}", run.stdout);

    let text = r#"
source "docker" "d" {
  commit = true
  build {
    path      = "no/Dockerfile"
    build_dir = "no"
  }
}
build {
  sources = ["source.docker.d"]
}
"#;
    let said = complaint(text);
    assert!(said.contains("no/Dockerfile is not a file") && said.contains(":5:17"), "{said}");
    assert!(said.contains("no is not a directory") && said.contains(":6:17"), "{said}");
}

#[test]
fn variables_get_values_in_packers_order() {
    let dir =
        template("variable \"v\" {\n  default = \"default\"\n}\nlocals {\n  got = var.v\n}\n");
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let got = |args: &[&str], env: &[(&str, &str)]| {
        let args = [&["inspect"], args, &["."]].concat();
        let run = ingot_with(dir.path(), &args, env);
        let line = run.stdout.lines().find(|line| line.starts_with("local.got")).unwrap();
        line.to_owned()
    };
    assert_eq!(got(&[], &[]), "local.got: \"default\"");
    let env = [("PKR_VAR_v", "env")];
    assert_eq!(got(&[], &env), "local.got: \"env\"");
    file("a.auto.pkrvars.hcl", "v = \"auto\"\n");
    assert_eq!(got(&[], &env), "local.got: \"auto\"");
    file("b.pkrvars.hcl", "v = \"file\"\n");
    assert_eq!(got(&["-var-file=b.pkrvars.hcl"], &env), "local.got: \"file\"");
    // As in Packer, -var beats -var-file wherever it stands.
    assert_eq!(got(&["-var", "v=flag", "-var-file", "b.pkrvars.hcl"], &env), "local.got: \"flag\"");
    assert_eq!(got(&["-var-file=b.pkrvars.hcl", "-var", "v=flag"], &env), "local.got: \"flag\"");
}

#[test]
fn a_variable_without_value_or_with_a_bad_one_is_an_error() {
    let said = complaint("variable \"v\" {\n  type = string\n}\n");
    assert!(said.contains("`v` has no value") && said.contains("PKR_VAR_v"), "{said}");
    let said = complaint(
        "variable \"v\" {\n  default = \"ab\"\n  validation {\n    condition = var.v == \"cd\"\n    error_message = \"Use cd.\"\n  }\n}\n",
    );
    assert!(said.contains("Use cd."), "{said}");
    let said = complaint("variable \"v\" {\n  type = number\n  default = \"many\"\n}\n");
    assert!(said.contains("a number is required"), "{said}");
}

#[test]
fn all_files_are_checked_in_one_run_and_depth_has_a_limit() {
    let dir = template("locals {\n  a = 'x'\n}\nsource \"null\" \"n\" {\n  b == 1\n}\nbuidl {}\n");
    std::fs::write(dir.path().join("u.pkr.hcl"), "variable \"v\" {\n  default = [1 2]\n}\n")
        .unwrap();
    let run = ingot(dir.path(), &["validate", "-syntax-only", "."]);
    assert_eq!(run.code, Some(1));
    for place in ["t.pkr.hcl:2:7", "t.pkr.hcl:5:5", "t.pkr.hcl:7:1", "u.pkr.hcl:2:16"] {
        assert!(run.stdout.contains(place), "{place}: {}", run.stdout);
    }
    assert_eq!(run.stdout.matches("error:").count(), 4, "{}", run.stdout);

    for (open, close) in
        [("(", ")"), ("[", "]"), ("{a=", "}"), ("\"${", "}\""), ("-", ""), ("1+", "")]
    {
        let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        let said = complaint(&format!("locals {{\n  a = {deep}\n}}\n"));
        assert!(said.contains("more than 200 levels are nested"), "{open}");
    }
}

#[test]
fn inspect_lists_its_parts_for_programs() {
    let dir = template(&format!("variable \"v\" {{\n  default = [\"a\"]\n}}\n{NULL}"));
    let run = ingot(dir.path(), &["inspect", "-machine-readable", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().map(|line| line.split_once(',').unwrap().1).collect();
    let [title, values, builds] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(*title, ",ui,say,Packer Inspect: HCL2 mode\\n");
    let list = "var.v: \"[\\n  \\\"a\\\"%!(PACKER_COMMA)\\n]\"\\n";
    assert_eq!(
        *values,
        format!(",ui,say,> input-variables:\\n\\n{list}\\n> local-variables:\\n\\n")
    );
    assert!(builds.starts_with(",ui,say,> builds:\\n\\n  > <unnamed build 0>:\\n"), "{builds}");
}

#[test]
fn inspect_shows_what_it_can() {
    let dir = template(&format!(
        "variable \"v\" {{}}\nvariable \"w\" {{\n  default = \"hunter2222\"\n  sensitive = true\n}}\nlocals {{\n  a = upper(var.w)\n}}\n{NULL}"
    ));
    let run = ingot(dir.path(), &["inspect", "."]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(run.stdout.contains("var.v: \"<unknown>\"\nvar.w: \"<sensitive>\"\n"));
    assert!(run.stdout.contains("local.a: \"<sensitive>\"\n"), "{}", run.stdout);
    let dir = template("variable \"v\" {\n  default = var.x\n}\n");
    let run = ingot(dir.path(), &["inspect", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.starts_with("error: "), "{}", run.stdout);
}

#[test]
fn a_wrong_secret_is_not_shown() {
    let dir = template(&format!(
        "variable \"s\" {{\n  type = list(string)\n  sensitive = true\n}}\n{NULL}"
    ));
    std::fs::write(dir.path().join("v.pkrvars.hcl"), "s = upper(hunter2222)\n").unwrap();
    for args in [
        &["-var", "s=hunter2222"][..],
        &["-var", "s={ a = \"hunter2222\" }"],
        &["-var", "s=[hunter2222"],
        &["-var-file=v.pkrvars.hcl"],
    ] {
        let run = ingot(dir.path(), &[&["validate"], args, &["."]].concat());
        assert_eq!(run.code, Some(1), "{args:?}");
        assert!(run.stdout.contains("variable `s`"), "{}", run.stdout);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("hunter2222"), "{}", run.stdout);
    }
}

#[test]
fn secrets_are_hidden_in_what_is_wrong_with_a_template() {
    let dir = template(
        r#"
variable "s" {
  default   = "hunter2222"
  sensitive = true
}
source "file" "f" {
  source = "/nowhere/${var.s}"
  target = "x"
}
build {
  sources = ["file.f"]
  provisioner "shell-local" {
    script       = "/nowhere/${var.s}"
    pause_before = var.s
  }
}
"#,
    );
    let all = |run: &ingot_test_support::Run| format!("{}{}", run.stdout, run.stderr);
    for command in ["validate", "build", "inspect"] {
        let run = ingot(dir.path(), &[command, "."]);
        assert!(!all(&run).contains("hunter2222"), "{command}: {}", all(&run));
    }
    let run = ingot(dir.path(), &["validate", "."]);
    assert!(run.code == Some(1) && run.stdout.contains("<sensitive>"), "{}", run.stdout);

    std::fs::write(dir.path().join("v.pkrvars.json"), "{\"s\": \"hunter3333\" \"t\": 1}").unwrap();
    std::fs::write(dir.path().join("v.pkrvars.hcl"), "s = \"hunter3333\n").unwrap();
    for file in ["v.pkrvars.json", "v.pkrvars.hcl"] {
        let run = ingot(dir.path(), &["validate", "-var-file", file, "."]);
        assert!(run.stdout.contains(&format!("{file}:1:")), "{}", run.stdout);
        assert!(!all(&run).contains("hunter3333"), "{}", all(&run));
    }
    let run = ingot(dir.path(), &["validate", "-var", "shunter3333", "."]);
    assert!(run.code == Some(1) && !all(&run).contains("hunter3333"), "{}", all(&run));
}

#[test]
fn long_chains_of_locals_are_followed() {
    let locals = |count: usize| {
        // The first by name needs all others.
        let links = (0..count).map(|n| format!("  l{n:05} = local.l{:05}\n", n + 1));
        let links: String = links.collect();
        format!("locals {{\n{links}  l{count:05} = 1\n}}\n{NULL}")
    };
    let run = ingot(template(&locals(5_000)).path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let run = ingot(template(&locals(11_000)).path(), &["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("values build on each other"), "{}", run.stdout);
}

#[test]
fn exit_codes_and_flags_are_packers() {
    let dir = template(NULL);
    for (args, code) in [
        (&["-machine-readable", "validate", "."][..], 0),
        (&["build", "-parallel-builds=-1", "."], 0),
        (&["buidl"], 127),
        (&[], 127),
        (&["build", "-nosuch", "."], 1),
    ] {
        let run = ingot(dir.path(), args);
        assert_eq!(run.code, Some(code), "{args:?}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn ecr_login_to_another_registry_is_a_warning() {
    let dir = template(
        "source \"docker\" \"d\" {\n  image = \"x\"\n  commit = true\n}\n\
         build {\n  sources = [\"source.docker.d\"]\n  post-processor \"docker-push\" {\n    \
         ecr_login = true\n    login_server = \"registry.example\"\n  }\n}\n",
    );
    let run = ingot(dir.path(), &["validate", "."]);
    let said = run.stdout + run.stderr.as_str();
    assert_eq!(run.code, Some(0), "{said}");
    let expected = "login_server: registry.example is not called like a registry of Amazon ECR";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn rows_that_are_null_are_left_out_and_other_nulls_in_lists_and_maps_are_reported() {
    let said = |options: &str| {
        let dir = template(&format!(
            "source \"qemu\" \"q\" {{\n  iso_url = \"x.iso\"\n  iso_checksum = \"none\"\n  \
             ssh_username = \"u\"\n  ssh_password = \"p\"\n  {options}\n}}\nbuild {{\n  \
             sources = [\"qemu.q\"]\n}}\n"
        ));
        let run = ingot(dir.path(), &["validate", "."]);
        (run.code, run.stdout)
    };
    let (code, text) = said("qemuargs = [true ? null : [\"-bios\", \"x\"], [\"-m\", \"512\"]]");
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = said("qemuargs = [null, [\"-m\", null]]");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("at `[1][1]`: an item cannot be null"), "{text}");
    let (code, text) = said("http_content = { a = null }");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("at `[\"a\"]`: an item cannot be null"), "{text}");
}

#[test]
fn links_that_lead_nowhere_are_told_as_such() {
    let dir = template(NULL);
    for (link, target) in [("a.pkr.hcl", "nowhere"), ("loop.pkr.hcl", "loop.pkr.hcl")] {
        std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
    }
    for (link, help) in [
        ("a.pkr.hcl", "it is a symbolic link to nowhere, which is not there\n"),
        ("loop.pkr.hcl", "it is a symbolic link to loop.pkr.hcl\n"),
    ] {
        let run = ingot(dir.path(), &["validate", link]);
        let said = run.stdout + run.stderr.as_str();
        assert_eq!(run.code, Some(1), "{said}");
        assert!(said.contains(help) && !said.contains("there is "), "{said}");
    }
}
