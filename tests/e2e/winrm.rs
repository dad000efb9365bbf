//! What a user sees of the winrm communicator where there is no Windows: options, and servers
//! that answer but are not what was meant.

use std::process::{Child, Command, Stdio};

use ingot_test_support::sshd::{free_port, wait_for};
use ingot_test_support::{Run, ingot, template};

/// A server of another program, on a port of its own, that ends with the test.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts `program`; none where it is not installed, which CI does not allow.
    fn start(program: &str, args: impl FnOnce(u16) -> Vec<String>) -> Option<Server> {
        Server::start_command(Command::new(program), args)
    }

    fn start_command(
        mut command: Command,
        args: impl FnOnce(u16) -> Vec<String>,
    ) -> Option<Server> {
        let port = free_port();
        let program = command.get_program().to_string_lossy().into_owned();
        command.args(args(port)).stdin(Stdio::null()).stdout(Stdio::null()).stdout(Stdio::null());
        let process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                ingot_test_support::missing(format_args!("{program} cannot be run: {error}"));
                return None;
            }
        };
        let server = Server { process, port };
        wait_for(port);
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What building with null over WinRM says.
fn build(port: u16, more: &str) -> String {
    let run = run(port, more, "");
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stdout);
    run.stdout
}

/// Builds with null over WinRM, with `more` in the source and `steps` in the build.
fn run(port: u16, more: &str, steps: &str) -> Run {
    let user = match more.contains("winrm_username") {
        true => "",
        false => "winrm_username = \"Administrator\"",
    };
    let dir = template(&format!(
        r#"
        source "null" "windows" {{
          communicator   = "winrm"
          winrm_host     = "127.0.0.1"
          winrm_port     = {port}
          {user}
          winrm_password = "pass-4711"
          winrm_timeout  = "3s"
          {more}
        }}
        build {{
          sources = ["null.windows"]
          {steps}
        }}
        "#
    ));
    let run = ingot(dir.path(), &["build", "."]);
    assert!(!run.stdout.contains("pass-4711"), "{}", run.stdout);
    run
}

