//! Keeping the states of a running container.

use bollard::models::ContainerConfig;
use bollard::query_parameters::{CommitContainerOptionsBuilder, TagImageOptionsBuilder};
use ingot_sdk::{Context, Error, Result, RunContext, Snapshots, StateKey, async_trait};
use parking_lot::Mutex;

use super::fingerprint::Fingerprint;
use super::image::{BaseImage, REPOSITORY, comment_of, find, name_of};
use super::quiet;
use crate::commit::remove_unfinished;
use crate::engine::{Engine, EngineContext, is_away};
use crate::exec::Runner;
use crate::reclaim::{is_taken, remove_image};
use crate::unfinished::{Committing, UnfinishedImage};
use crate::unfinished_name::REPOSITORY as UNFINISHED;

/// Keeps the states of one container.
pub(crate) struct ContainerStates {
    engine: Engine,
    runner: Runner,
    base: BaseImage,
    scratch: String,
    /// The container before its provisioners.
    before: Fingerprint,
    /// The image that is being made, which takes as long as the Engine needs, even if nobody waits
    /// for it any more.
    pending: Mutex<Option<Pending>>,
}

struct Pending {
    commit: Option<Committing>,
    image: UnfinishedImage,
}

impl ContainerStates {
    /// Looks at a container that has just started.
    ///
    /// # Errors
    /// Why no states of it can be kept, for people.
    pub(crate) async fn new(
        engine: &Engine,
        runner: &Runner,
        base: &BaseImage,
        scratch: &str,
    ) -> Result<ContainerStates> {
        let found = engine.ask(engine.api.inspect_container(&runner.container, None)).await;
        if let Some(why) = quiet::main_program(&found.doing("looking at the container")?) {
            return Err(Error::new(why));
        }
        let before = Fingerprint::of(runner, scratch).await?;
        match before.unfit() {
            Some(why) => Err(Error::new(why)),
            None => Ok(ContainerStates {
                engine: engine.clone(),
                runner: runner.clone(),
                base: base.clone(),
                scratch: scratch.to_owned(),
                before,
                pending: Mutex::default(),
            }),
        }
    }

    /// Waits until the Engine is done with the image that is being made, if one is, and removes it.
    /// The container must not go before.
    pub(crate) async fn settle(&self, ctx: &RunContext) {
        let pending = self.pending.lock().take();
        let Some(Pending { commit, mut image }) = pending else { return };
        if let Some(commit) = commit {
            image.settle(&self.engine, commit).await;
        }
        remove_unfinished(ctx, &self.engine, image).await;
    }

    /// Makes the image under a name that says it is not finished.
    async fn commit(&self, ctx: &RunContext, key: &StateKey) -> Result<String> {
        let container = self.runner.container.clone();
        let image = UnfinishedImage::begin(ctx, &self.engine, Some(&container))?;
        let comment = comment_of(key, &self.base.id);
        let options = CommitContainerOptionsBuilder::new()
            .container(&container)
            .repo(UNFINISHED)
            .tag(image.tag())
            .comment(&comment)
            .build();
        let api = self.engine.api.clone();
        let commit = tokio::spawn(async move {
            api.commit_container(options, ContainerConfig::default()).await.map(|image| image.id)
        });
        *self.pending.lock() = Some(Pending { commit: Some(commit), image });
        // What waits may be dropped; the one who takes what is pending waits again.
        let waiting = std::future::poll_fn(|context| {
            let mut pending = self.pending.lock();
            let commit = pending.as_mut().and_then(|pending| pending.commit.as_mut());
            match commit {
                Some(commit) => std::pin::Pin::new(commit).poll(context),
                None => std::task::Poll::Ready(Ok(Ok(String::new()))),
            }
        });
        let result = self.engine.while_alive(waiting).await?;
        if let Some(pending) = self.pending.lock().as_mut() {
            pending.commit = None;
            if matches!(&result, Ok(Err(error)) if is_away(error)) {
                pending.image.mark_unanswered();
            }
        }
        result.context("keeping the state")?.doing("keeping the state")
    }
}

#[async_trait]
impl Snapshots for ContainerStates {
    async fn save(&self, ctx: &RunContext, key: &StateKey) -> Result<()> {
        Fingerprint::check(&self.runner, &self.scratch, &self.before).await?;
        // Another build may have been faster.
        if find(&self.engine, &self.base, key).await.is_some() {
            return Ok(());
        }
        let saved = async {
            let image = self.commit(ctx, key).await?;
            let (name, engine) = (name_of(key), &self.engine);
            let replaced = engine.ask(engine.api.inspect_image(&name)).await;
            let replaced = replaced.ok().and_then(|old| old.id);
            let options = TagImageOptionsBuilder::new().repo(REPOSITORY).tag(key.as_str()).build();
            let named = engine.ask(engine.api.tag_image(&image, Some(options))).await;
            named.doing(format_args!("naming the state {name}"))?;
            match replaced {
                Some(old) if old != image && !is_taken(engine, &old).await? => {
                    remove_image(engine, &old).await
                }
                _ => Ok(()),
            }
        };
        let saved = saved.await;
        // It has the name of the state by now, or is nothing: this name goes in any case.
        self.settle(ctx).await;
        saved
    }
}
