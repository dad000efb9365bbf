//! `data` blocks.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use ingot_test_support::http::{HttpServer, response};
use ingot_test_support::{NULL, ingot, require, signal, template};

use crate::terminal::{Terminal, there_is_a_terminal};

/// A web server over a directory, stopped when it goes out of scope.
struct WebServer {
    child: Child,
    port: u16,
}

impl WebServer {
    fn start(dir: &std::path::Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is there");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        // Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ...
        let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next());
        let port = port.and_then(|port| port.parse().ok()).expect("the line names a port");
        WebServer { child, port }
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CHAIN: &str = r#"
locals {
  first = "one"
  last  = data.null.b.output
  all   = [for name, value in data.null : "${name}=${value.output}"]
}
data "null" "a" {
  input = "${local.first}-two"
}
data "null" "b" {
  input = "${data.null["a"].output}-three"
}
source "null" "n" {
  communicator = "none"
}
build {
  sources = ["source.null.n"]
  provisioner "shell-local" {
    inline = ["echo got ${local.last} ${join(",", local.all)} ${data.null.a.output}"]
  }
}
"#;

#[test]
fn locals_and_data_build_on_each_other() {
    let dir = template(CHAIN);
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stdout);
    let line = "got one-two-three a=one-two,b=one-two-three one-two";
    assert!(run.stdout.contains(line), "{}", run.stdout);
}

#[test]
fn circles_through_data_are_shown() {
    let dir = template(
        "locals {\n  a = data.null.d.output\n}\ndata \"null\" \"d\" {\n  input = local.a\n}\n",
    );
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("local.a → data.null.d → local.a"), "{}", run.stdout);
}

#[test]
fn mistakes_in_data_blocks_are_found_without_fetching() {
    let dir = template(
        r#"
data "http" "h" {
  url    = "ftp://127.0.0.1:1/"
  method = "GRAB"
  body   = "x"
}
data "nul" "n" {
  input = "x"
}
locals {
  a = data.http.h.bdoy
}
"#,
    );
    let said = ingot(dir.path(), &["validate", "."]).stdout;
    for part in [
        "t.pkr.hcl:5:3",
        "there is no option called `body` here",
        "t.pkr.hcl:7:6",
        "no data source is called `nul`",
        "did you mean `null`?",
        "t.pkr.hcl:11:19",
        "has no attribute `bdoy`",
        "did you mean `body`?",
    ] {
        assert!(said.contains(part), "{part} is missing in:\n{said}");
    }
}

#[test]
fn http_data_is_fetched_when_it_is_needed() {
    let dir = template("");
    std::fs::write(dir.path().join("motd.txt"), "good day\n").unwrap();
    let server = WebServer::start(dir.path());
    let text = format!(
        r#"
variable "path" {{
  default = "motd.txt"
}}
data "http" "motd" {{
  url = "http://127.0.0.1:{}/${{var.path}}?token=hush"
}}
locals {{
  motd = trimspace(data.http.motd.body)
  kind = data.http.motd.request_headers["Content-Type"]
}}
"#,
        server.port
    );
    std::fs::write(dir.path().join("t.pkr.hcl"), text + NULL).unwrap();
    let shown = ingot(dir.path(), &["inspect", "."]).stdout;
    assert!(shown.contains("local.motd: \"good day\""), "{shown}");
    assert!(shown.contains("local.kind: \"text/plain\""), "{shown}");

    let missing = ["-var", "path=nothing.txt", "."];
    let run = ingot(dir.path(), &[&["validate"], &missing[..]].concat());
    assert_eq!(run.code, Some(0), "validate asks nobody: {}", run.stdout);
    let run = ingot(dir.path(), &[&["validate", "-evaluate-datasources"], &missing[..]].concat());
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("data.http.motd could not be fetched"), "{}", run.stdout);
    assert!(run.stdout.contains("404 Not Found"), "{}", run.stdout);
    let shown = run.stdout.lines().find(|line| line.contains("404")).unwrap();
    assert!(!shown.contains("hush"), "{shown}");

    drop(server);
    let run = ingot(dir.path(), &["validate", "-evaluate-datasources", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("Connection refused"), "{}", run.stdout);

    // What needs the value is no second error, in a data source or elsewhere.
    let reading = dir.path().join("reading.pkr.hcl");
    std::fs::write(&reading, "data \"null\" \"d\" {\n  input = data.http.motd.body\n}\n").unwrap();
    let run = ingot(dir.path(), &["validate", "-evaluate-datasources", "."]);
    let errors = run.stdout.lines().filter(|line| line.starts_with("error:"));
    assert_eq!(errors.count(), 1, "{}", run.stdout);
    std::fs::remove_file(&reading).unwrap();
    let path = dir.path().join("t.pkr.hcl");
    let text = std::fs::read_to_string(&path).unwrap();
    let needing = "source \"file\" \"f\" {\n  target  = \"f.txt\"\n  content = local.motd\n}\n\
                   build {\n  sources = [\"source.file.f\"]\n}\n";
    std::fs::write(&path, text + needing).unwrap();
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("data.http.motd could not be fetched"), "{}", run.stdout);
    let errors = run.stdout.lines().filter(|line| line.starts_with("error:"));
    assert_eq!(errors.count(), 1, "{}", run.stdout);
}

/// As buckets of clouds store and send it, whatever was asked for.
#[test]
fn a_compressed_response_is_unpacked() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all("größe".as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let headers = ["Content-Type: text/plain", "Content-Encoding: gzip"];
    let server = HttpServer::answering(move |_| response(&headers, &body));
    let url = server.url();
    let dir = template(&format!(
        "data \"http\" \"d\" {{\n  url = \"{url}\"\n}}\nlocals {{\n  body = \
         data.http.d.body\n  headers = join(\" \", keys(data.http.d.request_headers))\n}}\n{NULL}"
    ));
    let run = ingot(dir.path(), &["inspect", "."]);
    let request = server.requests().concat().to_ascii_lowercase();
    assert!(request.contains("\r\naccept-encoding: gzip\r\n"), "{request}");
    assert!(run.stdout.contains("local.body: \"größe\""), "{}", run.stdout);
    assert!(run.stdout.contains("local.headers: \"Connection Content-Type\""), "{}", run.stdout);
    assert!(!run.stdout.contains("Warning"), "{}", run.stdout);
}

#[test]
fn signals_end_the_console_also_when_data_was_fetched() {
    require!(there_is_a_terminal());
    let dir = template("");
    std::fs::write(dir.path().join("motd.txt"), "good day\n").unwrap();
    let server = WebServer::start(dir.path());
    let url = format!("http://127.0.0.1:{}/motd.txt", server.port);
    let text = format!("data \"http\" \"motd\" {{\n  url = \"{url}\"\n}}\n");
    std::fs::write(dir.path().join("t.pkr.hcl"), text).unwrap();
    let start = || {
        let command = "echo $$ >pid; exec $INGOT console t.pkr.hcl";
        let terminal = Terminal::start(dir.path(), 80, 24, command);
        let at_prompt = |screen: &[String]| screen.last().is_some_and(|row| row.trim_end() == ">");
        terminal.wait_for("the prompt", at_prompt);
        terminal
    };
    let mut terminal = start();
    terminal.press("\u{3}");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(130), "{}", screen.join("\n"));

    let terminal = start();
    signal("TERM", std::fs::read_to_string(dir.path().join("pid")).unwrap().trim());
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(143), "{}", screen.join("\n"));
}
