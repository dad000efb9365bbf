//! What the rest of Ingot sees of a registry: one trait, whether it is HCP Packer, an Ingot server
//! or a file of its own.

use std::fmt::Debug;

use async_trait::async_trait;

use super::api::*;

/// A project's registry. All operations fail with [`Error`]; where something is named that is not
/// there it is [`Code::NotFound`].
#[async_trait]
pub trait Registry: EnforcedBlocks {
    /// The organization and project.
    fn location(&self) -> &Location;

    /// What to call it in messages: an address, or a file's path.
    fn address(&self) -> String;

    /// Checks that there is a registry and that it can be used.
    async fn registry(&self) -> Result<RegistryInfo>;

    /// The buckets, by name.
    async fn list_buckets(&self, page: &Page) -> Result<ListBucketsResponse>;
    /// Makes a bucket; [`Code::AlreadyExists`] if there is one of this name.
    async fn create_bucket(&self, body: &CreateBucketBody) -> Result<Bucket>;
    /// A bucket.
    async fn get_bucket(&self, bucket: &str) -> Result<Bucket>;
    /// Sets description and labels, both.
    async fn update_bucket(&self, bucket: &str, body: &UpdateBucketBody) -> Result<Bucket>;
    /// Removes a bucket with all that is in it.
    async fn delete_bucket(&self, bucket: &str) -> Result<()>;

    /// The versions, newest first, without the builds' metadata.
    async fn list_versions(&self, bucket: &str, page: &Page) -> Result<ListVersionsResponse>;
    /// Opens a version; [`Code::AlreadyExists`] if there is one of this fingerprint.
    async fn create_version(&self, bucket: &str, body: &CreateVersionBody) -> Result<Version>;
    /// A version by its fingerprint, with its builds and their metadata.
    async fn get_version(&self, bucket: &str, fingerprint: &str) -> Result<Version>;
    /// A version by its id, which older templates hold as an iteration's.
    async fn get_version_by_id(&self, bucket: &str, id: &str) -> Result<Version>;
    /// Completes, revokes or restores a version.
    async fn update_version(
        &self,
        bucket: &str,
        fingerprint: &str,
        body: &UpdateVersionBody,
    ) -> Result<Version>;
    /// Removes a version; [`Code::FailedPrecondition`] while a channel points at it.
    async fn delete_version(&self, bucket: &str, fingerprint: &str) -> Result<()>;

    /// A version's builds.
    async fn list_builds(
        &self,
        bucket: &str,
        fingerprint: &str,
        page: &Page,
    ) -> Result<ListBuildsResponse>;
    /// Makes a build known; [`Code::AlreadyExists`] if the version has one of this component.
    async fn create_build(
        &self,
        bucket: &str,
        fingerprint: &str,
        body: &CreateBuildBody,
    ) -> Result<Build>;
    /// A build.
    async fn get_build(&self, bucket: &str, fingerprint: &str, id: &str) -> Result<Build>;
    /// Changes a build. The version is complete as soon as its last build is done;
    /// [`Code::FailedPrecondition`] for a build that is done already.
    async fn update_build(
        &self,
        bucket: &str,
        fingerprint: &str,
        id: &str,
        body: &UpdateBuildBody,
    ) -> Result<Build>;
    /// Removes a build of a version that is not complete.
    async fn delete_build(&self, bucket: &str, fingerprint: &str, id: &str) -> Result<()>;

