//! A container that starts when something is asked of it.

use std::sync::Arc;

use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, GoDuration, OutputSink, RemoteCommand, Result, Ui,
    async_trait,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;

use crate::engine::{Engine, describe};

/// Starts the container when something is asked of it: where everything comes from the cache, nothing
/// is, and it need not run at all.
pub(crate) struct StartedWhenUsed {
    pub inner: Arc<dyn Communicator>,
    pub engine: Engine,
    pub container: String,
    /// How long to wait once it has started.
    pub pause: Option<GoDuration>,
    pub ui: Ui,
    pub started: OnceCell<()>,
}

impl StartedWhenUsed {
    async fn ready(&self) -> Result<&dyn Communicator> {
        let start = async || {
            self.ui.say("Starting docker container...");
            self.engine.api.start_container(&self.container, None).await.map_err(|error| {
                Error::new(describe(&error))
                    .context("starting the container from a cached state")
                    .hint("-no-cache runs all steps")
            })?;
            if let Some(pause) = self.pause.filter(|pause| !pause.0.is_zero()) {
                self.ui.say(format!("Pausing {pause} before connecting..."));
                tokio::time::sleep(pause.0).await;
            }
            Ok::<(), Error>(())
        };
        self.started.get_or_try_init(start).await?;
        Ok(&*self.inner)
    }
}

#[async_trait]
impl Communicator for StartedWhenUsed {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        self.ready().await?.exec(command, output).await
    }

    async fn exec_with_input(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        self.ready().await?.exec_with_input(command, input, output).await
    }

    async fn settle(&self) {
        self.inner.settle().await;
    }

    async fn run_script(
        &self,
        script: &ingot_sdk::communicator::Script<'_>,
        output: &dyn OutputSink,
    ) -> Option<Result<ExitStatus>> {
        match self.ready().await {
            Ok(inner) => inner.run_script(script, output).await,
            Err(error) => Some(Err(error)),
        }
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        self.ready().await?.upload(destination, source, meta).await
    }

    async fn upload_script(&self, destination: &str, bytes: &[u8], mode: u32) -> Result<()> {
        self.ready().await?.upload_script(destination, bytes, mode).await
    }

    async fn upload_dir(
        &self,
        source: &std::path::Path,
        destination: &str,
        contents_only: bool,
    ) -> Result<()> {
        self.ready().await?.upload_dir(source, destination, contents_only).await
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        self.ready().await?.download(source, destination).await
    }

    async fn download_dir(
        &self,
        source: &str,
        destination: &std::path::Path,
        contents_only: bool,
    ) -> Result<()> {
        self.ready().await?.download_dir(source, destination, contents_only).await
    }
}
