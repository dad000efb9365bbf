//! What the tests share: connections, and a context that keeps what is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::testing::{self, RecordedOutput};
use ingot_sdk::{Communicator, ConfigErrors, Error, ExitStatus, RemoteCommand, Result, RunContext};
use ingot_ssh::{SshConfig, SshSettings, Target};
use serde_json::{Value, json};

use ingot_test_support::sshd::{Server, USER};

pub(crate) fn context(said: &Arc<RecordedOutput>) -> RunContext {
    testing::context(Default::default(), said)
}

/// What checking `options` says.
pub(crate) fn prepare(options: Value) -> Result<SshSettings, ConfigErrors> {
    let config: SshConfig = serde_json::from_value(options).unwrap();
    config.prepare()
}

/// Options that lead to `server`, and `more`.
pub(crate) fn options(server: &Server, more: Value) -> Value {
    let mut options = json!({
        "ssh_host": "127.0.0.1", "ssh_port": server.port, "ssh_username": USER,
        "ssh_timeout": "20s", "ssh_handshake_attempts": 1,
    });
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

/// Connects with `options`.
pub(crate) async fn connect_in(ctx: &RunContext, options: Value) -> Result<Arc<dyn Communicator>> {
    let host = options["ssh_host"].as_str().unwrap().to_owned();
    let settings = prepare(options).map_err(Error::from)?;
    settings.connect(ctx, &Target { host, port: None, key_pair: None }).await
}

/// Connects to `server` with `more` options.
pub(crate) async fn connect(server: &Server, more: Value) -> Result<Arc<dyn Communicator>> {
    connect_in(&context(&Arc::default()), options(server, more)).await
}

/// Connects with a key that was made for it.
pub(crate) async fn connected(server: &Server, mut more: Value) -> Arc<dyn Communicator> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("key{}", NEXT.fetch_add(1, Ordering::Relaxed));
    more["ssh_private_key_file"] = server.key(&name, &["-t", "ed25519"]).into();
    connect(server, more).await.unwrap()
}

/// Why connecting failed.
pub(crate) async fn failure(options: Value) -> Error {
    let connected = connect_in(&context(&Arc::default()), options).await;
    connected.err().expect("no connection comes about")
}

/// A command's status, output and error output.
pub(crate) async fn run(link: &dyn Communicator, command: &str) -> (ExitStatus, String, String) {
    let output = CapturedOutput::default();
    let status = link.exec(&RemoteCommand::new(command), &output).await.unwrap();
    (status, output.stdout_text(), output.stderr_text())
}

/// The output of a command that succeeds.
pub(crate) async fn output(link: &dyn Communicator, command: &str) -> String {
    let (status, stdout, stderr) = run(link, command).await;
    assert!(status.success(), "{command}: {status:?} {stdout} {stderr}");
    stdout
}
