//! The image that an earlier build has made of the same machine with the same options.

use ingot_sdk::{RunContext, StateKey};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::image::layers;
use crate::config::Goal;
use crate::state::State;

/// An image that was made before, as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MadeImage {
    /// Its id, which is a checksum of all of it.
    pub image: String,
    /// The container that it was made of.
    pub container: String,
    /// The Engine that it is on.
    endpoint: String,
}

/// The key of the options by which the container is made an image.
fn options_key(state: &State) -> StateKey {
    let raw = &state.options.raw;
    let options = [json!(raw.changes), json!(raw.author), json!(raw.message)];
    StateKey::of("docker image 1", options.iter().map(ToString::to_string))
}

/// The image that the build would make again, if it is there.
pub(super) async fn find(ctx: &RunContext, state: &State) -> Option<MadeImage> {
    if state.options.goal != Goal::Commit {
        return None;
    }
    let result = ctx.hook.cached_result(&options_key(state)).await?;
    let made: MadeImage = serde_json::from_value(result).ok()?;
    if made.endpoint != state.engine.endpoint.host {
        return None;
    }
    let found = state.engine.ask(state.engine.api.inspect_image(&made.image)).await.ok()?;
    let whole = layers(&found).starts_with(&state.base.layers);
    (found.id.as_deref() == Some(&made.image) && whole).then_some(made)
}

/// Writes down what the build made.
pub(crate) async fn keep(ctx: &RunContext, state: &State) {
    let container = state.data.get("ID").and_then(|id| id.as_str());
    if let (Some(image), Some(container)) = (&state.image_id, container) {
        let made = MadeImage {
            image: image.clone(),
            container: container.to_owned(),
            endpoint: state.engine.endpoint.host.clone(),
        };
        ctx.hook.cache_result(&options_key(state), json!(made)).await;
    }
}
