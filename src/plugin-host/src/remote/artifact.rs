//! An artifact that a plugin made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::{Artifact, RegistryImage, Result};
use rmpv::Value;
use serde_json::Value as Json;
use tokio_util::sync::DropGuard;

use crate::callback::artifact::IMAGES;
use crate::error::HostError;
use crate::host::{Host, Instance};
use crate::message::{list, text, to_json};
use crate::rpc::RpcClient;

/// An artifact that a plugin made. The plugin runs for as long as it is there.
pub(crate) struct RemoteArtifact {
    builder_id: String,
    id: String,
    files: Vec<PathBuf>,
    description: String,
    images: Vec<RegistryImage>,
    client: RpcClient,
    /// Dropped after the client.
    maker: Arc<Instance>,
    /// What the maker was offered: it may have handed on the artifact it was given.
    _offered: Option<DropGuard>,
    host: Arc<Host>,
}

impl RemoteArtifact {
    /// The artifact that `maker` offers on the stream `id`.
    ///
    /// # Errors
    /// The plugin failed.
    pub(crate) async fn fetch(
        host: Arc<Host>,
        maker: Arc<Instance>,
        id: u32,
        offered: Option<DropGuard>,
    ) -> Result<RemoteArtifact, HostError> {
        let during = "describing its artifact";
        let stream = match maker.process().mux().dial(id).await {
            Ok(stream) => stream,
            Err(_) => return Err(maker.process().lost(during).await),
        };
        // It is asked for as long as it is there, which may be longer than the current runtime.
        let client = host.enter(|| RpcClient::new(stream));
        let maker_ref = &maker;
        let client_ref = &client;
        let ask = |method: &'static str, argument: Value| async move {
            maker_ref.ask_stream(client_ref, &format!("Artifact.{method}"), argument, during).await
        };
        let builder_id = text(&ask("BuilderId", Value::Nil).await?);
        let id = text(&ask("Id", Value::Nil).await?);
        let files = list(&ask("Files", Value::Nil).await?);
        let description = text(&ask("String", Value::Nil).await?);
        // Plugins that know nothing of registries may have no answer.
        let images = ask("State", IMAGES.into()).await.unwrap_or(Value::Nil);
        let images = images_of(&to_json(&images));
        Ok(RemoteArtifact {
            builder_id,
            id,
            files: files.into_iter().map(PathBuf::from).collect(),
            description,
            images,
            client,
            maker,
            _offered: offered,
            host,
        })
    }
}

/// The images in the state for registries: one, or a list.
fn images_of(state: &Json) -> Vec<RegistryImage> {
    let one = |image: &Json| {
        let field = |name: &str| image.get(name).and_then(Json::as_str).unwrap_or("").to_owned();
        let labels: BTreeMap<String, String> = image
            .get("Labels")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        let image = RegistryImage {
            provider: field("ProviderName"),
            region: field("ProviderRegion"),
            id: field("ImageID"),
            source_id: Some(field("SourceImageID")).filter(|id| !id.is_empty()),
            labels,
        };
        (!image.id.is_empty() && !image.provider.is_empty()).then_some(image)
    };
    match state {
        Json::Array(images) => images.iter().filter_map(one).collect(),
        image => one(image).into_iter().collect(),
    }
}

#[async_trait]
impl Artifact for RemoteArtifact {
    fn builder_id(&self) -> &str {
        &self.builder_id
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    fn state(&self, name: &str) -> Option<Json> {
        let asking = self.maker.ask_stream(
            &self.client,
            "Artifact.State",
            name.into(),
            "describing its artifact",
        );
        match self.host.block_on(asking) {
            Ok(state) => Some(to_json(&state)).filter(|state| !state.is_null()),
            Err(error) => {
                tracing::debug!(%error, state = name, "an artifact did not return a state");
                None
            }
        }
    }

    fn images(&self) -> Vec<RegistryImage> {
        self.images.clone()
    }

    async fn destroy(&self) -> Result<()> {
        let result = self.client.call("Artifact.Destroy", Value::Nil).await;
        self.maker.explained(result, "deleting what it made").await?;
        Ok(())
    }
}
