//! The API's operations, each with the role it needs.

use async_trait::async_trait;

use super::rules;
use super::sboms::sbom_document;
use super::session::Session;
use crate::api::*;
use crate::client::Registry;
use crate::sbom;
use crate::store::{Role, transaction};

#[async_trait]
impl Registry for Session {
    fn location(&self) -> &Location {
        &self.project.location
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    async fn registry(&self) -> Result<RegistryInfo> {
        let mut tx = self.store.read().await?;
        self.registry_info(&mut tx).await
    }

    async fn list_buckets(&self, page: &Page) -> Result<ListBucketsResponse> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        self.buckets_in(&mut self.store.read().await?, page).await
    }

    async fn create_bucket(&self, body: &CreateBucketBody) -> Result<Bucket> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.create_bucket_in(tx, body))
    }

    async fn get_bucket(&self, bucket: &str) -> Result<Bucket> {
        self.need(Role::Viewer)?;
        self.bucket_in(&mut self.store.read().await?, bucket).await
    }

    async fn update_bucket(&self, bucket: &str, body: &UpdateBucketBody) -> Result<Bucket> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.update_bucket_in(tx, bucket, body))
    }

    async fn delete_bucket(&self, bucket: &str) -> Result<()> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| self.delete_bucket_in(tx, bucket))
    }

    async fn list_versions(&self, bucket: &str, page: &Page) -> Result<ListVersionsResponse> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        self.versions_in(&mut self.store.read().await?, bucket, page).await
    }

    async fn create_version(&self, bucket: &str, body: &CreateVersionBody) -> Result<Version> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.create_version_in(tx, bucket, body))
    }

    async fn get_version(&self, bucket: &str, fingerprint: &str) -> Result<Version> {
        self.need(Role::Viewer)?;
        // With the metadata of its builds it is as large as a page of a list.
        let _turn = self.store.list_turn().await?;
        self.version_in(&mut self.store.read().await?, bucket, fingerprint).await
    }

    async fn get_version_by_id(&self, bucket: &str, id: &str) -> Result<Version> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        self.version_by_id_in(&mut self.store.read().await?, bucket, id).await
    }

    async fn update_version(
        &self,
        bucket: &str,
        fingerprint: &str,
        body: &UpdateVersionBody,
    ) -> Result<Version> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.update_version_in(tx, bucket, fingerprint, body))
    }

    async fn delete_version(&self, bucket: &str, fingerprint: &str) -> Result<()> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.delete_version_in(tx, bucket, fingerprint, false))
    }

    async fn list_builds(
        &self,
        bucket: &str,
        fingerprint: &str,
        page: &Page,
    ) -> Result<ListBuildsResponse> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        self.builds_in(&mut self.store.read().await?, bucket, fingerprint, page).await
    }

    async fn create_build(
        &self,
        bucket: &str,
        fingerprint: &str,
        body: &CreateBuildBody,
    ) -> Result<Build> {
        self.need(Role::Contributor)?;
        // What is too large does not wait for its turn.
        rules::new_build(body)?;
        transaction!(self.store, |tx| self.create_build_in(tx, bucket, fingerprint, body))
    }

    async fn get_build(&self, bucket: &str, fingerprint: &str, id: &str) -> Result<Build> {
        self.need(Role::Viewer)?;
        self.build_in(&mut self.store.read().await?, bucket, fingerprint, id).await
    }

    async fn update_build(
        &self,
        bucket: &str,
        fingerprint: &str,
        id: &str,
        body: &UpdateBuildBody,
    ) -> Result<Build> {
        self.need(Role::Contributor)?;
        rules::build(body)?;
        transaction!(self.store, |tx| self.update_build_in(tx, bucket, fingerprint, id, body))
    }

    async fn delete_build(&self, bucket: &str, fingerprint: &str, id: &str) -> Result<()> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.delete_build_in(tx, bucket, fingerprint, id))
    }

    async fn upload_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        name: &str,
        format: SbomFormat,
        document: &[u8],
    ) -> Result<Sbom> {
        let compressed_sbom = sbom::pack(document.to_vec()).await?;
        let body = UploadSbomBody { compressed_sbom, format, name: name.to_owned() };
        self.upload_packed_sbom(bucket, fingerprint, build, body, ()).await
    }

    async fn list_sboms(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
    ) -> Result<ListSbomsResponse> {
        self.need(Role::Viewer)?;
        self.sboms_in(&mut self.store.read().await?, bucket, fingerprint, build).await
    }

    async fn get_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        name: &str,
    ) -> Result<Vec<u8>> {
        let sbom = self.find_sbom(bucket, fingerprint, build, name).await?;
        sbom_document(&self.store, &sbom.id).await
    }

    async fn list_channels(&self, bucket: &str) -> Result<ListChannelsResponse> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        self.channels_in(&mut self.store.read().await?, bucket).await
    }

    async fn create_channel(&self, bucket: &str, body: &CreateChannelBody) -> Result<Channel> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.create_channel_in(tx, bucket, body))
    }

    async fn get_channel(&self, bucket: &str, channel: &str) -> Result<Channel> {
        self.need(Role::Viewer)?;
        self.channel_in(&mut self.store.read().await?, bucket, channel).await
    }

    async fn update_channel(
        &self,
        bucket: &str,
        channel: &str,
        body: &UpdateChannelBody,
    ) -> Result<Channel> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.update_channel_in(tx, bucket, channel, body))
    }

    async fn delete_channel(&self, bucket: &str, channel: &str) -> Result<()> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.delete_channel_in(tx, bucket, channel))
    }

    async fn assign_channel_version(
        &self,
        bucket: &str,
        body: &AssignChannelVersionBody,
    ) -> Result<AssignChannelVersionResponse> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.assign_channel_in(tx, bucket, body))
    }

    async fn channel_history(
        &self,
        bucket: &str,
        channel: &str,
        page: &Page,
    ) -> Result<ListChannelAssignmentHistoryResponse> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        self.history_in(&mut self.store.read().await?, bucket, channel, page).await
    }

    async fn list_ancestry(
        &self,
        bucket: &str,
        query: &AncestryQuery,
        page: &Page,
    ) -> Result<ListBucketAncestryResponse> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        self.ancestry_in(&mut self.store.read().await?, bucket, query, page).await
    }

    async fn search_artifact(
        &self,
        body: &SearchExternalArtifactRequestBody,
        page: &Page,
    ) -> Result<SearchExternalArtifactResponse> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        self.search_in(&mut self.store.read().await?, body, page).await
    }
}
