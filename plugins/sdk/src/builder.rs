//! Builders make an artifact out of a source block.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Artifact, Config, ConfigErrors, PrepareContext, Result, RunContext, Schema};

/// What [`Builder::prepare`] and its siblings found, besides errors.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Things the user should know that do not stop the build.
    pub warnings: Vec<String>,
    /// Names of values the builder will only know while it runs; a template may use them as
    /// `build.NAME`. The names common to all builders (`ID`, `Host`, …) need not be listed.
    pub generated: Vec<String>,
    /// What the builder makes that there can be only one of, in words such as `the AMI web-1 in
    /// us-east-1`: a second build in the same run that makes the same is warned of.
    pub claims: Vec<String>,
    /// Why the build leaves no artifact, where the options say so: it has nothing to post-process
    /// and to publish.
    pub no_artifact: Option<String>,
}

/// Makes an artifact.
#[async_trait]
pub trait Builder: Send + Sync {
    /// The options of the source block.
    fn schema(&self) -> Schema;

    /// Checks `config` and keeps it for [`Builder::run`]. Has no side effects and needs no
    /// network: `validate` calls it too.
    ///
    /// # Errors
    /// Everything that is wrong, not the first thing only.
    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors>;

    /// Builds. Calls `ctx.provision(…)` once the machine can be talked to. Returns no artifact
    /// where the build is not meant to leave one (`discard`).
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`] when `ctx.cancel` fired, else what went wrong. Whatever was
    /// created is gone by the time this returns, unless `ctx.on_error` says to keep it.
    async fn run(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>>;
}
