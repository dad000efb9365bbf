//! What callers see: the API's messages made of the database's rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Session;
use crate::api::*;
use crate::store::{ArtifactRow, BucketRow, BuildRow, ChannelRow, RelationRow, Tx, VersionRow};

/// Whether a child is out of date.
pub(super) fn relation_status(relation: &RelationRow) -> AncestryStatus {
    match &relation.channel_version_id {
        None => AncestryStatus::Undetermined,
        Some(now) if *now == relation.parent_id => AncestryStatus::UpToDate,
        Some(_) => AncestryStatus::OutOfDate,
    }
}

/// The status of several relations together: out of date if one is.
fn overall<'a>(relations: impl Iterator<Item = &'a RelationRow>) -> AncestryStatus {
    let all: BTreeSet<AncestryStatus> = relations.map(relation_status).collect();
    let worst = [AncestryStatus::OutOfDate, AncestryStatus::Undetermined];
    match worst.into_iter().find(|status| all.contains(status)) {
        Some(status) => status,
        None if all.is_empty() => AncestryStatus::Undetermined,
        None => AncestryStatus::UpToDate,
    }
}

/// How far a version is.
pub(super) fn version_status(
    row: &VersionRow,
    builds: &[BuildRow],
    now: Timestamp,
) -> VersionStatus {
    let has = |status| builds.iter().any(|build| build.status == status);
    // Also where a server has yet to carry it out.
    let due = row.revocation.at.is_set() && row.revocation.at <= now;
    match () {
        () if row.revocation.done || due => VersionStatus::Revoked,
        () if row.revocation.at.is_set() => VersionStatus::RevocationScheduled,
        () if row.number.is_some() => VersionStatus::Active,
        () if has(BuildStatus::Running) => VersionStatus::Running,
        () if has(BuildStatus::Failed) => VersionStatus::Failed,
        () if has(BuildStatus::Cancelled) => VersionStatus::Cancelled,
        () => VersionStatus::Incomplete,
    }
}

