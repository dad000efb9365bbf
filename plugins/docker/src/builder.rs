//! The builder `docker`.

use std::sync::Arc;

use ingot_sdk::{
    Artifact, Builder, Config, ConfigErrors, OnError, PrepareContext, Prepared, Result, RunContext,
    Schema, Step, async_trait, run_steps,
};

use crate::artifact::{ExportArtifact, IMPORTED, ImageArtifact};
use crate::commit::Commit;
use crate::config::{Goal, Options, schema};
use crate::credentials::Login;
use crate::dockerfile::BuildImage;
use crate::ecr::Ecr;
use crate::engine::Engine;
use crate::run_command::Pull;
use crate::steps::{
    Connect, Export, FindImage, Provision, RunContainer, State, clean_up_provision,
};

/// Builds images out of containers: starts one, provisions it, and commits or exports it.
#[derive(Default)]
pub struct DockerBuilder {
    options: Options,
    ecr: Ecr,
}

impl DockerBuilder {
    /// A builder that can log in to ECR.
    pub(crate) fn with_ecr(ecr: Ecr) -> Self {
        DockerBuilder { ecr, ..Self::default() }
    }

    /// The login to pull with, where it takes asking ECR.
    async fn ecr_login(&self, ctx: &RunContext) -> Result<Option<Login>> {
        let raw = &self.options.raw;
        if self.options.pull == Pull::Never && raw.build.is_none() {
            return Ok(None);
        }
        self.ecr.login(&raw.ecr, raw.login_server.as_deref(), &ctx.ui).await
    }
}

#[async_trait]
impl Builder for DockerBuilder {
    fn schema(&self) -> Schema {
        schema()
    }

    fn prepare(&mut self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let (options, prepared) = Options::prepare(config, ctx, &self.ecr)?;
        self.options = options;
        Ok(prepared)
    }

    async fn run(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let engine = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(ingot_sdk::Error::Cancelled),
            engine = Engine::connect(self.options.podman) => engine?,
        };
        let mut options = self.options.clone();
        if let Some(login) = ctx.unless_cancelled(self.ecr_login(ctx)).await? {
            options.login = Some(login);
        }
        let mut state = State::new(engine, options, ctx);
        let mut steps: Vec<Box<dyn Step<State>>> = Vec::new();
        if self.options.raw.build.is_some() {
            steps.push(Box::new(BuildImage));
        }
        steps.push(Box::new(FindImage));
        steps.push(Box::new(RunContainer));
        steps.push(Box::new(Connect));
        steps.push(Box::new(Provision));
        match self.options.goal {
            Goal::Commit => steps.push(Box::new(Commit)),
            Goal::Export(_) => steps.push(Box::new(Export)),
            Goal::Discard => {}
        }
        if let Err(error) = run_steps(ctx, &steps, &mut state).await {
            // With this setting the steps are left as they are, uncleaned, but for this.
            if ctx.prepare.on_error == OnError::RunCleanupProvisioner && state.provisioning {
                clean_up_provision(ctx, &state).await;
            }
            return Err(error);
        }
        let artifact: Arc<dyn Artifact> = match state.image_id {
            Some(id) => Arc::new(ImageArtifact {
                engine: state.engine,
                builder_id: IMPORTED,
                id,
                tags: Vec::new(),
                data: state.data,
            }),
            None => Arc::new(ExportArtifact {
                path: match &self.options.goal {
                    Goal::Export(path) => Some(path.into()),
                    Goal::Commit | Goal::Discard => None,
                },
                made: state.made,
                data: state.data,
            }),
        };
        Ok(Some(artifact))
    }
}
