//! Values that depend on the source, are not known, are secrets or are null: what a build makes of
//! them.

use std::path::Path;

use ingot_test_support::{NULL, Run, ingot, null_template, template};

/// Two sources, and a build of both with `steps`.
fn two_sources(steps: &str) -> String {
    format!(
        "source \"null\" \"dev\" {{\n  communicator = \"none\"\n}}\nsource \"null\" \"prod\" {{\n  \
         communicator = \"none\"\n}}\nbuild {{\n  sources = [\"null.dev\", \"null.prod\"]\n{steps}\n}}\n"
    )
}

fn run(command: &str, text: &str) -> (Run, tempfile::TempDir) {
    let dir = template(text);
    let run = ingot(dir.path(), &[command, "."]);
    (run, dir)
}

fn files(dir: &Path, ending: &str) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(ending)).collect()
}

#[test]
fn dynamic_blocks_are_expanded_for_each_source() {
    let text = two_sources(
        r#"
  dynamic "provisioner" {
    for_each = source.name == "dev" ? ["one"] : []
    labels   = ["shell-local"]
    content {
      inline           = ["echo ran ${provisioner.value} with $A on ${source.name}"]
      environment_vars = ["A=${provisioner.value}"]
    }
  }
  dynamic "post-processor" {
    for_each = source.name == "dev" ? ["sum"] : []
    labels   = ["shell-local"]
    content {
      inline = ["echo ${source.name} > ${post-processor.value}.out"]
    }
  }
  provisioner "shell-local" {
    only   = source.name == "dev" ? ["null.prod"] : null
    inline = ["echo only ${source.name}"]
  }"#,
    );
    let (valid, _) = run("validate", &text);
    assert_eq!((valid.code, valid.stdout.as_str()), (Some(0), "The configuration is valid.\n"));
    let (run, dir) = run("build", &text);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("null.dev: ran one with one on dev"), "{}", run.stdout);
    assert!(!run.stdout.contains("null.prod: ran"), "{}", run.stdout);
    assert!(run.stdout.contains("null.prod: only prod"), "{}", run.stdout);
    assert!(!run.stdout.contains("null.dev: only"), "{}", run.stdout);
    assert_eq!(files(dir.path(), ".out"), ["sum.out"]);
}

#[test]
fn a_mistake_in_a_block_for_one_source_is_reported_once() {
    let (run, _) = run(
        "validate",
        &two_sources(
            r#"
  dynamic "provisioner" {
    for_each = source.name == "dev" ? [1] : [1, 2]
    labels   = ["shell-local"]
    content {
      inlin = ["true"]
    }
  }"#,
        ),
    );
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stdout.matches("no option called `inlin`").count(), 1, "{}", run.stdout);
}

#[test]
fn overrides_are_evaluated_for_each_source_when_the_step_runs() {
    let text = two_sources(
        r#"
  provisioner "shell-local" {
    inline   = ["echo own"]
    override = {
      prod = { inline = ["echo over ${source.name} ${build.ID}"] }
    }
  }"#,
    );
    let (run, _) = run("build", &text);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("null.dev: own"), "{}", run.stdout);
    assert!(run.stdout.contains("null.prod: over prod Null"), "{}", run.stdout);
}

#[test]
fn an_override_adds_to_a_map() {
    let text = two_sources(
        r#"
  provisioner "shell-local" {
    env      = { A = "1", B = "1" }
    inline   = ["echo $A-$B-$C"]
    override = {
      prod = { env = { B = "2", C = build.PackerRunUUID == "" ? "" : "2" } }
    }
  }"#,
    );
    let (valid, _) = run("validate", &text);
    assert_eq!((valid.code, valid.stdout.as_str()), (Some(0), "The configuration is valid.\n"));
    let (run, _) = run("build", &text);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("null.dev: 1-1-"), "{}", run.stdout);
    assert!(run.stdout.contains("null.prod: 1-2-2"), "{}", run.stdout);
}

#[test]
fn what_only_a_build_knows_is_an_error_outside_of_it() {
    for (line, message, place) in [
        ("locals { a = \"x-${source.name}\" }", "`source.name` is only known inside `build`", 19),
        (
            "data \"null\" \"d\" { input = source.type }",
            "`source.type` is only known inside `build`",
            27,
        ),
        ("locals { a = build.ID }", "build.ID is not known here", 20),
        ("data \"null\" \"d\" { input = build.Host }", "build.Host is not known here", 33),
    ] {
        for command in ["validate", "build"] {
            let (run, _) = run(command, &format!("{line}\n{}", null_template("")));
            assert_eq!(run.code, Some(1), "{line}: {}", run.stdout);
            assert!(run.stdout.contains(message), "{line}: {}", run.stdout);
            assert!(run.stdout.contains(&format!("t.pkr.hcl:1:{place}")), "{line}: {}", run.stdout);
        }
    }
}

