//! Messages that say what to do, and not what would not help.

use ingot_test_support::{NULL, ingot, null_template, template};

/// The errors of an invalid template.
fn said(text: &str) -> String {
    let run = ingot(template(text).path(), &["validate", "."]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    run.stdout
}

fn inline(line: &str) -> String {
    null_template(&format!("  provisioner \"shell-local\" {{\n    inline = [{line}]\n  }}"))
}

#[test]
fn an_unknown_name_in_a_text_may_be_the_shells() {
    let text = said(&inline("\"echo ${FOO}\""));
    assert!(text.contains("nothing is called `FOO` here"), "{text}");
    assert!(text.contains("write $${FOO}"), "{text}");
    assert!(!text.contains("in quotes"), "{text}");
    let text = said(&inline("\"${FOO}\""));
    assert!(text.contains("write $${FOO}") && !text.contains("in quotes"), "{text}");
    // Alone it may be a text; with a path it is neither.
    let text = said(&inline("FOO"));
    assert!(text.contains("in quotes: \"FOO\"") && !text.contains("$$"), "{text}");
    let text = said(&inline("foo.bar"));
    assert!(!text.contains("in quotes") && !text.contains("$$"), "{text}");
    // The name of a variable without `var.`.
    let text = said(&format!("variable \"foo\" {{\n  default = 1\n}}\n{}", inline("\"${foo}\"")));
    assert!(text.contains("did you mean `var.foo`?") && !text.contains("$$"), "{text}");
}

#[test]
fn all_names_that_do_not_exist_are_reported_at_once() {
    let text = said(&format!(
        "locals {{\n  a = {{\n    x = var.one\n    y = \"-${{var.two}}-${{TWO}}\"\n    z = [local.three]\n  }}\n}}\n{}",
        inline("upper(var.four), var.five, var.five")
    ));
    for (kind, name) in [
        ("no variable", "one"),
        ("no variable", "two"),
        ("nothing", "TWO"),
        ("no local", "three"),
        ("no variable", "four"),
        ("no variable", "five"),
    ] {
        assert!(text.contains(&format!("{kind} is called `{name}`")), "{name}: {text}");
    }
    assert_eq!(text.matches("error:").count(), 6, "{text}");
    assert!(text.contains("write $${TWO}"), "{text}");
    // What need not exist is not reported beside what has to.
    let text = said(&inline("var.one, try(var.two, \"\"), true ? \"\" : var.three"));
    assert_eq!(text.matches("error:").count(), 1, "{text}");
}

#[test]
fn each_is_not_the_name_of_an_item() {
    let text = said(&inline("\"echo ${each.value}\""));
    assert!(text.contains("provisioner.value") && !text.contains("in quotes"), "{text}");
    let text = said(&null_template(
        "  dynamic \"provisioner\" {\n    for_each = [1]\n    iterator = step\n    labels = \
         [\"shell-local\"]\n    content {\n      inline = [\"echo ${each.value}\"]\n    }\n  }",
    ));
    assert!(text.contains("did you mean `step`?") && !text.contains("in quotes"), "{text}");
}

#[test]
fn a_template_given_as_a_file_of_variables_is_named() {
    let dir = template(&format!("variable \"a\" {{}}\nvariable \"b\" {{}}\n{NULL}"));
    for file in ["t.pkr.hcl", "./t.pkr.hcl"] {
        let run = ingot(dir.path(), &["validate", &format!("-var-file={file}"), "."]);
        assert_eq!(run.code, Some(1));
        assert!(run.stdout.contains(&format!("{file} is a template")), "{}", run.stdout);
        assert!(run.stdout.contains("leave out this -var-file, and give the directory"));
        assert_eq!(run.stdout.matches("error:").count(), 1, "{}", run.stdout);
    }
    let json = r#"{"variable": {"c": {"default": 1}}}"#;
    std::fs::write(dir.path().join("u.pkr.json"), json).unwrap();
    let run = ingot(dir.path(), &["validate", "-var-file=u.pkr.json", "t.pkr.hcl"]);
    assert!(run.stdout.contains("u.pkr.json is a template"), "{}", run.stdout);
    // With another file it is a declaration in the wrong place, once.
    std::fs::write(dir.path().join("v.pkrvars.hcl"), "variable \"a\" {\n}\n").unwrap();
    for file in ["v.pkrvars.hcl", "missing.pkrvars.hcl", "v.txt"] {
        let run = ingot(dir.path(), &["validate", "-var-file", file, "."]);
        assert!(run.stdout.contains(file), "{}", run.stdout);
        assert_eq!(run.stdout.matches("error:").count(), 1, "{}", run.stdout);
    }
}

#[test]
fn what_a_file_beside_the_template_declares_is_pointed_to() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "variables.pkr.hcl",
        "variable \"v\" {\n  default = \"x\"\n}\nlocals {\n  l = 1\n}\ndata \"null\" \"d\" {\n  input = \
         \"x\"\n}\n",
    );
    write("sources.pkr.hcl", "source \"null\" \"n\" {\n  communicator = \"none\"\n}\n");
    write("broken.pkr.hcl", "variable \"w\" {\n");
    let own = "source \"null\" \"o\" {\n  communicator = \"none\"\n}\n";
    let build = |source: &str, value: &str| {
        format!(
            "{own}build {{\n  sources = [\"null.{source}\"]\n  provisioner \"shell-local\" {{\n    \
             inline = [\"echo ${{{value}}}\"]\n  }}\n}}\n"
        )
    };
    for (source, value, file) in [
        ("o", "var.v", "variables.pkr.hcl"),
        ("o", "local.l", "variables.pkr.hcl"),
        ("o", "data.null.d.output", "variables.pkr.hcl"),
        ("n", "packer.version", "sources.pkr.hcl"),
    ] {
        write("main.pkr.hcl", &build(source, value));
        let run = ingot(dir.path(), &["validate", "main.pkr.hcl"]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let wanted = format!("it is declared in ./{file}, which is not read; give the directory");
        assert!(run.stdout.contains(&wanted), "{value}: {}", run.stdout);
        assert_eq!(run.stdout.matches("help:").count(), 1, "{}", run.stdout);
    }
    write("main.pkr.hcl", &build("o", "packer.version"));
    let run = ingot(dir.path(), &["validate", "-var", "v=y", "main.pkr.hcl"]);
    assert!(run.stdout.contains("it is declared in ./variables.pkr.hcl"), "{}", run.stdout);
    // What is nowhere is not.
    write("main.pkr.hcl", &build("o", "var.nosuch"));
    let run = ingot(dir.path(), &["validate", "main.pkr.hcl"]);
    assert!(!run.stdout.contains("it is declared in"), "{}", run.stdout);
}

