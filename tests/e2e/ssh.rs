//! `communicator = "ssh"`, through the binary, against a real sshd.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use ingot_test_support::sshd::{PASSWORD, Running, Server, USER, available, free_port};
use ingot_test_support::{eventually, ingot, ingot_with, output_of, require, signal, template};

/// A source for `server` with `more` options, and a build of it with `steps`.
fn text(server: &Server, more: &str, steps: &str) -> String {
    format!(
        "source \"null\" \"n\" {{\n  ssh_host = \"127.0.0.1\"\n  ssh_port = {}\n  \
         ssh_username = \"{USER}\"\n  ssh_handshake_attempts = 1\n  ssh_timeout = \"20s\"\n  \
         {more}\n}}\nbuild {{\n  sources = [\"source.null.n\"]\n{steps}\n}}\n",
        server.port
    )
}

#[test]
fn a_machine_is_provisioned() {
    require!(available());
    let server = Server::start("");
    let key = server.key("key", &["-t", "ed25519"]);
    let steps = r#"
  provisioner "shell" {
    inline = ["echo hello $WHO from $(whoami); echo oops >&2", "mkdir there"]
    env    = { WHO = "you" }
  }
  provisioner "file" {
    source      = "up"
    destination = "there"
  }
  provisioner "file" {
    source      = "up/"
    destination = "there"
  }
  provisioner "file" {
    source      = "one"
    destination = "there/one"
  }
  provisioner "file" {
    content     = "${build.User} ${build.Host} ${build.ConnType} ${build.ID}"
    destination = "there/facts"
  }
  provisioner "file" {
    direction   = "download"
    source      = "there/"
    destination = "down/"
  }
  provisioner "file" {
    direction   = "download"
    source      = "there/one"
    destination = "down/"
  }
  provisioner "shell-local" {
    inline = ["echo local ${build.Port}"]
  }"#;
    for method in ["scp", "sftp"] {
        let more =
            format!("ssh_private_key_file = \"{key}\"\n  ssh_file_transfer_method = \"{method}\"");
        let dir = template(&text(&server, &more, steps));
        let write = |path: &str, bytes: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("up/a", "A");
        write("up/sub/b", "B");
        write("one", "1");
        let run = ingot(dir.path(), &["build", "-color=false", "."]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stdout);
        for line in [
            "==> null.n: Using SSH communicator to connect: 127.0.0.1",
            "==> null.n: Waiting for SSH to become available...",
            "==> null.n: Connected to SSH!",
            "null.n: hello you from builder",
            &format!("null.n: local {}", server.port),
        ] {
            assert!(run.stdout.contains(line), "{line:?} is not in\n{}", run.stdout);
        }
        assert!(run.stdout.contains("null.n: oops"), "{}", run.stdout);
        let read = |path: &str| std::fs::read_to_string(dir.path().join(path)).unwrap();
        let down = |path: &str| read(&format!("down/there/{path}"));
        assert_eq!(
            (down("up/sub/b"), down("sub/b"), down("a")),
            ("B".into(), "B".into(), "A".into())
        );
        assert_eq!(down("facts"), "builder 127.0.0.1 ssh Null");
        assert_eq!(read("down/one"), "1");
        std::fs::remove_dir_all(server.path("home/there")).unwrap();
    }
}

