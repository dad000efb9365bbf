//! The step cache of containers: the state after a provisioner is an image.
//!
//! The image of a state is named [`REPOSITORY`] with its key as the tag, and its comment says the same,
//! so that no image is taken for another's. A state is kept only where the image holds all that later
//! provisioners could see: see [`quiet`] for what it cannot hold, and [`fingerprint`] for what a
//! provisioner may have left besides files.

mod fingerprint;
mod keep;
mod kept;
mod quiet;

use std::sync::Arc;

use bollard::models::{ContainerCreateBody, ImageInspect};
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, GoDuration, OutputSink, Provisioning, RemoteCommand,
    Result, RunContext, StateKey, Step, Ui, async_trait,
};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;

use crate::engine::{Engine, describe};
use crate::run_command::RunCommand;
use crate::steps::State;

pub(crate) use keep::ContainerStates;
pub use kept::{KeptImage, kept_images, remove_kept_image};

/// The repository of the names of states.
pub(crate) const REPOSITORY: &str = "ingot-cache";

/// How many layers a state may have to be started from. The Engine's drivers take about 125, of
/// which the build needs some.
const MOST_LAYERS: usize = 100;

/// The name of the state of `key`.
fn name_of(key: &StateKey) -> String {
    format!("{REPOSITORY}:{key}")
}

/// The comment in the image of a state.
fn comment_of(key: &StateKey, base: &str) -> String {
    format!("ingot state {key} of {base}")
}

/// What the image that a build starts from tells about its states.
#[derive(Debug, Clone, Default)]
pub(crate) struct BaseImage {
    /// Its id.
    pub id: String,
    layers: Vec<String>,
    platform: String,
    /// Where it has volumes.
    volumes: Vec<String>,
}

impl From<&ImageInspect> for BaseImage {
    fn from(found: &ImageInspect) -> Self {
        let config = found.config.as_ref();
        BaseImage {
            id: found.id.clone().unwrap_or_default(),
            layers: layers(found),
            platform: platform(found),
            volumes: config.and_then(|config| config.volumes.clone()).unwrap_or_default(),
        }
    }
}

fn layers(found: &ImageInspect) -> Vec<String> {
    found.root_fs.as_ref().and_then(|root| root.layers.clone()).unwrap_or_default()
}

fn platform(found: &ImageInspect) -> String {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}/{}", part(&found.os), part(&found.architecture), part(&found.variant))
}

/// The state that a build starts from.
#[derive(Debug, Clone)]
pub(crate) struct FoundState {
    /// Its image.
    pub image: String,
    /// Whether all provisioners that can be cached have run on it, so that the container may not
    /// have to run at all.
    pub complete: bool,
}

/// Looks for the last state that is kept.
pub(crate) struct FindState;

#[async_trait]
impl Step<State> for FindState {
    fn name(&self) -> &'static str {
        "look for a cached state"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if !state.options.connects {
            return Ok(());
        }
        let command = state.run_command(ctx)?;
        let version = state.engine.api.version().await.unwrap_or_default();
        let engine = [&version.os, &version.arch, &version.version];
        let engine = engine.map(|part| part.clone().unwrap_or_default()).join(" ");
        let base = base_key(state, &command, &engine);
        let keys = ctx.hook.state_keys(ctx, &base).await;
        if keys.is_empty() {
            return Ok(());
        }
        let podman = version.components.iter().flatten().any(|one| one.name.contains("Podman"));
        if let Some(why) = quiet::cannot_be_held(&command.body, &state.base, podman) {
            ctx.ui.say(format!("No state of the container is kept: {why}"));
            return Ok(());
        }
        let mut found = None;
        for (index, key) in keys.iter().enumerate().rev() {
            if let Some(image) = find(&state.engine, &state.base, key).await {
                found = Some((index + 1, image));
                break;
            }
        }
        let done = found.as_ref().map_or(0, |(done, _)| *done);
        let complete = done == keys.len();
        state.found = found.map(|(_, image)| FoundState { image, complete });
        state.provisioning = Provisioning { done, keys, snapshots: None };
        Ok(())
    }
}

/// The key of the container before any provisioner.
fn base_key(state: &State, command: &RunCommand, engine: &str) -> StateKey {
    let raw = &state.options.raw;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let body = serde_json::to_value(&command.body).unwrap_or_default();
    StateKey::of(
        "docker 1",
        [
            state.base.id.clone(),
            sorted(body).to_string(),
            text(&command.platform),
            text(&command.user),
            text(&raw.exec_user),
            format!("{} {}", raw.pty, raw.fix_upload_owner),
            state.options.container_dir.clone(),
            format!("{:?}", raw.pause_before_connecting.map(|pause| pause.0)),
            engine.to_owned(),
        ],
    )
}

/// The same with its names in order, as those of maps are in none.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// The image of the state of `key`, if there is one that is what it says.
async fn find(engine: &Engine, base: &BaseImage, key: &StateKey) -> Option<String> {
    let found = engine.api.inspect_image(&name_of(key)).await.ok()?;
    let layers = layers(&found);
    let is_it = found.comment.as_deref() == Some(&comment_of(key, &base.id))
        && platform(&found) == base.platform
        && layers.starts_with(&base.layers)
        && layers.len() > base.layers.len();
    if !is_it {
        tracing::warn!(%key, "an image is named as a state of the step cache, and is none");
    }
    (is_it && layers.len() <= MOST_LAYERS).then_some(found.id?)
}

/// What a container that starts from a state is created with.
pub(crate) fn start_from(body: &mut ContainerCreateBody, found: &FoundState) {
    body.image = Some(found.image.clone());
}

/// Tells that a state cannot be started from, and forgets it.
pub(crate) fn give_up(ctx: &RunContext, state: &mut State, error: &Error) {
    ctx.ui.say(format!("The cached state cannot be used, so that all steps are run: {error}"));
    state.found = None;
    state.provisioning.done = 0;
}

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
