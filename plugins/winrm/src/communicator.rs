//! The [`Communicator`] over WinRM.

use std::path::Path;

use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, async_trait,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::machine::Machine;
use crate::transfer;

/// Runs commands on, and copies files to and from, one machine.
pub(crate) struct WinrmCommunicator(pub Machine);

#[async_trait]
impl Communicator for WinrmCommunicator {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        self.0.run(command, output).await
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let uploaded = transfer::upload(&self.0, destination, source, meta.size).await;
        uploaded.map_err(|error| error.context(format_args!("uploading to {destination}")))
    }

    async fn upload_dir(
        &self,
        source: &Path,
        destination: &str,
        contents_only: bool,
    ) -> Result<()> {
        let uploaded =
            transfer::upload_directory(&self.0, source, destination, contents_only).await;
        let doing = format_args!("uploading {} to {destination}", source.display());
        uploaded.map_err(|error| error.context(doing))
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let downloaded = transfer::download(&self.0, source, destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }

    async fn download_dir(&self, source: &str, _: &Path, _: bool) -> Result<()> {
        Err(Error::new(format!("downloading {source}: WinRM cannot download directories"))
            .hint("download single files, or pack the directory into one on the machine first"))
    }
}