#[test]
fn files_that_match_a_pattern_are_downloaded() {
    require!(available());
    let server = Server::start("");
    let key = server.key("key", &["-t", "ed25519"]);
    let make = |path: &str, text: &str| {
        let path = server.path("home").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    make("logs/one a.log", "1");
    make("logs/two.log", "2");
    make("logs/three.txt", "3");
    make("logs/old.log/four", "4");
    // Names with what is special to a shell.
    make("logs/five$HOME.log", "5");
    make("logs/six$HOME.d/seven", "7");
    make("~eight.home", "8");
    let download = |source: &str| {
        format!(
            "  provisioner \"file\" {{\n    direction = \"download\"\n    source = {source:?}\n    \
             destination = \"out/\"\n  }}"
        )
    };
    // A shell that prints something is nothing for scp.
    for (method, greeting) in [("scp", ""), ("sftp", "echo welcome\n")] {
        make(".bashrc", greeting);
        let more =
            format!("ssh_private_key_file = \"{key}\"\n  ssh_file_transfer_method = \"{method}\"");
        let sources = ["logs/*.log", "logs/t[!i-z]ree.t?t", "logs/*.d", "*.home"];
        let steps = sources.map(download).join("\n");
        let dir = template(&text(&server, &more, &steps));
        let run = ingot(dir.path(), &["build", "-color=false", "."]);
        assert_eq!(run.code, Some(0), "{}", run.stdout);
        let mut names = ingot_sdk::testing::names(&dir.path().join("out"));
        names.sort();
        let expected = [
            "five$HOME.log",
            "old.log/four",
            "one a.log",
            "six$HOME.d/seven",
            "three.txt",
            "two.log",
            "~eight.home",
        ];
        assert_eq!(names, expected, "{}", run.stdout);
        let dir = template(&text(&server, &more, &download("logs/*.nope")));
        let run = ingot(dir.path(), &["build", "-color=false", "."]);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        let expected = "there is nothing on the machine that matches logs/*.nope";
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
}

#[test]
fn a_script_may_end_the_connection_when_that_is_expected() {
    require!(available());
    let server = Server::start("");
    let key = server.key("key", &["-t", "ed25519"]);
    let more = format!("ssh_private_key_file = \"{key}\"");
    // What a reboot does: the server's side of the connection goes away.
    let cut = |expected: bool| {
        format!(
            "  provisioner \"shell\" {{\n    inline = [\"kill -9 $(cat /proc/$PPID/status | sed \
             -n 's/^PPid:.//p') $PPID; sleep 20\"]\n    expect_disconnect = {expected}\n  }}\n  \
             provisioner \"shell\" {{\n    inline = [\"echo after\"]\n  }}"
        )
    };
    let dir = template(&text(&server, &more, &cut(true)));
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stdout);
    assert!(run.stdout.contains("after"), "{}", run.stdout);
    let dir = template(&text(&server, &more, &cut(false)));
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("Script disconnected unexpectedly"), "{}", run.stdout);
    assert!(run.stdout.contains("expect_disconnect = true"), "{}", run.stdout);
}

#[test]
fn a_script_that_takes_too_long_is_ended_on_the_machine() {
    if !available() {
        return;
    }
    let server = Server::start("");
    let key = server.key("key", &["-t", "ed25519"]);
    let more = format!("ssh_private_key_file = \"{key}\"");
    let steps = "  provisioner \"shell\" {\n    inline = [\"echo $$ > pid\", \"sleep 73\"]\n    \
                 timeout = \"2s\"\n  }";
    let dir = template(&text(&server, &more, steps));
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("did not finish within its timeout of 2s"), "{}", run.stdout);
    let number = std::fs::read_to_string(server.path("home/pid")).unwrap();
    let line = std::fs::read(format!("/proc/{}/cmdline", number.trim())).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&line), "", "the script still runs");
}

#[test]
fn passwords_stay_secret_and_refusals_are_explained() {
    require!(available());
    let server = Server::start("");
    let steps = "  provisioner \"shell\" {\n    inline = [\"echo pw=${build.Password}\"]\n  }";
    let with = |password: &str| {
        let secret =
            format!("variable \"pw\" {{\n  default = \"{password}\"\n  sensitive = true\n}}\n");
        template(&(secret + text(&server, "ssh_password = var.pw", steps).as_str()))
    };
    let run = ingot(with(PASSWORD).path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stdout);
    assert!(run.stdout.contains("pw=<sensitive>"), "{}", run.stdout);
    assert!(!run.stdout.contains(PASSWORD) && !run.stdout.contains(PASSWORD));
    let run = ingot(with("wrong-5d1c").path(), &["build", "."]);
    assert_eq!(run.code, Some(1));
    let expected =
        format!("builder@127.0.0.1:{} refused the login: tried the password", server.port);
    assert!(run.stdout.contains(&expected), "{}", run.stdout);
    assert!(run.stdout.contains("help: check ssh_username"), "{}", run.stdout);
    assert!(!run.stdout.contains("wrong-5d1c") && !run.stdout.contains("wrong-5d1c"));
}

