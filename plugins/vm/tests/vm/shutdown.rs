//! Turning a machine off; the machine is a process here.

use std::path::Path;
use std::time::{Duration, Instant};

use ingot_sdk::process::LocalCommand;
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, RunContext,
    async_trait,
};
use ingot_vm::shutdown::{PowerState, ShutdownOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, Command};

use crate::harness::Build;

/// Runs commands on this machine.
struct Here(RunContext);

#[async_trait]
impl Communicator for Here {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        let argv = ["/bin/sh", "-c", &command.command].map(str::to_owned).to_vec();
        LocalCommand { argv, ..LocalCommand::default() }.run(&self.0, output).await
    }

    async fn upload(
        &self,
        _: &str,
        _: &mut (dyn AsyncRead + Send + Unpin),
        _: FileMeta,
    ) -> Result<()> {
        unimplemented!()
    }

    async fn upload_dir(&self, _: &Path, _: &str, _: bool) -> Result<()> {
        unimplemented!()
    }

    async fn download(&self, _: &str, _: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<()> {
        unimplemented!()
    }

    async fn download_dir(&self, _: &str, _: &Path, _: bool) -> Result<()> {
        unimplemented!()
    }
}

fn machine() -> Child {
    Command::new("sleep").arg("600").kill_on_drop(true).spawn().unwrap()
}

/// Shuts `machine` down with `options`; `{}` in the command stands for its process id.
async fn shut_down(
    build: &Build,
    machine: &mut Child,
    options: Value,
    talks: bool,
) -> Result<PowerState> {
    let pid = machine.id().unwrap().to_string();
    let mut options: ShutdownOptions = serde_json::from_value(options).unwrap();
    options.shutdown_command = options.shutdown_command.map(|text| text.replace("{}", &pid));
    let here = Here(build.ctx.clone());
    let communicator: Option<&dyn Communicator> = if talks { Some(&here) } else { None };
    let stopped = async { machine.wait().await.map(drop).map_err(Error::from) };
    options.shut_down(&build.ctx, communicator, stopped).await
}

#[tokio::test]
async fn the_command_turns_the_machine_off() {
    let build = Build::new();
    // Also when the command does not come back, as when the link dies with the machine.
    for command in ["kill {}", "kill {}; sleep 60"] {
        let start = Instant::now();
        let options = json!({"shutdown_command": command});
        let state = shut_down(&build, &mut machine(), options, true).await.unwrap();
        assert_eq!(state, PowerState::Off);
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(build.said.lines()[0], "Gracefully halting virtual machine...");
}

#[tokio::test]
async fn a_machine_that_stays_on_is_an_error_in_time() {
    let build = Build::new();
    let start = Instant::now();
    let options = json!({"shutdown_command": "echo no", "shutdown_timeout": "300ms"});
    let mut machine = machine();
    let error = shut_down(&build, &mut machine, options, true).await.unwrap_err();
    assert!(error.to_string().contains("still runs 300ms after"), "{error}");
    assert!(build.said.lines().contains(&"no".to_owned()));
    // Nobody told it to shut down in these.
    let options = json!({"shutdown_timeout": "300ms"});
    let error = shut_down(&build, &mut machine, options, false).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("communicator = \"none\"") && !text.contains("was told"), "{text}");
    let options = json!({"shutdown_timeout": "300ms", "disable_shutdown": true});
    let error = shut_down(&build, &mut machine, options, true).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("disable_shutdown = true") && !text.contains("was told"), "{text}");
    assert!(error.advice().unwrap().contains("last provisioner"));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn without_a_command_the_builder_cuts_the_power() {
    let build = Build::new();
    let mut machine = machine();
    let state = shut_down(&build, &mut machine, json!({}), true).await.unwrap();
    assert_eq!(state, PowerState::On);
    build.ctx.cancel.cancel();
    let options = json!({"disable_shutdown": true});
    assert!(shut_down(&build, &mut machine, options, true).await.unwrap_err().is_cancelled());
}
