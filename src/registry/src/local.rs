//! The embedded registry: the same rules on a SQLite file, without a server.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::api::*;
use super::client::{EnforcedBlocks, Registry};
use super::service::{Caller, Session, cancel_silent_builds, carry_out_revocations};
use super::store::{Location as Database, Project, Role, Store, transaction};

/// What the one organization and the one project of an embedded registry are called.
const NAME: &str = "default";

/// How often a process looks for builds that have gone silent.
const SILENT: Duration = Duration::from_secs(60);

/// A registry in a file. Several processes may use it at once.
#[derive(Debug)]
pub struct LocalRegistry {
    store: Store,
    session: Session,
    /// When this process last looked for silent builds.
    looked: Mutex<Option<Instant>>,
    /// Whether nothing may be changed.
    reads_only: bool,
}

impl LocalRegistry {
    /// Opens a registry's file, made if it is not there.
    ///
    /// # Errors
    /// The file cannot be opened or written, or a server of an older Ingot uses it.
    pub async fn open(path: &Path) -> Result<Self> {
        let store = Store::open_for_builds(&Database::Sqlite(path.to_owned()), 4).await?;
        // The first one is what it keeps to, as it may have been given another name.
        let known = store.read().await?.projects().await?.into_iter().next();
        let project = match known {
            Some(project) => project,
            None => transaction!(store, |tx| async {
                let organization = tx.ensure_organization(NAME).await?;
                match tx.projects().await?.into_iter().next() {
                    Some(project) => Ok(project),
                    None => tx.ensure_project(&organization, NAME).await,
                }
            })?,
        };
        Ok(Self::of(store, project, path, false))
    }

    /// Opens a registry's file to read. Nothing of it is changed.
    ///
    /// # Errors
    /// The file cannot be read, or is of another Ingot.
    pub async fn open_to_read(path: &Path) -> Result<Self> {
        let store = Store::open_to_read(path, 4).await?;
        let project = store.read().await?.projects().await?.into_iter().next();
        let project = project.ok_or_else(|| Error::precondition("there is no registry in it"))?;
        Ok(Self::of(store, project, path, true))
    }

    fn of(store: Store, project: Project, path: &Path, reads_only: bool) -> Self {
        let name =
            ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|it| std::env::var(it).ok());
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "local".into());
        let caller = Caller { id: "local".into(), name, role: Role::Admin, address: String::new() };
        let session =
            Session::new(store.clone(), project, caller, path.to_string_lossy().into_owned());
        LocalRegistry { store, session, looked: Mutex::default(), reads_only }
    }

    /// The view of the registry in which what a server does by itself has been done: revocations
    /// that are due, and the end of builds that have gone silent. That this fails keeps nobody from
    /// reading. Boxed, so that the compiler proves once that it can move between threads.
    fn session(&self) -> BoxFuture<'_, Result<&Session>> {
        Box::pin(async move {
            if self.reads_only {
                return Ok(&self.session);
            }
            if let Err(error) = carry_out_revocations(&self.store).await {
                tracing::warn!(%error, "scheduled revocations could not be carried out");
            }
            if self.is_to_look()
                && let Err(error) = cancel_silent_builds(&self.store).await
            {
                tracing::warn!(%error, "silent builds could not be cancelled");
            }
            Ok(&self.session)
        })
    }

    /// Whether silent builds are to be looked for; then the next time is a while away.
    fn is_to_look(&self) -> bool {
        let mut looked = self.looked.lock();
        let due = looked.is_none_or(|at| at.elapsed() >= SILENT);
        if due {
            *looked = Some(Instant::now());
        }
        due
    }
}

#[async_trait]
impl Registry for LocalRegistry {
    fn location(&self) -> &Location {
        self.session.location()
    }

    fn address(&self) -> String {
        self.session.address()
    }

    async fn registry(&self) -> Result<RegistryInfo> {
        self.session().await?.registry().await
    }

    async fn list_buckets(&self, page: &Page) -> Result<ListBucketsResponse> {
        self.session().await?.list_buckets(page).await
    }

    async fn create_bucket(&self, body: &CreateBucketBody) -> Result<Bucket> {
        self.session().await?.create_bucket(body).await
    }