/// Starts an agent with a socket at `socket`.
fn agent(socket: &Path) -> Running {
    let mut command = Command::new("ssh-agent");
    let agent = command.args(["-D", "-a"]).arg(socket).stdout(Stdio::null()).spawn().unwrap();
    eventually("the agent listens", || socket.exists());
    Running(agent)
}

#[test]
fn the_agents_keys_are_used() {
    require!(available());
    let server = Server::start("MaxAuthTries 3");
    let steps = "  provisioner \"shell\" {\n    inline = [\"echo in\"]\n  }";
    let dir = template(&text(&server, "ssh_agent_auth = true", steps));
    let socket = dir.path().join("agent");
    let path = socket.display().to_string();
    let build =
        |socket: &str| ingot_with(dir.path(), &["build", "."], &[("SSH_AUTH_SOCK", socket)]);
    let run = build("/nowhere");
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("cannot ask the SSH agent"), "{}", run.stdout);
    assert!(run.stdout.contains("SSH_AUTH_SOCK must name its socket"), "{}", run.stdout);

    let _agent = agent(&socket);
    let run = build(&path);
    assert!(run.stdout.contains("the SSH agent holds no keys"), "{}", run.stdout);
    let add = |key: &str| {
        let added = Command::new("ssh-add").args(["-q", key]).env("SSH_AUTH_SOCK", &path).output();
        assert!(added.unwrap().status.success());
    };
    // A key that needs a passphrase here would need it there, too; rsa signs in several ways.
    add(&server.key("rsa", &["-t", "rsa", "-b", "2048"]));
    let run = build(&path);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stdout);
    assert!(run.stdout.contains("n: in"), "{}", run.stdout);

    output_of("truncate", &["-s0", &server.text("authorized_keys")]);
    for name in ["b", "c", "d", "e"] {
        add(&server.stranger(name, &["-t", "ed25519"]));
    }
    let run = build(&path);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stdout.contains("closed the connection after 3 attempts to log in"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("leave only the right key in the agent"), "{}", run.stdout);
}

#[test]
fn a_script_that_is_given_up_does_not_stay_in_the_image() {
    require!(available());
    let server = Server::start("");
    let key = server.key("key", &["-t", "ed25519"]);
    // The next step is what an image would be made of.
    let steps = r#"
  provisioner "shell" {
    inline            = ["echo begun", "sleep 60"]
    env               = { PW = "hunter22" }
    use_env_var_file  = true
    remote_folder     = "~"
    timeout           = "1s"
    continue_on_error = true
  }
  provisioner "hcp-sbom" {
    auto_generate     = true
    execute_command   = "echo {{ .Path }} > ~/scanner; sleep 60"
    timeout           = "1s"
    continue_on_error = true
  }
  provisioner "shell-local" {
    inline = ["echo next"]
  }"#;
    let more = format!("ssh_private_key_file = \"{key}\"");
    let dir = template(&text(&server, &more, steps));
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("continue_on_error is set; continuing"), "{}", run.stdout);
    assert!(run.stdout.contains("n: next"), "{}", run.stdout);
    let home = std::fs::read_dir(server.path("home")).unwrap();
    let left: Vec<_> = home.map(|entry| entry.unwrap().file_name()).collect();
    let scripts = left.iter().filter(|name| name.to_string_lossy().ends_with(".sh"));
    assert_eq!(scripts.count(), 0, "{left:?}: {}", run.stdout);
    let scanner = std::fs::read_to_string(server.path("home").join("scanner")).unwrap();
    assert!(scanner.starts_with("/tmp/ingot-sbom-"), "{scanner}");
    assert!(!Path::new(scanner.trim()).exists(), "{}", run.stdout);
}

#[test]
fn a_script_that_is_to_stay_on_the_machine_is_not_said_to_be_removed() {
    require!(available());
    let server = Server::start("");
    let key = server.key("key", &["-t", "ed25519"]);
    let steps = r#"
  provisioner "shell" {
    inline            = ["sleep 60"]
    remote_folder     = "~"
    skip_clean        = true
    timeout           = "1s"
    continue_on_error = true
  }"#;
    let more = format!("ssh_private_key_file = \"{key}\"");
    let dir = template(&text(&server, &more, steps));
    let run = ingot(dir.path(), &["build", "."]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("continue_on_error is set; continuing"), "{}", run.stdout);
    assert!(!run.stdout.contains("Removing the script"), "{}", run.stdout);
}

