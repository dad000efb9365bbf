//! What the engine tells a registry of images: which builds run, and what they made.

use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{Artifact, Error, Sbom, Ui};
use tokio_util::sync::CancellationToken;

use crate::graph::Node;

/// Publishes what builds make.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// A build is about to run.
    async fn start(&self, node: &Node, ui: &Ui) -> Start;

    /// A build has made `artifacts`, of which `sboms` say what is in them. Gives what stands for the
    /// publication among them. This is done whether or not the run is cancelled; once `cancel` fires,
    /// nothing is waited for that the registry does later.
    ///
    /// # Errors
    /// They could not be published.
    async fn publish(
        &self,
        node: &Node,
        artifacts: &[Arc<dyn Artifact>],
        sboms: &[Sbom],
        ui: &Ui,
        cancel: &CancellationToken,
    ) -> Result<Arc<dyn Artifact>, Unpublished>;

    /// A build that was started has failed with `error`, or was cancelled; `ui` knows what is secret
    /// in it.
    async fn failed(&self, node: &Node, error: &Error, ui: &Ui);
}

/// Whether a build is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is.
    Build,
    /// Another run has made and published it already.
    Done,
}

/// What a build made was not published.
#[derive(Debug)]
pub struct Unpublished {
    /// Why.
    pub error: Error,
    /// Whether it is kept to be published later.
    pub kept: bool,
}
