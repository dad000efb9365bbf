//! Builds and their artifacts.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::{CHUNK, Columns, Keyset, Tx, labels_text, marks, new_id};
use crate::api::{ArtifactCreateBody, BuildMetadata, BuildStatus, Labels, Result, Timestamp};

/// The label of a docker build with the name that a registry of images gave its image, as
/// `REPOSITORY@sha256:…`. The artifact is the image's id, which is another number.
const IMAGE_DIGEST: &str = "ImageDigest";

/// How many builds of one digest are found, the newest first.
const MOST_OF_DIGEST: usize = 100;

/// Whether an image is named by a digest, or by an id that looks the same.
fn is_digest(name: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    name.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && hex(digits))
}

/// A build.
#[derive(Debug, Clone, Default)]
pub struct BuildRow {
    /// A ULID.
    pub id: String,
    /// Its version.
    pub version_id: String,
    /// The source; unique in its version.
    pub component_type: String,
    /// How far it is.
    pub status: BuildStatus,
    /// The run that made it.
    pub run_uuid: String,
    /// The platform.
    pub platform: String,
    /// Custom metadata.
    pub labels: Labels,
    /// How it was made.
    pub metadata: BuildMetadata,
    /// The image it was built from.
    pub source_external_identifier: String,
    /// The version of that image.
    pub parent_version_id: Option<String>,
    /// The channel the version was found by.
    pub parent_channel_id: Option<String>,
    /// When it was made known.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An artifact.
#[derive(Debug, Clone)]
pub struct ArtifactRow {
    /// A ULID.
    pub id: String,
    /// Its build.
    pub build_id: String,
    /// What the platform calls it.
    pub external_identifier: String,
    /// The region.
    pub region: String,
    /// When it was made known.
    pub created_at: Timestamp,
}

/// An artifact and where it comes from.
#[derive(Debug, Clone)]
pub struct FoundArtifact {
    /// The artifact.
    pub artifact: ArtifactRow,
    /// Its build's version.
    pub version_id: String,
    /// About how many bytes it is in a response, with its build and its bucket.
    pub bytes: i64,
}

fn build(row: &AnyRow) -> Result<BuildRow> {
    Ok(BuildRow {
        id: row.text("id")?,
        version_id: row.text("version_id")?,
        component_type: row.text("component_type")?,
        status: row.value("status")?,
        run_uuid: row.text("run_uuid")?,
        platform: row.text("platform")?,
        labels: row.labels("labels")?,
        metadata: serde_json::from_str(&row.text("metadata")?).unwrap_or_default(),
        source_external_identifier: row.text("source_external_identifier")?,
        parent_version_id: row.maybe_text("parent_version_id")?,
        parent_channel_id: row.maybe_text("parent_channel_id")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn artifact(row: &AnyRow) -> Result<ArtifactRow> {
    Ok(ArtifactRow {
        id: row.text("id")?,
        build_id: row.text("build_id")?,
        external_identifier: row.text("external_identifier")?,
        region: row.text("region")?,
        created_at: row.time("created_at")?,
    })
}

impl Tx {
    /// About how many bytes the builds and artifacts of versions are in a response, by version; with
    /// the builds' metadata or without.
    pub async fn version_sizes(
        &mut self,
        versions: &[String],
        metadata: bool,
    ) -> Result<HashMap<String, i64>> {
        let mut sizes = HashMap::new();
        let metadata = if metadata { "octet_length(metadata) + " } else { "" };
        for ids in versions.chunks(CHUNK) {
            let marks = marks(0, ids.len());
            for sql in [
                format!(
                    "SELECT version_id, CAST(SUM({metadata}octet_length(labels) \
                     + octet_length(component_type) + 300) AS BIGINT) AS size FROM builds WHERE version_id IN ({marks}) \
                     GROUP BY version_id"
                ),
                format!(
                    "SELECT b.version_id, CAST(SUM(octet_length(a.external_identifier) \
                     + octet_length(a.region) + 150) AS BIGINT) AS size FROM artifacts a \
                     JOIN builds b ON b.id = a.build_id WHERE b.version_id IN ({marks}) \
                     GROUP BY b.version_id"
                ),
            ] {
                let query = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |it, id| it.bind(id));
                for row in query.fetch_all(self.raw()).await? {
                    *sizes.entry(row.text("version_id")?).or_default() += row.int("size")?;
                }
            }
        }
        Ok(sizes)
    }

    /// Adds a build, or writes it over the one with its id.
    pub async fn put_build(&mut self, build: &BuildRow) -> Result<()> {
        let metadata = serde_json::to_string(&build.metadata).unwrap_or_else(|_| "{}".into());
        sqlx::query(
            "INSERT INTO builds (id, version_id, component_type, status, run_uuid, platform, \
             labels, metadata, source_external_identifier, parent_version_id, parent_channel_id, \
             created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
             run_uuid = excluded.run_uuid, platform = excluded.platform, \
             labels = excluded.labels, metadata = excluded.metadata, \
             source_external_identifier = excluded.source_external_identifier, \
             parent_version_id = excluded.parent_version_id, \
             parent_channel_id = excluded.parent_channel_id, updated_at = excluded.updated_at",
        )
        .bind(&build.id)
        .bind(&build.version_id)
        .bind(&build.component_type)
        .bind(build.status.as_str())
        .bind(&build.run_uuid)
        .bind(&build.platform)
        .bind(labels_text(&build.labels))
        .bind(metadata)
        .bind(&build.source_external_identifier)
        .bind(&build.parent_version_id)
        .bind(&build.parent_channel_id)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// A build of a version.
    pub async fn build(&mut self, version: &str, id: &str) -> Result<Option<BuildRow>> {
        let sql = "SELECT * FROM builds WHERE id = $1 AND version_id = $2";
        let query = sqlx::query(sql).bind(id).bind(version);
        query.fetch_optional(self.raw()).await?.as_ref().map(build).transpose()
    }

    /// Whether a version has a build of a component.
    pub async fn has_build(&mut self, version: &str, component: &str) -> Result<bool> {
        let sql = "SELECT id FROM builds WHERE version_id = $1 AND component_type = $2";
        let query = sqlx::query_scalar(sql).bind(version).bind(component);
        let found: Option<String> = query.fetch_optional(self.raw()).await?;
        Ok(found.is_some())
    }

    /// The version of a build in a project: what older clients, which name only the build, mean.
    pub async fn version_of_build(&mut self, project: &str, id: &str) -> Result<Option<String>> {
        let sql = "SELECT d.version_id FROM builds d JOIN versions v ON v.id = d.version_id \
                   JOIN buckets b ON b.id = v.bucket_id WHERE d.id = $1 AND b.project_id = $2";
        Ok(sqlx::query_scalar(sql).bind(id).bind(project).fetch_optional(self.raw()).await?)
    }

    /// The builds of these versions, in the order they were made known; with how they were made,
    /// which may be long, only where that is wanted.
    pub async fn builds(&mut self, versions: &[String], metadata: bool) -> Result<Vec<BuildRow>> {
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let metadata = if metadata { "metadata" } else { "CAST('{}' AS TEXT) AS metadata" };
        let sql = AssertSqlSafe(format!(
            "SELECT id, version_id, component_type, status, run_uuid, platform, labels, \
             {metadata}, source_external_identifier, parent_version_id, parent_channel_id, \
             created_at, updated_at FROM builds WHERE version_id IN ({}) ORDER BY created_at, id",
            marks(0, versions.len())
        ));
        let query = versions.iter().fold(sqlx::query(sql), |query, id| query.bind(id));
        query.fetch_all(self.raw()).await?.iter().map(build).collect()
    }

    /// Removes a build.
    pub async fn delete_build(&mut self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM builds WHERE id = $1").bind(id).execute(self.raw()).await?;
        Ok(())
    }

    /// How many builds that run were last heard of before `since`.
    pub async fn silent_builds(&mut self, since: Timestamp) -> Result<i64> {
        let sql = "SELECT count(*) FROM builds WHERE status = 'BUILD_RUNNING' AND updated_at < $1";
        Ok(sqlx::query_scalar(sql).bind(since.micros()).fetch_one(self.raw()).await?)
    }

    /// Cancels the builds that have not been heard of since; how many.
    pub async fn cancel_silent_builds(&mut self, since: Timestamp) -> Result<u64> {
        let done = sqlx::query(
            "UPDATE builds SET status = 'BUILD_CANCELLED', updated_at = $1 \
             WHERE status = 'BUILD_RUNNING' AND updated_at < $2",
        )
        .bind(self.now_micros())
        .bind(since.micros())
        .execute(self.raw())
        .await?;
        Ok(done.rows_affected())
    }

    /// Adds artifacts to a build, but for those it has.
    pub async fn insert_artifacts(
        &mut self,
        build: &str,
        artifacts: &[ArtifactCreateBody],
    ) -> Result<()> {
        for artifact in artifacts {
            sqlx::query(
                "INSERT INTO artifacts (id, build_id, external_identifier, region, created_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            )
            .bind(new_id())
            .bind(build)
            .bind(&artifact.external_identifier)
            .bind(&artifact.region)
            .bind(self.now_micros())
            .execute(self.raw())
            .await?;
        }
        Ok(())
    }

    /// The artifacts of these versions' builds, by build.
    pub async fn artifacts(
        &mut self,
        versions: &[String],
    ) -> Result<HashMap<String, Vec<ArtifactRow>>> {
        let mut found: HashMap<String, Vec<ArtifactRow>> = HashMap::new();
        if versions.is_empty() {
            return Ok(found);
        }
        let sql = AssertSqlSafe(format!(
            "SELECT a.* FROM artifacts a JOIN builds d ON d.id = a.build_id \
             WHERE d.version_id IN ({}) ORDER BY a.region, a.external_identifier",
            marks(0, versions.len())
        ));
        let query = versions.iter().fold(sqlx::query(sql), |query, id| query.bind(id));
        for row in query.fetch_all(self.raw()).await? {
            let artifact = artifact(&row)?;
            found.entry(artifact.build_id.clone()).or_default().push(artifact);
        }
        Ok(found)
    }

    /// The docker builds of a project whose image has this digest in a registry of images.
    async fn builds_of_digest(&mut self, project: &str, digest: &str) -> Result<Vec<String>> {
        let sql = "SELECT d.id, d.labels FROM builds d JOIN versions v ON v.id = d.version_id \
                   JOIN buckets b ON b.id = v.bucket_id WHERE b.project_id = $1 \
                   AND d.platform = 'docker' AND d.labels LIKE $2 ORDER BY d.id DESC";
        let mut rows =
            sqlx::query(sql).bind(project).bind(format!("%{digest}\"%")).fetch(self.raw());
        let mut builds = Vec::new();
        while builds.len() < MOST_OF_DIGEST
            && let Some(row) = rows.try_next().await?
        {
            // Other labels have digests, too, as that of the image that it was built from.
            let labels = row.labels("labels")?;
            let own = labels.get(IMAGE_DIGEST).and_then(|name| name.rsplit('@').next());
            if own == Some(digest) {
                builds.push(row.text("id")?);
            }
        }
        Ok(builds)
    }

    /// The artifacts of a project that a platform knows by this name, newest first, one more than
    /// wanted. Images of docker are also found by their digests.
    pub async fn find_artifacts(
        &mut self,
        project: &str,
        name: &str,
        platform: &str,
        region: &str,
        keys: &Keyset,
    ) -> Result<Vec<FoundArtifact>> {
        let builds = match is_digest(name) && matches!(platform, "" | "docker") {
            true => self.builds_of_digest(project, name).await?,
            false => Vec::new(),
        };
        let clause = keys.clause("a.id", true, 5 + builds.len());
        // Azure writes the same id now with capital letters, now without.
        let azure = name.get(..15).is_some_and(|it| it.eq_ignore_ascii_case("/subscriptions/"));
        let named = match azure {
            true => "lower(a.external_identifier) = lower($1)".to_owned(),
            false if builds.is_empty() => "a.external_identifier = $1".to_owned(),
            false => {
                let builds = marks(4, builds.len());
                format!("(a.external_identifier = $1 OR a.build_id IN ({builds}))")
            }
        };
        let sql = AssertSqlSafe(format!(
            "SELECT a.*, d.version_id, CAST(octet_length(b.labels) + octet_length(d.labels) + 2000 \
             AS BIGINT) AS bytes FROM artifacts a JOIN builds d ON d.id = a.build_id \
             JOIN versions v ON v.id = d.version_id JOIN buckets b ON b.id = v.bucket_id \
             WHERE {named} AND b.project_id = $2 \
             AND ($3 = '' OR d.platform = $3) AND ($4 = '' OR a.region = $4){clause}"
        ));
        let query = sqlx::query(sql).bind(name).bind(project).bind(platform).bind(region);
        let mut query = builds.iter().fold(query, |query, id| query.bind(id));
        if let Some(key) = &keys.key {
            query = query.bind(key);
        }
        let found = |row: &AnyRow| {
            Ok(FoundArtifact {
                artifact: artifact(row)?,
                version_id: row.text("version_id")?,
                bytes: row.int("bytes")?,
            })
        };
        query.fetch_all(self.raw()).await?.iter().map(found).collect()
    }
}
