//! `ingot console` as a person or script uses it.

use std::io::Write;
use std::process::Stdio;

use ingot_test_support::http::{HttpServer, response};

/// The exit code, the output, and the errors.
fn console(args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/expressions/fixtures");
    let mut child = ingot_test_support::ingot_command()
        .arg("console")
        .args(args)
        .current_dir(fixtures)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_last_line_is_answered() {
    assert_eq!(console(&[], "1 + 1").1, "2\n");
    assert_eq!(console(&["-config-type=hcl2"], "1\nexit\n\"a\\nb\"\n").1, "a\nb\n");
    assert_eq!(console(&[], "1\n\n").1, "\n");
    assert_eq!(console(&["-var", "name=db", "."], "var.name").1, "db\n");
    assert_eq!(console(&["."], "var.password").1, "<sensitive>\n");
}

#[test]
fn a_wrong_line_fails_the_run() {
    let (code, printed, complaint) = console(&[], "uper(1)\n2\n");
    assert_eq!((code, printed.as_str()), (Some(1), "2\n"));
    assert!(complaint.contains("no function is called `uper`"), "{complaint}");
    assert!(complaint.contains("<console>:1:1"), "{complaint}");
    let (code, _, complaint) = console(&["-config-type=json"], "{{ 1");
    assert!(code == Some(1) && complaint.contains("never closed"), "{complaint}");
}

#[test]
fn variables_are_listed() {
    let (code, printed, _) = console(&["."], "variables\n");
    assert_eq!(code, Some(0));
    let (inputs, locals) = printed.split_once("\n> local-variables:\n\n").unwrap();
    assert!(inputs.starts_with("> input-variables:\n\nvar.count: \"3\"\n"), "{inputs}");
    assert!(inputs.contains("var.password: \"<sensitive>\"\n"), "{inputs}");
    assert!(inputs.contains("var.words: \"[\\n  \\\"b\\\",\\n"), "{inputs}");
    assert!(locals.contains("local.greeting: \"Hello, web!\"\n"), "{locals}");
    assert!(console(&[], "help").1.contains("exit"));
}

/// Scripts use what is printed.
#[test]
fn warnings_of_data_sources_are_no_part_of_the_value() {
    let kind = "Content-Type: application/octet-stream";
    let server = HttpServer::answering(move |_| response(&[kind], b"sums"));
    let text = format!("data \"http\" \"d\" {{\n  url = \"{}\"\n}}\n", server.url());
    let template = ingot_test_support::template(&text);
    let path = template.path().to_str().unwrap();
    let (code, printed, said) = console(&["-config-type=hcl2", path], "data.http.d.body");
    assert_eq!((code, printed.as_str()), (Some(0), "sums\n"), "{said}");
    assert!(said.contains("did not declare its response as text"), "{said}");
}
