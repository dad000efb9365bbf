//! The paths, with the operations of each.

use serde_json::Value;

use super::form::{BuildUpdate, ChannelUpdate, IterationUpdate, NewBucket, NewBuild, NewChannel};
use super::operations::*;
use crate::openapi::{Api, DELETE, GET, PAGES, PATCH, POST, PUT};
use ingot_registry::api::*;

const ROOT: &str = "/packer/2021-04-30/organizations/{org}/projects/{project}";

/// Adds the operations of this version.
pub(crate) fn add(api: Api) -> Api {
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
        crate::operations::get_registry,
    )
    .add::<CreateRegistryBody, RegistryResponse, _, _>(
        PUT,
        &root("/registry"),
        "CreateRegistry2021",
        &[],
        crate::operations::create_registry,
    )
    .add::<No, Value, _, _>(GET, &root("/images"), "ListBuckets2021", PAGES, list_buckets)
    .add::<NewBucket, Value, _, _>(PUT, &root("/images"), "CreateBucket2021", &[], create_bucket)
    .add::<No, Value, _, _>(GET, &image(""), "GetBucket2021", &[], get_bucket)
    .add::<UpdateBucketBody, Value, _, _>(PATCH, &image(""), "UpdateBucket2021", &[], update_bucket)
    .add::<No, Empty, _, _>(
        DELETE,
        &image(""),
        "DeleteBucket2021",
        &[],
        crate::operations::delete_bucket,
    )
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
    .add::<No, Empty, _, _>(
        DELETE,
        &iteration,
        "DeleteIteration",
        &["rollback_channels"],
        delete_iteration,
    )
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
    .add::<No, Empty, _, _>(
        DELETE,
        &channel,
        "DeleteChannel2021",
        &[],
        crate::operations::delete_channel,
    )
}
