//! A communicator to nowhere.

use std::path::Path;

use ingot_sdk::{
    Communicator, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, Ui, async_trait,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Takes whatever it is asked to do and does nothing, as Packer's does for this builder: build
/// blocks often provision a file source along with others. It says so each time.
pub(crate) struct Nowhere(pub Ui);

impl Nowhere {
    fn ignore(&self, what: &str) {
        self.0.error(format!("Warning: the file builder has no machine; {what} has no effect."));
    }
}

#[async_trait]
impl Communicator for Nowhere {
    async fn exec(&self, _: &RemoteCommand, _: &dyn OutputSink) -> Result<ExitStatus> {
        self.ignore("running a command");
        Ok(ExitStatus::Code(0))
    }

    async fn upload(
        &self,
        destination: &str,
        _: &mut (dyn AsyncRead + Send + Unpin),
        _: FileMeta,
    ) -> Result<()> {
        self.ignore(&format!("uploading to {destination}"));
        Ok(())
    }

    async fn upload_dir(&self, _: &Path, destination: &str, _: bool) -> Result<()> {
        self.ignore(&format!("uploading to {destination}"));
        Ok(())
    }

    async fn download(&self, source: &str, _: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<()> {
        self.ignore(&format!("downloading {source}"));
        Ok(())
    }

    async fn download_dir(&self, source: &str, _: &Path, _: bool) -> Result<()> {
        self.ignore(&format!("downloading {source}"));
        Ok(())
    }
}
