//! Builds and artifacts.

use std::collections::HashMap;
use std::slice;

use super::view::{self, Detail};
use super::{Session, page, rules};
use crate::api::{limits, *};
use crate::store::{BucketRow, BuildRow, Tx, VersionRow, new_id};

impl Session {
    pub(super) async fn find_build(
        &self,
        tx: &mut Tx,
        version: &VersionRow,
        id: &str,
    ) -> Result<BuildRow> {
        tx.build(&version.id, id).await?.ok_or_else(|| {
            Error::not_found(format!("the version has no build with the id {}", rules::quoted(id)))
        })
    }

    async fn see_build(&self, tx: &mut Tx, row: BuildRow) -> Result<Build> {
        let mut artifacts = tx.artifacts(slice::from_ref(&row.version_id)).await?;
        let artifacts = artifacts.remove(&row.id).unwrap_or_default();
        Ok(view::build(row, artifacts, true))
    }

    pub(super) async fn builds_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        page: &Page,
    ) -> Result<ListBuildsResponse> {
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let rows = tx.builds(slice::from_ref(&version.id), true).await?;
        let mut artifacts = tx.artifacts(slice::from_ref(&version.id)).await?;
        let (rows, pagination) = page::cut_list(rows, page)?;
        let builds = rows.into_iter().map(|row| {
            let artifacts = artifacts.remove(&row.id).unwrap_or_default();
            view::build(row, artifacts, true)
        });
        Ok(ListBuildsResponse {
            builds: builds.collect(),
            location: Some(self.project.location.clone()),
            pagination: Some(pagination),
        })
    }

    pub(super) async fn build_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        id: &str,
    ) -> Result<Build> {
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let row = self.find_build(tx, &version, id).await?;
        self.see_build(tx, row).await
    }

    pub(super) async fn create_build_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        body: &CreateBuildBody,
    ) -> Result<Build> {
        let changes = UpdateBuildBody {
            packer_run_uuid: body.packer_run_uuid.clone(),
            status: body.status,
            platform: body.platform.clone(),
            artifacts: body.artifacts.clone(),
            labels: body.labels.clone(),
            metadata: None,
            source_external_identifier: body.source_external_identifier.clone(),
            parent_version_id: body.parent_version_id.clone(),
            parent_channel_id: body.parent_channel_id.clone(),
        };
        self.lock(tx, bucket).await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        if tx.has_build(&version.id, &body.component_type).await? {
            let component = rules::quoted(&body.component_type);
            return Err(Error::new(
                Code::AlreadyExists,
                format!("the version has a build of {component} already"),
            ));
        }
        open_for_builds(&version)?;
        let row = BuildRow {
            id: new_id(),
            version_id: version.id.clone(),
            component_type: body.component_type.clone(),
            ..BuildRow::default()
        };
        let action = "create build";
        self.apply(tx, &version, row, &changes, action).await
    }

    pub(super) async fn update_build_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        id: &str,
        body: &UpdateBuildBody,
    ) -> Result<Build> {
        self.lock(tx, bucket).await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let mut row = self.find_build(tx, &version, id).await?;
        if row.status == BuildStatus::Done && only_labels(&row, body) {
            // The labels of a build may change, not its artifacts.
            row.labels.clone_from(&body.labels);
            tx.put_build(&row).await?;
            check_size(tx, &version.id).await?;
            let target = format!("{bucket}/{fingerprint} {}", row.component_type);
            self.audit(tx, "label build", target).await?;
            let row = self.find_build(tx, &version, id).await?;
            return self.see_build(tx, row).await;
        }
        if row.status == BuildStatus::Done {
            let build = self.see_build(tx, row).await?;
            // A client that did not hear the answer asks again.
            return match same_end(&build, body) {
                true => Ok(build),
                false => Err(Error::precondition("the build is done and cannot change any more")),
            };
        }
        open_for_builds(&version)?;
        let action = "update build";
        self.apply(tx, &version, row, body, action).await
    }

    /// Writes what is given over a build.
    async fn apply(
        &self,
        tx: &mut Tx,
        version: &VersionRow,
        mut row: BuildRow,
        body: &UpdateBuildBody,
        action: &str,
    ) -> Result<Build> {
        let set = |field: &mut String, value: &String| {
            if !value.is_empty() {
                field.clone_from(value);
            }
        };
        set(&mut row.run_uuid, &body.packer_run_uuid);
        set(&mut row.platform, &body.platform);
        set(&mut row.source_external_identifier, &body.source_external_identifier);
        if !body.labels.is_empty() {
            row.labels.clone_from(&body.labels);
        }
        if let Some(metadata) = &body.metadata {
            row.metadata = metadata.clone();
        }
        let before = row.status;
        if body.status != BuildStatus::Unset {
            row.status = body.status;
        }
        if !body.parent_version_id.is_empty() {
            self.check_parent(tx, version, &body.parent_version_id).await?;
            row.parent_version_id = Some(body.parent_version_id.clone());
        }
        if !body.parent_channel_id.is_empty() {
            let channel = tx.channel_by_id(self.project_id(), &body.parent_channel_id).await?;
            let channel =
                channel.ok_or_else(|| Error::invalid("parent_channel_id names no channel here"))?;
            row.parent_channel_id = Some(channel.id);
        }
        tx.put_build(&row).await?;
        tx.insert_artifacts(&row.id, &body.artifacts).await?;
        let grows =
            !body.labels.is_empty() || body.metadata.is_some() || !body.artifacts.is_empty();
        if grows || action == "create build" {
            check_size(tx, &version.id).await?;
        }
        let id = row.id.clone();
        if row.status == BuildStatus::Done {
            let artifacts = tx.artifacts(slice::from_ref(&version.id)).await?;
            if !artifacts.contains_key(&id) {
                return Err(Error::precondition("a build without an artifact cannot be done"));
            }
            self.complete_if_done(tx, version).await?;
        }
        // A heartbeat is not worth a line.
        if action != "update build" || before != row.status || !body.artifacts.is_empty() {
            let (component, status) = (&row.component_type, row.status);
            let target = format!("{}/{}", version.bucket_name, version.fingerprint);
            self.audit(tx, action, format!("{target} {component} {status}")).await?;
        }
        let row = self.find_build(tx, version, &id).await?;
        self.see_build(tx, row).await
    }

    async fn check_parent(&self, tx: &mut Tx, child: &VersionRow, parent: &str) -> Result<()> {
        let found = tx.versions_by_id(slice::from_ref(&parent.to_owned())).await?;
        let here = found.iter().any(|row| row.project_id == self.project_id());
        match here && parent != child.id {
            true => Ok(()),
            false => Err(Error::invalid("parent_version_id names no other version here")),
        }
    }

    pub(super) async fn delete_build_in(
        &self,
        tx: &mut Tx,
        bucket: &str,
        fingerprint: &str,
        id: &str,
    ) -> Result<()> {
        self.lock(tx, bucket).await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let row = self.find_build(tx, &version, id).await?;
        open_for_builds(&version)?;
        tx.delete_build(&row.id).await?;
        let target = format!("{bucket}/{fingerprint} {}", row.component_type);
        self.audit(tx, "delete build", target).await
    }

    pub(super) async fn search_in(
        &self,
        tx: &mut Tx,
        body: &SearchExternalArtifactRequestBody,
        page: &Page,
    ) -> Result<SearchExternalArtifactResponse> {
        let mut keys = page::keys(page)?;
        let (name, platform, region) = (&body.external_identifier, &body.platform, &body.region);
        if name.is_empty() {
            return Err(Error::invalid("external_identifier must be given"));
        }
        let rows = tx.find_artifacts(self.project_id(), name, platform, region, &keys).await?;
        page::fit(tx, &rows, &mut keys, |row| (row.bytes, Some(&row.version_id))).await?;
        let (rows, pagination) = page::cut(rows, &keys, |row| row.artifact.id.clone());
        let ids = rows.iter().map(|row| &row.version_id);
        let versions = self.see_versions_by_id(tx, ids, Detail::Builds).await?;
        let mut buckets: HashMap<String, BucketRow> = HashMap::new();
        let mut artifacts = Vec::new();
        for row in rows {
            let Some(version) = versions.get(&row.version_id) else { continue };
            let bucket = match buckets.get(&version.bucket_name) {
                Some(bucket) => bucket,
                None => {
                    let bucket = self.find_bucket(tx, &version.bucket_name).await?;
                    buckets.entry(version.bucket_name.clone()).or_insert(bucket)
                }
            };
            let build = version.builds.iter().find(|build| build.id == row.artifact.build_id);
            let build = build.cloned().map(|mut build| {
                build.artifacts.retain(|artifact| artifact.id == row.artifact.id);
                build
            });
            artifacts.push(ExternalArtifact {
                bucket: Some(ExternalArtifactBucket {
                    id: bucket.id.clone(),
                    name: bucket.name.clone(),
                    labels: bucket.labels.clone(),
                }),
                version: Some(ExternalArtifactVersion {
                    id: version.id.clone(),
                    name: version.name.clone(),
                    fingerprint: version.fingerprint.clone(),
                    status: version.status,
                    author_id: version.author_id.clone(),
                    revoke_at: version.revoke_at,
                    revocation_message: version.revocation_message.clone(),
                    revocation_author: version.revocation_author.clone(),
                    revocation_type: version.revocation_type,
                }),
                build,
            });
        }
        Ok(SearchExternalArtifactResponse { artifacts, pagination: Some(pagination) })
    }
}

