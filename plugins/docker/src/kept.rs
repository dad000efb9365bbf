//! A container that a build leaves for `-resume`, and goes on with.

use bollard::models::ContainerStateStatusEnum;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{
    Error, GeneratedData, JournalEntry, OnError, Result, RunContext, Step, async_trait,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dockerfile::BuildImage;
use crate::engine::{Endpoint, EngineContext, status};
use crate::reclaim::container_resource;
use crate::run_container::RunContainer;
use crate::steps::{Container, State};
use crate::unfinished::UnfinishedImage;

/// The values of `build.*` that the container's image gave.
const IMAGE_DATA: [&str; 2] = ["SourceImageSha256", "SourceImageDigest"];

/// What a later run needs to find the container, and to commit it as this one would have.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptContainer {
    endpoint: String,
    tls: Option<String>,
    id: String,
    /// The name it was created with.
    name: String,
    /// By what the journal knows it.
    recorded: Vec<String>,
    user: String,
    image: String,
    image_name: Option<String>,
    image_entrypoint: Vec<String>,
    image_command: Vec<String>,
    data: GeneratedData,
    /// The image to start from, if it was built for this: the tag of the name it had, and its id.
    base: Option<(String, Option<String>)>,
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

/// Goes on with a container that was kept, in the place of the steps that create one.
pub(crate) struct ResumeContainer(pub KeptContainer);

#[async_trait]
impl Step<State> for ResumeContainer {
    fn name(&self) -> &'static str {
        "resume container"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let kept = &self.0;
        let (engine, id) = (state.engine.clone(), kept.id.as_str());
        let found = match engine.ask(engine.api.inspect_container(id, None)).await {
            Err(error) if status(&error) == Some(404) => {
                return Err(Error::new(format!("the container {id}, which was kept, is gone"))
                    .hint("`ingot cleanup -kept` forgets it; then build without -resume"));
            }
            found => found.doing(format_args!("looking at the container {id}"))?,
        };
        ctx.ui.say(format!("Going on with the container: {id}"));
        let now = found.state.and_then(|state| state.status);
        match now {
            Some(ContainerStateStatusEnum::RUNNING) => {}
            Some(ContainerStateStatusEnum::PAUSED) => {
                let unpaused = engine.attend(engine.api.unpause_container(id)).await?;
                unpaused.doing("letting the container go on")?;
            }
            _ => {
                // The Engine may have been restarted meanwhile.
                ctx.ui.say("The container has stopped: starting it again...");
                let started = engine.attend(engine.api.start_container(id, None)).await?;
                started.doing("starting the container")?;
            }
        }
        let recorded = kept.recorded.iter();
        let records = recorded
            .map(|id| JournalEntry::open(&ctx.journal, &container_resource(&state.engine, id)))
            .collect::<Result<_>>()?;
        state.container = Some(Container {
            name: kept.name.clone(),
            creating: None,
            id: Some(kept.id.clone()),
            user: kept.user.clone(),
            recorded: kept.recorded.clone(),
            records,
            unanswered: false,
        });
        if let Some((tag, image)) = &kept.base {
            let base = UnfinishedImage::again(ctx, &state.engine, tag, image.as_deref())?;
            state.unfinished_base = Some(base);
        }
        state.image.clone_from(&kept.image);
        state.image_name.clone_from(&kept.image_name);
        state.image_entrypoint.clone_from(&kept.image_entrypoint);
        state.image_command.clone_from(&kept.image_command);
        state.data.extend(kept.data.clone());
        state.data.insert("ID".to_owned(), Value::from(id));
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        RunContainer.cleanup(ctx, state, outcome).await;
        BuildImage.cleanup(ctx, state, outcome).await;
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        keep(ctx, state);
    }
}
