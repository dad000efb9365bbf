//! The [`Communicator`] over WinRM.

use std::path::Path;
use std::sync::Arc;

use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, Ui, async_trait,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::failure::Failure;
use crate::service::Service;
use crate::shell::Shell;
use crate::transfer;

/// Runs commands on, and copies files to and from, one machine. Every command has a connection
/// and a shell of its own, so that a reboot in between does no harm.
pub(crate) struct WinrmCommunicator {
    service: Arc<Service>,
    ui: Ui,
}

impl WinrmCommunicator {
    /// A communicator with the machine of `service`.
    pub(crate) fn new(service: Arc<Service>, ui: Ui) -> Self {
        WinrmCommunicator { service, ui }
    }

    /// Where progress is shown.
    pub(crate) fn ui(&self) -> &Ui {
        &self.ui
    }

    /// A shell for several commands.
    pub(crate) async fn shell(&self) -> Result<Shell> {
        Shell::open(&self.service).await.map_err(|failure| self.error(&failure))
    }

    /// `failure` for the user.
    pub(crate) fn error(&self, failure: &Failure) -> Error {
        failure.at(self.service.endpoint())
    }
}

/// Runs one command in a shell of its own.
pub(crate) async fn run(
    service: &Arc<Service>,
    command: &RemoteCommand,
    output: &dyn OutputSink,
) -> Result<ExitStatus, Failure> {
    let shell = Shell::open(service).await?;
    let status = shell.run(command, output).await;
    match status {
        Ok(ExitStatus::Disconnected) => shell.abandon(),
        _ => shell.close().await,
    }
    status
}

#[async_trait]
impl Communicator for WinrmCommunicator {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        run(&self.service, command, output).await.map_err(|failure| self.error(&failure))
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let uploaded = transfer::upload(self, destination, source, meta.size).await;
        uploaded.map_err(|error| error.context(format_args!("uploading to {destination}")))
    }

    async fn upload_dir(
        &self,
        source: &Path,
        destination: &str,
        contents_only: bool,
    ) -> Result<()> {
        let uploaded = transfer::upload_directory(self, source, destination, contents_only).await;
        let doing = format_args!("uploading {} to {destination}", source.display());
        uploaded.map_err(|error| error.context(doing))
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let downloaded = transfer::download(self, source, destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }

    async fn download_dir(&self, source: &str, _: &Path, _: bool) -> Result<()> {
        Err(Error::new(format!("downloading {source}: WinRM cannot download directories"))
            .hint("download single files, or pack the directory into one on the machine first"))
    }
}
