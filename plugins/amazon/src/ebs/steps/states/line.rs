//! A way to the instance that stays while the instance stops, starts and gets another address.

use std::path::Path;
use std::sync::Arc;

use ingot_sdk::communicator::Script;
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, async_trait,
};
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite};

/// Hands on to the connection that there is.
pub(super) struct Line(RwLock<Option<Arc<dyn Communicator>>>);

impl Line {
    /// One that is connected.
    pub(super) fn new(communicator: Arc<dyn Communicator>) -> Line {
        Line(RwLock::new(Some(communicator)))
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        *self.0.write() = None;
    }

    /// Uses another connection from now on.
    pub(super) fn connect(&self, communicator: Arc<dyn Communicator>) {
        *self.0.write() = Some(communicator);
    }

    /// Whether there is no connection.
    pub(super) fn is_closed(&self) -> bool {
        self.0.read().is_none()
    }

    fn now(&self) -> Result<Arc<dyn Communicator>> {
        let stopped = || Error::new("the instance is stopped: a state of it is being kept");
        self.0.read().clone().ok_or_else(stopped)
    }
}

#[async_trait]
impl Communicator for Line {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        self.now()?.exec(command, output).await
    }

    async fn exec_with_input(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        self.now()?.exec_with_input(command, input, output).await
    }

    fn connection(&self) -> u64 {
        self.now().map_or(0, |now| now.connection())
    }

    async fn exec_over(
        &self,
        connection: u64,
        command: &RemoteCommand,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        self.now()?.exec_over(connection, command, output).await
    }

    async fn settle(&self) {
        if let Ok(now) = self.now() {
            now.settle().await;
        }
    }

    fn is_away(&self) -> bool {
        self.now().is_ok_and(|now| now.is_away())
    }

    async fn run_script(
        &self,
        script: &Script<'_>,
        output: &dyn OutputSink,
    ) -> Option<Result<ExitStatus>> {
        match self.now() {
            Ok(now) => now.run_script(script, output).await,
            Err(error) => Some(Err(error)),
        }
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        self.now()?.upload(destination, source, meta).await
    }

    async fn upload_script(&self, destination: &str, bytes: &[u8], mode: u32) -> Result<()> {
        self.now()?.upload_script(destination, bytes, mode).await
    }

    async fn upload_dir(
        &self,
        source: &Path,
        destination: &str,
        contents_only: bool,
    ) -> Result<()> {
        self.now()?.upload_dir(source, destination, contents_only).await
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        self.now()?.download(source, destination).await
    }

    async fn download_dir(
        &self,
        source: &str,
        destination: &Path,
        contents_only: bool,
    ) -> Result<()> {
        self.now()?.download_dir(source, destination, contents_only).await
    }

    async fn download_literal(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        self.now()?.download_literal(source, destination).await
    }

    async fn download_dir_literal(&self, source: &str, destination: &Path) -> Result<()> {
        self.now()?.download_dir_literal(source, destination).await
    }
}
