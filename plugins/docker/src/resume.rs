//! A container that a build leaves for `-resume`.

use ingot_sdk::{GeneratedData, OnError, RunContext};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engine::Endpoint;
use crate::state::State;
use crate::unfinished::UnfinishedImage;

/// The values of `build.*` that the container's image gave.
const IMAGE_DATA: [&str; 2] = ["SourceImageSha256", "SourceImageDigest"];

/// What a later run needs to find the container, and to commit it as this one would have.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptContainer {
    endpoint: String,
    tls: Option<String>,
    pub(crate) id: String,
    /// The name it was created with.
    pub(crate) name: String,
    /// By what the journal knows it.
    pub(crate) recorded: Vec<String>,
    pub(crate) user: String,
    pub(crate) image: String,
    pub(crate) image_name: Option<String>,
    pub(crate) image_entrypoint: Vec<String>,
    pub(crate) image_command: Vec<String>,
    pub(crate) data: GeneratedData,
    /// The image to start from, if it was built for this: the tag of the name it had, and its id.
    pub(crate) base: Option<(String, Option<String>)>,
}

impl KeptContainer {
    /// The Engine that it is on, wherever the environment points now.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::recorded(&self.endpoint, self.tls.as_deref())
    }

    /// What there is to keep of a build.
    fn take(state: &State) -> Option<KeptContainer> {
        let container = state.container.as_ref()?;
        let data = |name: &str| Some((name.to_owned(), state.data.get(name)?.clone()));
        let tls = state.engine.endpoint.tls.as_ref();
        Some(KeptContainer {
            endpoint: state.engine.endpoint.host.clone(),
            tls: tls.map(|directory| directory.display().to_string()),
            id: container.id.clone()?,
            name: container.name.clone(),
            recorded: container.recorded.clone(),
            user: container.user.clone(),
            image: state.image.clone(),
            image_name: state.image_name.clone(),
            image_entrypoint: state.image_entrypoint.clone(),
            image_command: state.image_command.clone(),
            data: IMAGE_DATA.into_iter().filter_map(data).collect(),
            base: state.unfinished_base.as_ref().map(UnfinishedImage::identity),
        })
    }
}

/// Says how the container is found that a build leaves, where it is to be kept.
pub(crate) fn keep(ctx: &RunContext, state: &State) {
    if ctx.prepare.on_error == OnError::Keep
        && let Some(kept) = KeptContainer::take(state)
    {
        ctx.hook.keep_machine(json!(kept));
    }
}
