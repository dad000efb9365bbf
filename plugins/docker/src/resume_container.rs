//! The step that goes on with a container that was kept.

use bollard::models::ContainerStateStatusEnum;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Error, JournalEntry, Result, RunContext, Step, async_trait};
use serde_json::Value;

use crate::dockerfile::BuildImage;
use crate::engine::{EngineContext, status};
use crate::reclaim::container_resource;
use crate::resume::{KeptContainer, keep};
use crate::run_container::RunContainer;
use crate::state::{Container, State};
use crate::unfinished::UnfinishedImage;

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
                let unpaused = engine.while_alive(engine.api.unpause_container(id)).await?;
                unpaused.doing("letting the container go on")?;
            }
            _ => {
                // The Engine may have been restarted meanwhile.
                ctx.ui.say("The container has stopped: starting it again...");
                let started = engine.while_alive(engine.api.start_container(id, None)).await?;
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
