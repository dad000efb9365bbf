//! Removes what a killed build left behind.

use bollard::query_parameters::RemoveContainerOptionsBuilder;
use ingot_sdk::{Reclaim, Resource, Result, async_trait};

use crate::engine::{Endpoint, Engine, EngineContext, status};

/// The kind of resource a build's container is.
pub const CONTAINER: &str = "docker-container";

/// Removes containers that the journal names.
pub struct DockerReclaim;

/// The journal's record of a container called `id` (its name or its id) on `engine`.
pub fn container_resource(engine: &Engine, id: &str) -> Resource {
    let resource = Resource::new(CONTAINER, id).with("endpoint", engine.endpoint.host.clone());
    match &engine.endpoint.tls {
        Some(folder) => resource.with("tls", folder.display().to_string()),
        None => resource,
    }
}

/// Kills and removes a container with its anonymous volumes, without the grace of a stop. One
/// that is not there, or is being removed already, is fine.
pub async fn remove_container(engine: &Engine, id: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match engine.api.remove_container(id, Some(options)).await {
        Err(error) if matches!(status(&error), Some(404)) => Ok(()),
        Err(error)
            if status(&error) == Some(409) && error.to_string().contains("already in progress") =>
        {
            Ok(())
        }
        result => result.doing(format_args!("removing the container {id}")),
    }
}

/// The Engine that the resource is on.
fn endpoint(resource: &Resource) -> Option<&str> {
    resource.attributes.get("endpoint").and_then(|value| value.as_str())
}

#[async_trait]
impl Reclaim for DockerReclaim {
    fn kinds(&self) -> &'static [&'static str] {
        &[CONTAINER]
    }

    fn is_local(&self, resource: &Resource) -> bool {
        endpoint(resource).is_none_or(|endpoint| endpoint.starts_with("unix:"))
    }

    fn place(&self, resource: &Resource) -> Option<String> {
        endpoint(resource).map(str::to_owned)
    }

    async fn reclaim(&self, resource: &Resource) -> Result<()> {
        let tls = resource.attributes.get("tls").and_then(|value| value.as_str());
        let endpoint = match endpoint(resource) {
            Some(host) => Endpoint::recorded(host, tls),
            None => Endpoint::find(false)?,
        };
        remove_container(&endpoint.connect().await?, &resource.id).await
    }
}
