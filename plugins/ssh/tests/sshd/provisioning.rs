//! Scripts, and what is wrong with machines that cannot take them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ingot_sdk::testing::{RecordedOutput, context};
use ingot_sdk::{
    Communicator, Config, ExitStatus, FileMeta, GeneratedData, OutputSink, PluginSet,
    RemoteCommand, Result, async_trait,
};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::harness::{connected, output};
use ingot_test_support::sshd::{Server, available};
use ingot_test_support::{Pipe, require};

/// Runs a shell provisioner and returns what it showed, and how long it took.
async fn shell(link: &Arc<dyn Communicator>, options: Value) -> (Result<()>, String, Duration) {
    provision("shell", link, options).await
}

async fn provision(
    kind: &str,
    link: &Arc<dyn Communicator>,
    options: Value,
) -> (Result<()>, String, Duration) {
    let said = Arc::new(RecordedOutput::default());
    let ctx = context(Default::default(), &said);
    let mut plugins = PluginSet::default();
    ingot_provisioners::register(&mut plugins);
    let config = Config::new(options.as_object().unwrap().clone());
    let provisioner = plugins.provisioners[kind].prepare(&config, &ctx.prepare).unwrap().ready;
    let start = Instant::now();
    let ran = provisioner.provision(&ctx, Arc::clone(link), &GeneratedData::default()).await;
    (ran, said.text(), start.elapsed())
}

#[tokio::test]
async fn faults_that_cannot_heal_end_at_once() {
    require!(available());
    let sftp = json!({ "ssh_file_transfer_method": "sftp" });
    let inline = json!({ "inline": ["echo ran"] });
    let nope = json!({ "inline": ["echo ran"], "remote_folder": "/nope" });
    let prints = |server: &Server| {
        std::fs::write(server.path("home/.bashrc"), "echo welcome to this machine\n").unwrap();
    };
    let other = Server::start("Subsystem other /bin/true");
    let broken = Server::start("Subsystem sftp /bin/false");
    let loud = Server::start("");
    prints(&loud);
    let good = Server::start("");
    for (server, options, script, parts, advice) in [
        (&other, sftp.clone(), &inline, ["has no SFTP", ""], "\"scp\""),
        (&broken, sftp.clone(), &inline, ["SFTP", ""], ""),
        (&loud, json!({}), &inline, ["welcome to this machine", "out of turn"], "\"sftp\""),
        (&good, json!({}), &nope, ["/nope", "o such file"], ""),
        (&good, sftp.clone(), &nope, ["/nope", "o such file"], ""),
    ] {
        let link = connected(server, options.clone()).await;
        let (ran, said, took) = shell(&link, script.clone()).await;
        let error = ran.unwrap_err();
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{options}: {text}");
        assert!(error.advice().unwrap_or_default().contains(advice), "{options}: {error:?}");
        assert!(took < Duration::from_secs(20), "{options}: {took:?} for {text}");
        assert!(!said.contains("retrying"), "{said}");
    }
    // The advice is good.
    let link = connected(&loud, sftp).await;
    let (ran, said, _) = shell(&link, inline).await;
    ran.unwrap();
    assert!(said.contains("ran"), "{said}");
}

#[tokio::test]
async fn an_empty_option_is_not_set() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    let options = json!({
        "inline": ["echo $WORD", "exit 7"], "env": { "WORD": "ran" }, "script": "",
        "inline_shebang": "", "execute_command": "", "env_var_format": "", "remote_folder": "",
        "remote_file": "", "remote_path": "", "start_retry_timeout": "0s",
    });
    let (ran, said, _) = shell(&link, options).await;
    let error = ran.unwrap_err().to_string();
    assert!(error.contains("exit status: 7") && said.contains("ran"), "{error}: {said}");
}

#[tokio::test]
async fn a_text_in_a_directory_has_a_name() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    let destination = format!("{}/", server.text("home"));
    let options = json!({ "content": "a text", "destination": destination });
    provision("file", &link, options).await.0.unwrap();
    let written = std::fs::read_to_string(server.path("home/pkr-file-content"));
    assert_eq!(written.unwrap(), "a text");
}

#[tokio::test]
async fn what_comes_from_a_pipe_is_uploaded() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    let pipe = server.path("pipe");
    let options = json!({ "source": pipe, "destination": server.text("home") + "/" });
    let pipe = Pipe::feed(&pipe, "secret\n".repeat(100_000));
    provision("file", &link, options).await.0.unwrap();
    pipe.end();
    let uploaded = server.path("home/pipe");
    assert!(std::fs::read_to_string(&uploaded).unwrap() == "secret\n".repeat(100_000));
    let mode = std::fs::metadata(&uploaded).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[tokio::test]
