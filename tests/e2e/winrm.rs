//! What a user sees of the winrm communicator where there is no Windows: options, and servers
//! that answer but are not what was meant.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ingot_test_support::{ingot, template};

/// A server of another program, on a port of its own, that ends with the test.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts `program`; none where it is not installed, which CI does not allow.
    fn start(program: &str, args: impl FnOnce(u16) -> Vec<String>) -> Option<Server> {
        let port = free_port();
        let mut command = Command::new(program);
        command.args(args(port)).stdin(Stdio::null()).stdout(Stdio::null()).stdout(Stdio::null());
        let process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                ingot_test_support::missing(format_args!("{program} cannot be run: {error}"));
                return None;
            }
        };
        let server = Server { process, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "{program} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What building with null over WinRM says.
fn build(port: u16, more: &str) -> String {
    let dir = template(&format!(
        r#"
        source "null" "windows" {{
          communicator   = "winrm"
          winrm_host     = "127.0.0.1"
          winrm_port     = {port}
          winrm_username = "Administrator"
          winrm_password = "pass-4711"
          winrm_timeout  = "3s"
          {more}
        }}
        build {{ sources = ["null.windows"] }}
        "#
    ));
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stdout);
    let said = run.stdout;
    assert!(!said.contains("pass-4711"), "{said}");
    said
}

fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

#[test]
fn a_machine_that_is_not_there_is_waited_for() {
    let port = free_port();
    let said = build(port, "");
    assert_says(
        &said,
        &[
            "Using WinRM communicator to connect: 127.0.0.1",
            "Waiting for WinRM to become available...",
            "no WinRM connection within 3s",
            &format!("cannot reach WinRM at 127.0.0.1:{port}"),
            "refused",
            "winrm quickconfig",
        ],
    );
}

#[test]
fn a_wrong_password_is_told_while_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("httpd.conf");
    std::fs::write(&rules, "/:Administrator:another\n").unwrap();
    let Some(server) = Server::start("busybox", |port| {
        let words = ["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-c"];
        let paths = [rules.as_os_str(), "-h".as_ref(), dir.path().as_os_str()];
        let paths = paths.map(|path| path.to_str().unwrap().to_owned());
        words.map(str::to_owned).into_iter().chain(paths).collect()
    }) else {
        return;
    };
    let said = build(server.port, "");
    let refusal = format!("127.0.0.1:{} turned down the user `Administrator`", server.port);
    assert_says(&said, &[&format!("{refusal}; trying again"), "AllowUnencrypted", "Basic"]);
    assert_eq!(said.matches("trying again").count(), 1, "{said}");
}

#[test]
fn another_http_server_is_not_taken_for_winrm() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().to_str().unwrap();
    let Some(server) = Server::start("busybox", |port| {
        let address = format!("127.0.0.1:{port}");
        ["httpd", "-f", "-p", &address, "-h", directory].map(str::to_owned).to_vec()
    }) else {
        return;
    };
    assert_says(&build(server.port, ""), &["is no WinRM service: HTTP status", "winrm_port"]);
}

#[test]
fn a_certificate_that_nobody_vouches_for_ends_the_wait_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=windows", "-days"])
        .args(["2", "-keyout", &path("key"), "-out", &path("certificate")])
        .stdout(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        ingot_test_support::missing("openssl makes no certificate");
        return;
    }
    let Some(server) = Server::start("openssl", |port| {
        let address = format!("127.0.0.1:{port}");
        let words = ["s_server", "-accept", &address, "-www", "-key", &path("key"), "-cert"];
        words.map(str::to_owned).into_iter().chain([path("certificate")]).collect()
    }) else {
        return;
    };
    let said = build(server.port, "winrm_use_ssl = true");
    assert_says(&said, &["certificate of WinRM at 127.0.0.1", "winrm_insecure = true"]);
    assert!(!said.contains("no WinRM connection within"), "{said}");
    // With the certificate taken, the next problem shows: s_server knows no POST.
    let said = build(server.port, "winrm_use_ssl = true\nwinrm_insecure = true");
    assert!(!said.contains("certificate of WinRM"), "{said}");
}

#[test]
fn options_are_checked_before_anything_runs() {
    let dir = template(
        r#"
        source "null" "windows" {
          communicator   = "winrm"
          winrm_use_ntlm = true
        }
        build { sources = ["null.windows"] }
        "#,
    );
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert_says(
        &run.stdout,
        &[
            "`winrm_username` is missing",
            "authentication by NTLM is not supported",
            "`winrm_host` is missing",
            "set winrm_password",
        ],
    );
}

#[test]
fn provisioners_for_windows_are_checked_before_anything_runs() {
    let dir = template(
        r#"
        source "null" "n" { communicator = "none" }
        build {
          sources = ["null.n"]
          provisioner "windows-shell" {
            inline = ["rem"]
            env    = { TEXT = "one\ntwo" }
          }
          provisioner "powershell" {
            inline           = ["exit 0"]
            execution_policy = "lax"
            environment_vars = ["NAME"]
          }
          provisioner "windows-restart" { restart_timeout = "soon" }
        }
        "#,
    );
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert_says(
        &run.stdout,
        &[
            "the value of TEXT has more than one line",
            "`lax` is not an execution policy",
            "not of the form NAME=value",
            "\"soon\"",
        ],
    );
}
