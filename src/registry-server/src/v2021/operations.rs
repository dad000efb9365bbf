//! The operations.

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::{
    BuildUpdate, ChannelUpdate, IterationUpdate, NewBucket, NewBuild, NewChannel, show_bucket,
    show_build, show_channel, show_iteration,
};
use crate::api_response::{ApiResponse, Body};
use crate::auth::Call;
use crate::operations::{missing_version, remove_version};
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;

pub(super) async fn list_buckets(call: Call) -> ApiResponse<Value> {
    call.ordered("slug", "asc")?;
    let list = call.session.list_buckets(&call.page).await?;
    let buckets: Vec<Value> = list.buckets.iter().map(show_bucket).collect();
    Ok(Json(json!({ "buckets": buckets, "pagination": list.pagination })))
}

pub(super) async fn create_bucket(call: Call, body: Body<NewBucket>) -> ApiResponse<Value> {
    let NewBucket { bucket_slug, description, labels } = body.0;
    let body = CreateBucketBody { name: bucket_slug, description, labels };
    let bucket = call.session.create_bucket(&body).await?;
    Ok(Json(json!({ "bucket": show_bucket(&bucket) })))
}

pub(super) async fn get_bucket(call: Call) -> ApiResponse<Value> {
    let bucket = call.session.get_bucket(&call.names.bucket).await?;
    Ok(Json(json!({ "bucket": show_bucket(&bucket) })))
}

pub(super) async fn update_bucket(call: Call, body: Body<UpdateBucketBody>) -> ApiResponse<Value> {
    let bucket = call.session.update_bucket(&call.names.bucket, &body.0).await?;
    Ok(Json(json!({ "bucket": show_bucket(&bucket) })))
}

pub(super) async fn list_iterations(call: Call) -> ApiResponse<Value> {
    call.ordered("created_at", "desc")?;
    let list = call.session.list_versions(&call.names.bucket, &call.page).await?;
    let iterations: Vec<Value> = list.versions.iter().map(show_iteration).collect();
    Ok(Json(json!({ "iterations": iterations, "pagination": list.pagination })))
}

pub(super) async fn create_iteration(
    call: Call,
    body: Body<CreateVersionBody>,
) -> ApiResponse<Value> {
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

pub(super) async fn get_iteration(call: Call) -> ApiResponse<Value> {
    let which: Which = call.query()?;
    let version = match find(&call, &which).await {
        Err(error) if error.code == Code::NotFound => {
            call.session.get_bucket(&call.names.bucket).await?;
            return Err(missing_version(&error));
        }
        found => found?,
    };
    Ok(Json(json!({ "iteration": show_iteration(&version) })))
}

pub(super) async fn update_iteration(
    call: Call,
    body: Body<IterationUpdate>,
) -> ApiResponse<Value> {
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

pub(super) async fn delete_iteration(call: Call) -> ApiResponse<Empty> {
    let (bucket, fingerprint) = call.session.locate_version(&call.names.version).await?;
    remove_version(&call, &bucket, &fingerprint).await?;
    Ok(Json(Empty {}))
}

pub(super) async fn create_build(call: Call, body: Body<NewBuild>) -> ApiResponse<Value> {
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

pub(super) async fn list_builds(call: Call) -> ApiResponse<Value> {
    let (bucket, fingerprint) = call.session.locate_version(&call.names.version).await?;
    call.ordered("created_at", "asc")?;
    let list = call.session.list_builds(&bucket, &fingerprint, &call.page).await?;
    let builds: Vec<Value> = list.builds.iter().map(show_build).collect();
    Ok(Json(json!({ "builds": builds, "pagination": list.pagination })))
}

pub(super) async fn get_build(call: Call) -> ApiResponse<Value> {
    let id = &call.names.build;
    let (bucket, fingerprint) = call.session.locate_build(id).await?;
    let build = call.session.get_build(&bucket, &fingerprint, id).await?;
    Ok(Json(json!({ "build": show_build(&build) })))
}

pub(super) async fn update_build(call: Call, body: Body<BuildUpdate>) -> ApiResponse<Value> {
    let id = &call.names.build;
    let (bucket, fingerprint) = call.session.locate_build(id).await?;
    let body = body.0.updates.update()?;
    let build = call.session.update_build(&bucket, &fingerprint, id, &body).await?;
    Ok(Json(json!({ "build": show_build(&build) })))
}

pub(super) async fn delete_build(call: Call) -> ApiResponse<Empty> {
    let id = &call.names.build;
    let (bucket, fingerprint) = call.session.locate_build(id).await?;
    call.session.delete_build(&bucket, &fingerprint, id).await?;
    Ok(Json(Empty {}))
}

pub(super) async fn list_channels(call: Call) -> ApiResponse<Value> {
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

pub(super) async fn create_channel(call: Call, body: Body<NewChannel>) -> ApiResponse<Value> {
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

pub(super) async fn get_channel(call: Call) -> ApiResponse<Value> {
    let names = &call.names;
    let channel = call.session.get_channel(&names.bucket, &names.channel).await?;
    Ok(Json(json!({ "channel": show_channel(&channel) })))
}

pub(super) async fn update_channel(call: Call, body: Body<ChannelUpdate>) -> ApiResponse<Value> {
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