#[test]
fn lists_of_names_are_never_empty_and_say_when_they_end_early() {
    let text = said(&format!("{NULL}locals {{\n  a = data.null.x\n}}\n"));
    assert!(!text.contains("known here: \n") && !text.contains("known here:\n"), "{text}");
    let names = |count: usize| {
        let lines: String = (0..count).map(|n| format!("  n{n:02} = 1\n")).collect();
        said(&format!("locals {{\n{lines}}}\nlocals {{\n  z = local.nosuchname\n}}\n{NULL}"))
    };
    assert!(names(15).contains("known here: n00, n01"), "{}", names(15));
    assert!(names(15).contains("n14, z\n"), "{}", names(15));
    assert!(names(40).contains("n19 and 21 more\n"), "{}", names(40));
}

#[test]
fn a_message_is_one_sentence() {
    let text = said(&format!("locals {{\n  a = regex(\"(\", \"x\")\n}}\n{NULL}"));
    assert!(text.contains("the pattern is not valid: unclosed group"), "{text}");
    assert_eq!(text.matches("error:").count(), 1, "{text}");
    let text = said(&format!("locals {{\n  a = upper(\"a\", \"b\")\n}}\n{NULL}"));
    assert!(text.contains("`upper` failed: it takes one argument, not 2\n"), "{text}");
    assert!(text.contains("usage: upper(str)"), "{text}");
    let text = said(&inline("\"echo {{ .Nosuch\""));
    assert!(text.contains("write {{`{{`}} instead of {{"), "{text}");
}
