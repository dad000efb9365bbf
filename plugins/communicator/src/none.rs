//! `communicator = "none"`

use std::path::Path;

use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, async_trait,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Stands where there is no machine to talk to: everything that needs one is an error.
pub struct NoCommunicator;

fn refuse<T>() -> Result<T> {
    Err(Error::new("this build has communicator = \"none\", so there is no machine to talk to")
        .hint("use shell-local, or give the source a communicator"))
}

#[async_trait]
impl Communicator for NoCommunicator {
    async fn exec(&self, _: &RemoteCommand, _: &dyn OutputSink) -> Result<ExitStatus> {
        refuse()
    }

    async fn upload(
        &self,
        _: &str,
        _: &mut (dyn AsyncRead + Send + Unpin),
        _: FileMeta,
    ) -> Result<()> {
        refuse()
    }

    async fn upload_dir(&self, _: &Path, _: &str, _: bool) -> Result<()> {
        refuse()
    }

    async fn download(&self, _: &str, _: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<()> {
        refuse()
    }

    async fn download_dir(&self, _: &str, _: &Path, _: bool) -> Result<()> {
        refuse()
    }
}