/// Steps with `U`, a string, in every kind of place.
const POSITIONS: &[&str] = &[
    "provisioner \"shell-local\" {\n    inline = [\"touch x.out\", U]\n  }",
    "provisioner \"shell-local\" {\n    inline = [\"touch ${U}.out\"]\n  }",
    "provisioner \"shell-local\" {\n    inline = [\"touch x.out\"]\n    env = { A = U }\n  }",
    "provisioner \"shell-local\" {\n    inline = [\"touch x.out\"]\n    env = { (U) = \"a\" }\n  }",
    "provisioner \"shell-local\" {\n    inline = [\"touch x.out\"]\n    override = { n = { inline = [U] } }\n  }",
    "provisioner \"shell-local\" {\n    inline = [\"touch x.out\"]\n    only = [U]\n  }",
    "provisioner \"shell-local\" {\n    inline = [\"touch x.out\"]\n    pause_before = U\n  }",
    "error-cleanup-provisioner \"shell-local\" {\n    inline = [\"touch ${U}.out\"]\n  }",
    "dynamic \"provisioner\" {\n    for_each = split(\",\", U)\n    labels = [\"shell-local\"]\n    content {\n      inline = [\"touch ${provisioner.value}.out\"]\n    }\n  }",
    "dynamic \"provisioner\" {\n    for_each = [U]\n    labels = [provisioner.value]\n    content {\n      inline = [\"touch x.out\"]\n    }\n  }",
    "post-processor \"shell-local\" {\n    inline = [\"touch ${U}.out\"]\n  }",
    "post-processor \"manifest\" {\n    output = \"${U}.out\"\n  }",
    "post-processor \"manifest\" {\n    output = \"x.out\"\n    custom_data = { a = U }\n  }",
    "post-processors {\n    post-processor \"checksum\" {\n      output = \"${U}.out\"\n    }\n  }",
];

#[test]
fn what_is_not_known_never_runs() {
    // Both are never known to a build that is not published.
    for unknown in ["packer.versionFingerprint", "local.version"] {
        for position in POSITIONS {
            let steps = format!("  {}", position.replace('U', unknown));
            let text = format!(
                "locals {{\n  version = upper(packer.iterationID)\n}}\n{}",
                null_template(&steps)
            );
            let (run, dir) = run("build", &text);
            assert_eq!(run.code, Some(1), "{steps}: {}", run.stdout);
            assert!(run.stdout.contains("┌─ ./t.pkr.hcl:"), "{steps}: {}", run.stdout);
            assert!(files(dir.path(), ".out").is_empty(), "{steps}: {}", run.stdout);
            assert!(!run.stdout.contains("unknown until"), "{steps}: {}", run.stdout);
        }
    }
}

