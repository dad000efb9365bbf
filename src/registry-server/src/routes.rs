//! HCP Packer's API of 2023-01-01.

use axum::Json;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler as _;

use super::api_response::{ApiError, ApiResponse, Body};
use super::auth::Call;
use super::openapi::{Api, DELETE, Documented, GET, PAGES, PATCH, POST, PUT};
use super::{enforced_blocks, run_task, sboms, v2021};
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;

/// Where all paths begin.
const ROOT: &str = "/packer/2023-01-01/organizations/{org}/projects/{project}";

/// All operations of both versions of the API.
pub(super) fn api() -> Documented {
    let root = |path: &str| format!("{ROOT}{path}");
    let bucket = |path: &str| format!("{ROOT}/buckets/{{bucket}}{path}");
    let version = |path: &str| bucket(&format!("/versions/{{version}}{path}"));
    let channel = |path: &str| bucket(&format!("/channels/{{channel}}{path}"));
    type No = Empty;
    let ancestry = [PAGES, &["type", "channel_name", "version_fingerprint"]].concat();
    let build = version("/builds/{build}");
    let sboms = version("/builds/{build}/sboms");
    let registry = root("/registry");
    let api = Api::new()
        .add::<No, RegistryResponse, _, _>(GET, &registry, "GetRegistry", &[], get_registry)
        .add::<CreateRegistryBody, RegistryResponse, _, _>(
            PUT,
            &registry,
            "CreateRegistry",
            &[],
            create_registry,
        )
        .add::<UpdateRegistryBody, RegistryResponse, _, _>(
            PATCH,
            &registry,
            "UpdateRegistry",
            &[],
            update_registry,
        )
        .add::<No, ListBucketsResponse, _, _>(
            GET,
            &root("/buckets"),
            "ListBuckets",
            PAGES,
            list_buckets,
        )
        .add::<CreateBucketBody, BucketResponse, _, _>(
            PUT,
            &root("/buckets"),
            "CreateBucket",
            &[],
            create_bucket,
        )
        .add::<No, BucketResponse, _, _>(GET, &bucket(""), "GetBucket", &[], get_bucket)
        .add::<UpdateBucketBody, BucketResponse, _, _>(
            PATCH,
            &bucket(""),
            "UpdateBucket",
            &[],
            update_bucket,
        )
        .add::<No, Empty, _, _>(DELETE, &bucket(""), "DeleteBucket", &[], delete_bucket)
        .add::<No, ListBucketAncestryResponse, _, _>(
            GET,
            &bucket("/ancestry"),
            "ListBucketAncestry",
            &ancestry,
            list_ancestry,
        )
        .add::<No, ListVersionsResponse, _, _>(
            GET,
            &bucket("/versions"),
            "ListVersions",
            PAGES,
            list_versions,
        )
        .add::<CreateVersionBody, VersionResponse, _, _>(
            POST,
            &bucket("/versions"),
            "CreateVersion",
            &[],
            create_version,
        )
        .add::<No, VersionResponse, _, _>(GET, &version(""), "GetVersion", &[], get_version)
        .add::<UpdateVersionBody, UpdateVersionResponse, _, _>(
            PATCH,
            &version(""),
            "UpdateVersion",
            &[],
            update_version,
        )
        .add::<No, Empty, _, _>(DELETE, &version(""), "DeleteVersion", &[], delete_version)
        .add::<No, ListBuildsResponse, _, _>(
            GET,
            &version("/builds"),
            "ListBuilds",
            PAGES,
            list_builds,
        )
        .add::<CreateBuildBody, BuildResponse, _, _>(
            POST,
            &version("/builds"),
            "CreateBuild",
            &[],
            create_build,
        )
        .add::<No, BuildResponse, _, _>(GET, &build, "GetBuild", &[], get_build)
        .add::<UpdateBuildBody, BuildResponse, _, _>(
            PATCH,
            &build,
            "UpdateBuild",
            &[],
            update_build,
        )
        .add::<No, Empty, _, _>(DELETE, &build, "DeleteBuild", &[], delete_build)
        .add::<UploadSbomBody, UploadSbomResponse, _, _>(
            PUT,
            &sboms,
            "UploadSbom",
            &[],
            sboms::upload.layer(DefaultBodyLimit::max(sboms::BODY)),
        )
        .add::<No, ListSbomsResponse, _, _>(GET, &sboms, "ListSboms", &[], sboms::list)
        .add::<No, GetSbomResponse, _, _>(
            GET,
            &format!("{sboms}/{{sbom}}"),
            "GetSbom",
            &[],
            sboms::get,
        )
        .add::<No, ListChannelsResponse, _, _>(
            GET,
            &bucket("/channels"),
            "ListChannels",
            &[],
            list_channels,
        )
        .add::<CreateChannelBody, ChannelResponse, _, _>(
            POST,
            &bucket("/channels"),
            "CreateChannel",
            &[],
            create_channel,
        )
        .add::<AssignChannelVersionBody, AssignChannelVersionResponse, _, _>(
            POST,
            &bucket("/channels/assign"),
            "AssignChannelVersion",
            &[],
            assign_channel,
        )
        .add::<No, ChannelResponse, _, _>(GET, &channel(""), "GetChannel", &[], get_channel)
        .add::<UpdateChannelBody, ChannelResponse, _, _>(
            PATCH,
            &channel(""),
            "UpdateChannel",
            &[],
            update_channel,
        )
        .add::<No, Empty, _, _>(DELETE, &channel(""), "DeleteChannel", &[], delete_channel)
        .add::<No, ListChannelAssignmentHistoryResponse, _, _>(
            GET,
            &channel("/history"),
            "ListChannelAssignmentHistory",
            PAGES,
            channel_history,
        )
        .add::<SearchExternalArtifactRequestBody, SearchExternalArtifactResponse, _, _>(
            POST,
            &root("/_search/external_artifact"),
            "SearchExternalArtifact",
            PAGES,
            search,
        );
    let api = enforced_blocks::add(api, &root);
    v2021::add(run_task::api::add(api, &root)).finish()
}

