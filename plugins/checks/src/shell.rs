//! The machine's shell: how checks look at it.

use ingot_sdk::command::quote;
use ingot_sdk::{Communicator, Error, ExitStatus, OutputSink, RemoteCommand, Result};
use parking_lot::Mutex;

/// The most that is read of the output of a script, in bytes.
const MAX_OUTPUT: usize = 4 << 20;
/// What a shell exits with that does not find a command.
const NOT_FOUND: i32 = 127;

/// A machine, and how commands run on it.
#[derive(Clone, Copy)]
pub struct Shell<'a> {
    /// The way to it.
    pub communicator: &'a dyn Communicator,
    /// Whether commands run as root by `sudo`, which must ask for no password.
    pub sudo: bool,
}

impl Shell<'_> {
    /// Runs a command line.
    pub(crate) async fn command(
        &self,
        command: &str,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let command = match self.sudo {
            true => format!("sudo -n sh -c {}", quote(command)),
            false => command.to_owned(),
        };
        self.communicator.exec(&RemoteCommand::new(command), output).await
    }

    /// What a script for a POSIX shell prints, which `arguments` are for.
    ///
    /// # Errors
    /// It did not exit with 0.
    pub(crate) async fn script(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let sudo = if self.sudo { "sudo -n " } else { "" };
        let arguments: String =
            arguments.iter().map(|argument| format!(" {}", quote(argument))).collect();
        // The user's own shell may be none of POSIX's.
        let command = format!("{sudo}sh -c {} check{arguments}", quote(script));
        let output = ScriptOutput::default();
        match self.communicator.exec(&RemoteCommand::new(command), &output).await? {
            ExitStatus::Code(0) => Ok(output.stdout()),
            ExitStatus::Code(NOT_FOUND) => Err(Error::new(format!(
                "the machine has no {}",
                if self.sudo { "`sudo` or no `sh`" } else { "POSIX shell (`sh`)" }
            ))
            .hint("without one, only `command` can be checked")),
            ExitStatus::Code(code) => {
                let said = output.stderr();
                let said = said.lines().last().unwrap_or("it said nothing");
                Err(Error::new(format!("looking at the machine failed with status {code}: {said}")))
            }
            ExitStatus::Disconnected => Err(Error::new("the connection to the machine was lost")),
        }
    }
}

/// The output of a script, up to a bound.
#[derive(Default)]
struct ScriptOutput(Mutex<[Vec<u8>; 2]>);

impl ScriptOutput {
    fn text(&self, stream: usize) -> String {
        String::from_utf8_lossy(&self.0.lock()[stream]).into_owned()
    }

    fn stdout(&self) -> String {
        self.text(0)
    }

    fn stderr(&self) -> String {
        self.text(1)
    }

    fn push(&self, stream: usize, bytes: &[u8]) {
        let mut kept = self.0.lock();
        let left = MAX_OUTPUT.saturating_sub(kept[stream].len());
        kept[stream].extend_from_slice(&bytes[..bytes.len().min(left)]);
    }
}

impl OutputSink for ScriptOutput {
    fn stdout(&self, bytes: &[u8]) {
        self.push(0, bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        self.push(1, bytes);
    }
}

/// The value of the line `name=…` of a script's output.
pub(crate) fn field<'o>(output: &'o str, name: &str) -> Option<&'o str> {
    output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// What a script prints on this machine; for root, as another user, whom permissions hold for.
#[cfg(all(test, unix))]
pub(crate) fn run_here(script: &str, arguments: &[&str]) -> String {
    use std::os::unix::process::CommandExt;
    /// `nobody` of nearly all systems.
    const NOBODY: u32 = 65534;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "check"]).args(arguments);
    if std::fs::File::open("/etc/shadow").is_ok() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().expect("sh can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