async fn scripts_and_their_variables_do_not_stay_in_the_image() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    output(&*link, "mkdir \"$HOME/a b\"").await;
    for directory in ["~", "$HOME", "$HOME/a b"] {
        let options = json!({
            "inline": ["echo ran"], "remote_folder": directory, "env": { "PW": "hunter22" },
            "execute_command": "sh \"$(eval echo '{{.Path}}')\"", "use_env_var_file": true,
        });
        let (ran, said, _) = shell(&link, options).await;
        ran.unwrap();
        assert!(said.contains("ran"), "{directory}: {said}");
        let left = output(&*link, "find \"$HOME\" -name '*.sh'").await;
        assert_eq!(left, "", "{directory}");
    }
}

#[tokio::test]
async fn an_attempt_removes_what_one_that_was_given_up_left() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    let script = "if [ ! -e \"$HOME/hit\" ]; then : >\"$HOME/hit\"; sleep 60; fi; echo $WORD";
    let options = json!({
        "inline": [script], "env": { "WORD": "ran" }, "remote_folder": "~",
        "use_env_var_file": true,
    });
    let said = Arc::new(RecordedOutput::default());
    let ctx = context(Default::default(), &said);
    let mut plugins = PluginSet::default();
    ingot_provisioners::register(&mut plugins);
    let config = Config::new(options.as_object().unwrap().clone());
    let shell = plugins.provisioners["shell"].prepare(&config, &ctx.prepare).unwrap().ready;
    let data = GeneratedData::default();
    let hit = server.path("home/hit");
    let begun = async {
        while !hit.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // As by the `timeout` of a step.
    tokio::select! {
        ended = shell.provision(&ctx, Arc::clone(&link), &data) => panic!("{ended:?}"),
        () = begun => {}
    }
    let left = "find \"$HOME\" -name '*.sh'";
    assert_eq!(output(&*link, left).await.lines().count(), 2, "the first left nothing");
    shell.provision(&ctx, Arc::clone(&link), &data).await.unwrap();
    assert!(said.text().contains("ran"), "{}", said.text());
    assert_eq!(output(&*link, left).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_gone_is_waited_for_as_long_as_a_script_may_take_to_start() {
    require!(available());
    let mut server = Server::start("");
    // Neither has a limit of its own that ends this test in time.
    for patience in [json!({ "ssh_timeout": "4h" }), json!({ "ssh_timeout": "0s" })] {
        let link = connected(&server, patience.clone()).await;
        server.stop();
        let options = json!({ "inline": ["echo ran"], "start_retry_timeout": "2s" });
        let (ran, said, took) = shell(&link, options).await;
        let error = ran.unwrap_err().to_string();
        let expected = "the machine was not back within 2s (start_retry_timeout)";
        assert!(error.contains(expected), "{patience}: {error}: {said}");
        assert!(took < Duration::from_secs(20), "{patience}: {took:?}");
        tokio::task::block_in_place(|| server.restart());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_reboots_meanwhile_is_waited_for() {
    require!(available());
    let mut server = Server::start("");
    let link = connected(&server, json!({ "ssh_timeout": "2s" })).await;
    server.stop();
    let comes_back = async {
        // Longer than connecting again is tried for.
        tokio::time::sleep(Duration::from_secs(4)).await;
        tokio::task::block_in_place(|| server.restart());
    };
    let ((ran, said, _), ()) =
        tokio::join!(shell(&link, json!({ "inline": ["echo ran"] })), comes_back);
    ran.unwrap();
    assert!(
        said.contains("Could not start the script, retrying") && said.contains("ran"),
        "{said}"
    );
}

/// A machine that goes down right after the first upload and comes up without what was uploaded. Or a
/// server that hangs up after each upload.
struct GoesDown {
    server: Server,
    link: Arc<dyn Communicator>,
    went_down: AtomicBool,
    hangs_up: bool,
}

#[async_trait]
impl Communicator for GoesDown {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        self.link.exec(command, output).await
    }

    fn connection(&self) -> u64 {
        self.link.connection()
    }

    async fn exec_over(
        &self,
        connection: u64,
        command: &RemoteCommand,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        self.link.exec_over(connection, command, output).await
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        self.link.upload(destination, source, meta).await?;
        if self.hangs_up {
            self.server.kill_sessions();
        } else if !self.went_down.swap(true, Ordering::Relaxed) {
            std::fs::remove_file(destination).unwrap();
            self.server.kill_sessions();
        }
        Ok(())
    }

    async fn upload_dir(&self, source: &Path, destination: &str, contents: bool) -> Result<()> {
        self.link.upload_dir(source, destination, contents).await
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        self.link.download(source, destination).await
    }

    async fn download_dir(&self, source: &str, destination: &Path, contents: bool) -> Result<()> {
        self.link.download_dir(source, destination, contents).await
    }
}

#[tokio::test]
async fn a_machine_that_goes_down_before_the_script_starts_gets_it_again() {
    require!(available());
    for in_file in [false, true] {
        let said = ran_again(in_file, false).await;
        assert!(said.contains("Could not start the script, retrying"), "{in_file}: {said}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_after_each_command_runs_scripts() {
    require!(available());
    for in_file in [false, true] {
        ran_again(in_file, true).await;
    }
}

/// Runs a script on a [`GoesDown`] and returns what was shown.
async fn ran_again(in_file: bool, hangs_up: bool) -> String {
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    let options = json!({
        "inline": ["echo ran $WORD"], "env": { "WORD": "again" },
        "remote_folder": server.text("home"), "use_env_var_file": in_file,
        "start_retry_timeout": "20s",
    });
    let went_down = AtomicBool::new(false);
    let machine: Arc<dyn Communicator> = Arc::new(GoesDown { server, link, went_down, hangs_up });
    let (ran, said, _) = shell(&machine, options).await;
    ran.unwrap_or_else(|error| panic!("{in_file}: {error}: {said}"));
    assert!(said.contains("ran again"), "{in_file}: {said}");
    said
}

/// Puts an `rm` into the user's PATH that does `first` when a script is removed for the first time.
/// Then there is `home/hit`.
fn removing_does_first(server: &Server, first: &str) {
    let directory = server.path("home/bin");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(server.path("home/.bashrc"), "PATH=$HOME/bin:$PATH\n").unwrap();
    let rm = directory.join("rm");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in (*script_*) if [ ! -e \"$HOME/hit\" ]; then\n\
         : >\"$HOME/hit\"\n{first}\nfi;; esac\nexec /bin/rm \"$@\"\n"
    );
    std::fs::write(&rm, script).unwrap();
    std::fs::set_permissions(&rm, PermissionsExt::from_mode(0o755)).unwrap();
    let _ = std::fs::remove_file(server.path("home/hit"));
}

#[tokio::test]
async fn a_machine_that_goes_down_while_the_script_is_removed_is_waited_for() {
    require!(available());
    let server = Server::start("");
    let link = connected(&server, json!({})).await;
    // The session ends with the process of sshd that is the parent, or its parent where a shell is
    // between; or only the command was ended yet.
    let killed = "read -r _ _ _ parent _ </proc/$PPID/stat; kill -9 $parent $PPID";
    for first in [killed, "exit 143"] {
        removing_does_first(&server, first);
        let (ran, said, _) =
            shell(&link, json!({ "inline": ["echo ran"], "remote_folder": "~" })).await;
        ran.unwrap();
        assert!(said.contains("ran"), "{first}: {said}");
        assert!(server.path("home/hit").exists(), "{first}");
        assert_eq!(output(&*link, "find \"$HOME\" -name 'script_*'").await, "", "{first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_stays_away_while_the_script_is_removed_is_given_up() {
    require!(available());
    let mut server = Server::start("");
    let link = connected(&server, json!({ "ssh_timeout": "4h" })).await;
    removing_does_first(&server, "sleep 60");
    let hit = server.path("home/hit");
    let goes_down = async {
        let removing = async {
            while !hit.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let removing = tokio::time::timeout(Duration::from_secs(30), removing).await;
        removing.expect("the script is being removed");
        tokio::task::block_in_place(|| server.stop());
    };
    let options =
        json!({ "inline": ["echo ran"], "remote_folder": "~", "start_retry_timeout": "2s" });
    let ((ran, said, took), ()) = tokio::join!(shell(&link, options), goes_down);
    let error = ran.unwrap_err().to_string();
    let expected = "the machine was not back within 2s (start_retry_timeout)";
    assert!(error.contains(expected), "{error}: {said}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}
