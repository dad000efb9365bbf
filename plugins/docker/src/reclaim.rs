//! Removes what a killed build left behind.

use std::time::{Duration, Instant};

use bollard::query_parameters::{
    RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveImageOptionsBuilder,
};
use ingot_sdk::{Error, Reclaim, Resource, Result, async_trait};

use crate::archive::now;
use crate::engine::{Conflict, Endpoint, Engine, EngineContext, conflict, is_away, status};
use crate::unfinished_name::is_ours;

/// The kind of resource a build's container is.
pub(crate) const CONTAINER: &str = "docker-container";

/// The kind of resource an unfinished image is; the id is its name or its id.
pub(crate) const IMAGE: &str = "docker-image";

/// How often a commit is looked for that may be about to begin.
const COMMIT_LOOKS: u32 = 3;
/// The pause between two looks.
const COMMIT_POLL: Duration = Duration::from_millis(200);

/// The attribute of an image or container when the call that makes it got no answer: since when, in
/// seconds since 1970.
const UNANSWERED: &str = "unanswered";
/// How long after that the Engine may still come up with it. A commit of many gigabytes takes minutes.
const STILL_COMING: Duration = Duration::from_secs(60 * 60);

/// Removes what the journal names.
pub struct DockerReclaim;

/// The journal's record of a container called `id` (its name or its id) on `engine`.
pub(crate) fn container_resource(engine: &Engine, id: &str) -> Resource {
    resource(CONTAINER, engine, id)
}

/// The journal's record of an image that is not finished.
pub(crate) fn image_resource(engine: &Engine, id: &str) -> Resource {
    resource(IMAGE, engine, id)
}

/// The record of an image or container that the Engine may still be making.
pub(crate) fn still_coming(resource: Resource) -> Resource {
    resource.with(UNANSWERED, now())
}

/// Whether an image or container that is not there may still come.
fn may_come(resource: &Resource) -> bool {
    let since = resource.attributes.get(UNANSWERED).and_then(|value| value.as_u64());
    since.is_some_and(|since| now() < since.saturating_add(STILL_COMING.as_secs()))
}

fn resource(kind: &str, engine: &Engine, id: &str) -> Resource {
    let resource = Resource::new(kind, id).with("endpoint", engine.endpoint.host.clone());
    match &engine.endpoint.tls {
        Some(directory) => resource.with("tls", directory.display().to_string()),
        None => resource,
    }
}

/// Kills and removes a container with its anonymous volumes, without the grace of a stop. One
/// that is not there, or is being removed already, is fine. Returns whether it was there.
pub(crate) async fn remove_container(engine: &Engine, id: &str) -> Result<bool> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match engine.while_alive(engine.api.remove_container(id, Some(options))).await? {
        Err(error) if status(&error) == Some(404) => Ok(false),
        Err(error) if conflict(&error) == Some(Conflict::BeingRemoved) => Ok(true),
        result => result.map(|()| true).doing(format_args!("removing the container {id}")),
    }
}

/// How images are removed: that and nothing else. By itself the Engine would also remove those it was
/// made of as far as they have no name, and they may be somebody's.
pub(crate) fn only_the_image() -> RemoveImageOptions {
    RemoveImageOptionsBuilder::new().noprune(true).build()
}

/// Removes an image, or the name `image` of one that has others. One that is not there is fine,
/// and so is one that others are made of: the Engine keeps it for them.
pub(crate) async fn remove_image(engine: &Engine, image: &str) -> Result<()> {
    match engine.while_alive(engine.api.remove_image(image, Some(only_the_image()), None)).await? {
        Err(error) if status(&error) == Some(404) => Ok(()),
        Err(error) if conflict(&error) == Some(Conflict::HasChildren) => Ok(()),
        removed => removed.map(drop).doing(format_args!("removing the image {image}")),
    }
}

/// Whether an unfinished image has got a name since: then it is somebody's.
///
/// # Errors
/// The Engine does not say, so that the image must not be removed.
pub(crate) async fn is_taken(engine: &Engine, image: &str) -> Result<bool> {
    match engine.ask(engine.api.inspect_image(image)).await {
        Ok(found) => Ok(found.repo_tags.unwrap_or_default().iter().any(|tag| !is_ours(tag))),
        Err(error) if status(&error) == Some(404) => Ok(false),
        Err(error) => Err(error).doing(format_args!("looking for {image}")),
    }
}

