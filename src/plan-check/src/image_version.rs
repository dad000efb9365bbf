//! Where images are from: versions of buckets, as the registry's search finds them.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::kinds;
use super::uses::Use;
use ingot_registry::api::*;
use ingot_registry::client::Registry;
use ingot_registry::first_pages;

/// How many questions are under way at once.
const AT_ONCE: usize = 8;

/// How many pages of an answer are read.
pub(super) const PAGES: usize = 20;

/// Where all texts that are or may be images are from.
pub(super) async fn search(
    registry: &dyn Registry,
    uses: &[Use],
) -> Result<HashMap<String, Vec<ExternalArtifact>>> {
    let names: BTreeSet<String> = uses
        .iter()
        .filter_map(|it| Some(kinds::names(it.value.as_deref()?, it.caller())))
        .flatten()
        .map(|name| name.text.into_owned())
        .collect();
    stream::iter(names)
        .map(|name| async move {
            let places = places(registry, &name).await?;
            Ok((name, places))
        })
        .buffer_unordered(AT_ONCE)
        .try_filter(|(_, places)| std::future::ready(!places.is_empty()))
        .try_collect()
        .await
}

async fn places(registry: &dyn Registry, name: &str) -> Result<Vec<ExternalArtifact>> {
    let body = SearchExternalArtifactRequestBody {
        external_identifier: name.to_owned(),
        ..Default::default()
    };
    let body = &body;
    let ask = |page| async move { registry.search_artifact(body, &page).await };
    match first_pages(PAGES, ask).await {
        // The registry would never have taken such a name.
        Err(error) if matches!(error.code, Code::NotFound | Code::InvalidArgument) => {
            Ok(Vec::new())
        }
        artifacts => artifacts,
    }
}

/// A version of an image, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ImageVersion {
    pub bucket: String,
    pub id: String,
    pub name: String,
    pub fingerprint: String,
    pub status: VersionStatus,
    pub revoke_at: Timestamp,
    pub reason: String,
    pub platform: String,
    pub region: String,
}

impl ImageVersion {
    pub(crate) fn of_artifact(found: &ExternalArtifact) -> Option<Self> {
        let version = found.version.as_ref()?;
        let build = found.build.clone().unwrap_or_default();
        let region = build.artifacts.first().map(|artifact| artifact.region.clone());
        Some(ImageVersion {
            bucket: found.bucket.as_ref()?.name.clone(),
            id: version.id.clone(),
            name: version.name.clone(),
            fingerprint: version.fingerprint.clone(),
            status: version.status,
            revoke_at: version.revoke_at,
            reason: version.revocation_message.clone(),
            platform: build.platform,
            region: region.unwrap_or_default(),
        })
    }

    pub(crate) fn of_version(version: &Version) -> Self {
        ImageVersion {
            bucket: version.bucket_name.clone(),
            id: version.id.clone(),
            name: version.name.clone(),
            fingerprint: version.fingerprint.clone(),
            status: version.status,
            revoke_at: version.revoke_at,
            reason: version.revocation_message.clone(),
            ..ImageVersion::default()
        }
    }

    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.bucket, self.name)
    }
}