/// Checks that a version is not larger than one may be: it is given in one response.
async fn check_size(tx: &mut Tx, version: &str) -> Result<()> {
    let sizes = tx.version_sizes(slice::from_ref(&version.to_owned()), true).await?;
    match sizes.get(version).is_none_or(|size| *size <= limits::VERSION) {
        true => Ok(()),
        false => Err(Error::precondition(format!(
            "the version would be larger than {} MiB, with the labels, metadata and artifacts of all \
             its builds; give it fewer or shorter ones",
            limits::VERSION >> 20
        ))),
    }
}

fn open_for_builds(version: &VersionRow) -> Result<()> {
    match version.number {
        Some(_) => Err(Error::precondition(
            "the version is complete; what is built now needs another fingerprint",
        )),
        // Also if it inherited a revocation meanwhile: what is built is there, and to be known of.
        None => Ok(()),
    }
}

/// Whether an update of a build that is done is about nothing but its labels.
fn only_labels(row: &BuildRow, body: &UpdateBuildBody) -> bool {
    let UpdateBuildBody { packer_run_uuid, status, labels, .. } = body;
    let rest = UpdateBuildBody {
        packer_run_uuid: packer_run_uuid.clone(),
        status: *status,
        labels: labels.clone(),
        ..UpdateBuildBody::default()
    };
    !labels.is_empty()
        && *body == rest
        && matches!(status, BuildStatus::Done | BuildStatus::Unset)
        && (packer_run_uuid.is_empty() || *packer_run_uuid == row.run_uuid)
}

/// Whether an update says of a build that is done just what made it so.
fn same_end(build: &Build, body: &UpdateBuildBody) -> bool {
    let has = |wanted: &ArtifactCreateBody| {
        build.artifacts.iter().any(|artifact| {
            artifact.external_identifier == wanted.external_identifier
                && artifact.region == wanted.region
        })
    };
    body.status == BuildStatus::Done
        && body.artifacts.len() == build.artifacts.len()
        && body.artifacts.iter().all(has)
        && (body.packer_run_uuid.is_empty() || body.packer_run_uuid == build.packer_run_uuid)
}
