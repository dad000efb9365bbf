//! Looks for the state that a build can start from.

use ingot_sdk::{Context, Error, Provisioning, Result, RunContext, StateKey, Step, async_trait};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use super::image::find;
use super::layer::Layer;
use super::{quiet, restore, result, shared};
use crate::engine::Engine;
use crate::run_command::RunCommand;
use crate::state::State;

/// Where the states are that are images, for people.
const ENGINE: &str = "the Engine";

/// The state that a build starts from: what it adds to the image of the build.
pub(crate) enum FoundState {
    /// It is being taken out of an image on the Engine, while the container starts.
    Coming(AbortOnDropHandle<Result<Layer>>),
    /// It was in the directory that machines share.
    Here(Layer),
}

impl FoundState {
    /// Takes the layer `layer` out of the image `image`.
    fn of_image(ctx: &RunContext, engine: &Engine, image: String, layer: String) -> FoundState {
        let (ctx, engine) = (ctx.clone(), engine.clone());
        let taking = async move {
            engine
                .while_alive(Layer::of_image(&ctx, &engine, &image, &layer))
                .await
                .and_then(|taken| taken)
        };
        FoundState::Coming(AbortOnDropHandle::new(tokio::spawn(taking)))
    }
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
        let version = state.engine.ask(state.engine.api.version()).await.unwrap_or_default();
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
        let (mut done, mut found, mut found_in) = (0, None, None);
        state.made = result::find(ctx, state).await;
        if state.made.is_some() {
            done = keys.len();
            found_in = Some(ENGINE.to_owned());
        } else {
            for (index, key) in keys.iter().enumerate().rev() {
                found = match find(&state.engine, &state.base, key).await {
                    Some((image, layer)) => {
                        Some(FoundState::of_image(ctx, &state.engine, image, layer))
                    }
                    None => shared::look_up(ctx, &state.base, key).await.map(FoundState::Here),
                };
                if let Some(found) = &found {
                    done = index + 1;
                    found_in = match found {
                        FoundState::Coming(_) => Some(ENGINE.to_owned()),
                        FoundState::Here(_) => shared::directory(ctx),
                    };
                    break;
                }
            }
        }
        state.found = found;
        state.provisioning = Provisioning { done, keys, snapshots: None, found_in };
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

/// Brings the container, which has just started, to the state that was found, if one was.
///
/// # Errors
/// The container is not what it should be, and must go.
pub(crate) async fn restore_found(
    ctx: &RunContext,
    state: &mut State,
    container: &str,
) -> Result<()> {
    let Some(found) = state.found.take() else { return Ok(()) };
    ctx.ui.say("Restoring the cached state...");
    let layer = match found {
        FoundState::Coming(layer) => layer.await.context("taking the state out of its image")??,
        FoundState::Here(layer) => layer,
    };
    let scratch = &state.options.container_dir;
    restore::restore(ctx, &state.engine, container, layer, scratch).await
}

/// Tells that a state cannot be started from, and forgets it.
pub(crate) fn give_up(ctx: &RunContext, state: &mut State, error: &Error) {
    ctx.ui.say(format!("The cached state cannot be used, so that all steps are run: {error}"));
    (state.provisioning.done, state.provisioning.found_in) = (0, None);
}
