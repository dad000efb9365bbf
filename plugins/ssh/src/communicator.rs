//! The [`Communicator`] over SSH.

use std::path::Path;

use ingot_sdk::communicator::directory_hint;
use ingot_sdk::{
    Communicator, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, async_trait,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::link::Process;
use crate::machine::Machine;
use crate::transfer::{self, There};

/// Runs commands on, and moves files to and from, one machine.
pub(crate) struct SshCommunicator(pub Machine);

impl SshCommunicator {
    /// Runs a command, over the connection with the number `only`, if any.
    async fn run(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
        only: Option<u64>,
    ) -> Result<ExitStatus> {
        let mut ender = self.0.ending().guard();
        let pty = self.0.connector().settings().pty;
        let (mut process, link) = self.0.start_over(command, pty, only).await?;
        ender.runs(link);
        let Process { data, errors, .. } = &mut process;
        let (mut stdout, mut stdin) = data.split();
        let feed = async {
            // A command need not read its input: what it does not take is its business.
            let _ = tokio::io::copy(input, &mut stdin).await;
            let _ = stdin.shutdown().await;
            std::future::pending::<()>().await;
        };
        let read = async {
            tokio::join!(
                pump(&mut stdout, |bytes| output.stdout(bytes)),
                pump(errors, |bytes| output.stderr(bytes)),
            );
        };
        // The input may go on longer than the command does.
        tokio::select! {
            () = feed => {}
            () = read => {}
        }
        let status = process.status().await;
        ender.ended();
        Ok(status)
    }
}

#[async_trait]
impl Communicator for SshCommunicator {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        let mut input = command.stdin.as_deref().unwrap_or_default();
        self.run(&command.command, &mut input, output, None).await
    }

    async fn exec_with_input(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        self.run(command, input, output, None).await
    }

    fn connection(&self) -> u64 {
        self.0.connection()
    }

    async fn exec_over(
        &self,
        connection: u64,
        command: &RemoteCommand,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let mut input = command.stdin.as_deref().unwrap_or_default();
        self.run(&command.command, &mut input, output, Some(connection)).await
    }

    async fn settle(&self) {
        self.0.ending().over().await;
    }

    fn is_away(&self) -> bool {
        self.0.is_away()
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let uploaded = transfer::upload(&self.0, destination, source, meta).await;
        let Err(error) = uploaded else { return Ok(()) };
        let error = error.context(format_args!("uploading to {destination}"));
        let unexplained = error.advice().is_none() && !error.is_transient();
        Err(match unexplained && transfer::is_directory(&self.0, destination).await {
            true => error.hint(directory_hint(destination)),
            false => error,
        })
    }

    /// As `scp -r`: a destination that does not exist becomes the copy; into one that does, the
    /// directory is copied with its name unless `contents_only`.
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
        let downloaded = transfer::download(&self.0, &There::expanded(source), destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }

    /// The directory comes with its own name even where only its contents are asked for: that is
    /// what Packer's ssh communicator does, as `scp -r` knows no other way.
    async fn download_dir(&self, source: &str, destination: &Path, _: bool) -> Result<()> {
        let there = There::expanded(source);
        let downloaded = transfer::download_directory(&self.0, &there, destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }

    async fn download_literal(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let downloaded = transfer::download(&self.0, &There::literal(source), destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }

    async fn download_dir_literal(&self, source: &str, destination: &Path) -> Result<()> {
        let there = There::literal(source);
        let downloaded = transfer::download_directory(&self.0, &there, destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }
}

async fn pump(source: &mut (dyn AsyncRead + Send + Unpin), mut show: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        show(&buffer[..count]);
    }
}
