//! Sessions of AWS Systems Manager that forward a port, through AWS's program
//! `session-manager-plugin`, as `aws ssm start-session` opens them.

use std::collections::BTreeMap;
use std::time::Duration;

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::process::LocalCommand;
use ingot_sdk::{Error, ExitStatus, OutputSink, Result, RunContext};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::failure::{During, Failure};
use crate::json_call::{JsonService, SYSTEMS_MANAGER};

/// AWS's program, which has to be in `PATH`.
pub(super) const PROGRAM: &str = "session-manager-plugin";

/// The document that says what a session does: AWS's own one for forwarding a port.
const DOCUMENT: &str = "AWS-StartPortForwardingSession";

/// Takes a public key into an instance for a minute.
const INSTANCE_CONNECT: JsonService = JsonService {
    id: "EC2 Instance Connect",
    host: "ec2-instance-connect",
    signing_name: "ec2-instance-connect",
    target: "AWSEC2InstanceConnectService",
};

/// What AWS answers as long as the agent on the instance is not in touch.
const NOT_CONNECTED: &str = "TargetNotConnected";

/// The variable that newer plugins read a session's token from, so that it is not in the list of
/// processes, where everybody on this machine would see it. The AWS CLI calls it so.
const RESPONSE_VARIABLE: &str = "AWS_SSM_START_SESSION_RESPONSE";

/// The last version of the plugin that takes the token as an argument only.
const LAST_WITHOUT_VARIABLE: [u32; 4] = [1, 2, 497, 0];

/// How long the plugin may take to tell its version, and AWS to end a session.
const PATIENCE: Duration = Duration::from_secs(20);

/// The plugin that was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plugin {
    /// Whether it reads the token from its environment.
    reads_variable: bool,
}

impl Plugin {
    /// Looks whether the plugin is there.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) async fn find(ctx: &RunContext) -> Result<Plugin> {
        let argv = vec![PROGRAM.to_owned(), "--version".to_owned()];
        let output = CapturedOutput::default();
        let command = LocalCommand { argv, ..LocalCommand::default() };
        let ran = timeout(PATIENCE, command.run(ctx, &output)).await;
        let why = match ran {
            Ok(Ok(status)) if status.success() => None,
            Ok(Ok(_)) => Some(format!("`{PROGRAM} --version` fails")),
            Ok(Err(error)) if error.is_cancelled() => return Err(error),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("`{PROGRAM} --version` does not end")),
        };
        if let Some(why) = why {
            return Err(Error::new(format!(
                "ssh_interface = \"session_manager\" needs AWS's program {PROGRAM}: {why}"
            ))
            .hint(
                "install it (AWS Systems Manager User Guide, \"Install the Session Manager \
                 plugin\") and have it in PATH, or choose another ssh_interface",
            ));
        }
        let version = version(&output.stdout_text());
        tracing::debug!(?version, "found {PROGRAM}");
        Ok(Plugin { reads_variable: version.is_some_and(|v| v > LAST_WITHOUT_VARIABLE) })
    }
}

/// A version of four numbers, as the plugin tells it.
fn version(text: &str) -> Option<[u32; 4]> {
    let numbers: Result<Vec<u32>, _> = text.trim().split('.').map(str::parse).collect();
    numbers.ok()?.try_into().ok()
}

/// What is forwarded: a port of this machine to one of an instance.
#[derive(Clone)]
pub(super) struct Forwarding {
    /// The way to Systems Manager.
    pub access: Access,
    /// The profile of the options, which the plugin resumes a session with.
    pub profile: String,
    /// The file of the options that the profile is in.
    pub credentials_file: Option<String>,
    /// The instance's id.
    pub instance: String,
    /// The port on the instance.
    pub remote: u16,
    /// The port on this machine.
    pub local: u16,
    /// The key to take into the instance before each session.
    pub key: Option<PublicKey>,
}

/// A public key that an instance does not have.
#[derive(Clone)]
pub(super) struct PublicKey {
    /// Whose it is to be.
    pub user: String,
    /// The key, as in `authorized_keys`.
    pub key: String,
    /// The zone of the instance.
    pub zone: String,
}

/// A session that AWS opened. It waits for the plugin.
pub(super) struct Session {
    /// Its id.
    pub id: String,
    response: Value,
}

impl Forwarding {
    fn request(&self) -> Value {
        json!({
            "Target": self.instance,
            "DocumentName": DOCUMENT,
            "Parameters": {
                "portNumber": [self.remote.to_string()],
                "localPortNumber": [self.local.to_string()],
            },
        })
    }

