//! The operations of HCP Packer's API of 2023-01-01.

use axum::Json;
use serde::Deserialize;

use super::api_response::{ApiError, ApiResponse, Body};
use super::auth::Call;
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;

fn done(call: &Call) -> Operation {
    operation(call, uuid::Uuid::new_v4())
}

/// An operation of the project, all of which are done when they are answered.
pub(super) fn operation(call: &Call, id: uuid::Uuid) -> Operation {
    Operation {
        id: id.to_string(),
        state: "DONE".into(),
        location: Some(call.session.location().clone()),
        error: None,
    }
}

pub(super) async fn get_registry(call: Call) -> ApiResponse<RegistryResponse> {
    let registry = Some(call.session.registry().await?);
    Ok(Json(RegistryResponse { operation: None, registry }))
}

/// Every project has a registry, which is put into use if it is not.
pub(super) async fn create_registry(
    call: Call,
    _: Body<CreateRegistryBody>,
) -> ApiResponse<RegistryResponse> {
    let registry = Some(call.session.activate(true).await?);
    Ok(Json(RegistryResponse { operation: Some(done(&call)), registry }))
}

pub(super) async fn update_registry(
    call: Call,
    body: Body<UpdateRegistryBody>,
) -> ApiResponse<RegistryResponse> {
    let fields: Vec<&str> = body.0.update_mask.split(',').map(str::trim).collect();
    let registry = match fields.as_slice() {
        ["config.activated" | "activated"] => call.session.activate(body.0.activated).await?,
        _ => {
            let message = "update_mask must be config.activated; an Ingot registry has one tier";
            return Err(ApiError(Error::new(Code::Unimplemented, message)));
        }
    };
    Ok(Json(RegistryResponse { operation: Some(done(&call)), registry: Some(registry) }))
}

pub(super) async fn list_buckets(call: Call) -> ApiResponse<ListBucketsResponse> {
    call.ordered("name", "asc")?;
    Ok(Json(call.session.list_buckets(&call.page).await?))
}

pub(super) async fn create_bucket(
    call: Call,
    body: Body<CreateBucketBody>,
) -> ApiResponse<BucketResponse> {
    let bucket = Some(call.session.create_bucket(&body.0).await?);
    Ok(Json(BucketResponse { bucket }))
}

pub(super) async fn get_bucket(call: Call) -> ApiResponse<BucketResponse> {
    let bucket = Some(call.session.get_bucket(&call.names.bucket).await?);
    Ok(Json(BucketResponse { bucket }))
}

pub(super) async fn update_bucket(
    call: Call,
    body: Body<UpdateBucketBody>,
) -> ApiResponse<BucketResponse> {
    let bucket = Some(call.session.update_bucket(&call.names.bucket, &body.0).await?);
    Ok(Json(BucketResponse { bucket }))
}

pub(super) async fn delete_bucket(call: Call) -> ApiResponse<Empty> {
    call.session.delete_bucket(&call.names.bucket).await?;
    Ok(Json(Empty {}))
}

pub(super) async fn list_ancestry(call: Call) -> ApiResponse<ListBucketAncestryResponse> {
    let query: AncestryQuery = call.query()?;
    Ok(Json(call.session.list_ancestry(&call.names.bucket, &query, &call.page).await?))
}

pub(super) async fn list_versions(call: Call) -> ApiResponse<ListVersionsResponse> {
    call.ordered("created_at", "desc")?;
    Ok(Json(call.session.list_versions(&call.names.bucket, &call.page).await?))
}

pub(super) async fn create_version(
    call: Call,
    body: Body<CreateVersionBody>,
) -> ApiResponse<VersionResponse> {
    let version = Some(call.session.create_version(&call.names.bucket, &body.0).await?);
    Ok(Json(VersionResponse { version }))
}

pub(super) async fn get_version(call: Call) -> ApiResponse<VersionResponse> {
    let names = &call.names;
    let version = call.session.get_version(&names.bucket, &names.version).await;
    if let Err(error) = &version
        && error.code == Code::NotFound
        && call.session.get_bucket(&names.bucket).await.is_ok()
    {
        return Err(missing_version(error));
    }
    Ok(Json(VersionResponse { version: Some(version?) }))
}

/// HCP says of a version that is not there that the operation was aborted, and Packer opens a
/// version only if it hears that.
pub(super) fn missing_version(error: &Error) -> ApiError {
    ApiError(Error::new(Code::Aborted, error.message.clone()))
}

