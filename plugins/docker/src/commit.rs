//! Committing the container to an image.

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Result, RunContext, Step, async_trait};
use serde_json::json;

use crate::engine::{Engine, EngineContext};
use crate::steps::{CLEANUP_TIMEOUT, State};
use crate::unfinished::{REPOSITORY, UnfinishedImage};

/// Commits the container to an image.
pub struct Commit;

impl Commit {
    /// The user's changes, and those that take back the entry point and command that the
    /// container was run with. An empty one is written `[""]`, as the Engine ignores `[]`.
    fn changes(state: &State) -> Vec<String> {
        let mut changes = state.options.raw.changes.clone();
        let says = |instruction: &str| {
            state.options.raw.changes.iter().any(|change| {
                let word = change.split_whitespace().next().unwrap_or("");
                word.eq_ignore_ascii_case(instruction)
            })
        };
        let words = |words: &[String]| match words {
            [] => r#"[""]"#.to_owned(),
            words => json!(words).to_string(),
        };
        let (command, entrypoint) = (says("CMD"), says("ENTRYPOINT"));
        if !command {
            changes.push(format!("CMD {}", words(&state.image_command)));
        }
        if !entrypoint {
            changes.push(format!("ENTRYPOINT {}", words(&state.image_entrypoint)));
        }
        changes
    }
}

#[async_trait]
impl Step<State> for Commit {
    fn name(&self) -> &'static str {
        "commit container"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let id = state.container_id()?;
        ctx.ui.say("Committing the container");
        let changes = Commit::changes(state).join("\n");
        let mut options = CommitContainerOptionsBuilder::new().container(&id).changes(&changes);
        if let Some(author) = &state.options.raw.author {
            options = options.author(author);
        }
        if let Some(message) = &state.options.raw.message {
            options = options.comment(message);
        }
        let unfinished = UnfinishedImage::begin(ctx, &state.engine, Some(&id))?;
        options = options.repo(REPOSITORY).tag(unfinished.tag());
        let (options, api) = (options.build(), state.engine.api.clone());
        let unfinished = state.unfinished.insert(unfinished);
        // The Engine finishes a commit even when nobody waits for it. A task of its own keeps
        // waiting when the build is cancelled, so that cleanup does not come before the image.
        let task = tokio::spawn(async move {
            api.commit_container(options, ContainerConfig::default()).await.map(|image| image.id)
        });
        let task = state.commit.insert(task);
        let committed = task.await.context("committing the container")?;
        state.commit = None;
        let image = committed.doing("committing the container")?;
        unfinished.made(ctx, &state.engine, &image, state.image_name.as_deref()).await?;
        state.data.insert("ImageSha256".into(), json!(image));
        ctx.ui.message(format!("Image ID: {image}"));
        state.image_id = Some(image);
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        if let Some(task) = state.commit.take() {
            let _ = tokio::time::timeout(CLEANUP_TIMEOUT, task).await;
        }
        let Some(image) = state.unfinished.take() else { return };
        if outcome == Outcome::Succeeded {
            image.keep();
            return;
        }
        state.image_id = None;
        remove_unfinished(ctx, &state.engine, image).await;
    }
}

/// Removes an image that a failed build made; says so if that fails.
pub async fn remove_unfinished(ctx: &RunContext, engine: &Engine, image: UnfinishedImage) {
    match tokio::time::timeout(CLEANUP_TIMEOUT, image.remove(engine)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => ctx.ui.error(format!("An image may be left over: {error}")),
        Err(_) => ctx.ui.error("An image may be left over: no answer"),
    }
}
