//! Committing the container to an image.

use bollard::models::ContainerConfig;
use bollard::query_parameters::CommitContainerOptionsBuilder;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, OnError, Result, RunContext, Step, async_trait};
use serde_json::json;

use crate::config::Goal;
use crate::engine::{Engine, EngineContext, is_away};
use crate::state::State;
use crate::unfinished::UnfinishedImage;
use crate::unfinished_name::REPOSITORY;

/// Commits the container to an image.
pub(crate) struct Commit;

impl Commit {
    /// Whether the image will have neither command nor entry point. The Engine then gives it the
    /// container's command, if that has one.
    pub(crate) fn leaves_nothing(state: &State) -> bool {
        let changes = Commit::changes(state);
        state.options.goal == Goal::Commit && changes.no_command && changes.no_entrypoint
    }

    /// The user's changes, and those that take back the entry point and command that the
    /// container was run with.
    fn changes(state: &State) -> Changes {
        let mut changes =
            Changes { instructions: state.options.raw.changes.clone(), ..Changes::default() };
        // The command first: an entry point of a Dockerfile takes away the command before it.
        changes.no_command = changes.settle("CMD", &state.image_command);
        changes.no_entrypoint = changes.settle("ENTRYPOINT", &state.image_entrypoint);
        changes
    }
}

/// What an image gets that its container does not have.
#[derive(Debug, Default)]
struct Changes {
    /// As in a Dockerfile.
    instructions: Vec<String>,
    /// Whether it has no command. The Engine takes an instruction that says so for none at all.
    no_command: bool,
    /// Whether it has no entry point.
    no_entrypoint: bool,
}

impl Changes {
    /// Sees to it that one of the instructions that start a program says what the user wants, else
    /// what the image had. Whether that is nothing; then there is no instruction.
    fn settle(&mut self, instruction: &str, before: &[String]) -> bool {
        let is_one = |change: &String| {
            let word = change.split_whitespace().next().unwrap_or("");
            word.eq_ignore_ascii_case(instruction)
        };
        match self.instructions.iter().rfind(|change| is_one(change)) {
            Some(last) => {
                let value = last.trim_start()[instruction.len()..].trim();
                let nothing = serde_json::from_str::<[String; 0]>(value).is_ok();
                if nothing {
                    self.instructions.retain(|change| !is_one(change));
                }
                nothing
            }
            None if before.is_empty() => true,
            None => {
                self.instructions.push(format!("{instruction} {}", json!(before)));
                false
            }
        }
    }
}

#[async_trait]
impl Step<State> for Commit {
    fn name(&self) -> &'static str {
        "commit container"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if let Some(made) = state.made.clone() {
            ctx.ui.say("Using the image of an earlier build, as nothing has changed since");
            state.data.insert("ID".into(), json!(made.container));
            set_image(ctx, state, made.image).await;
            return Ok(());
        }
        let id = state.container_id()?;
        ctx.ui.say("Committing the container");
        let Changes { instructions, no_command, no_entrypoint } = Commit::changes(state);
        let changes = instructions.join("\n");
        let mut config = ContainerConfig::default();
        if no_command || no_entrypoint {
            // The Engine takes a configuration that is given for all there is.
            let engine = &state.engine;
            let found = engine.ask(engine.api.inspect_container(&id, None)).await;
            config = found.doing("looking at the container")?.config.unwrap_or_default();
            if no_entrypoint {
                config.entrypoint = Some(Vec::new());
            }
            if no_command {
                config.cmd = Some(Vec::new());
            }
        }
        let mut options = CommitContainerOptionsBuilder::new().container(&id);
        // A Dockerfile without instructions is an error.
        if !changes.is_empty() {
            options = options.changes(&changes);
        }
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
            api.commit_container(options, config).await.map(|image| image.id)
        });
        let committed = state.engine.while_alive(state.commit.insert(task)).await?;
        state.commit = None;
        let committed = committed.context("committing the container")?;
        if committed.as_ref().is_err_and(is_away) {
            unfinished.mark_unanswered();
        }
        let image = committed.doing("committing the container")?;
        unfinished.created(ctx, &state.engine, &image, state.image_name.as_deref()).await?;
        set_image(ctx, state, image).await;
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        let commit = state.commit.take();
        let Some(mut image) = state.unfinished.take() else { return };
        if let Some(commit) = commit {
            image.settle(&state.engine, commit).await;
        }
        if outcome == Outcome::Succeeded {
            image.keep();
            return;
        }
        state.image_id = None;
        remove_unfinished(ctx, &state.engine, image).await;
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        // The container is kept, of which it is made again.
        if ctx.prepare.on_error == OnError::Keep {
            self.cleanup(ctx, state, Outcome::Failed).await;
        }
    }
}

