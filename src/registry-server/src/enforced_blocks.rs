//! Enforced blocks over HTTP: HCP Packer's operations.

use axum::Json;

use super::api_response::{ApiResponse, Body};
use super::auth::Call;
use super::openapi::{Api, DELETE, GET, PAGES, PATCH, POST, PUT};
use ingot_registry::api::*;
use ingot_registry::client::EnforcedBlocks as _;

/// Adds the operations.
pub(super) fn add(api: Api, root: &impl Fn(&str) -> String) -> Api {
    let all = root("/enforced_blocks");
    let block = format!("{all}/{{block}}");
    let versions = format!("{block}/versions");
    let version = format!("{versions}/{{block_version}}");
    let buckets = format!("{version}/buckets");
    type No = Empty;
    type Block = EnforcedBlockResponse;
    type Version = EnforcedBlockVersionResponse;
    api.add::<No, ListEnforcedBlocksResponse, _, _>(GET, &all, "ListEnforcedBlocks", PAGES, list)
        .add::<CreateEnforcedBlockBody, Block, _, _>(PUT, &all, "CreateEnforcedBlock", &[], create)
        .add::<No, EnforcedBlockDetails, _, _>(
            GET,
            &format!("{all}/bucket/{{bucket}}"),
            "GetEnforcedBlocksByBucket",
            &[],
            of_bucket,
        )
        .add::<No, Block, _, _>(GET, &block, "GetEnforcedBlock", &[], get)
        .add::<UpdateEnforcedBlockBody, Block, _, _>(
            PATCH,
            &block,
            "UpdateEnforcedBlock",
            &[],
            update,
        )
        .add::<No, Empty, _, _>(DELETE, &block, "DeleteEnforcedBlock", &[], delete)
        .add::<No, EnforcedBlockDetails, _, _>(
            GET,
            &versions,
            "GetEnforcedBlockVersions",
            &[],
            list_versions,
        )
        .add::<CreateEnforcedBlockVersionBody, Version, _, _>(
            PUT,
            &versions,
            "CreateEnforcedBlockVersion",
            &[],
            create_version,
        )
        .add::<UpdateEnforcedBlockVersionBody, Version, _, _>(
            PATCH,
            &version,
            "UpdateEnforcedBlockVersion",
            &[],
            update_version,
        )
        .add::<No, Empty, _, _>(DELETE, &version, "DeleteEnforcedBlockVersion", &[], delete_version)
        .add::<No, LinkedBucketsResponse, _, _>(
            GET,
            &buckets,
            "GetEnforcedBlockLinkedBuckets",
            &[],
            linked_buckets,
        )
        .add::<LinkBucketsBody, LinkBucketsResponse, _, _>(
            POST,
            &buckets,
            "ManageEnforcedBlockLinkedBuckets",
            &[],
            link_buckets,
        )
}

/// All of them, as HCP's answer has no place for the next page's token.
async fn list(call: Call) -> ApiResponse<ListEnforcedBlocksResponse> {
    call.ordered("name", "asc")?;
    Ok(Json(ListEnforcedBlocksResponse {
        enforced_blocks: call.session.list_enforced_blocks().await?,
    }))
}

async fn create(
    call: Call,
    body: Body<CreateEnforcedBlockBody>,
) -> ApiResponse<EnforcedBlockResponse> {
    let enforced_block = Some(call.session.create_enforced_block(&body.0).await?);
    Ok(Json(EnforcedBlockResponse { enforced_block }))
}

/// What Packer asks for before it builds.
async fn of_bucket(call: Call) -> ApiResponse<EnforcedBlockDetails> {
    Ok(Json(call.session.enforced_blocks(&call.names.bucket).await?))
}

async fn get(call: Call) -> ApiResponse<EnforcedBlockResponse> {
    let enforced_block = Some(call.session.get_enforced_block(&call.names.block).await?);
    Ok(Json(EnforcedBlockResponse { enforced_block }))
}

async fn update(
    call: Call,
    body: Body<UpdateEnforcedBlockBody>,
) -> ApiResponse<EnforcedBlockResponse> {
    let block = call.session.update_enforced_block(&call.names.block, &body.0).await?;
    Ok(Json(EnforcedBlockResponse { enforced_block: Some(block) }))
}

async fn delete(call: Call) -> ApiResponse<Empty> {
    call.session.delete_enforced_block(&call.names.block).await?;
    Ok(Json(Empty {}))
}

async fn list_versions(call: Call) -> ApiResponse<EnforcedBlockDetails> {
    Ok(Json(call.session.enforced_block_versions(&call.names.block).await?))
}

async fn create_version(
    call: Call,
    body: Body<CreateEnforcedBlockVersionBody>,
) -> ApiResponse<EnforcedBlockVersionResponse> {
    let version = call.session.create_enforced_block_version(&call.names.block, &body.0).await?;
    Ok(Json(EnforcedBlockVersionResponse { enforced_block_version: Some(version) }))
}

async fn update_version(
    call: Call,
    body: Body<UpdateEnforcedBlockVersionBody>,
) -> ApiResponse<EnforcedBlockVersionResponse> {
    let (block, version) = (&call.names.block, &call.names.block_version);
    let version = call.session.update_enforced_block_version(block, version, &body.0).await?;
    Ok(Json(EnforcedBlockVersionResponse { enforced_block_version: Some(version) }))
}

async fn delete_version(call: Call) -> ApiResponse<Empty> {
    let (block, version) = (&call.names.block, &call.names.block_version);
    call.session.delete_enforced_block_version(block, version).await?;
    Ok(Json(Empty {}))
}

async fn linked_buckets(call: Call) -> ApiResponse<LinkedBucketsResponse> {
    let (block, version) = (&call.names.block, &call.names.block_version);
    Ok(Json(call.session.linked_buckets(block, version).await?))
}

async fn link_buckets(call: Call, body: Body<LinkBucketsBody>) -> ApiResponse<LinkBucketsResponse> {
    let (block, version) = (&call.names.block, &call.names.block_version);
    Ok(Json(call.session.link_buckets(block, version, &body.0).await?))
}
