//! The API of 2021-04-30, which Packer 1.7 to 1.9 and older versions of Terraform's provider
//! speak: the same registry in older words. Buckets were images with a slug, versions iterations
//! that were named by their id, artifacts images.

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api_response::{ApiResponse, Body};
use super::auth::Call;
use super::openapi::{Api, DELETE, GET, PAGES, PATCH, POST, PUT};
use super::routes;
use ingot_registry::api::message;
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;

const ROOT: &str = "/packer/2021-04-30/organizations/{org}/projects/{project}";

/// Adds its operations.
pub(super) fn add(api: Api) -> Api {
    let root = |path: &str| format!("{ROOT}{path}");
    let image = |path: &str| format!("{ROOT}/images/{{bucket}}{path}");
    let channel = image("/channels/{channel}");
    let (iteration, build) = (root("/iterations/{version}"), root("/builds/{build}"));
    let by = ["fingerprint", "iteration_id", "incremental_version"];
    type No = Empty;
    api.add::<No, RegistryResponse, _, _>(
        GET,
        &root("/registry"),
        "GetRegistry2021",
        &[],
        routes::get_registry,
    )
    .add::<CreateRegistryBody, RegistryResponse, _, _>(
        PUT,
        &root("/registry"),
        "CreateRegistry2021",
        &[],
        routes::create_registry,
    )
    .add::<No, Value, _, _>(GET, &root("/images"), "ListBuckets2021", PAGES, list_buckets)
    .add::<NewBucket, Value, _, _>(PUT, &root("/images"), "CreateBucket2021", &[], create_bucket)
    .add::<No, Value, _, _>(GET, &image(""), "GetBucket2021", &[], get_bucket)
    .add::<UpdateBucketBody, Value, _, _>(PATCH, &image(""), "UpdateBucket2021", &[], update_bucket)
    .add::<No, Empty, _, _>(DELETE, &image(""), "DeleteBucket2021", &[], routes::delete_bucket)
    .add::<No, Value, _, _>(GET, &image("/iterations"), "ListIterations", PAGES, list_iterations)
    .add::<CreateVersionBody, Value, _, _>(
        POST,
        &image("/iterations"),
        "CreateIteration",
        &[],
        create_iteration,
    )
    .add::<No, Value, _, _>(GET, &image("/iteration"), "GetIteration", &by, get_iteration)
    .add::<IterationUpdate, Value, _, _>(
        PATCH,
        &iteration,
        "UpdateIteration",
        &[],
        update_iteration,
    )
    .add::<No, Empty, _, _>(DELETE, &iteration, "DeleteIteration", &[], delete_iteration)
    .add::<NewBuild, Value, _, _>(
        POST,
        &image("/iterations/{version}"),
        "CreateBuild2021",
        &[],
        create_build,
    )
    .add::<No, Value, _, _>(
        GET,
        &image("/iterations/{version}/builds"),
        "ListBuilds2021",
        PAGES,
        list_builds,
    )
    .add::<No, Value, _, _>(GET, &build, "GetBuild2021", &[], get_build)
    .add::<BuildUpdate, Value, _, _>(PATCH, &build, "UpdateBuild2021", &[], update_build)
    .add::<No, Empty, _, _>(DELETE, &build, "DeleteBuild2021", &[], delete_build)
    .add::<No, Value, _, _>(GET, &image("/channels"), "ListChannels2021", &[], list_channels)
    .add::<NewChannel, Value, _, _>(
        POST,
        &image("/channels"),
        "CreateChannel2021",
        &[],
        create_channel,
    )
    .add::<No, Value, _, _>(GET, &channel, "GetChannel2021", &[], get_channel)
    .add::<ChannelUpdate, Value, _, _>(PATCH, &channel, "UpdateChannel2021", &[], update_channel)
    .add::<No, Empty, _, _>(DELETE, &channel, "DeleteChannel2021", &[], routes::delete_channel)
}

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

    fn update(self) -> Result<UpdateBuildBody> {
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

fn show_build(build: &Build) -> Value {
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

fn show_iteration(version: &Version) -> Value {
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

fn show_bucket(bucket: &Bucket) -> Value {
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

fn show_channel(channel: &Channel) -> Value {
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

async fn list_buckets(call: Call) -> ApiResponse<Value> {
    call.ordered("slug", "asc")?;
    let list = call.session.list_buckets(&call.page).await?;
    let buckets: Vec<Value> = list.buckets.iter().map(show_bucket).collect();
    Ok(Json(json!({ "buckets": buckets, "pagination": list.pagination })))
}

async fn create_bucket(call: Call, body: Body<NewBucket>) -> ApiResponse<Value> {
    let NewBucket { bucket_slug, description, labels } = body.0;
    let body = CreateBucketBody { name: bucket_slug, description, labels };
    let bucket = call.session.create_bucket(&body).await?;
    Ok(Json(json!({ "bucket": show_bucket(&bucket) })))
}

async fn get_bucket(call: Call) -> ApiResponse<Value> {
    let bucket = call.session.get_bucket(&call.names.bucket).await?;
    Ok(Json(json!({ "bucket": show_bucket(&bucket) })))
}

async fn update_bucket(call: Call, body: Body<UpdateBucketBody>) -> ApiResponse<Value> {
    let bucket = call.session.update_bucket(&call.names.bucket, &body.0).await?;
    Ok(Json(json!({ "bucket": show_bucket(&bucket) })))
}

async fn list_iterations(call: Call) -> ApiResponse<Value> {
    call.ordered("created_at", "desc")?;
    let list = call.session.list_versions(&call.names.bucket, &call.page).await?;
    let iterations: Vec<Value> = list.versions.iter().map(show_iteration).collect();
    Ok(Json(json!({ "iterations": iterations, "pagination": list.pagination })))
}

async fn create_iteration(call: Call, body: Body<CreateVersionBody>) -> ApiResponse<Value> {
    let version = call.session.create_version(&call.names.bucket, &body.0).await?;
    Ok(Json(json!({ "iteration": show_iteration(&version) })))
}

/// How an iteration is named.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Which {
    fingerprint: String,
    iteration_id: String,
    incremental_version: i64,
}

async fn find(call: &Call, which: &Which) -> Result<Version> {
    let bucket = &call.names.bucket;
    if !which.iteration_id.is_empty() {
        return call.session.get_version_by_id(bucket, &which.iteration_id).await;
    }
    if !which.fingerprint.is_empty() {
        return call.session.get_version(bucket, &which.fingerprint).await;
    }
    let fingerprint = call.session.fingerprint_of(bucket, which.incremental_version).await?;
    call.session.get_version(bucket, &fingerprint).await
}

async fn get_iteration(call: Call) -> ApiResponse<Value> {
    let which: Which = call.query()?;
    let version = match find(&call, &which).await {
        Err(error) if error.code == Code::NotFound => {
            call.session.get_bucket(&call.names.bucket).await?;
            return Err(routes::missing_version(&error));
        }
        found => found?,
    };
    Ok(Json(json!({ "iteration": show_iteration(&version) })))
}

async fn update_iteration(call: Call, body: Body<IterationUpdate>) -> ApiResponse<Value> {
    let (bucket, fingerprint) = call.session.locate_version(&call.names.version).await?;
    let body = body.0;
    let body = UpdateVersionBody {
        complete: body.complete,
        revoke_at: body.revoke_at,
        revoke_in: body.revoke_in,
        revocation_message: body.revocation_message,
        disable_rollback_channels: !body.rollback_channels,
        skip_descendants_revocation: body.skip_descendants_revocation,
        restore: body.restore,
    };
    let version = call.session.update_version(&bucket, &fingerprint, &body).await?;
    Ok(Json(json!({ "iteration": show_iteration(&version) })))
}

async fn delete_iteration(call: Call) -> ApiResponse<Empty> {
    let (bucket, fingerprint) = call.session.locate_version(&call.names.version).await?;
    call.session.delete_version(&bucket, &fingerprint).await?;
    Ok(Json(Empty {}))
}

async fn create_build(call: Call, body: Body<NewBuild>) -> ApiResponse<Value> {
    let (bucket, fingerprint) = call.session.locate_version(&call.names.version).await?;
    let component_type = body.0.build.component_type.clone();
    let update = body.0.build.update()?;
    let body = CreateBuildBody {
        component_type,
        packer_run_uuid: update.packer_run_uuid,
        status: update.status,
        platform: update.platform,
        artifacts: update.artifacts,
        labels: update.labels,
        source_external_identifier: update.source_external_identifier,
        parent_version_id: update.parent_version_id,
        parent_channel_id: update.parent_channel_id,
    };
    let build = call.session.create_build(&bucket, &fingerprint, &body).await?;
    Ok(Json(json!({ "build": show_build(&build) })))
}

async fn list_builds(call: Call) -> ApiResponse<Value> {
    let (bucket, fingerprint) = call.session.locate_version(&call.names.version).await?;
    call.ordered("created_at", "asc")?;
    let list = call.session.list_builds(&bucket, &fingerprint, &call.page).await?;
    let builds: Vec<Value> = list.builds.iter().map(show_build).collect();
    Ok(Json(json!({ "builds": builds, "pagination": list.pagination })))
}

async fn get_build(call: Call) -> ApiResponse<Value> {
    let id = &call.names.build;
    let (bucket, fingerprint) = call.session.locate_build(id).await?;
    let build = call.session.get_build(&bucket, &fingerprint, id).await?;
    Ok(Json(json!({ "build": show_build(&build) })))
}

async fn update_build(call: Call, body: Body<BuildUpdate>) -> ApiResponse<Value> {
    let id = &call.names.build;
    let (bucket, fingerprint) = call.session.locate_build(id).await?;
    let body = body.0.updates.update()?;
    let build = call.session.update_build(&bucket, &fingerprint, id, &body).await?;
    Ok(Json(json!({ "build": show_build(&build) })))
}

async fn delete_build(call: Call) -> ApiResponse<Empty> {
    let id = &call.names.build;
    let (bucket, fingerprint) = call.session.locate_build(id).await?;
    call.session.delete_build(&bucket, &fingerprint, id).await?;
    Ok(Json(Empty {}))
}

async fn list_channels(call: Call) -> ApiResponse<Value> {
    let list = call.session.list_channels(&call.names.bucket).await?;
    let channels: Vec<Value> = list.channels.iter().map(show_channel).collect();
    Ok(Json(json!({ "channels": channels })))
}

async fn fingerprint(call: &Call, which: Which) -> Result<String> {
    match which {
        Which { fingerprint, .. } if !fingerprint.is_empty() => Ok(fingerprint),
        Which { iteration_id, incremental_version: 0, .. } if iteration_id.is_empty() => {
            Ok(String::new())
        }
        which => Ok(find(call, &which).await?.fingerprint),
    }
}

async fn create_channel(call: Call, body: Body<NewChannel>) -> ApiResponse<Value> {
    let NewChannel { slug, restriction, fingerprint: print, iteration_id, incremental_version } =
        body.0;
    let which = Which { fingerprint: print, iteration_id, incremental_version };
    let body = CreateChannelBody {
        name: slug,
        restricted: restriction == "RESTRICTED",
        version_fingerprint: fingerprint(&call, which).await?,
    };
    let channel = call.session.create_channel(&call.names.bucket, &body).await?;
    Ok(Json(json!({ "channel": show_channel(&channel) })))
}

async fn get_channel(call: Call) -> ApiResponse<Value> {
    let names = &call.names;
    let channel = call.session.get_channel(&names.bucket, &names.channel).await?;
    Ok(Json(json!({ "channel": show_channel(&channel) })))
}

async fn update_channel(call: Call, body: Body<ChannelUpdate>) -> ApiResponse<Value> {
    let ChannelUpdate { mask, restriction, fingerprint: print, iteration_id, incremental_version } =
        body.0;
    let which = Which { fingerprint: print, iteration_id, incremental_version };
    // Without a mask, what is given is meant.
    let mut fields: Vec<&str> =
        mask.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    let version_fingerprint = fingerprint(&call, which).await?;
    if fields.is_empty() {
        if !version_fingerprint.is_empty() {
            fields.push("fingerprint");
        }
        if !restriction.is_empty() && restriction != "RESTRICTION_UNSET" {
            fields.push("restriction");
        }
    }
    let mut update_mask = Vec::new();
    for field in fields {
        let name = match field {
            "fingerprint"
            | "iterationId"
            | "iteration_id"
            | "incrementalVersion"
            | "incremental_version" => "versionFingerprint",
            "restriction" => "restricted",
            _ => return Err(Error::invalid("mask names what a channel does not have").into()),
        };
        if !update_mask.contains(&name) {
            update_mask.push(name);
        }
    }
    let body = UpdateChannelBody {
        update_mask: update_mask.join(","),
        restricted: restriction == "RESTRICTED",
        version_fingerprint,
    };
    let names = &call.names;
    let channel = call.session.update_channel(&names.bucket, &names.channel, &body).await?;
    Ok(Json(json!({ "channel": show_channel(&channel) })))
}