/// Reports the image of the build.
async fn set_image(ctx: &RunContext, state: &mut State, image: String) {
    state.data.insert("ImageSha256".into(), json!(image));
    ctx.ui.message(format!("Image ID: {image}"));
    let inspected = state.engine.ask(state.engine.api.inspect_image(&image)).await.ok();
    state.image_size = inspected.and_then(|image| u64::try_from(image.size?).ok());
    state.image_id = Some(image);
}

/// Removes an image that a failed build made; says so if that fails.
pub(crate) async fn remove_unfinished(ctx: &RunContext, engine: &Engine, image: UnfinishedImage) {
    match tokio::time::timeout(engine.patience.cleanup, image.remove(engine)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => ctx.ui.error(format!("An image may be left over: {error}")),
        Err(_) => ctx.ui.error("An image may be left over: no response"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ingot_sdk::Reclaim;
    use ingot_test_support::{BASE, docker, require};

    use super::*;
    use crate::config::Options;
    use crate::reclaim::DockerReclaim;
    use crate::state::Container;
    use crate::test_engine::{Hold, TestContainer, TestEngine, recorded};

    /// Begins a commit of `container` that gets no answer.
    async fn begin(test: &TestEngine, container: &TestContainer, ctx: &RunContext) -> State {
        let mut engine = test.connect().await;
        engine.patience.cleanup = Duration::from_millis(100);
        let mut state = State::new(engine, Options::default(), ctx);
        state.container = Some(Container {
            name: container.0.clone(),
            creating: None,
            id: Some(container.0.clone()),
            user: String::new(),
            recorded: Vec::new(),
            records: Vec::new(),
            unanswered: false,
        });
        test.hold(Hold::Calls("/commit?"));
        tokio::select! {
            ran = Commit.run(ctx, &mut state) => panic!("it was not held up: {ran:?}"),
            () = test.held() => {}
        }
        state
    }

    #[tokio::test]
    async fn a_commit_that_outlives_its_build_is_left_to_the_next_run() {
        require!(docker());
        let test = require!(TestEngine::start().await);
        let container = TestContainer::new(&["create", BASE, "true"]);
        let (ctx, said, records) = recorded();
        let mut state = begin(&test, &container, &ctx).await;
        Commit.cleanup(&ctx, &mut state, Outcome::Failed).await;
        let lines = said.lines();
        let told = lines.iter().any(|line| line.starts_with("An image may be left over: "));
        assert!(told, "{lines:?}");
        let [left] = &records.open()[..] else { panic!("{:?}", records.open()) };

        // The Engine goes on with it.
        test.hold(Hold::Nothing);
        let deadline = Instant::now() + Duration::from_secs(30);
        while state.engine.api.inspect_image(&left.id).await.is_err() {
            assert!(Instant::now() < deadline, "there is no {}", left.id);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        DockerReclaim.reclaim(left).await.unwrap();
        assert!(state.engine.api.inspect_image(&left.id).await.is_err());
    }

    #[tokio::test]
    async fn a_commit_of_an_engine_that_is_gone_is_looked_for_later() {
        require!(docker());
        let test = require!(TestEngine::start().await);
        let container = TestContainer::new(&["create", BASE, "true"]);
        let (ctx, _, records) = recorded();
        let mut state = begin(&test, &container, &ctx).await;
        test.hold(Hold::All);
        Commit.cleanup(&ctx, &mut state, Outcome::Failed).await;
        test.hold(Hold::Nothing);
        let [left] = &records.open()[..] else { panic!("{:?}", records.open()) };
        let kept = DockerReclaim.reclaim(left).await.unwrap_err();
        assert_eq!(kept.to_string(), "the Engine may still be making it");
    }
}