    /// Opens a session; none as long as the instance's agent is not in touch with AWS.
    ///
    /// # Errors
    /// AWS refuses.
    pub(super) async fn open(&self, ctx: &RunContext) -> Result<Option<Session>, Failure> {
        let region = self.access.region();
        let request = self.request();
        let answer = self.access.call(&SYSTEMS_MANAGER, region, "StartSession", &request).await;
        let response = match answer {
            Err(failure) if failure.is(NOT_CONNECTED) => return Ok(None),
            answer => answer.during("opening a session of Systems Manager")?,
        };
        if let Some(token) = response["TokenValue"].as_str() {
            ctx.ui.mask(token);
        }
        let id = response["SessionId"].as_str().unwrap_or_default().to_owned();
        Ok(Some(Session { id, response }))
    }

    /// Takes the key into the instance. Without a key there is nothing to do.
    ///
    /// # Errors
    /// AWS refuses.
    pub(super) async fn send_key(&self) -> Result<(), Failure> {
        let Some(PublicKey { user, key, zone }) = &self.key else { return Ok(()) };
        let body = json!({
            "InstanceId": self.instance,
            "InstanceOSUser": user,
            "SSHPublicKey": key,
            "AvailabilityZone": zone,
        });
        let region = self.access.region();
        let sent = self.access.call(&INSTANCE_CONNECT, region, "SendSSHPublicKey", &body).await;
        sent.during("sending the SSH public key to the instance").map(drop)
    }

    /// Runs the plugin for a session until that ends or `stop` fires.
    ///
    /// # Errors
    /// The plugin cannot be run.
    pub(super) async fn run(
        &self,
        ctx: &RunContext,
        plugin: Plugin,
        session: &Session,
        stop: &CancellationToken,
        last: &LastLine,
    ) -> Result<ExitStatus> {
        let mut env = BTreeMap::new();
        let mut response = session.response.to_string();
        if plugin.reads_variable {
            env.insert(RESPONSE_VARIABLE.to_owned(), response);
            response = RESPONSE_VARIABLE.to_owned();
        }
        if let Some(file) = &self.credentials_file {
            env.insert("AWS_SHARED_CREDENTIALS_FILE".to_owned(), file.clone());
        }
        let region = self.access.region();
        // In this order: the plugin's own documentation of what the AWS CLI hands it.
        let argv = vec![
            PROGRAM.to_owned(),
            response,
            region.to_owned(),
            "StartSession".to_owned(),
            self.profile.clone(),
            self.request().to_string(),
            self.access.endpoint(&SYSTEMS_MANAGER, region)?,
        ];
        // It ends when the session is no longer needed, which is after the build was cancelled.
        let command = LocalCommand { argv, env, dir: None, outlives: true };
        command.run(&RunContext { cancel: stop.clone(), ..ctx.clone() }, last).await
    }

    /// Ends a session. One that has ended already is not an error.
    pub(super) async fn close(&self, session: &Session) {
        let body = json!({ "SessionId": session.id });
        let region = self.access.region();
        let call = self.access.call(&SYSTEMS_MANAGER, region, "TerminateSession", &body);
        match timeout(PATIENCE, call).await {
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => {
                tracing::debug!(%failure, session = session.id, "the session is left to AWS");
            }
            Err(_) => tracing::debug!(session = session.id, "AWS does not respond"),
        }
    }
}

/// The last line that the plugin wrote, to say why it ended.
#[derive(Default)]
pub(super) struct LastLine(Mutex<String>);

/// How much of a line is kept.
const LINE: usize = 500;

impl LastLine {
    /// The line.
    pub(super) fn text(&self) -> String {
        let text = self.0.lock();
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("").to_owned()
    }

    fn add(&self, bytes: &[u8]) {
        let new = String::from_utf8_lossy(bytes);
        tracing::debug!("{PROGRAM}: {}", new.trim());
        let mut text = self.0.lock();
        text.push_str(&new);
        let excess = text.chars().count().saturating_sub(LINE);
        *text = text.chars().skip(excess).collect();
    }
}

impl OutputSink for LastLine {
    fn stdout(&self, bytes: &[u8]) {
        self.add(bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        self.add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_plugins_read_the_token_from_their_environment() {
        let reads = |text: &str| version(text).is_some_and(|v| v > LAST_WITHOUT_VARIABLE);
        assert!(reads("1.2.536.0\n") && reads("1.3.0.0"));
        assert!(!reads("1.2.497.0\n") && !reads("1.2.99.0") && !reads("what?"));
    }

    #[test]
    fn the_last_line_is_kept() {
        let last = LastLine::default();
        last.stdout(b"Starting session\n");
        last.stderr("Cannot perform ü\n\n".repeat(100).as_bytes());
        assert_eq!(last.text(), "Cannot perform ü");
        assert!(last.0.lock().chars().count() <= LINE);
    }
}
