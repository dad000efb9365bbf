//! A machine that commands run on.

use std::sync::Arc;

use ingot_sdk::{Error, ExitStatus, OutputSink, RemoteCommand, Result, Ui};

use crate::failure::Failure;
use crate::service::Service;
use crate::shell::{self, Shell};

/// A machine that is reached. Every command has a connection and a shell of its own, so that a reboot
/// in between does no harm.
pub(crate) struct Machine {
    service: Arc<Service>,
    ui: Ui,
}

impl Machine {
    /// The machine of `service`.
    pub(crate) fn new(service: Arc<Service>, ui: Ui) -> Self {
        Machine { service, ui }
    }

    /// Where progress is shown.
    pub(crate) fn ui(&self) -> &Ui {
        &self.ui
    }

    /// A shell for several commands.
    pub(crate) async fn shell(&self) -> Result<Shell> {
        Shell::open(&self.service).await.map_err(|failure| self.error(&failure))
    }

    /// Runs one command in a shell of its own.
    pub(crate) async fn run(
        &self,
        command: &RemoteCommand,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let ran = shell::run(&self.service, command, output).await;
        ran.map_err(|failure| self.error(&failure))
    }

    /// `failure` for the user.
    pub(crate) fn error(&self, failure: &Failure) -> Error {
        failure.at(self.service.endpoint())
    }
}
