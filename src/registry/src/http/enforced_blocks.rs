//! Enforced blocks as calls of the API.

use async_trait::async_trait;
use reqwest::Method;

use super::operations::{NONE, present};
use super::{Call, CallOutcome, HttpRegistry, json};
use crate::api::*;
use crate::client::EnforcedBlocks;

const ROOT: &str = "enforced_blocks";

#[async_trait]
impl EnforcedBlocks for HttpRegistry {
    async fn list_enforced_blocks(&self) -> Result<Vec<EnforcedBlock>> {
        // HCP Packer's answer has no token for a next page.
        let size = ("pagination.page_size", "1000");
        let response: ListEnforcedBlocksResponse =
            self.list_page(&[ROOT], &Page::default(), size).await?;
        Ok(response.enforced_blocks)
    }

    async fn create_enforced_block(&self, body: &CreateEnforcedBlockBody) -> Result<EnforcedBlock> {
        let outcome: CallOutcome<EnforcedBlockResponse> =
            self.make(Method::PUT, &[ROOT], body).await?;
        let exists = match outcome.result {
            Err(error) if error.code == Code::AlreadyExists && outcome.perhaps_before => error,
            result => return present(result?.enforced_block, "enforced block"),
        };
        // The answer that it was made may have been lost; then it is as it was to be.
        let made = self.list_enforced_blocks().await?.into_iter().find(|it| it.name == body.name);
        let Some(made) = made else { return Err(exists) };
        // Lists may leave contents out.
        let made = self.get_enforced_block(&made.id).await?;
        let first = made.latest_version.as_ref();
        match first.is_some_and(|first| first.block_content == body.block_content) {
            true => Ok(made),
            false => Err(exists),
        }
    }

    async fn get_enforced_block(&self, id: &str) -> Result<EnforcedBlock> {
        let response: EnforcedBlockResponse = self.get(&[ROOT, id], NONE).await?;
        present(response.enforced_block, "enforced block")
    }

    async fn update_enforced_block(
        &self,
        id: &str,
        body: &UpdateEnforcedBlockBody,
    ) -> Result<EnforcedBlock> {
        let response: EnforcedBlockResponse =
            self.send_to(Method::PATCH, &[ROOT, id], body).await?;
        present(response.enforced_block, "enforced block")
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
        if body.version.is_empty() {
            // Asked for twice it would be two versions.
            let (path, body) = (path.to_vec(), Some(json(body)?));
            let call =
                Call { method: Method::PUT, path, query: Vec::new(), body, repeatable: false };
            let response: EnforcedBlockVersionResponse = self.below(call).await?.result?;
            return present(response.enforced_block_version, "version");
        }
        let outcome: CallOutcome<EnforcedBlockVersionResponse> =
            self.make(Method::PUT, &path, body).await?;
        let exists = match outcome.result {
            Err(error) if error.code == Code::AlreadyExists && outcome.perhaps_before => error,
            result => return present(result?.enforced_block_version, "version"),
        };
        let all = self.enforced_block_versions(id).await?.enforced_block_detail.into_iter();
        let mut all = all.filter_map(|detail| detail.version);
        let same = |it: &EnforcedBlockVersion| {
            it.version == body.version && it.block_content == body.block_content
        };
        all.find(same).ok_or(exists)
    }

    async fn update_enforced_block_version(
        &self,
        id: &str,
        version: &str,
        body: &UpdateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion> {
        let path = [ROOT, id, "versions", version];
        let response: EnforcedBlockVersionResponse =
            self.send_to(Method::PATCH, &path, body).await?;
        present(response.enforced_block_version, "version")
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
            response => response,
        }
    }
}