    async fn get_bucket(&self, bucket: &str) -> Result<Bucket> {
        self.session().await?.get_bucket(bucket).await
    }

    async fn update_bucket(&self, bucket: &str, body: &UpdateBucketBody) -> Result<Bucket> {
        self.session().await?.update_bucket(bucket, body).await
    }

    async fn delete_bucket(&self, bucket: &str) -> Result<()> {
        self.session().await?.delete_bucket(bucket).await
    }

    async fn list_versions(&self, bucket: &str, page: &Page) -> Result<ListVersionsResponse> {
        self.session().await?.list_versions(bucket, page).await
    }

    async fn create_version(&self, bucket: &str, body: &CreateVersionBody) -> Result<Version> {
        self.session().await?.create_version(bucket, body).await
    }

    async fn get_version(&self, bucket: &str, fingerprint: &str) -> Result<Version> {
        self.session().await?.get_version(bucket, fingerprint).await
    }

    async fn get_version_by_id(&self, bucket: &str, id: &str) -> Result<Version> {
        self.session().await?.get_version_by_id(bucket, id).await
    }

    async fn update_version(
        &self,
        bucket: &str,
        fingerprint: &str,
        body: &UpdateVersionBody,
    ) -> Result<Version> {
        self.session().await?.update_version(bucket, fingerprint, body).await
    }

    async fn delete_version(&self, bucket: &str, fingerprint: &str) -> Result<()> {
        self.session().await?.delete_version(bucket, fingerprint).await
    }

    async fn list_builds(
        &self,
        bucket: &str,
        fingerprint: &str,
        page: &Page,
    ) -> Result<ListBuildsResponse> {
        self.session().await?.list_builds(bucket, fingerprint, page).await
    }

    async fn create_build(
        &self,
        bucket: &str,
        fingerprint: &str,
        body: &CreateBuildBody,
    ) -> Result<Build> {
        self.session().await?.create_build(bucket, fingerprint, body).await
    }

    async fn get_build(&self, bucket: &str, fingerprint: &str, id: &str) -> Result<Build> {
        self.session().await?.get_build(bucket, fingerprint, id).await
    }

    async fn update_build(
        &self,
        bucket: &str,
        fingerprint: &str,
        id: &str,
        body: &UpdateBuildBody,
    ) -> Result<Build> {
        self.session().await?.update_build(bucket, fingerprint, id, body).await
    }

    async fn delete_build(&self, bucket: &str, fingerprint: &str, id: &str) -> Result<()> {
        self.session().await?.delete_build(bucket, fingerprint, id).await
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
        let session = self.session().await?;
        session.upload_sbom(bucket, fingerprint, build, name, format, document).await
    }

    async fn list_sboms(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
    ) -> Result<ListSbomsResponse> {
        self.session().await?.list_sboms(bucket, fingerprint, build).await
    }

    async fn get_sbom(
        &self,
        bucket: &str,
        fingerprint: &str,
        build: &str,
        name: &str,
    ) -> Result<Vec<u8>> {
        self.session().await?.get_sbom(bucket, fingerprint, build, name).await
    }

    async fn list_channels(&self, bucket: &str) -> Result<ListChannelsResponse> {
        self.session().await?.list_channels(bucket).await
    }

    async fn create_channel(&self, bucket: &str, body: &CreateChannelBody) -> Result<Channel> {
        self.session().await?.create_channel(bucket, body).await
    }

    async fn get_channel(&self, bucket: &str, channel: &str) -> Result<Channel> {
        self.session().await?.get_channel(bucket, channel).await
    }

    async fn update_channel(
        &self,
        bucket: &str,
        channel: &str,
        body: &UpdateChannelBody,
    ) -> Result<Channel> {
        self.session().await?.update_channel(bucket, channel, body).await
    }

    async fn delete_channel(&self, bucket: &str, channel: &str) -> Result<()> {
        self.session().await?.delete_channel(bucket, channel).await
    }

    async fn assign_channel_version(
        &self,
        bucket: &str,
        body: &AssignChannelVersionBody,
    ) -> Result<AssignChannelVersionResponse> {
        self.session().await?.assign_channel_version(bucket, body).await
    }

