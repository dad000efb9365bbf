//! The paths of HCP Packer's API of 2023-01-01, with the operations of each.

use axum::extract::DefaultBodyLimit;
use axum::handler::Handler as _;

use super::openapi::{Api, DELETE, Documented, GET, PAGES, PATCH, POST, PUT};
use super::operations::*;
use super::{enforced_blocks, run_task, sboms, v2021};
use ingot_registry::api::*;

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
        .add::<No, Empty, _, _>(
            DELETE,
            &version(""),
            "DeleteVersion",
            &["rollback_channels"],
            delete_version,
        )
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
