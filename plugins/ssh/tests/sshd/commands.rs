//! Running commands, and what becomes of them when the connection does not last.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::{Communicator, ExitStatus, FileMeta, RemoteCommand};
use serde_json::json;

use crate::harness::{connected, output, run};
use ingot_test_support::sshd::{Server, available};
use ingot_test_support::{eventually_async, require};

#[tokio::test]
async fn codes_signals_and_streams() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    let seen = run(&*link, "echo out; echo err >&2; exit 3").await;
    assert_eq!(seen, (ExitStatus::Code(3), "out\n".into(), "err\n".into()));
    assert_eq!(run(&*link, "kill -9 $$").await.0, ExitStatus::Code(137));
    assert_eq!(run(&*link, "cat; echo end").await.1, "end\n", "there is no input to wait for");
    let input: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let command = RemoteCommand { command: "cat".into(), stdin: Some(input.clone().into()) };
    let echoed = Bytes::default();
    assert!(link.exec(&command, &echoed).await.unwrap().success());
    assert!(*echoed.0.lock().unwrap() == input, "what goes in comes out");
    // What a command does not read is no problem.
    let command = RemoteCommand { command: "true".into(), stdin: Some(input.into()) };
    assert!(link.exec(&command, &CapturedOutput::default()).await.unwrap().success());
    let many = futures(&*link).await;
    assert_eq!(many, ["1\n", "2\n", "3\n", "4\n"]);
}

/// Four commands at once, over one connection.
async fn futures(link: &dyn Communicator) -> Vec<String> {
    let command = |n: u32| async move { output(link, &format!("sleep 0.{n}; echo {n}")).await };
    let (a, b, c, d) = tokio::join!(command(1), command(2), command(3), command(4));
    vec![a, b, c, d]
}

#[derive(Default)]
struct Bytes(std::sync::Mutex<Vec<u8>>);

impl ingot_sdk::OutputSink for Bytes {
    fn stdout(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }

    fn stderr(&self, _: &[u8]) {}
}

#[tokio::test]
async fn a_terminal_when_asked_for() {
    require!(available());
    let server = Server::start("");
    let plain = connected(&server, json!({})).await;
    assert_eq!(run(&*plain, "tty").await.1, "not a tty\n");
    let link = connected(&server, json!({ "ssh_pty": true })).await;
    let (_, stdout, stderr) = run(&*link, "tty; echo err >&2").await;
    assert!(stdout.contains("/dev/") && stdout.contains("err") && stderr.is_empty(), "{stdout}");
}

#[tokio::test]
async fn a_command_that_is_given_up_holds_nothing_up() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    let (command, sink) = (RemoteCommand::new("sleep 60"), CapturedOutput::default());
    let limit = Duration::from_millis(300);
    assert!(tokio::time::timeout(limit, link.exec(&command, &sink)).await.is_err());
    // Also one that has more to say than anybody listens to.
    let command = RemoteCommand::new("yes");
    assert!(tokio::time::timeout(limit, link.exec(&command, &sink)).await.is_err());
    let begun = Instant::now();
    assert_eq!(output(&*link, "echo next").await, "next\n");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// Runs `command` until there is a line in each of `files`, which are not there before.
async fn give_up(server: &Server, link: &dyn Communicator, command: &str, files: &[&str]) {
    let files: Vec<_> = files.iter().map(|file| server.path(&format!("home/{file}"))).collect();
    for file in &files {
        // From the time before.
        let _ = std::fs::remove_file(file);
    }
    let has_line =
        |file: &PathBuf| std::fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n'));
    let (command, sink) = (RemoteCommand::new(command), CapturedOutput::default());
    tokio::select! {
        ended = link.exec(&command, &sink) => panic!("{ended:?}"),
        () = eventually_async("it has begun", async || files.iter().all(has_line)) => {}
    }
}

/// Whether a process whose number a file holds runs. One that has ended has no command line.
fn runs(server: &Server, file: &str) -> bool {
    let number = std::fs::read_to_string(server.path(&format!("home/{file}"))).unwrap();
    let line = std::fs::read(format!("/proc/{}/cmdline", number.trim())).unwrap_or_default();
    !line.is_empty()
}

#[tokio::test]
async fn a_command_that_is_given_up_is_ended_on_the_machine() {
    require!(available());
    let server = Server::start("");
    let by_sftp = json!({ "ssh_file_transfer_method": "sftp" });
    for more in [by_sftp, json!({ "ssh_pty": true })] {
        let link = connected(&server, more.clone()).await;
        let upload = async || {
            let meta = FileMeta::new(1, 0o644);
            link.upload("x", &mut &b"x"[..], meta).await.unwrap();
        };
        upload().await;
        let command = "echo $$ > pid; sleep 71 & echo $! > child; wait";
        give_up(&server, &*link, command, &["pid", "child"]).await;
        // What comes next finds it gone, and what serves transfers is still there.
        assert_eq!(output(&*link, "echo next").await.trim(), "next");
        assert!(!runs(&server, "pid") && !runs(&server, "child"), "{more}");
        upload().await;
    }
    // One that does not want to.
    let link = connected(&server, json!({})).await;
    let command = "trap '' TERM; echo $$ > pid; while true; do sleep 1; done";
    give_up(&server, &*link, command, &["pid"]).await;
    assert!(runs(&server, "pid"));
    link.settle().await;
    assert!(!runs(&server, "pid"));
    // Beside another it goes on: nothing tells which of the two it is.
    let other = output(&*link, "echo > other; sleep 2; echo other");
    let given_up = give_up(&server, &*link, "echo $$ > pid; sleep 30", &["pid", "other"]);
    assert_eq!(tokio::join!(other, given_up).0, "other\n");
}

#[tokio::test]
async fn a_lost_connection_is_noticed_and_made_again() {
    require!(available());
    let mut server = Server::start("");
    let link = connected(&server, json!({})).await;
    let (command, seen) = (RemoteCommand::new("echo begun; sleep 60"), CapturedOutput::default());
    let cutting = async {
        let has_begun = async || seen.stdout_text() == "begun\n";
        eventually_async("it has begun", has_begun).await;
        server.kill_sessions();
    };
    let (status, ()) = tokio::join!(link.exec(&command, &seen), cutting);
    assert_eq!(status.unwrap(), ExitStatus::Disconnected);
    assert_eq!((seen.stdout_text(), seen.stderr_text()), ("begun\n".into(), String::new()));
    assert_eq!(output(&*link, "echo again").await, "again\n");
    // As by a reboot: for a while there is no server at all.
    server.stop();
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        server.restart();
        server
    });
    assert_eq!(output(&*link, "echo up").await, "up\n");
    drop(later.join().unwrap());
}

#[tokio::test]
async fn silence_ends_a_connection_when_asked_to() {
    require!(available());
    let server = Server::start("");
    let quiet = json!({ "ssh_read_write_timeout": "1s", "ssh_keep_alive_interval": "-1s" });
    let link = connected(&server, quiet).await;
    let begun = Instant::now();
    assert_eq!(run(&*link, "sleep 30").await.0, ExitStatus::Disconnected);
    assert!(begun.elapsed() < Duration::from_secs(25));
    // A sign of life is one even when the command says nothing.
    let asked = json!({ "ssh_read_write_timeout": "3s", "ssh_keep_alive_interval": "1s" });
    let link = connected(&server, asked).await;
    assert_eq!(run(&*link, "sleep 5; echo done").await.1, "done\n");
}
