//! What a registry does: the rules, over the [`store`](super::store). A [`Session`] is one caller's
//! view of one project, and a [`Registry`] like any other: the server puts HTTP around it, and the
//! embedded registry uses it as it is.

mod administration;
mod ancestry;
mod buckets;
mod builds;
mod channels;
mod credentials;
mod enforced_blocks;
mod events;
mod lineage;
mod overview;
mod page;
mod relations;
mod revocation;
mod rules;
mod run_tasks;
mod sboms;
mod version_list;
mod versions;
mod view;
mod work;

use std::time::Duration;

use async_trait::async_trait;

use super::api::*;
use super::client::Registry;
use super::sbom;
use super::store::{AuditRow, Project, Role, Store, Tx, transaction};

pub use administration::{ADMIN, Administration, NewWebhook};
pub use channels::CREATE_CHANNEL;
pub use credentials::{Credentials, hash_secret, is_secret_of, random_hex};
pub use enforced_blocks::EnforcedSummary;
pub use events::EVENTS;
pub use lineage::{AncestryEdge, Lineage, LineageQuery, Member};
pub use overview::{BucketSummary, Overview, Relatives, Rollback, VersionName, words};
pub use relations::{Relation, Relations};
pub use rules::revocation_delay;
pub use sboms::sbom_document;
pub use version_list::VersionList;
pub use versions::{CANCEL_REVOCATION, RESTORE, REVOKE};
pub use work::{cancel_silent_builds, carry_out_revocations};

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The principal's id.
    pub id: String,
    /// What it is called where its deeds are shown.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where it calls from.
    pub address: String,
}

/// A caller's view of a project.
#[derive(Debug, Clone)]
pub struct Session {
    store: Store,
    project: Project,
    caller: Caller,
    address: String,
}

impl Session {
    /// A view of a project, which the caller must have been found to have access to. `address` is
    /// what to call the registry in messages.
    pub fn new(store: Store, project: Project, caller: Caller, address: String) -> Self {
        Session { store, project, caller, address }
    }

    /// Whether the caller may do what takes a role.
    ///
    /// # Errors
    /// They may not, or nobody may use the registry now.
    pub fn need(&self, role: Role) -> Result<()> {
        if self.caller.role < role {
            return Err(Error::new(
                Code::PermissionDenied,
                format!(
                    "this needs the role {}, and {} has {}",
                    role.as_str(),
                    self.caller.name,
                    self.caller.role.as_str()
                ),
            ));
        }
        if !self.project.activated {
            return Err(Error::precondition("the project's registry is not activated"));
        }
        Ok(())
    }

    /// Whether the caller may know where restricted channels point.
    fn sees_all(&self) -> bool {
        self.caller.role >= Role::Contributor
    }

    fn project_id(&self) -> &str {
        &self.project.location.project_id
    }

    /// Writes down what is done, with what is done.
    async fn audit(&self, tx: &mut Tx, action: &str, target: String) -> Result<()> {
        tracing::info!(principal = self.caller.id, action, target, "registry changed");
        tx.audit(&AuditRow {
            principal: self.caller.id.clone(),
            project_id: self.project_id().to_owned(),
            action: action.to_owned(),
            target,
            outcome: "done".into(),
            address: self.caller.address.clone(),
            ..AuditRow::default()
        })
        .await
    }

    /// Whether the caller did something in the last `within`: an action of the audit log to this
    /// target, which may be followed by more in the log.
    ///
    /// # Errors
    /// The database failed.
    pub async fn did(&self, action: &str, target: &str, within: Duration) -> Result<bool> {
        let now = Timestamp::now().micros().unwrap_or_default();
        let since = now.saturating_sub(within.as_micros() as i64);
        let tx = &mut self.store.read().await?;
        let (caller, project) = (&self.caller.id, self.project_id());
        let targets = tx.audited(caller, project, action, Timestamp::from_micros(Some(since)));
        let is_target = |it: &String| {
            it.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        Ok(targets.await?.iter().any(is_target))
    }

    /// The id of a bucket that nobody else changes until the transaction ends.
    async fn lock(&self, tx: &mut Tx, bucket: &str) -> Result<String> {
        let id = tx.lock_bucket(self.project_id(), bucket).await?;
        id.ok_or_else(|| no_bucket(bucket))
    }

    /// The registry itself.
    async fn registry_info(&self, tx: &mut Tx) -> Result<RegistryInfo> {
        let project = tx.project(&self.project.location).await?;
        let project = project.ok_or_else(|| Error::not_found("there is no such project"))?;
        Ok(RegistryInfo {
            id: project.registry_id,
            location: Some(project.location),
            config: Some(RegistryConfig {
                activated: project.activated,
                feature_tier: RegistryConfigTier::Plus,
            }),
            created_at: project.created_at,
            updated_at: project.updated_at,
        })
    }

    /// Activates the registry, or puts it out of use.
    ///
    /// # Errors
    /// The caller is not an administrator.
    pub async fn activate(&self, activated: bool) -> Result<RegistryInfo> {
        if self.caller.role < Role::Admin {
            return Err(Error::new(Code::PermissionDenied, "this needs the role admin"));
        }
        transaction!(self.store, |tx| async {
            tx.activate(self.project_id(), activated).await?;
            self.audit(tx, if activated { "activate" } else { "deactivate" }, "registry".into())
                .await?;
            self.registry_info(tx).await
        })
    }
}

fn no_bucket(name: &str) -> Error {
    Error::not_found(format!("there is no bucket {}", rules::quoted(name)))
}

fn no_version(bucket: &str, fingerprint: &str) -> Error {
    Error::not_found(format!(
        "bucket {} has no version with the fingerprint {}",
        rules::quoted(bucket),
        rules::quoted(fingerprint)
    ))
}

fn no_channel(bucket: &str, channel: &str) -> Error {
    let (bucket, channel) = (rules::quoted(bucket), rules::quoted(channel));
    Error::not_found(format!("bucket {bucket} has no channel {channel}"))
}

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
        self.version_in(&mut self.store.read().await?, bucket, fingerprint).await
    }

    async fn get_version_by_id(&self, bucket: &str, id: &str) -> Result<Version> {
        self.need(Role::Viewer)?;
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
        transaction!(self.store, |tx| self.delete_version_in(tx, bucket, fingerprint))
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
        self.upload_packed_sbom(bucket, fingerprint, build, body).await
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