pub(super) fn build(row: BuildRow, artifacts: Vec<ArtifactRow>, metadata: bool) -> Build {
    let artifact = |row: ArtifactRow| Artifact {
        id: row.id,
        external_identifier: row.external_identifier,
        region: row.region,
        created_at: row.created_at,
    };
    Build {
        id: row.id,
        version_id: row.version_id,
        component_type: row.component_type,
        status: row.status,
        packer_run_uuid: row.run_uuid,
        platform: row.platform,
        artifacts: artifacts.into_iter().map(artifact).collect(),
        labels: row.labels,
        metadata: metadata.then_some(row.metadata),
        source_external_identifier: row.source_external_identifier,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Which parts of versions are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All but the builds, for versions that are complete.
    Outline,
    /// All but the builds' metadata.
    Builds,
    /// All.
    Metadata,
}

impl Session {
    /// The path of a bucket, or of what is under it.
    pub(super) fn href(&self, bucket: &str, rest: &str) -> String {
        let Location { organization_id, project_id } = &self.project.location;
        format!(
            "/packer/2023-01-01/organizations/{organization_id}/projects/{project_id}\
             /buckets/{bucket}{rest}"
        )
    }

    /// Versions as callers see them, in the order of the rows.
    pub(super) async fn see_versions(
        &self,
        tx: &mut Tx,
        rows: Vec<VersionRow>,
        detail: Detail,
    ) -> Result<Vec<Version>> {
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let mut builds: HashMap<String, Vec<BuildRow>> = HashMap::new();
        let with_builds = if detail == Detail::Outline { &[][..] } else { &ids };
        for build in tx.builds(with_builds, detail == Detail::Metadata).await? {
            builds.entry(build.version_id.clone()).or_default().push(build);
        }
        let mut artifacts = tx.artifacts(with_builds).await?;
        let relations = tx.parents_of(&ids, self.sees_all()).await?;
        let from: BTreeSet<&String> =
            rows.iter().filter_map(|row| row.revocation.from.as_ref()).collect();
        let from: Vec<String> = from.into_iter().cloned().collect();
        let ancestors: HashMap<String, VersionRow> =
            tx.versions_by_id(&from).await?.into_iter().map(|row| (row.id.clone(), row)).collect();

        let mut versions = Vec::new();
        for row in rows {
            let builds = builds.remove(&row.id).unwrap_or_default();
            let status = version_status(&row, &builds, tx.now);
            let name = row.name();
            let parents = relations.iter().filter(|relation| relation.child_id == row.id);
            let parents_href = format!(
                "/ancestry?type={}&version_fingerprint={}",
                BucketAncestryType::Parents,
                row.fingerprint
            );
            let ancestor = row.revocation.from.as_ref().and_then(|id| ancestors.get(id));
            let builds = builds.into_iter().map(|row| {
                let artifacts = artifacts.remove(&row.id).unwrap_or_default();
                build(row, artifacts, detail == Detail::Metadata)
            });
            versions.push(Version {
                name,
                status,
                builds: builds.collect(),
                has_descendants: row.has_descendants,
                parents: Some(VersionParents {
                    href: self.href(&row.bucket_name, &parents_href),
                    status: overall(parents),
                }),
                revocation_inherited_from: ancestor.map(|row| RevokedAncestor {
                    bucket_name: row.bucket_name.clone(),
                    href: self.href(&row.bucket_name, &format!("/versions/{}", row.fingerprint)),
                    version_fingerprint: row.fingerprint.clone(),
                    version_id: row.id.clone(),
                    version_name: row.name(),
                }),
                id: row.id,
                bucket_name: row.bucket_name,
                fingerprint: row.fingerprint,
                author_id: row.author,
                template_type: row.template_type,
                revoke_at: row.revocation.at,
                revocation_message: row.revocation.message,
                revocation_author: row.revocation.author,
                revocation_type: row.revocation.kind,
                created_at: row.created_at,
                updated_at: row.updated_at,
            });
        }
        Ok(versions)
    }

    /// Versions as callers see them, by their ids.
    pub(super) async fn see_versions_by_id(
        &self,
        tx: &mut Tx,
        ids: impl Iterator<Item = &String>,
        detail: Detail,
    ) -> Result<BTreeMap<String, Version>> {
        let ids: BTreeSet<&String> = ids.collect();
        let ids: Vec<String> = ids.into_iter().cloned().collect();
        let rows = tx.versions_by_id(&ids).await?;
        let versions = self.see_versions(tx, rows, detail).await?;
        Ok(versions.into_iter().map(|version| (version.id.clone(), version)).collect())
    }

    /// Buckets as callers see them, in the order of the rows.
    pub(super) async fn see_buckets(
        &self,
        tx: &mut Tx,
        rows: Vec<BucketRow>,
    ) -> Result<Vec<Bucket>> {
        let latest = rows.iter().filter_map(|row| row.latest_version_id.as_ref());
        let mut latest = self.see_versions_by_id(tx, latest, Detail::Builds).await?;
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let children = tx.children_of(&ids, self.sees_all()).await?;
        let see = |row: BucketRow| {
            let latest = row.latest_version_id.as_ref().and_then(|id| latest.remove(id));
            let builds = latest.iter().flat_map(|version| &version.builds);
            let platforms: BTreeSet<String> =
                builds.map(|build| build.platform.clone()).filter(|it| !it.is_empty()).collect();
            let ancestry = |kind| self.href(&row.name, &format!("/ancestry?type={kind}"));
            let parents = latest.as_ref().and_then(|version| version.parents.as_ref());
            let own = children.iter().filter(|relation| relation.parent_bucket_id == row.id);
            Bucket {
                parents: Some(BucketParents {
                    href: ancestry(BucketAncestryType::Parents),
                    status: parents.map(|parents| parents.status).unwrap_or_default(),
                }),
                children: Some(BucketChildren {
                    href: ancestry(BucketAncestryType::Children),
                    status: overall(own),
                }),
                location: Some(self.project.location.clone()),
                resource_name: format!("packer/project/{}/bucket/{}", row.project_id, row.name),
                platforms: platforms.into_iter().collect(),
                latest_version: latest,
                version_count: row.version_count.to_string(),
                id: row.id,
                name: row.name,
                description: row.description,
                labels: row.labels,
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(see).collect())
    }

    /// Channels as callers see them, in the order of the rows; the versions `short` without builds.
    pub(super) async fn see_channels(
        &self,
        tx: &mut Tx,
        bucket: &str,
        rows: Vec<ChannelRow>,
        short: &BTreeSet<String>,
    ) -> Result<Vec<Channel>> {
        let ids = || rows.iter().filter_map(|row| row.version_id.as_ref());
        let whole = ids().filter(|id| !short.contains(*id));
        let mut versions = self.see_versions_by_id(tx, whole, Detail::Builds).await?;
        let outlines = ids().filter(|id| short.contains(*id));
        versions.extend(self.see_versions_by_id(tx, outlines, Detail::Outline).await?);
        let see = |row: ChannelRow| Channel {
            version: row.version_id.as_ref().and_then(|id| versions.get(id)).cloned(),
            id: row.id,
            name: row.name,
            bucket_name: bucket.to_owned(),
            managed: row.managed,
            restricted: row.restricted,
            author_id: row.author,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Ok(rows.into_iter().map(see).collect())
    }
}
