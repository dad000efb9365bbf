//! Builders make an artifact out of a source block.

use std::sync::Arc;

use async_trait::async_trait;

use crate::component::{Erase, Prepare};
use crate::{Artifact, Result, RunContext};

/// A builder without its options: `source "NAME"`.
pub type Builder = dyn Prepare<dyn Build>;

/// A builder that has its options.
#[async_trait]
pub trait Build: Send + Sync {
    /// Builds. Calls `ctx.provision(…)` once the machine can be talked to. Returns no artifact
    /// where the build is not meant to leave one (`discard`).
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`] when `ctx.cancel` fired, else what went wrong. Whatever was
    /// created is gone by the time this returns, unless `ctx.prepare.on_error` says to keep it.
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>>;
}

impl<B: Build + 'static> Erase<B> for dyn Build {
    fn erase(ready: B) -> Box<Self> {
        Box::new(ready)
    }
}
