//! Bodies of requests and responses.

use serde_json::{Value, json};

use ingot_registry::api::message;
use ingot_registry::api::*;

message! {
    /// A new bucket.
    NewBucket {
        bucket_slug: String,
        description: String,
        labels: Labels,
    }
}

message! {
    /// A new image.
    NewImage {
        image_id: String,
        region: String,
    }
}

message! {
    /// The fields of a build that clients may set.
    BuildBody {
        cloud_provider: String,
        component_type: String,
        images: Vec<NewImage>,
        labels: Labels,
        packer_run_uuid: String,
        source_image_id: String,
        source_iteration_id: String,
        source_channel_id: String,
        status: String,
    }
}

message! {
    /// A new build.
    NewBuild {
        build: BuildBody,
    }
}

message! {
    /// Changes of a build.
    BuildUpdate {
        updates: BuildBody,
    }
}

message! {
    /// Changes of an iteration.
    IterationUpdate {
        complete: bool,
        restore: bool,
        revoke_at: Timestamp,
        revoke_in: String,
        revocation_message: String,
        rollback_channels: bool,
        skip_descendants_revocation: bool,
    }
}

message! {
    /// A new channel.
    NewChannel {
        slug: String,
        restriction: String,
        fingerprint: String,
        iteration_id: String,
        incremental_version: i64,
    }
}

message! {
    /// Changes of a channel.
    ChannelUpdate {
        mask: String,
        restriction: String,
        fingerprint: String,
        iteration_id: String,
        incremental_version: i64,
    }
}

impl BuildBody {
    fn status(&self) -> Result<BuildStatus> {
        let wrong =
            |()| Error::invalid("a build's status is UNSET, RUNNING, DONE, CANCELLED or FAILED");
        match self.status.as_str() {
            "" => Ok(BuildStatus::Unset),
            status => format!("BUILD_{status}").parse().map_err(wrong),
        }
    }

    /// The same in today's words.
    pub(super) fn update(self) -> Result<UpdateBuildBody> {
        Ok(UpdateBuildBody {
            status: self.status()?,
            artifacts: self
                .images
                .into_iter()
                .map(|image| ArtifactCreateBody {
                    external_identifier: image.image_id,
                    region: image.region,
                })
                .collect(),
            packer_run_uuid: self.packer_run_uuid,
            platform: self.cloud_provider,
            labels: self.labels,
            metadata: None,
            source_external_identifier: self.source_image_id,
            parent_version_id: self.source_iteration_id,
            parent_channel_id: self.source_channel_id,
        })
    }
}

/// The number in a version's name; 0 for none.
fn number(name: &str) -> i64 {
    name.strip_prefix('v').and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// A build, in the words of this version.
pub(super) fn show_build(build: &Build) -> Value {
    let images: Vec<Value> = build
        .artifacts
        .iter()
        .map(|artifact| {
            json!({
                "id": artifact.id,
                "image_id": artifact.external_identifier,
                "region": artifact.region,
                "created_at": artifact.created_at,
            })
        })
        .collect();
    json!({
        "id": build.id,
        "iteration_id": build.version_id,
        "component_type": build.component_type,
        "cloud_provider": build.platform,
        "status": build.status.as_str().trim_start_matches("BUILD_"),
        "packer_run_uuid": build.packer_run_uuid,
        "labels": build.labels,
        "images": images,
        "source_image_id": build.source_external_identifier,
        "created_at": build.created_at,
        "updated_at": build.updated_at,
    })
}

/// A version, in the words of this version.
pub(super) fn show_iteration(version: &Version) -> Value {
    let kind = version.revocation_type.as_str().trim_start_matches("REVOCATION_TYPE_");
    json!({
        "id": version.id,
        "bucket_slug": version.bucket_name,
        "fingerprint": version.fingerprint,
        "incremental_version": number(&version.name),
        "complete": version.is_complete(),
        "author_id": version.author_id,
        "template_type": version.template_type,
        "builds": version.builds.iter().map(show_build).collect::<Vec<Value>>(),
        "has_descendants": version.has_descendants,
        "revoke_at": version.revoke_at,
        "revocation_message": version.revocation_message,
        "revocation_author": version.revocation_author,
        "revocation_type": kind,
        "created_at": version.created_at,
        "updated_at": version.updated_at,
    })
}

/// A bucket, in the words of this version.
pub(super) fn show_bucket(bucket: &Bucket) -> Value {
    json!({
        "id": bucket.id,
        "slug": bucket.name,
        "description": bucket.description,
        "labels": bucket.labels,
        "platforms": bucket.platforms,
        "location": bucket.location,
        "iteration_count": bucket.version_count,
        "latest_iteration": bucket.latest_version.as_ref().map(show_iteration),
        "latest_version": bucket.latest_version.as_ref().map_or(0, |it| number(&it.name)),
        "created_at": bucket.created_at,
        "updated_at": bucket.updated_at,
    })
}

/// A channel, in the words of this version.
pub(super) fn show_channel(channel: &Channel) -> Value {
    let iteration = channel.version.as_ref().map(show_iteration);
    json!({
        "id": channel.id,
        "slug": channel.name,
        "bucket_slug": channel.bucket_name,
        "managed": channel.managed,
        "restricted": channel.restricted,
        "iteration": iteration,
        "pointer": iteration.as_ref().map(|iteration| json!({
            "author_id": channel.author_id,
            "created_at": channel.updated_at,
            "iteration": iteration,
        })),
        "author_id": channel.author_id,
        "created_at": channel.created_at,
        "updated_at": channel.updated_at,
    })
}