fn done(call: &Call) -> Operation {
    Operation {
        id: uuid::Uuid::new_v4().to_string(),
        state: "DONE".into(),
        location: Some(call.session.location().clone()),
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

async fn update_registry(
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

async fn list_buckets(call: Call) -> ApiResponse<ListBucketsResponse> {
    call.ordered("name", "asc")?;
    Ok(Json(call.session.list_buckets(&call.page).await?))
}

async fn create_bucket(call: Call, body: Body<CreateBucketBody>) -> ApiResponse<BucketResponse> {
    let bucket = Some(call.session.create_bucket(&body.0).await?);
    Ok(Json(BucketResponse { bucket }))
}

async fn get_bucket(call: Call) -> ApiResponse<BucketResponse> {
    let bucket = Some(call.session.get_bucket(&call.names.bucket).await?);
    Ok(Json(BucketResponse { bucket }))
}

async fn update_bucket(call: Call, body: Body<UpdateBucketBody>) -> ApiResponse<BucketResponse> {
    let bucket = Some(call.session.update_bucket(&call.names.bucket, &body.0).await?);
    Ok(Json(BucketResponse { bucket }))
}

pub(super) async fn delete_bucket(call: Call) -> ApiResponse<Empty> {
    call.session.delete_bucket(&call.names.bucket).await?;
    Ok(Json(Empty {}))
}

async fn list_ancestry(call: Call) -> ApiResponse<ListBucketAncestryResponse> {
    let query: AncestryQuery = call.query()?;
    Ok(Json(call.session.list_ancestry(&call.names.bucket, &query, &call.page).await?))
}

async fn list_versions(call: Call) -> ApiResponse<ListVersionsResponse> {
    call.ordered("created_at", "desc")?;
    Ok(Json(call.session.list_versions(&call.names.bucket, &call.page).await?))
}

async fn create_version(call: Call, body: Body<CreateVersionBody>) -> ApiResponse<VersionResponse> {
    let version = Some(call.session.create_version(&call.names.bucket, &body.0).await?);
    Ok(Json(VersionResponse { version }))
}

async fn get_version(call: Call) -> ApiResponse<VersionResponse> {
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

async fn update_version(
    call: Call,
    body: Body<UpdateVersionBody>,
) -> ApiResponse<UpdateVersionResponse> {
    let names = &call.names;
    let version = call.session.update_version(&names.bucket, &names.version, &body.0).await?;
    Ok(Json(UpdateVersionResponse { operation: Some(done(&call)), version: Some(version) }))
}

async fn delete_version(call: Call) -> ApiResponse<Empty> {
    call.session.delete_version(&call.names.bucket, &call.names.version).await?;
    Ok(Json(Empty {}))
}

async fn list_builds(call: Call) -> ApiResponse<ListBuildsResponse> {
    call.ordered("created_at", "asc")?;
    let names = &call.names;
    Ok(Json(call.session.list_builds(&names.bucket, &names.version, &call.page).await?))
}

async fn create_build(call: Call, body: Body<CreateBuildBody>) -> ApiResponse<BuildResponse> {
    let names = &call.names;
    let build = call.session.create_build(&names.bucket, &names.version, &body.0).await?;
    Ok(Json(BuildResponse { build: Some(build) }))
}

async fn get_build(call: Call) -> ApiResponse<BuildResponse> {
    let names = &call.names;
    let build = call.session.get_build(&names.bucket, &names.version, &names.build).await?;
    Ok(Json(BuildResponse { build: Some(build) }))
}

async fn update_build(call: Call, body: Body<UpdateBuildBody>) -> ApiResponse<BuildResponse> {
    let names = &call.names;
    let (bucket, version) = (&names.bucket, &names.version);
    let build = call.session.update_build(bucket, version, &names.build, &body.0).await?;
    Ok(Json(BuildResponse { build: Some(build) }))
}

async fn delete_build(call: Call) -> ApiResponse<Empty> {
    let names = &call.names;
    call.session.delete_build(&names.bucket, &names.version, &names.build).await?;
    Ok(Json(Empty {}))
}

async fn list_channels(call: Call) -> ApiResponse<ListChannelsResponse> {
    Ok(Json(call.session.list_channels(&call.names.bucket).await?))
}

async fn create_channel(call: Call, body: Body<CreateChannelBody>) -> ApiResponse<ChannelResponse> {
    let channel = Some(call.session.create_channel(&call.names.bucket, &body.0).await?);
    Ok(Json(ChannelResponse { channel }))
}

async fn assign_channel(
    call: Call,
    body: Body<AssignChannelVersionBody>,
) -> ApiResponse<AssignChannelVersionResponse> {
    Ok(Json(call.session.assign_channel_version(&call.names.bucket, &body.0).await?))
}

async fn get_channel(call: Call) -> ApiResponse<ChannelResponse> {
    let names = &call.names;
    let channel = Some(call.session.get_channel(&names.bucket, &names.channel).await?);
    Ok(Json(ChannelResponse { channel }))
}

async fn update_channel(call: Call, body: Body<UpdateChannelBody>) -> ApiResponse<ChannelResponse> {
    let names = &call.names;
    let channel = call.session.update_channel(&names.bucket, &names.channel, &body.0).await?;
    Ok(Json(ChannelResponse { channel: Some(channel) }))
}

pub(super) async fn delete_channel(call: Call) -> ApiResponse<Empty> {
    call.session.delete_channel(&call.names.bucket, &call.names.channel).await?;
    Ok(Json(Empty {}))
}

async fn channel_history(call: Call) -> ApiResponse<ListChannelAssignmentHistoryResponse> {
    let names = &call.names;
    Ok(Json(call.session.channel_history(&names.bucket, &names.channel, &call.page).await?))
}

async fn search(
    call: Call,
    body: Body<SearchExternalArtifactRequestBody>,
) -> ApiResponse<SearchExternalArtifactResponse> {
    Ok(Json(call.session.search_artifact(&body.0, &call.page).await?))
}