/// A WinRM server whose logins are those of an NTLM implementation that is not Ingot's
/// (winrm_server.py), and what is uploaded to it. `None` where that is not installed.
fn ntlm_server(accounts: &str, words: &[&str]) -> Option<(Server, tempfile::TempDir)> {
    let known = Command::new("python3").args(["-c", "import spnego"]).output();
    if !known.is_ok_and(|found| found.status.success()) {
        ingot_test_support::missing("python3 has no pyspnego");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("accounts");
    std::fs::write(&file, accounts).unwrap();
    let mut command = Command::new("python3");
    command.env("NTLM_USER_FILE", &file);
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/winrm_server.py");
    let root = dir.path().to_str().unwrap().to_owned();
    let server = Server::start_command(command, |port| {
        let fixed = [program.to_owned(), port.to_string(), root];
        fixed.into_iter().chain(words.iter().map(|&word| word.to_owned())).collect()
    })?;
    Some((server, dir))
}

/// The server's log.
fn requests(dir: &tempfile::TempDir) -> Vec<String> {
    let log = std::fs::read_to_string(dir.path().join("requests.log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

const GREETINGS: &str = r#"
  provisioner "windows-shell" { inline = ["echo hello from over there", "echo $((40 + 2))"] }
"#;

#[test]
fn ntlm_logs_in_and_encrypts_what_is_said() {
    let accounts = "CORP:Administrator:pass-4711\n";
    let Some((server, dir)) = ntlm_server(accounts, &[]) else { return };
    let user = "winrm_use_ntlm = true\nwinrm_username = \"corp\\\\administrator\"";
    let run = run(server.port, user, GREETINGS);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_says(&run.stdout, &["Connected to WinRM!", "hello from over there", "42"]);
    let log = requests(&dir);
    // The server takes no message that is not sealed. One connection does for all of them.
    let logins: Vec<_> = log.iter().filter(|line| line.starts_with("login ")).collect();
    assert_eq!(logins, ["login corp\\administrator"], "{log:?}");
    assert!(log.iter().filter(|line| *line == "Command").count() >= 4, "{log:?}");
    assert_eq!(log.last().map(String::as_str), Some("Delete"), "{log:?}");
}

#[test]
fn ntlm_logs_in_again_where_the_connection_was_closed() {
    let host = Command::new("hostname").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap().trim().to_uppercase();
    // Who names no domain is of the one that the server names.
    let accounts = format!("{host}:Administrator:pass-4711\n");
    let Some((server, dir)) = ntlm_server(&accounts, &["forget", "5"]) else { return };
    let run = run(server.port, "winrm_use_ntlm = true", GREETINGS);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let log = requests(&dir);
    let count = |what: &str| log.iter().filter(|line| line.starts_with(what)).count();
    assert!(count("login ") > 1, "{log:?}");
    // No command was sent twice.
    assert_eq!(count("Command"), count("Receive"), "{log:?}");
    assert!(!run.stdout.contains("closed the connection"), "{}", run.stdout);
}

#[test]
fn ntlm_over_tls_needs_no_encryption_of_its_own() {
    let keys = tempfile::tempdir().unwrap();
    let Some([key, certificate]) = certificate(&keys) else { return };
    let accounts = ":admin@corp.example:pass-4711\n";
    let words = ["tls", certificate.as_str(), key.as_str()];
    let Some((server, dir)) = ntlm_server(accounts, &words) else { return };
    let options = "winrm_use_ntlm = true\nwinrm_use_ssl = true\nwinrm_insecure = true\n\
                   winrm_username = \"admin@corp.example\"";
    let run = run(server.port, options, GREETINGS);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert_says(&run.stdout, &["hello from over there"]);
    assert!(requests(&dir).contains(&"login admin@corp.example".to_owned()));
}

#[test]
fn what_ntlm_cannot_do_is_reported() {
    // A wrong password.
    let Some((server, dir)) = ntlm_server(":Administrator:another\n", &[]) else { return };
    let user = "winrm_use_ntlm = true\nwinrm_username = \"\\\\Administrator\"";
    let said = build(server.port, user);
    assert_says(&said, &["turned down the user `\\Administrator`; trying again", "DOMAIN\\user"]);
    assert!(requests(&dir).iter().all(|line| line.starts_with("refused")), "{said}");
    // Basic authentication where there is none.
    let said = build(server.port, "");
    assert_says(&said, &["takes no basic authentication: it offers Negotiate", "winrm_use_ntlm"]);
    // A server that answers in the clear, as somebody on the way there could.
    let accounts = ":Administrator:pass-4711\n";
    let Some((server, _dir)) = ntlm_server(accounts, &["clear"]) else { return };
    assert_says(&build(server.port, user), &["the response is not encrypted"]);
    // Kerberos only.
    let Some((server, _dir)) = ntlm_server(accounts, &["kerberos"]) else { return };
    let said = build(server.port, user);
    assert_says(&said, &["does not offer NTLM, but Kerberos", "Kerberos is not supported"]);
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
fn a_wrong_password_is_reported_while_waiting() {
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
    assert_says(&build(server.port, ""), &["is not a WinRM service: HTTP status", "winrm_port"]);
}

/// A key and a certificate that it signed itself; none where openssl is not installed.
fn certificate(dir: &tempfile::TempDir) -> Option<[String; 2]> {
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let created = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=windows", "-days"])
        .args(["2", "-keyout", &path("key"), "-out", &path("certificate")])
        .stdout(Stdio::null())
        .status();
    if !created.is_ok_and(|status| status.success()) {
        ingot_test_support::missing("openssl makes no certificate");
        return None;
    }
    Some([path("key"), path("certificate")])
}

#[test]
fn a_certificate_that_nobody_vouches_for_ends_the_wait_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let Some([key, certificate]) = certificate(&dir) else { return };
    let Some(server) = Server::start("openssl", |port| {
        let address = format!("127.0.0.1:{port}");
        let words = ["s_server", "-accept", &address, "-www", "-key", &key, "-cert", &certificate];
        words.map(str::to_owned).to_vec()
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
        }
        build { sources = ["null.windows"] }
        "#,
    );
    let run = ingot(dir.path(), &["validate", "."]);
    assert_eq!(run.code, Some(1));
    assert_says(
        &run.stdout,
        &["`winrm_username` is missing", "`winrm_host` is missing", "set winrm_password"],
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
