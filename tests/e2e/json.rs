//! Templates and variable files in JSON.

use ingot_test_support::ingot;

const TEMPLATE: &str = r#"{
  "//": "HCL2 in JSON",
  "packer": { "required_version": ">= 1.7" },
  "variable": {
    "who": { "type": "string" },
    "words": { "type": "list(string)", "default": ["a", "b"] },
    "disk": { "type": "object({size=number, fast=optional(bool, true)})", "default": { "size": 1 } }
  },
  "locals": {
    "greeting": "hello \"${var.who}\"",
    "count": "${length(var.words)}",
    "fast": "${var.disk.fast}"
  },
  "local": { "pin": { "expression": "${var.who}-1234", "sensitive": true } },
  "data": { "null": { "d": { "input": "${local.greeting}" } } },
  "source": {
    "null": { "n": { "communicator": "none" } },
    "file": { "f": [{ "content": "${data.null.d.output}", "target": "out.txt" }] }
  },
  "build": {
    "name": "b",
    "sources": ["source.null.n", "file.f"],
    "provisioner": [
      { "shell-local": { "inline": ["echo ${source.name} ${local.count} '${local.pin}'"], "only": ["null.n"] } }
    ],
    "post-processors": [{ "post-processor": [
      { "checksum": { "output": "sum.txt", "checksum_types": ["md5"], "only": ["file.f"] } }
    ] }]
  }
}
"#;

fn directory(template: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.pkr.json"), template).unwrap();
    dir
}

#[test]
fn a_json_template_builds() {
    let dir = directory(TEMPLATE);
    let values = r#"{ "who": "me ${not a template}" }"#;
    std::fs::write(dir.path().join("a.auto.pkrvars.json"), values).unwrap();
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stdout);
    assert!(run.stdout.contains("b.null.n: n 2 <sensitive>"), "{}", run.stdout);
    let written = std::fs::read_to_string(dir.path().join("out.txt")).unwrap();
    assert_eq!(written, "hello \"me ${not a template}\"");
    assert!(dir.path().join("sum.txt").exists());
}

#[test]
fn values_of_json_files_come_in_packers_order() {
    let dir = directory(TEMPLATE);
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("z.auto.pkrvars.hcl", "who = \"hcl\"\n");
    write("a.auto.pkrvars.json", r#"{ "who": "json", "words": ["x"] }"#);
    write("late.pkrvars.json", r#"{ "who": "late" }"#);
    let shown = ingot(dir.path(), &["inspect", "."]).stdout;
    assert!(shown.contains("var.who: \"json\""), "{shown}");
    assert!(shown.contains("local.count: \"1\"") && shown.contains("local.fast: \"true\""));
    let shown = ingot(dir.path(), &["inspect", "-var-file=late.pkrvars.json", "."]).stdout;
    assert!(shown.contains("var.who: \"late\""), "{shown}");
}

#[test]
fn mistakes_in_json_have_their_place() {
    let broken = |from: &str, to: &str| {
        let dir = directory(&TEMPLATE.replace(from, to));
        let run = ingot(dir.path(), &["validate", "-var", "who=x", "."]);
        assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stdout);
        run.stdout
    };
    let said = broken("\"sensitive\": true } },", "\"sensitive\": true } }");
    assert!(said.contains("this is not valid JSON") && said.contains("t.pkr.json:14:"), "{said}");
    let said = broken("length(var.words)", "length(var.word)");
    assert!(said.contains("t.pkr.json:11:28") && said.contains("did you mean `words`?"), "{said}");
    let said = broken("list(string)", "list(strng)");
    assert!(said.contains("t.pkr.json:6:30") && said.contains("did you mean `string`?"), "{said}");
    let said = broken("\"target\"", "\"targt\"");
    assert!(said.contains("t.pkr.json:18:59") && said.contains("did you mean `target`?"), "{said}");
}

#[test]
fn a_legacy_json_template_named_as_an_hcl2_one_is_an_error() {
    let old =
        r#"{ "variables": { "a": "" }, "builders": [{ "type": "null" }], "provisioners": [] }"#;
    for path in [".", "t.pkr.json"] {
        let run = ingot(directory(old).path(), &["validate", path]);
        assert_eq!(run.code, Some(1));
        assert!(run.stdout.contains("t.pkr.json:1:29"), "{}", run.stdout);
        assert!(
            run.stdout.contains("is a legacy JSON template") && run.stdout.contains("hcl2_upgrade")
        );
        assert_eq!(run.stdout.matches("error:").count(), 1, "{}", run.stdout);
    }
}

#[test]
fn a_template_may_be_a_list_of_objects() {
    let dir = directory(
        r#"[
  { "variable": { "who": { "default": "me" } } },
  { "source": { "null": { "n": { "communicator": "none" } } } },
  { "build": { "sources": ["null.n"],
    "provisioner": { "shell-local": { "inline": ["echo hello ${var.who}"] } } } }
]"#,
    );
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("null.n: hello me"), "{}", run.stdout);
    let run = ingot(directory("[{}, 1]").path(), &["validate", "."]);
    assert!(run.stdout.contains("t.pkr.json:1:6") && run.stdout.contains("not an object"));
}

#[test]
fn what_is_not_json_is_refused() {
    for (text, wanted) in [
        (
            "{\"locals\": {\"a\": \"one\ntwo\"}}",
            &["t.pkr.json:1:18", "a line break cannot stand", "write \\n"][..],
        ),
        ("{\"locals\": {\"a\": \"one\ttwo\"}}", &["t.pkr.json:1:18", "a tab cannot stand"]),
        ("", &["t.pkr.json:1:1", "this file is empty"]),
        ("\n \n", &["t.pkr.json:1:1", "this file is empty"]),
    ] {
        let run = ingot(directory(text).path(), &["validate", "."]);
        assert_eq!(run.code, Some(1), "{text:?}");
        for part in wanted {
            assert!(run.stdout.contains(part), "{text:?}: {part}: {}", run.stdout);
        }
    }
}

/// As in Packer, which reads these before there is anything to fill in.
#[test]
fn descriptions_and_error_messages_are_literal() {
    let dir = directory(
        r#"{
  "variable": { "v": { "default": "x", "description": "like ${HOME}", "validation": {
    "condition": "${var.v != \"bad\"}", "error_message": "Set ${HOME} or %{ if }, not bad." } } },
  "source": { "null": { "n": { "communicator": "none" } } },
  "build": { "sources": ["null.n"] }
}"#,
    );
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let run = ingot(dir.path(), &["validate", "-var", "v=bad", "."]);
    assert!(run.stdout.contains("error: Set ${HOME} or %{ if }, not bad."), "{}", run.stdout);
}

#[test]
fn dynamic_blocks_make_blocks_of_a_json_build() {
    let dir = directory(
        r#"{
  "source": { "null": { "n": { "communicator": "none" } } },
  "build": {
    "sources": ["null.n"],
    "dynamic": { "provisioner": {
      "for_each": ["one", "two"],
      "iterator": "word",
      "labels": ["shell-local"],
      "content": { "inline": ["echo got ${word.value}"] }
    } }
  }
}"#,
    );
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("got one") && run.stdout.contains("got two"), "{}", run.stdout);
}