pub(super) async fn update_version(
    call: Call,
    body: Body<UpdateVersionBody>,
) -> ApiResponse<UpdateVersionResponse> {
    let names = &call.names;
    let version = call.session.update_version(&names.bucket, &names.version, &body.0).await?;
    Ok(Json(UpdateVersionResponse { operation: Some(done(&call)), version: Some(version) }))
}

pub(super) async fn delete_version(call: Call) -> ApiResponse<Empty> {
    remove_version(&call, &call.names.bucket, &call.names.version).await?;
    Ok(Json(Empty {}))
}

/// What a request to remove a version may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Removal {
    /// Whether channels that point at it go back to the last valid version before it.
    rollback_channels: bool,
}

/// Removes a version as its request asks for.
pub(super) async fn remove_version(call: &Call, bucket: &str, fingerprint: &str) -> Result<()> {
    let removal: Removal = call.query()?;
    match removal.rollback_channels {
        true => call.session.delete_version_and_roll_back(bucket, fingerprint).await,
        false => call.session.delete_version(bucket, fingerprint).await,
    }
}

pub(super) async fn list_builds(call: Call) -> ApiResponse<ListBuildsResponse> {
    call.ordered("created_at", "asc")?;
    let names = &call.names;
    Ok(Json(call.session.list_builds(&names.bucket, &names.version, &call.page).await?))
}

pub(super) async fn create_build(
    call: Call,
    body: Body<CreateBuildBody>,
) -> ApiResponse<BuildResponse> {
    let names = &call.names;
    let build = call.session.create_build(&names.bucket, &names.version, &body.0).await?;
    Ok(Json(BuildResponse { build: Some(build) }))
}

pub(super) async fn get_build(call: Call) -> ApiResponse<BuildResponse> {
    let names = &call.names;
    let build = call.session.get_build(&names.bucket, &names.version, &names.build).await?;
    Ok(Json(BuildResponse { build: Some(build) }))
}

pub(super) async fn update_build(
    call: Call,
    body: Body<UpdateBuildBody>,
) -> ApiResponse<BuildResponse> {
    let names = &call.names;
    let (bucket, version) = (&names.bucket, &names.version);
    let build = call.session.update_build(bucket, version, &names.build, &body.0).await?;
    Ok(Json(BuildResponse { build: Some(build) }))
}

pub(super) async fn delete_build(call: Call) -> ApiResponse<Empty> {
    let names = &call.names;
    call.session.delete_build(&names.bucket, &names.version, &names.build).await?;
    Ok(Json(Empty {}))
}

pub(super) async fn list_channels(call: Call) -> ApiResponse<ListChannelsResponse> {
    Ok(Json(call.session.list_channels(&call.names.bucket).await?))
}

pub(super) async fn create_channel(
    call: Call,
    body: Body<CreateChannelBody>,
) -> ApiResponse<ChannelResponse> {
    let channel = Some(call.session.create_channel(&call.names.bucket, &body.0).await?);
    Ok(Json(ChannelResponse { channel }))
}

pub(super) async fn assign_channel(
    call: Call,
    body: Body<AssignChannelVersionBody>,
) -> ApiResponse<AssignChannelVersionResponse> {
    Ok(Json(call.session.assign_channel_version(&call.names.bucket, &body.0).await?))
}

pub(super) async fn get_channel(call: Call) -> ApiResponse<ChannelResponse> {
    let names = &call.names;
    let channel = Some(call.session.get_channel(&names.bucket, &names.channel).await?);
    Ok(Json(ChannelResponse { channel }))
}

pub(super) async fn update_channel(
    call: Call,
    body: Body<UpdateChannelBody>,
) -> ApiResponse<ChannelResponse> {
    let names = &call.names;
    let channel = call.session.update_channel(&names.bucket, &names.channel, &body.0).await?;
    Ok(Json(ChannelResponse { channel: Some(channel) }))
}

pub(super) async fn delete_channel(call: Call) -> ApiResponse<Empty> {
    call.session.delete_channel(&call.names.bucket, &call.names.channel).await?;
    Ok(Json(Empty {}))
}

pub(super) async fn channel_history(
    call: Call,
) -> ApiResponse<ListChannelAssignmentHistoryResponse> {
    let names = &call.names;
    Ok(Json(call.session.channel_history(&names.bucket, &names.channel, &call.page).await?))
}

pub(super) async fn search(
    call: Call,
    body: Body<SearchExternalArtifactRequestBody>,
) -> ApiResponse<SearchExternalArtifactResponse> {
    Ok(Json(call.session.search_artifact(&body.0, &call.page).await?))
}
