//! Mistakes around values: no line that may hold a secret is shown, and the place is all the same.

use ingot_test_support::{NULL, Run, ingot, ingot_with, template};

const SECRET: &str = "hunter2-Xy";

fn all(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

/// Asserts that a run says each of `wanted`, and nothing of the secret.
fn says(run: &Run, wanted: &[&str], what: &str) {
    let said = all(run).replace("%!(PACKER_COMMA)", ",");
    for text in wanted {
        assert!(said.contains(text), "{what}: {text:?} is not said: {said}");
    }
    // Nor as it would be written in lines for machines.
    for part in [SECRET, "hunter2", "HUNTER2"] {
        assert!(!said.contains(part), "{what}: the secret is shown: {said}");
    }
}

/// A template with a sensitive and a plain variable.
fn declared() -> String {
    format!(
        "variable \"password\" {{\n  sensitive = true\n  default = \"none\"\n}}\nvariable \"count\" \
         {{\n  type = number\n  default = 1\n}}\nvariable \"plain\" {{\n  default = \"x\"\n  \
         validation {{\n    condition = length(var.plain) < 9\n    error_message = \"At most \
         eight.\"\n  }}\n}}\n{NULL}"
    )
}

#[test]
fn mistakes_in_files_of_variables_show_place_and_name_but_no_line() {
    // The text of a file, its message, and whether that is an error.
    let cases: &[(&str, &str, &[&str], bool)] = &[
        // A name that is mistyped.
        (
            "v.pkrvars.hcl",
            "passwrod = \"SECRET\"\n",
            &["v.pkrvars.hcl:1:1", "`passwrod`", "`password`?"],
            false,
        ),
        (
            "v.pkrvars.json",
            "{\"passwrod\": \"SECRET\"}",
            &["v.pkrvars.json:1:2", "`passwrod`", "`password`?"],
            false,
        ),
        (
            "v.pkrvars.json",
            "{\"password\": \"SECRET\", \"cuont\": 1}",
            &["v.pkrvars.json:1:", "`cuont`"],
            false,
        ),
        // Twice: both places.
        (
            "v.pkrvars.hcl",
            "password = \"a\"\n\npassword = \"SECRET\"\n",
            &["v.pkrvars.hcl:3:1", "`password` is set twice", "v.pkrvars.hcl:1:1"],
            true,
        ),
        (
            "v.pkrvars.json",
            "{\"password\": \"a\",\n\"password\": \"SECRET\"}",
            &["v.pkrvars.json:2:1", "`password` is set twice", "v.pkrvars.json:1:2"],
            true,
        ),
        // Of another type, also where the variable is no secret.
        (
            "v.pkrvars.hcl",
            "count = \"SECRET\"\n",
            &["v.pkrvars.hcl:1:9", "`count`", "a number is required"],
            true,
        ),
        ("v.pkrvars.hcl", "password = [\"SECRET\"]\n", &["v.pkrvars.hcl:1:12", "`password`"], true),
        (
            "v.pkrvars.hcl",
            "\n  password = upper(\"SECRET\")\n",
            &["v.pkrvars.hcl:2:14", "`password`"],
            true,
        ),
        ("v.pkrvars.hcl", "password = hunter2.x\n", &["v.pkrvars.hcl:1:12", "`password`"], true),
        ("v.pkrvars.json", "{\"count\": \"SECRET\"}", &["v.pkrvars.json:1:11", "`count`"], true),
        // One that a rule refuses.
        ("v.pkrvars.hcl", "plain = \"SECRET\"\n", &["v.pkrvars.hcl:1:9", "At most eight."], true),
        // What cannot be parsed.
        (
            "v.pkrvars.hcl",
            "password = \"SECRET\n",
            &["v.pkrvars.hcl:1:12", "does not end on its line"],
            true,
        ),
        ("v.pkrvars.hcl", "password \"SECRET\"\n", &["v.pkrvars.hcl:1:"], true),
        ("v.pkrvars.hcl", "password hunter2\n", &["v.pkrvars.hcl:1:"], true),
        ("v.pkrvars.hcl", "password: \"SECRET\"\n", &["v.pkrvars.hcl:1:"], true),
        ("v.pkrvars.hcl", "password = 'SECRET'\n", &["v.pkrvars.hcl:1:12"], true),
        ("v.pkrvars.hcl", "password = SECRET SECRET\n", &["v.pkrvars.hcl:1:"], true),
        ("v.pkrvars.hcl", "password = <<EOT\nSECRET\n", &["v.pkrvars.hcl:1:12"], true),
        ("v.pkrvars.hcl", "password = \"a\nhunter2 = \nSECRET\n\"\n", &["v.pkrvars.hcl:1:"], true),
        (
            "v.pkrvars.json",
            "{\"password\": \"SECRET\",}",
            &["v.pkrvars.json:1:", "trailing commas"],
            true,
        ),
        (
            "v.pkrvars.json",
            "{\"password\": \"SECRET\" \"b\": 1}",
            &["v.pkrvars.json:1:", "expected comma"],
            true,
        ),
        (
            "v.pkrvars.json",
            "{\"password\": \"SECRET\nSECRET\"}",
            &["v.pkrvars.json:1:", "a line break"],
            true,
        ),
        ("v.pkrvars.json", "[\"SECRET\"]", &["v.pkrvars.json:1:1", "not an object"], true),
        ("v.pkrvars.json", "", &["v.pkrvars.json:1:1", "this file is empty"], true),
        // A declaration where a value should be.
        (
            "v.pkrvars.hcl",
            "variable \"password\" { default = \"SECRET\" }\n",
            &["v.pkrvars.hcl:1:1", "holds values, not blocks"],
            true,
        ),
        (
            "v.pkrvars.json",
            "{\"variable\": {\"password\": {\"default\": \"SECRET\"}}}",
            &["v.pkrvars.json:1:2", "holds values, not blocks"],
            true,
        ),
    ];
    for (name, text, wanted, fails) in cases {
        let text = text.replace("SECRET", SECRET);
        for auto in [false, true] {
            let dir = template(&declared());
            let name = if auto { name.replace("v.", "v.auto.") } else { (*name).to_owned() };
            let wanted: Vec<String> = wanted
                .iter()
                .map(|text| {
                    if auto {
                        text.replace("v.pkrvars", "v.auto.pkrvars")
                    } else {
                        (*text).to_owned()
                    }
                })
                .collect();
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            std::fs::write(dir.path().join(&name), &text).unwrap();
            let file = format!("-var-file={name}");
            let flag: &[&str] = if auto { &[] } else { &[&file] };
            let code = Some(i32::from(*fails));
            let run = ingot(dir.path(), &[&["validate"], flag, &["."]].concat());
            assert_eq!(run.code, code, "{text}: {}", all(&run));
            says(&run, &wanted, &text);
            // A value that could not be read is not one that is missing.
            assert!(!all(&run).contains("has no value"), "{}", all(&run));
            if auto {
                continue;
            }
            let machine = ["build", "-machine-readable", "-warn-on-undeclared-var"];
            let run = ingot(dir.path(), &[&machine[..], flag, &["."]].concat());
            assert_eq!(run.code, code, "{text}: {}", all(&run));
            says(&run, &wanted, &text);
            // What is no secret, `inspect` shows.
            if !text.starts_with("plain") {
                says(&ingot(dir.path(), &[&["inspect"], flag, &["."]].concat()), &[], &text);
            }
            says(&ingot(dir.path(), &[&["console"], flag, &["."]].concat()), &[], &text);
            if name.ends_with(".hcl") {
                let run = ingot(dir.path(), &["fmt", "-check", &name]);
                says(&run, &[], &text);
            }
        }
    }
}

#[test]
fn values_of_flags_and_of_the_environment_are_not_shown() {
    let dir = template(&declared());
    for (value, wanted) in [
        ("count=SECRET", &["<value of -var count>:1:1", "a number is required"][..]),
        ("plain=SECRET", &["<value of -var plain>:1:1", "At most eight."]),
        ("passwrod=SECRET", &["-var sets `passwrod`", "`password`?"]),
        ("=SECRET", &["a -var names no variable"]),
        ("SECRET", &["a -var gives no value"]),
    ] {
        let value = value.replace("SECRET", SECRET);
        let run = ingot(dir.path(), &["validate", "-var", &value, "."]);
        assert_eq!(run.code, Some(1));
        says(&run, wanted, &value);
    }
    let run = ingot_with(dir.path(), &["validate", "."], &[("PKR_VAR_count", SECRET)]);
    assert_eq!(run.code, Some(1));
    says(&run, &["<value of PKR_VAR_count>:1:1"], "the environment");
    // What is no flag, or one argument too many, may be a value that lost its flag.
    for args in [
        &["validate", ".", "password=hunter2"][..],
        &["validate", "var", "password=hunter2", "."],
        &["validate", "-nosuch=hunter2", "."],
        &["validate", "-vra", "password=hunter2", "."],
    ] {
        let run = ingot(dir.path(), args);
        assert_eq!(run.code, Some(1));
        says(&run, &["error: "], &args.join(" "));
    }
}

#[test]
fn no_snippet_shows_the_value_of_something_sensitive() {
    let hcl = |body: &str| ("t.pkr.hcl", format!("{body}\n{NULL}"));
    let json = |body: &str| ("t.pkr.json", body.to_owned());
    for ((name, text), place) in [
        (
            hcl("variable \"s\" {\n  sensitive = true\n  type = number\n  default = \"SECRET\"\n}"),
            "t.pkr.hcl:4:13",
        ),
        (hcl("variable \"s\" {\n  sensitive = true\n  default = hunter2\n}"), "t.pkr.hcl:3:13"),
        (hcl("variable \"s\" {\n  sensitive = true\n  default = \"SECRET\n}"), "t.pkr.hcl:3:13"),
        (hcl("variable \"s\" {\n  default = 'SECRET'\n  sensitive = true\n}"), "t.pkr.hcl:2:13"),
        (
            hcl("variable \"s\" {\n  default = <<EOT\nhunter2\nupper\n  sensitive = true\n}"),
            "t.pkr.hcl:2:13",
        ),
        (hcl("variable \"s\" {\n  default \"SECRET\"\n  sensitive = true\n}"), "t.pkr.hcl:2:"),
        (
            hcl("local \"s\" {\n  sensitive = true\n  expression = upper(\"SECRET\", 1)\n}"),
            "t.pkr.hcl:3:",
        ),
        // On one line with what is wrong.
        (
            json(
                "{\"variable\": {\"s\": {\"default\": \"SECRET\", \"sensitive\": true, \"nosuch\": 1}}}",
            ),
            "t.pkr.json:1:",
        ),
        (
            json(
                "{\"variable\": {\"s\": {\"default\": \"SECRET\", \"sensitive\": true}}, \"buidl\": {}}",
            ),
            "t.pkr.json:1:",
        ),
        (
            json(
                "{\"local\": {\"s\": {\"expression\": \"SECRET\", \"sensitive\": true, \"nosuch\": 1}}}",
            ),
            "t.pkr.json:1:",
        ),
        (
            json("{\"variable\": {\"s\": {\"default\": \"SECRET\", \"sensitive\": true,}}}"),
            "t.pkr.json:1:",
        ),
        (
            json(
                "{\"variable\": {\"s\": {\"default\": \"SECRET\", \"sensitive\": true\n \"x\": 1}}}",
            ),
            "t.pkr.json:1:",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), text.replace("SECRET", SECRET)).unwrap();
        let run = ingot(dir.path(), &["validate", "."]);
        assert_eq!(run.code, Some(1), "{text}: {}", all(&run));
        says(&run, &[place], &text);
        if name.ends_with(".hcl") {
            says(&ingot(dir.path(), &["fmt", "-check", "."]), &[], &text);
        }
    }
}