/// Waits until the Engine is done with a commit that nobody waits for any more, as it goes on
/// with one. It pauses the container for that.
async fn await_commit(engine: &Engine, image: &str, container: &str) {
    let (mut looks, begun) = (0, Instant::now());
    // It may not have begun when it is looked at first.
    while looks < COMMIT_LOOKS
        && begun.elapsed() < STILL_COMING
        && engine.ask(engine.api.inspect_image(image)).await.is_err()
    {
        match engine.ask(engine.api.inspect_container(container, None)).await {
            Err(error) if status(&error) == Some(404) => return,
            // The commit may keep it from answering.
            Err(error) if is_away(&error) => {}
            Ok(found) if found.state.as_ref().and_then(|state| state.paused) == Some(true) => {}
            _ => looks += 1,
        }
        tokio::time::sleep(COMMIT_POLL).await;
    }
}

/// The way to the Engine that the resource is on.
fn engine_of(resource: &Resource) -> Result<Endpoint> {
    let tls = resource.attributes.get("tls").and_then(|value| value.as_str());
    match endpoint(resource) {
        Some(host) => Ok(Endpoint::recorded(host, tls)),
        None => Endpoint::find(false),
    }
}

/// The Engine that the resource is on.
fn endpoint(resource: &Resource) -> Option<&str> {
    resource.attributes.get("endpoint").and_then(|value| value.as_str())
}

#[async_trait]
impl Reclaim for DockerReclaim {
    fn kinds(&self) -> &'static [&'static str] {
        &[CONTAINER, IMAGE]
    }

    fn is_local(&self, resource: &Resource) -> bool {
        endpoint(resource).is_none_or(|endpoint| endpoint.starts_with("unix:"))
    }

    fn place(&self, resource: &Resource) -> Option<String> {
        endpoint(resource).map(str::to_owned)
    }

    async fn is_there(&self, resource: &Resource) -> Result<Option<bool>> {
        if resource.kind != IMAGE {
            return Ok(None);
        }
        let engine = engine_of(resource)?.connect().await?;
        match engine.ask(engine.api.inspect_image(&resource.id)).await {
            Err(error) if status(&error) == Some(404) => Ok(Some(false)),
            found => found.map(|_| Some(true)).doing(format_args!("looking for {}", resource.id)),
        }
    }

    async fn reclaim(&self, resource: &Resource) -> Result<()> {
        let engine = engine_of(resource)?.connect().await?;
        let id = resource.id.as_str();
        match resource.kind.as_str() {
            CONTAINER => match remove_container(&engine, id).await? {
                false if may_come(resource) => {
                    Err(Error::new("the Engine may still be creating it"))
                }
                _ => Ok(()),
            },
            // A name is ours alone.
            _ if id.starts_with("sha256:") && is_taken(&engine, id).await? => Ok(()),
            _ => {
                let container = resource.attributes.get("container");
                if let Some(container) = container.and_then(|value| value.as_str()) {
                    engine.while_alive(await_commit(&engine, id, container)).await?;
                }
                if may_come(resource) && engine.ask(engine.api.inspect_image(id)).await.is_err() {
                    return Err(Error::new("the Engine may still be making it"));
                }
                remove_image(&engine, id).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ingot_test_support::require;

    use super::*;
    use crate::test_engine::{Hold, TestEngine};

    #[tokio::test]
    async fn a_commit_is_waited_for_while_the_engine_does_not_answer_about_its_container() {
        let test = require!(TestEngine::start().await);
        let mut engine = test.connect().await;
        engine.patience.answer = Duration::from_millis(200);
        test.hold(Hold::Calls("/containers/none/json"));
        let mut waiting = std::pin::pin!(await_commit(&engine, "none", "none"));
        let asked_again = async {
            test.held().await;
            test.held().await;
        };
        tokio::select! {
            () = &mut waiting => panic!("it waits no more"),
            () = asked_again => {}
        }
        test.hold(Hold::Nothing);
        let limit = Duration::from_secs(30);
        tokio::time::timeout(limit, waiting).await.expect("it hangs");
    }

    #[test]
    fn an_unconfirmed_image_may_appear_for_an_hour() {
        let resource = Resource::new(IMAGE, "ingot-unfinished:1");
        assert!(!may_come(&resource));
        assert!(may_come(&still_coming(resource.clone())));
        assert!(!may_come(&resource.with(UNANSWERED, now() - 3601)));
    }
}