/// After the right key the bastion takes no other.
#[test]
fn a_bastion_that_wants_a_key_of_the_agent_and_a_password_is_not_asked_too_often() {
    require!(available());
    let server = Server::start("");
    let bastion = Server::start("AuthenticationMethods publickey,password\nMaxAuthTries 3");
    let more = format!(
        "ssh_password = \"{PASSWORD}\"\n  ssh_bastion_host = \"127.0.0.1\"\n  \
         ssh_bastion_port = {}\n  ssh_bastion_username = \"{USER}\"\n  \
         ssh_bastion_agent_auth = true\n  ssh_bastion_password = \"{PASSWORD}\"",
        bastion.port
    );
    let steps = "  provisioner \"shell\" {\n    inline = [\"echo in\"]\n  }";
    let dir = template(&text(&server, &more, steps));
    let socket = dir.path().join("agent");
    let path = socket.display().to_string();
    let _agent = agent(&socket);
    let kind = ["-t", "ed25519"];
    let keys =
        [bastion.key("a", &kind), bastion.stranger("b", &kind), bastion.stranger("c", &kind)];
    for key in &keys {
        let added = Command::new("ssh-add").args(["-q", key]).env("SSH_AUTH_SOCK", &path).output();
        assert!(added.unwrap().status.success());
    }
    let run = ingot_with(dir.path(), &["build", "."], &[("SSH_AUTH_SOCK", path.as_str())]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, bastion.log());
    assert!(run.stdout.contains("n: in"), "{}", run.stdout);
}

#[test]
fn validate_asks_for_what_ssh_needs() {
    let said = |options: &str| {
        let dir = template(&format!(
            "source \"null\" \"n\" {{\n{options}\n}}\nbuild {{\n  sources = [\"source.null.n\"]\n}}\n"
        ));
        let run = ingot(dir.path(), &["validate", "."]);
        (run.code, run.stdout)
    };
    let (code, error) = said("");
    assert_eq!(code, Some(1));
    for expected in ["`ssh_host` is missing", "`ssh_username` is missing", "no way to log in"] {
        assert!(error.contains(expected), "{expected:?} is not in\n{error}");
    }
    let host = "ssh_host = \"h\"\nssh_username = \"u\"\n";
    let valid = (Some(0), "The configuration is valid.\n".to_owned());
    assert_eq!(said(&format!("{host}ssh_password = \"p\"")), valid);
    let (code, error) = said(&format!("{host}ssh_password = \"p\"\nssh_agent_auth = true"));
    assert_eq!(code, Some(1));
    assert!(error.contains("only one of ssh_password and ssh_agent_auth can be used"), "{error}");
    let (_, error) = said(&format!("{host}ssh_private_key_file = \"nope\""));
    assert!(error.contains("t.pkr.hcl:4") && error.contains("cannot read nope"), "{error}");
    let (_, error) = said(&format!("{host}ssh_pasword = \"p\""));
    assert!(error.contains("did you mean `ssh_password`?"), "{error}");
}

#[test]
fn a_build_that_waits_can_be_interrupted() {
    let port = free_port();
    let dir = template(&format!(
        "source \"null\" \"n\" {{\n  ssh_host = \"127.0.0.1\"\n  ssh_port = {port}\n  \
         ssh_username = \"u\"\n  ssh_password = \"p\"\n}}\nbuild {{\n  sources = \
         [\"source.null.n\"]\n}}\n"
    ));
    let mut child = ingot_test_support::ingot_command()
        .args(["build", "."])
        .current_dir(dir.path())
        .env("INGOT_STATE_DIR", dir.path().join("state"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut lines = stdout.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("Waiting for SSH")));
    signal("INT", child.id());
    let begun = std::time::Instant::now();
    let said: String = lines.map(|line| line + "\n").collect();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    assert!(said.contains("errored after") && said.contains(": cancelled"), "{said}");
}