    async fn channel_history(
        &self,
        bucket: &str,
        channel: &str,
        page: &Page,
    ) -> Result<ListChannelAssignmentHistoryResponse> {
        self.session().await?.channel_history(bucket, channel, page).await
    }

    async fn list_ancestry(
        &self,
        bucket: &str,
        query: &AncestryQuery,
        page: &Page,
    ) -> Result<ListBucketAncestryResponse> {
        self.session().await?.list_ancestry(bucket, query, page).await
    }

    async fn search_artifact(
        &self,
        body: &SearchExternalArtifactRequestBody,
        page: &Page,
    ) -> Result<SearchExternalArtifactResponse> {
        self.session().await?.search_artifact(body, page).await
    }
}

#[async_trait]
impl EnforcedBlocks for LocalRegistry {
    async fn list_enforced_blocks(&self) -> Result<Vec<EnforcedBlock>> {
        self.session.list_enforced_blocks().await
    }

    async fn create_enforced_block(&self, body: &CreateEnforcedBlockBody) -> Result<EnforcedBlock> {
        self.session.create_enforced_block(body).await
    }

    async fn get_enforced_block(&self, id: &str) -> Result<EnforcedBlock> {
        self.session.get_enforced_block(id).await
    }

    async fn update_enforced_block(
        &self,
        id: &str,
        body: &UpdateEnforcedBlockBody,
    ) -> Result<EnforcedBlock> {
        self.session.update_enforced_block(id, body).await
    }

    async fn delete_enforced_block(&self, id: &str) -> Result<()> {
        self.session.delete_enforced_block(id).await
    }

    async fn enforced_block_versions(&self, id: &str) -> Result<EnforcedBlockDetails> {
        self.session.enforced_block_versions(id).await
    }

    async fn create_enforced_block_version(
        &self,
        id: &str,
        body: &CreateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion> {
        self.session.create_enforced_block_version(id, body).await
    }

    async fn update_enforced_block_version(
        &self,
        id: &str,
        version: &str,
        body: &UpdateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion> {
        self.session.update_enforced_block_version(id, version, body).await
    }

    async fn delete_enforced_block_version(&self, id: &str, version: &str) -> Result<()> {
        self.session.delete_enforced_block_version(id, version).await
    }

    async fn linked_buckets(&self, id: &str, version: &str) -> Result<LinkedBucketsResponse> {
        self.session.linked_buckets(id, version).await
    }

    async fn link_buckets(
        &self,
        id: &str,
        version: &str,
        body: &LinkBucketsBody,
    ) -> Result<LinkBucketsResponse> {
        self.session.link_buckets(id, version, body).await
    }

    async fn enforced_blocks(&self, bucket: &str) -> Result<EnforcedBlockDetails> {
        // As a registry by HTTP: a build makes its bucket.
        match self.session.enforced_blocks(bucket).await {
            Err(error) if error.code == Code::NotFound => Ok(EnforcedBlockDetails::default()),
            answer => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Administration;

    #[tokio::test]
    async fn a_renamed_project_is_still_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("r.db");
        let registry = LocalRegistry::open(&path).await.expect("a registry");
        let bucket = CreateBucketBody { name: "b".into(), ..CreateBucketBody::default() };
        registry.create_bucket(&bucket).await.expect("a bucket");
        let administration = Administration::new(registry.store.clone());
        administration.rename_project(NAME, "shop").await.expect("it is renamed");
        for registry in [
            LocalRegistry::open(&path).await.expect("the registry"),
            LocalRegistry::open_to_read(&path).await.expect("the registry"),
        ] {
            registry.get_bucket("b").await.expect("the bucket is there");
        }
        assert_eq!(administration.projects().await.map(|all| all.len()), Ok(1));
    }

    #[tokio::test]
    async fn who_reads_does_not_wait_for_those_that_write() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("r.db");
        let writer = LocalRegistry::open(&path).await.expect("a registry");
        let writing = writer.store.begin().await.expect("a transaction");
        let listed = async {
            let registry = LocalRegistry::open(&path).await?;
            registry.list_buckets(&Page::default()).await
        };
        let listed = tokio::time::timeout(Duration::from_secs(10), listed).await;
        listed.expect("it waited").expect("a list");
        drop(writing);
    }
}
