//! States in a directory that machines share: for each, what it adds to the image that its build started
//! from, as the archive of a layer.

use std::io::{Seek, SeekFrom};
use std::path::Path;

use ingot_sdk::{Error, Result, RunContext, StateKey};
use ingot_shared_states::SharedStates;

use super::image::{BaseImage, find};
use super::layer::{self, Layer};
use crate::state::State;

/// The states of docker below `directory`.
pub(super) fn states(directory: &Path) -> SharedStates {
    SharedStates::new(directory, "docker", "layer")
}

fn states_of(ctx: &RunContext) -> Option<SharedStates> {
    ctx.hook.shared_states().map(|directory| states(&directory))
}

/// The directory that machines share, for people.
pub(super) fn directory(ctx: &RunContext) -> Option<String> {
    ctx.hook.shared_states().map(|directory| directory.display().to_string())
}

/// The state of `key` in the directory that machines share, if there is one that is whole.
pub(super) async fn look_up(ctx: &RunContext, base: &BaseImage, key: &StateKey) -> Option<Layer> {
    states_of(ctx)?.look_up(ctx, &base.id, key).await.map(Layer)
}

/// Writes the states that the Engine has of a build to the directory that machines share, if there is
/// one, as far as they are not there.
pub(crate) async fn export(ctx: &RunContext, state: &State) {
    let Some(states) = states_of(ctx) else { return };
    if let Err(error) = try_export(ctx, state, &states).await {
        states.report(ctx, &error);
    }
}

async fn try_export(ctx: &RunContext, state: &State, states: &SharedStates) -> Result<()> {
    let (mut images, mut layers) = (Vec::new(), Vec::new());
    for key in state.provisioning.keys.iter().filter(|key| !states.has(key)) {
        if let Some((image, layer)) = find(&state.engine, &state.base, key).await {
            images.push(image);
            layers.push((layer, key.clone()));
        }
    }
    if images.is_empty() {
        return Ok(());
    }
    // Before the Engine has all the work.
    states.prepare_writing()?;
    states.announce(ctx, images.len());
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let wanted = layers.iter().map(|(layer, _)| layer.clone()).collect();
    let (states, base, stop) = (states.clone(), state.base.id.clone(), ctx.cancel.clone());
    let taking = layer::of_images(ctx, &state.engine, &images, wanted, move |sum, mut layer| {
        // Steps that changed nothing have the layer of the state before.
        layers.iter().filter(|(wanted, _)| wanted == sum).try_for_each(|(_, key)| {
            states.write(key, &base, &stop, |mut sink| {
                layer.0.seek(SeekFrom::Start(0))?;
                std::io::copy(&mut layer.0, &mut sink).map(drop).map_err(Error::from)
            })
        })
    });
    state.engine.while_alive(taking).await?
}