#[test]
fn a_local_that_nothing_uses_is_no_reason_to_fail() {
    let steps = "  provisioner \"shell-local\" {\n    inline = [\"echo runs\"]\n  }";
    let text = format!("locals {{\n  v = packer.versionFingerprint\n}}\n{}", null_template(steps));
    let (built, _) = run("build", &text);
    assert_eq!(built.code, Some(0), "{}", built.stdout);
    assert!(built.stdout.contains("null.n: runs"), "{}", built.stdout);
    // Nor is one that only what is left out uses.
    let (excepted, _) = run("build", &text.replace("echo runs", "echo ${local.v}"));
    assert_eq!(excepted.code, Some(1), "{}", excepted.stdout);
    let dir = template(&format!(
        "source \"null\" \"m\" {{\n  communicator = local.v\n}}\nbuild {{\n  sources = [\"null.m\"]\n}}\n{text}"
    ));
    let run = ingot(dir.path(), &["build", "-except=null.m", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
}

#[test]
fn computed_nulls_are_left_out() {
    let text = format!(
        "variable \"list\" {{\n  type    = list(string)\n  default = null\n}}\nvariable \"text\" {{\n  \
         type    = string\n  default = null\n}}\nvariable \"flag\" {{\n  type    = bool\n  default = \
         null\n}}\n{}",
        null_template(
            r#"
  name        = var.text
  description = var.text
  provisioner "shell-local" {
    inline       = ["echo first"]
    only         = var.list
    except       = try(null, [])
    timeout      = var.text
    pause_before = var.text
    max_retries  = var.flag == null ? null : 3
    valid_exit_codes = var.list
    override     = var.flag == null ? null : {}
  }
  provisioner "shell-local" {
    inline = ["echo never"]
    except = var.flag == null ? ["null.n"] : null
  }
  post-processor "shell-local" {
    inline              = ["echo third"]
    keep_input_artifact = var.flag
    only                = var.flag == null ? null : ["null.n"]
  }"#
        )
    );
    let (valid, _) = run("validate", &text);
    assert_eq!((valid.code, valid.stdout.as_str()), (Some(0), "The configuration is valid.\n"));
    let (built, _) = run("build", &text);
    assert_eq!(built.code, Some(0), "{}", built.stdout);
    for (said, word) in [(true, "first"), (false, "never"), (true, "third")] {
        assert_eq!(built.stdout.contains(word), said, "{word}: {}", built.stdout);
    }
    let sources = text.replace("[\"source.null.n\"]", "var.flag == null ? [\"null.n\"] : null");
    assert_eq!(run("validate", &sources).0.code, Some(0));
    let none = text.replace("[\"source.null.n\"]", "var.flag != null ? [\"null.n\"] : null");
    let (none, _) = run("validate", &none);
    assert!(none.stdout.contains("this build has no sources"), "{}", none.stdout);
}

#[test]
fn files_behind_links_are_found() {
    let dir = template(&format!(
        "locals {{\n  all = join(\" \", sort(fileset(\"files\", \"**/*.sh\")))\n  deep = join(\" \", \
         sort(fileset(\"files\", \"own/*/*.sh\")))\n}}\n{NULL}"
    ));
    let path = |name: &str| dir.path().join(name);
    for directory in ["files/own", "shared/x"] {
        std::fs::create_dir_all(path(directory)).unwrap();
    }
    for file in ["files/a.sh", "files/own/b.sh", "shared/x/c.sh"] {
        std::fs::write(path(file), "").unwrap();
    }
    std::os::unix::fs::symlink("../shared", path("files/common")).unwrap();
    // `**` would go around for ever.
    std::os::unix::fs::symlink("..", path("files/own/up")).unwrap();
    let run = ingot(dir.path(), &["inspect", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("\"a.sh common/x/c.sh own/b.sh\""), "{}", run.stdout);
    assert!(run.stdout.contains("\"own/up/a.sh\""), "{}", run.stdout);
}

#[test]
fn an_item_cannot_be_null() {
    let text = null_template(
        "  provisioner \"shell-local\" {\n    inline = [\"true\"]\n    only = [null]\n  }",
    );
    let text = text.replace("[\"source.null.n\"]", "[\"source.null.n\", null]");
    let (run, _) = run("validate", &text);
    assert_eq!(run.code, Some(1));
    for (option, place) in [("sources", "5:31"), ("only", "8:13")] {
        let message = format!("an item of `{option}` cannot be null");
        assert!(run.stdout.contains(&message), "{}", run.stdout);
        assert!(run.stdout.contains(&format!("t.pkr.hcl:{place}")), "{}", run.stdout);
    }
}

#[test]
fn what_is_created_of_a_secret_is_a_secret() {
    let steps = r#"
  provisioner "shell-local" {
    inline = ["echo {{ user `pw` | upper }} and ${base64encode(var.pw)} and words"]
  }
  provisioner "shell-local" {
    inline = ["printf hunter2 | tr a-z A-Z", "printf hunter2 | base64", "echo words"]
  }
  provisioner "shell-local" {
    inline = ["echo late"]
    execute_command = ["sh", "-c", "echo {{ user `pw` | replace `2` `3` 1 }}; sh {{ .Script }}"]
  }"#;
    let text = format!(
        "variable \"pw\" {{\n  default = \"hunter2\"\n  sensitive = true\n}}\n{}",
        null_template(steps)
    );
    let (run, _) = run("build", &text);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    for secret in ["hunter2", "HUNTER2", "aHVudGVyMg", "hunter3"] {
        assert!(!run.stdout.contains(secret), "{secret}: {}", run.stdout);
    }
    let line = "null.n: <sensitive> and <sensitive> and words";
    assert!(run.stdout.contains(line) && run.stdout.contains("null.n: late"), "{}", run.stdout);
}

#[test]
fn an_empty_default_in_a_variables_block_is_its_type() {
    let validate = |declared: &str| {
        let dir = template(&format!("{declared}\n{NULL}"));
        ingot(dir.path(), &["validate", "-var", "zones=[\"a\"]", "."])
    };
    let old = validate("variables {\n  zones = []\n}");
    assert_eq!(old.code, Some(1), "{}", old.stdout);
    assert!(old.stdout.contains("this value does not fit the variable `zones`"), "{}", old.stdout);
    assert!(old.stdout.contains("type = list(any)"), "{}", old.stdout);
    let new = validate("variable \"zones\" {\n  default = []\n}");
    assert_eq!(new.code, Some(0), "{}", new.stdout);
}

#[test]
fn a_type_within_a_string_of_json_may_have_attributes() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{
  "locals": { "x": "${convert({a = \"x\"}, object({a = string}))}" },
  "source": { "null": { "n": { "communicator": "none" } } },
  "build": {
    "sources": ["null.n"],
    "provisioner": { "shell-local": { "inline": ["echo got ${local.x.a}"] } }
  }
}"#;
    std::fs::write(dir.path().join("t.pkr.json"), text).unwrap();
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(run.stdout.contains("null.n: got x"), "{}", run.stdout);
}

#[test]
fn a_script_that_holds_a_secret_does_not_hide_its_other_lines() {
    let text = r#"
variable "pw" {
  default   = "hunter2"
  sensitive = true
}
variable "pin" {
  default   = "42"
  sensitive = true
}
variable "key" {
  default   = "first of key\nrest of key"
  sensitive = true
}
local "marked" {
  expression = "${var.pw}\nline of marked\n"
  sensitive  = true
}
"#;
    let steps = r#"
  provisioner "shell-local" {
    inline = [<<-EOF
      cat > f <<X
      ${var.pw}
      pin=${var.pin}
      all done
      X
      cat f
    EOF
    ]
  }
  provisioner "shell-local" {
    environment_vars = ["KEY=${var.key}", "MARKED=${local.marked}"]
    inline           = ["echo \"$KEY\"; echo \"$MARKED\"; echo well done"]
  }"#;
    let (run, _dir) = run("build", &format!("{text}{}", null_template(steps)));
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    for shown in ["null.n: <sensitive>", "null.n: all done", "null.n: well done"] {
        assert!(run.stdout.contains(shown), "{shown}: {}", run.stdout);
    }
    for secret in ["hunter2", "pin=42", "first of key", "rest of key", "line of marked"] {
        assert!(!run.stdout.contains(secret), "{secret}: {}", run.stdout);
    }
}

/// A source whose every name is the password of its machine.
const VAGRANT: &str = r#"
source "null" "vagrant" {
  ssh_host     = "127.0.0.1"
  ssh_port     = 1
  ssh_username = "vagrant"
  ssh_password = PASSWORD
  ssh_timeout  = "1s"
}
build {
  sources = ["null.vagrant"]
  STEPS
}
"#;

fn vagrant(command: &str, password: &str, steps: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let text = VAGRANT.replace("PASSWORD", password).replace("STEPS", steps);
    let text =
        format!("variable \"pw\" {{\n  default   = \"vagrant\"\n  sensitive = true\n}}\n{text}");
    std::fs::write(dir.path().join("vagrant-box.pkr.hcl"), text).unwrap();
    let run = ingot(dir.path(), &[command, "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    run.stdout
}

#[test]
fn a_literal_is_no_secret_and_names_are_never_hidden() {
    for password in ["\"vagrant\"", "var.pw"] {
        let said = vagrant("validate", password, "post-processor \"vagrant\" {}");
        assert!(said.contains("`null` builds no machine for a libvirt box"), "{said}");
        assert!(said.contains("./vagrant-box.pkr.hcl:"), "{said}");
        assert!(said.contains("post-processor \"vagrant\" {}"), "{said}");
        let said = vagrant("build", password, "");
        assert!(said.contains("==> null.vagrant: "), "{said}");
        assert!(said.contains("Build 'null.vagrant' errored after"), "{said}");
        assert!(said.contains("--> null.vagrant: "), "{said}");
    }
    // With a literal, nothing is sensitive but what the template marks.
    let steps = "provisioner \"shell-local\" {\n    inlin = [\"vagrant\"]\n  }";
    let literal = vagrant("validate", "\"vagrant\"", steps);
    assert!(literal.contains("there is no option called `inlin` here"), "{literal}");
}

#[test]
fn brackets_of_values_that_are_never_closed_are_reported() {
    let dir = template(&format!("variable \"a\" {{\n  type = list(string)\n}}\n{NULL}"));
    std::fs::write(dir.path().join("v.pkrvars.hcl"), "a = [\"hunter2\"\n").unwrap();
    let run = ingot(dir.path(), &["validate", "-var-file=v.pkrvars.hcl", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("this `[` is never closed"), "{}", run.stdout);
    assert!(run.stdout.contains("v.pkrvars.hcl:1:5"), "{}", run.stdout);
    assert!(!run.stdout.contains("hunter2"), "{}", run.stdout);
}

#[test]
fn numbers_that_no_machine_has_are_shown_and_no_option_takes_them() {
    let shown = run("inspect", "variable \"big\" {\n  default = -1e400\n}\n").0.stdout;
    assert!(shown.contains("var.big: \"-1e+400\""), "{shown}");

    let steps = "  provisioner \"shell-local\" {\n    inline           = [\"true\"]\n    \
                 valid_exit_codes = [0, 1e400]\n  }\n";
    let run = run("validate", &null_template(steps)).0;
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("invalid value for `valid_exit_codes`"), "{}", run.stdout);
    assert!(run.stdout.contains("at `[1]`: the number is too large"), "{}", run.stdout);
}