#[test]
fn sensitive_among_values_hides_none_and_is_a_warning() {
    let locals = "locals {\n  secret = \"x\"\n  sensitive = true\n}\n";
    let run = ingot(template(&format!("{locals}{NULL}")).path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", all(&run));
    for text in ["warning: `sensitive` is one more value", "t.pkr.hcl:3:3", "local \"NAME\" {"] {
        assert!(run.stdout.contains(text), "{text}: {}", run.stdout);
    }
    let variables = "variables {\n  secret = \"x\"\n  sensitive = true\n}\n";
    let run = ingot(template(&format!("{variables}{NULL}")).path(), &["validate", "."]);
    assert!(run.stdout.contains("variable \"NAME\" {"), "{}", run.stdout);
    let dir = tempfile::tempdir().unwrap();
    let json = format!("{{\"locals\": {{\"secret\": \"{SECRET}\", \"sensitive\": true}}}}");
    std::fs::write(dir.path().join("t.pkr.json"), json).unwrap();
    std::fs::write(dir.path().join("n.pkr.hcl"), NULL).unwrap();
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(0), "{}", all(&run));
    says(&run, &["`sensitive` is one more value", "t.pkr.json:1:"], "locals in JSON");
    // One that means itself.
    let own = format!("locals {{\n  sensitive = true\n}}\n{NULL}");
    let run = ingot(template(&own).path(), &["validate", "."]);
    assert_eq!(run.stdout, "The configuration is valid.\n");
}
