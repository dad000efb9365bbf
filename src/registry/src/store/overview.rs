//! Lists of many buckets for people: found by a word, and only what a list shows. Builds' metadata,
//! which may be long, stays where it is.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::versions::open_channels;
use super::{CHUNK, Columns, Keyset, Tx, marks};
use crate::api::{AncestryStatus, BuildStatus, Result, Timestamp};

/// A bucket in a list.
#[derive(Debug, Clone)]
pub struct BucketLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How many versions it has.
    pub version_count: i64,
    /// What its managed channel points at.
    pub latest_version_id: Option<String>,
    /// The version made last, complete or not.
    pub newest_version_id: Option<String>,
}

/// How far a build is, and where its images are.
#[derive(Debug, Clone)]
pub struct BuildLine {
    /// Its version.
    pub version_id: String,
    /// The platform.
    pub platform: String,
    /// How far it is.
    pub status: BuildStatus,
}

/// How many buckets are related to something in this way.
#[derive(Debug, Clone)]
pub struct RelativesLine {
    /// The version, where parents are counted; the bucket, where children are.
    pub of: String,
    /// In which way.
    pub status: AncestryStatus,
    /// How many.
    pub count: i64,
}

const LINE: &str = "SELECT b.id, b.name, b.description, b.updated_at, \
    (SELECT count(*) FROM versions v WHERE v.bucket_id = b.id) AS version_count, \
    (SELECT c.version_id FROM channels c WHERE c.bucket_id = b.id AND c.managed = 1) \
    AS latest_version_id, \
    (SELECT max(v.id) FROM versions v WHERE v.bucket_id = b.id) AS newest_version_id \
    FROM buckets b";

/// Which buckets a word, `$2`, is in.
const FOUND: &str = " AND (lower(b.name) LIKE lower($2) ESCAPE '\\' \
    OR lower(b.description) LIKE lower($2) ESCAPE '\\')";

/// How far a child is behind: 0 if that cannot be told, 1 if it is not, 2 if it is.
const BEHIND: &str = "CAST(CASE WHEN c.version_id IS NULL THEN 0 \
    WHEN c.version_id = d.parent_version_id THEN 1 ELSE 2 END AS BIGINT) AS behind";

fn line(row: &AnyRow) -> Result<BucketLine> {
    Ok(BucketLine {
        id: row.text("id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        updated_at: row.time("updated_at")?,
        version_count: row.int("version_count")?,
        latest_version_id: row.maybe_text("latest_version_id")?,
        newest_version_id: row.maybe_text("newest_version_id")?,
    })
}

/// A pattern for what holds a word, in which nothing has a meaning of its own.
fn pattern(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

impl Tx {
    /// A project's buckets by name that hold a word in name or description, one more than wanted.
    pub async fn search_buckets(
        &mut self,
        project: &str,
        word: &str,
        keys: &Keyset,
    ) -> Result<Vec<BucketLine>> {
        let found = if word.is_empty() { "" } else { FOUND };
        let clause = keys.clause("b.name", false, if word.is_empty() { 2 } else { 3 });
        let sql = AssertSqlSafe(format!("{LINE} WHERE b.project_id = $1{found}{clause}"));
        let mut query = sqlx::query(sql).bind(project);
        if !word.is_empty() {
            query = query.bind(pattern(word));
        }
        if let Some(key) = &keys.key {
            query = query.bind(key);
        }
        query.fetch_all(self.raw()).await?.iter().map(line).collect()
    }

    /// How many buckets of a project hold a word.
    pub async fn count_buckets(&mut self, project: &str, word: &str) -> Result<i64> {
        let found = if word.is_empty() { "" } else { FOUND };
        let sql =
            AssertSqlSafe(format!("SELECT count(*) FROM buckets b WHERE b.project_id = $1{found}"));
        let mut query = sqlx::query_scalar(sql).bind(project);
        if !word.is_empty() {
            query = query.bind(pattern(word));
        }
        Ok(query.fetch_one(self.raw()).await?)
    }

    /// Buckets by their ids, in no order.
    pub async fn bucket_lines(&mut self, ids: &[String]) -> Result<Vec<BucketLine>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = AssertSqlSafe(format!("{LINE} WHERE b.id IN ({})", marks(0, ids.len())));
        let query = ids.iter().fold(sqlx::query(sql), |query, id| query.bind(id));
        query.fetch_all(self.raw()).await?.iter().map(line).collect()
    }

    /// The builds of these versions.
    pub async fn build_lines(&mut self, versions: &[String]) -> Result<Vec<BuildLine>> {
        let line = |row: &AnyRow| -> Result<BuildLine> {
            Ok(BuildLine {
                version_id: row.text("version_id")?,
                platform: row.text("platform")?,
                status: row.value("status")?,
            })
        };
        let mut found = Vec::new();
        for versions in versions.chunks(CHUNK) {
            let sql = AssertSqlSafe(format!(
                "SELECT version_id, platform, status FROM builds WHERE version_id IN ({})",
                marks(0, versions.len())
            ));
            let query = versions.iter().fold(sqlx::query(sql), |query, id| query.bind(id));
            for row in query.fetch_all(self.raw()).await? {
                found.push(line(&row)?);
            }
        }
        Ok(found)
    }

    /// How many buckets these versions were built from.
    pub async fn count_parents(
        &mut self,
        versions: &[String],
        all: bool,
    ) -> Result<Vec<RelativesLine>> {
        let sql = format!(
            "SELECT d.version_id AS relative_of, {BEHIND}, count(DISTINCT p.bucket_id) AS relatives \
             FROM builds d JOIN versions p ON p.id = d.parent_version_id \
             LEFT JOIN channels c ON c.id = d.parent_channel_id{} \
             WHERE d.version_id IN ({}) GROUP BY 1, 2",
            open_channels(all),
            marks(0, versions.len())
        );
        self.relatives(sql, versions).await
    }

    /// How many buckets' newest complete versions were built from versions of these buckets.
    pub async fn count_children(
        &mut self,
        buckets: &[String],
        all: bool,
    ) -> Result<Vec<RelativesLine>> {
        let sql = format!(
            "SELECT d.current_parent_bucket_id AS relative_of, {BEHIND}, \
             count(DISTINCT d.version_id) AS relatives FROM builds d \
             LEFT JOIN channels c ON c.id = d.parent_channel_id{} \
             WHERE d.current_parent_bucket_id IN ({}) AND d.parent_version_id IS NOT NULL \
             GROUP BY 1, 2",
            open_channels(all),
            marks(0, buckets.len())
        );
        self.relatives(sql, buckets).await
    }

    async fn relatives(&mut self, sql: String, values: &[String]) -> Result<Vec<RelativesLine>> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = values.iter().fold(query, |query, value| query.bind(value));
        let line = |row: &AnyRow| {
            let status = match row.int("behind")? {
                1 => AncestryStatus::UpToDate,
                2 => AncestryStatus::OutOfDate,
                _ => AncestryStatus::Undetermined,
            };
            Ok(RelativesLine { of: row.text("relative_of")?, status, count: row.int("relatives")? })
        };
        query.fetch_all(self.raw()).await?.iter().map(line).collect()
    }
}
