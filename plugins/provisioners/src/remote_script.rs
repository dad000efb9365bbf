//! What the provisioners that upload a script and run it share.

use std::time::Duration;

use ingot_sdk::communicator::UiOutput;
use ingot_sdk::retry::Retry;
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, GoDuration, RemoteCommand, Result, RunContext,
    script,
};

/// The exit code that a lost connection counts as in the provisioners for Windows; Packer's.
const CONNECTION_LOST: i32 = 16001;

/// A file to be there before a command starts.
pub struct Upload<'a> {
    /// Where.
    pub path: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
    /// Its permission bits.
    pub mode: u32,
}

impl Upload<'_> {
    /// Uploads it.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn send(&self, link: &dyn Communicator) -> Result<()> {
        let meta = FileMeta { size: self.bytes.len() as u64, mode: self.mode };
        let mut source = self.bytes;
        let sent = link.upload(self.path, &mut source, meta).await;
        sent.map_err(|error| error.context("Error uploading script"))
    }
}

/// How a script is started: until it works, because the machine may be rebooting.
pub struct Start<'a> {
    /// The build.
    pub ctx: &'a RunContext,
    /// The machine.
    pub link: &'a dyn Communicator,
    /// How long to try; 5m.
    pub limit: Option<GoDuration>,
}

impl Start<'_> {
    /// Uploads `files` and runs `command`, whose output is shown. What has started is never
    /// started again.
    ///
    /// # Errors
    /// It could not be started in time.
    pub async fn run(&self, files: &[Upload<'_>], command: &str) -> Result<ExitStatus> {
        let limit = self.limit.map_or(Duration::from_secs(300), |limit| limit.0);
        let retry = Retry { timeout: Some(limit), ..Retry::default() };
        let output = UiOutput::new(self.ctx.ui.clone());
        let status = retry
            .run(
                &self.ctx.cancel,
                |error| {
                    self.ctx.ui.message(format!("Could not start the script, retrying: {error}"));
                    true
                },
                |_| async {
                    for file in files {
                        file.send(self.link).await?;
                    }
                    self.link.exec(&RemoteCommand::new(command), &output).await
                },
            )
            .await?;
        output.finish();
        Ok(status)
    }
}

/// What the end of a script on Windows means. Scripts there reboot machines on purpose, so that a
/// lost connection has an exit code that can be declared valid.
///
/// # Errors
/// It did not end as `valid` says.
pub fn check_windows(status: ExitStatus, valid: &[i32]) -> Result<()> {
    match status {
        ExitStatus::Code(code) => script::check_exit(code, valid),
        ExitStatus::Disconnected if valid.contains(&CONNECTION_LOST) => Ok(()),
        ExitStatus::Disconnected => Err(Error::new("the connection was lost while the script ran")
            .hint(format!(
                "if the script is meant to reboot the machine, add {CONNECTION_LOST} to \
                 valid_exit_codes, or let windows-restart do it"
            ))),
    }
}

/// `pause_after`.
pub async fn pause(ctx: &RunContext, pause: GoDuration) {
    if !pause.0.is_zero() {
        ctx.ui.say(format!("Pausing {pause} after this provisioner..."));
        tokio::time::sleep(pause.0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reboot_can_be_declared_valid() {
        assert!(check_windows(ExitStatus::Disconnected, &[0, 16001]).is_ok());
        let error = check_windows(ExitStatus::Disconnected, &[]).unwrap_err();
        assert!(error.advice().unwrap().contains("16001"));
        assert!(check_windows(ExitStatus::Code(3010), &[0, 3010]).is_ok());
        assert!(check_windows(ExitStatus::Code(1), &[]).is_err());
    }
}
