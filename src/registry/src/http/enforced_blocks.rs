//! Enforced blocks as calls of the API.

use async_trait::async_trait;
use reqwest::Method;

use super::HttpRegistry;
use super::operations::{NONE, present};
use crate::api::*;
use crate::client::EnforcedBlocks;

const ROOT: &str = "enforced_blocks";

#[async_trait]
impl EnforcedBlocks for HttpRegistry {
    async fn list_enforced_blocks(&self) -> Result<Vec<EnforcedBlock>> {
        let answer: ListEnforcedBlocksResponse = self.get(&[ROOT], NONE).await?;
        Ok(answer.enforced_blocks)
    }

    async fn create_enforced_block(&self, body: &CreateEnforcedBlockBody) -> Result<EnforcedBlock> {
        let answer: EnforcedBlockResponse = self.send_to(Method::PUT, &[ROOT], body).await?;
        present(answer.enforced_block, "enforced block")
    }

    async fn get_enforced_block(&self, id: &str) -> Result<EnforcedBlock> {
        let answer: EnforcedBlockResponse = self.get(&[ROOT, id], NONE).await?;
        present(answer.enforced_block, "enforced block")
    }

    async fn update_enforced_block(
        &self,
        id: &str,
        body: &UpdateEnforcedBlockBody,
    ) -> Result<EnforcedBlock> {
        let answer: EnforcedBlockResponse = self.send_to(Method::PATCH, &[ROOT, id], body).await?;
        present(answer.enforced_block, "enforced block")
    }

    async fn delete_enforced_block(&self, id: &str) -> Result<()> {
        self.delete(&[ROOT, id]).await
    }

    async fn enforced_block_versions(&self, id: &str) -> Result<EnforcedBlockDetails> {
        self.get(&[ROOT, id, "versions"], NONE).await
    }

    async fn create_enforced_block_version(
        &self,
        id: &str,
        body: &CreateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion> {
        let path = [ROOT, id, "versions"];
        let answer: EnforcedBlockVersionResponse = self.send_to(Method::PUT, &path, body).await?;
        present(answer.enforced_block_version, "version")
    }

    async fn update_enforced_block_version(
        &self,
        id: &str,
        version: &str,
        body: &UpdateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion> {
        let path = [ROOT, id, "versions", version];
        let answer: EnforcedBlockVersionResponse = self.send_to(Method::PATCH, &path, body).await?;
        present(answer.enforced_block_version, "version")
    }

    async fn delete_enforced_block_version(&self, id: &str, version: &str) -> Result<()> {
        self.delete(&[ROOT, id, "versions", version]).await
    }

    async fn linked_buckets(&self, id: &str, version: &str) -> Result<LinkedBucketsResponse> {
        self.get(&[ROOT, id, "versions", version, "buckets"], NONE).await
    }

    async fn link_buckets(
        &self,
        id: &str,
        version: &str,
        body: &LinkBucketsBody,
    ) -> Result<LinkBucketsResponse> {
        self.send_to(Method::POST, &[ROOT, id, "versions", version, "buckets"], body).await
    }

    async fn enforced_blocks(&self, bucket: &str) -> Result<EnforcedBlockDetails> {
        match self.get(&[ROOT, "bucket", bucket], NONE).await {
            // Those that have no such thing.
            Err(error) if matches!(error.code, Code::NotFound | Code::Unimplemented) => {
                Ok(EnforcedBlockDetails::default())
            }
            answer => answer,
        }
    }
}