    /// Uploads an SBOM of a build: JSON of CycloneDX or SPDX, not compressed. Without a name it is
    /// called as the version's fingerprint. One of the same name is replaced until the build is done;
    /// [`Code::FailedPrecondition`] from then on, and if the build has too many or too large ones.
    async fn upload_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        name: &str,
        format: SbomFormat,
        document: &[u8],
    ) -> Result<Sbom>;
    /// The SBOMs of a build.
    async fn list_sboms(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
    ) -> Result<ListSbomsResponse>;
    /// The document of an SBOM, as it was uploaded.
    async fn get_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        name: &str,
    ) -> Result<Vec<u8>>;

    /// A bucket's channels.
    async fn list_channels(&self, bucket: &str) -> Result<ListChannelsResponse>;
    /// Makes a channel; [`Code::AlreadyExists`] if there is one of this name.
    async fn create_channel(&self, bucket: &str, body: &CreateChannelBody) -> Result<Channel>;
    /// A channel with its version, that one's builds and artifacts.
    async fn get_channel(&self, bucket: &str, channel: &str) -> Result<Channel>;
    /// Assigns a version to a channel, or restricts it.
    async fn update_channel(
        &self,
        bucket: &str,
        channel: &str,
        body: &UpdateChannelBody,
    ) -> Result<Channel>;
    /// Removes a channel that the registry does not manage.
    async fn delete_channel(&self, bucket: &str, channel: &str) -> Result<()>;
    /// Assigns to one channel what another points at.
    async fn assign_channel_version(
        &self,
        bucket: &str,
        body: &AssignChannelVersionBody,
    ) -> Result<AssignChannelVersionResponse>;
    /// What a channel pointed at, newest first.
    async fn channel_history(
        &self,
        bucket: &str,
        channel: &str,
        page: &Page,
    ) -> Result<ListChannelAssignmentHistoryResponse>;

    /// A bucket's relations to what it was built from and what was built from it.
    async fn list_ancestry(
        &self,
        bucket: &str,
        query: &AncestryQuery,
        page: &Page,
    ) -> Result<ListBucketAncestryResponse>;

    /// Where an image comes from.
    async fn search_artifact(
        &self,
        body: &SearchExternalArtifactRequestBody,
        page: &Page,
    ) -> Result<SearchExternalArtifactResponse>;
}

/// A project's enforced blocks: provisioners that are to be run in each build of the buckets that they
/// are linked to. They are named by their ids, as their versions are.
#[async_trait]
pub trait EnforcedBlocks: Debug + Send + Sync {
    /// The blocks, by name.
    async fn list_enforced_blocks(&self) -> Result<Vec<EnforcedBlock>>;
    /// Creates a block with its first version; [`Code::AlreadyExists`] if there is one of this name.
    async fn create_enforced_block(&self, body: &CreateEnforcedBlockBody) -> Result<EnforcedBlock>;
    /// A block with its newest version.
    async fn get_enforced_block(&self, id: &str) -> Result<EnforcedBlock>;
    /// Changes a block's name or labels.
    async fn update_enforced_block(
        &self,
        id: &str,
        body: &UpdateEnforcedBlockBody,
    ) -> Result<EnforcedBlock>;
    /// Removes a block; [`Code::FailedPrecondition`] while it is linked to a bucket.
    async fn delete_enforced_block(&self, id: &str) -> Result<()>;

    /// A block's versions, newest first.
    async fn enforced_block_versions(&self, id: &str) -> Result<EnforcedBlockDetails>;
    /// Adds a version to a block; [`Code::AlreadyExists`] if there is one that is called so.
    async fn create_enforced_block_version(
        &self,
        id: &str,
        body: &CreateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion>;
    /// Changes the description of a version. Its content never changes.
    async fn update_enforced_block_version(
        &self,
        id: &str,
        version: &str,
        body: &UpdateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion>;
    /// Removes a version; [`Code::FailedPrecondition`] while it is linked to a bucket.
    async fn delete_enforced_block_version(&self, id: &str, version: &str) -> Result<()>;

    /// The buckets that a version is linked to.
    async fn linked_buckets(&self, id: &str, version: &str) -> Result<LinkedBucketsResponse>;
    /// Links a version to these buckets and to no others; a bucket that is linked to another version
    /// of the block is linked to this one instead.
    async fn link_buckets(
        &self,
        id: &str,
        version: &str,
        body: &LinkBucketsBody,
    ) -> Result<LinkBucketsResponse>;

    /// The blocks that a bucket is linked to, in the order in which they are to be run; none for a
    /// bucket that is not there.
    async fn enforced_blocks(&self, bucket: &str) -> Result<EnforcedBlockDetails>;
}
