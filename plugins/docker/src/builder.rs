//! The builder `docker`.

use std::sync::Arc;

use ingot_sdk::{
    Artifact, Build, CachedStates, Component, ConfigErrors, Decoded, Facts, PrepareContext,
    Prepared, ProvisionStep, Result, RunContext, Schema, Step, async_trait, run_steps,
};

use crate::artifact::{ExportArtifact, IMPORTED, ImageArtifact};
use crate::commit::Commit;
use crate::config::{BuilderConfig, Goal, Options, schema};
use crate::credentials::Login;
use crate::dockerfile::BuildImage;
use crate::ecr::Ecr;
use crate::engine::Engine;
use crate::find_image::FindImage;
use crate::resume::KeptContainer;
use crate::resume_container::ResumeContainer;
use crate::run_container::RunContainer;
use crate::state::State;
use crate::states::{FindState, export, keep_made};
use crate::steps::{Connect, Export};

/// `source "docker"`
#[derive(Default)]
pub struct DockerBuilder {
    /// Logs in to ECR.
    pub(crate) ecr: Ecr,
}

/// Builds images out of containers: starts one, provisions it, and commits or exports it.
pub struct DockerBuild {
    options: Options,
    ecr: Ecr,
}

impl Component for DockerBuilder {
    const NAME: &'static str = "docker";
    type Options = BuilderConfig;
    type Ready = DockerBuild;

    fn facts(&self) -> Facts {
        Facts { own_communicator: true, states: Some(CachedStates::default()), ..Facts::default() }
    }

    fn schema(&self) -> Schema {
        schema()
    }

    fn prepare(
        &self,
        given: Decoded<'_, BuilderConfig>,
        ctx: &PrepareContext,
    ) -> Result<Prepared<DockerBuild>, ConfigErrors> {
        let prepared = Options::prepare(given, ctx, &self.ecr)?;
        Ok(prepared.map(|options| DockerBuild { options, ecr: self.ecr.clone() }))
    }
}

impl DockerBuild {
    /// The login to build a Dockerfile with, where it takes asking ECR. A pull asks when it comes to it.
    async fn ecr_login(&self, ctx: &RunContext) -> Result<Option<Login>> {
        let raw = &self.options.raw;
        if raw.build.is_none() {
            return Ok(None);
        }
        self.ecr.login(&raw.ecr, raw.login_server.as_deref(), &ctx.ui).await
    }
}

#[async_trait]
impl Build for DockerBuild {
    async fn build(&self, ctx: &RunContext) -> Result<Option<Arc<dyn Artifact>>> {
        let kept: Option<KeptContainer> = ctx.kept_machine("the container")?;
        let connecting = async {
            match &kept {
                Some(kept) => kept.endpoint().connect().await,
                None => Engine::connect(self.options.podman).await,
            }
        };
        let engine = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(ingot_sdk::Error::Cancelled),
            engine = connecting => engine?,
        };
        let mut options = self.options.clone();
        if kept.is_none()
            && let Some(login) = ctx.unless_cancelled(self.ecr_login(ctx)).await?
        {
            options.login = Some(login);
        }
        let mut state = State::new(engine, options, ctx);
        let mut steps: Vec<Box<dyn Step<State>>> = Vec::new();
        if let Some(kept) = kept {
            steps.push(Box::new(ResumeContainer(kept)));
        } else {
            if self.options.raw.build.is_some() {
                steps.push(Box::new(BuildImage));
            }
            steps.push(Box::new(FindImage(self.ecr.clone())));
            steps.push(Box::new(FindState));
            steps.push(Box::new(RunContainer));
        }
        steps.push(Box::new(Connect));
        steps.push(Box::new(ProvisionStep));
        match self.options.goal {
            Goal::Commit => steps.push(Box::new(Commit)),
            Goal::Export(_) => steps.push(Box::new(Export)),
            Goal::Discard => {}
        }
        let ran = run_steps(ctx, &steps, &mut state).await;
        let exporting = async {
            // Where the build failed because the Engine is gone, it has nothing to give.
            if ran.is_ok() || state.engine.ping().await.is_ok() {
                export(ctx, &state).await;
            }
            Ok::<_, ingot_sdk::Error>(())
        };
        // What the build made is there also where this was cut short.
        let _ = ctx.unless_cancelled(exporting).await;
        ran?;
        keep_made(ctx, &state).await;
        let artifact: Arc<dyn Artifact> = match state.image_id {
            Some(id) => Arc::new(ImageArtifact {
                engine: state.engine,
                builder_id: IMPORTED,
                id,
                tags: Vec::new(),
                size: state.image_size,
                data: state.data,
                shared: state.made.is_some(),
            }),
            None => Arc::new(ExportArtifact {
                path: match &self.options.goal {
                    Goal::Export(path) => Some(path.into()),
                    Goal::Commit | Goal::Discard => None,
                },
                created: state.created,
                data: state.data,
            }),
        };
        Ok(Some(artifact))
    }
}
