//! Versions, their revocation, and which were built from which.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::revocations::{RevocationRow, revocation};
use super::{CHUNK, Columns, Keyset, Tx, marks, new_id};
use crate::api::{Result, TemplateType, Timestamp};

/// A version.
#[derive(Debug, Clone)]
pub struct VersionRow {
    /// A ULID.
    pub id: String,
    /// Its bucket.
    pub bucket_id: String,
    /// Its bucket's name.
    pub bucket_name: String,
    /// Its bucket's project.
    pub project_id: String,
    /// What identifies it in its bucket.
    pub fingerprint: String,
    /// The number it got when it was complete.
    pub number: Option<i64>,
    /// The syntax of its template.
    pub template_type: TemplateType,
    /// Who made it.
    pub author: String,
    /// Its revocation, carried out or to come.
    pub revocation: RevocationRow,
    /// Whether others were built from it.
    pub has_descendants: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl VersionRow {
    /// `v0` until it is complete, then `v` and its number.
    pub fn name(&self) -> String {
        format!("v{}", self.number.unwrap_or(0))
    }
}

/// A relation: a build of the child was made from the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationRow {
    /// The version that was built from.
    pub parent_id: String,
    /// Its bucket.
    pub parent_bucket_id: String,
    /// The version that was built.
    pub child_id: String,
    /// The channel the parent was found by.
    pub channel_id: Option<String>,
    /// Its name.
    pub channel_name: Option<String>,
    /// What the channel points at now.
    pub channel_version_id: Option<String>,
}

/// The columns of a version. Whether it has descendants is whether the lowest parent that is not below
/// it is the version itself, which an index says at once. Where few versions are parents, PostgreSQL
/// expects to find a child of any version (`EXISTS`, or the `min` of the children) among the first
/// builds, and goes through all of them for each version that has none.
pub(super) const VERSION: &str = "SELECT v.*, b.name AS bucket_name, b.project_id, \
    CASE WHEN (SELECT min(d.parent_version_id) FROM builds d WHERE d.parent_version_id >= v.id) \
    = v.id THEN 1 ELSE 0 END AS has_descendants FROM versions v JOIN buckets b ON b.id = v.bucket_id";

pub(super) fn version(row: &AnyRow) -> Result<VersionRow> {
    Ok(VersionRow {
        id: row.text("id")?,
        bucket_id: row.text("bucket_id")?,
        bucket_name: row.text("bucket_name")?,
        project_id: row.text("project_id")?,
        fingerprint: row.text("fingerprint")?,
        number: row.maybe_int("number")?,
        template_type: row.value("template_type")?,
        author: row.text("author")?,
        revocation: revocation(row)?,
        has_descendants: int_flag(row)?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// PostgreSQL makes a 32-bit integer of what is `1` or `0`.
fn int_flag(row: &AnyRow) -> Result<bool> {
    use sqlx::Row;
    match row.try_get::<i64, _>("has_descendants") {
        Ok(value) => Ok(value != 0),
        Err(_) => Ok(row.try_get::<i32, _>("has_descendants")? != 0),
    }
}

/// The order of relations: the oldest first.
const OLDEST: &str = "d.parent_version_id, d.version_id, d.parent_channel_id";

/// What keeps a join with channels from those that only some may know of.
pub(super) fn open_channels(all: bool) -> &'static str {
    if all { "" } else { " AND c.restricted = 0" }
}

/// A version's place in its bucket's list as a string: its number with ten digits, and its id. The
/// index `versions_by_number` is of this expression.
pub(super) const KEY: &str = "(COALESCE(substr('0000000000' || CAST(v.number AS TEXT), \
    length(CAST(v.number AS TEXT)) + 1), '9999999999') || v.id)";

impl VersionRow {
    /// Its place in its bucket's list.
    pub fn key(&self) -> String {
        format!("{:010}{}", self.number.unwrap_or(9_999_999_999), self.id)
    }
}

impl Tx {
    /// Adds a version; its id.
    pub async fn insert_version(
        &mut self,
        bucket: &str,
        fingerprint: &str,
        template_type: TemplateType,
        author: &str,
    ) -> Result<String> {
        let id = new_id();
        sqlx::query(
            "INSERT INTO versions (id, bucket_id, fingerprint, template_type, author, revoked, \
             revocation_message, revocation_author, revocation_type, revoke_rollback, \
             revoke_descendants, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, 0, '', '', 'REVOCATION_TYPE_UNSET', 0, 0, $6, $6)",
        )
        .bind(&id)
        .bind(bucket)
        .bind(fingerprint)
        .bind(template_type.as_str())
        .bind(author)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(id)
    }

    /// A version by its fingerprint.
    pub async fn version(&mut self, bucket: &str, fingerprint: &str) -> Result<Option<VersionRow>> {
        let sql = AssertSqlSafe(format!("{VERSION} WHERE v.bucket_id = $1 AND v.fingerprint = $2"));
        let query = sqlx::query(sql).bind(bucket).bind(fingerprint);
        query.fetch_optional(self.raw()).await?.as_ref().map(version).transpose()
    }

    /// Versions by their ids, in no order.
    pub async fn versions_by_id(&mut self, ids: &[String]) -> Result<Vec<VersionRow>> {
        let mut found = Vec::new();
        for ids in ids.chunks(CHUNK) {
            let sql = AssertSqlSafe(format!("{VERSION} WHERE v.id IN ({})", marks(0, ids.len())));
            let query = ids.iter().fold(sqlx::query(sql), |query, id| query.bind(id));
            for row in query.fetch_all(self.raw()).await? {
                found.push(version(&row)?);
            }
        }
        Ok(found)
    }

    /// A version by its id.
    pub async fn version_by_id(&mut self, id: &str) -> Result<Option<VersionRow>> {
        Ok(self.versions_by_id(std::slice::from_ref(&id.to_owned())).await?.pop())
    }

    /// A bucket's versions by their numbers, highest first and before them those without one, one
    /// more than wanted. Their keys are [`VersionRow::key`].
    pub async fn versions(&mut self, bucket: &str, keys: &Keyset) -> Result<Vec<VersionRow>> {
        let clause = keys.clause(KEY, true, 2);
        let sql = AssertSqlSafe(format!("{VERSION} WHERE v.bucket_id = $1{clause}"));
        let mut query = sqlx::query(sql).bind(bucket);
        if let Some(key) = &keys.key {
            query = query.bind(key);
        }
        query.fetch_all(self.raw()).await?.iter().map(version).collect()
    }

    /// The fingerprint of a version by its number.
    pub async fn fingerprint_of(&mut self, bucket: &str, number: i64) -> Result<Option<String>> {
        let sql = "SELECT fingerprint FROM versions WHERE bucket_id = $1 AND number = $2";
        let query = sqlx::query_scalar(sql).bind(bucket).bind(number);
        Ok(query.fetch_optional(self.raw()).await?)
    }

    /// The newest complete version that is not revoked.
    pub async fn newest_valid(&mut self, bucket: &str) -> Result<Option<String>> {
        let sql = "SELECT id FROM versions WHERE bucket_id = $1 AND number IS NOT NULL \
                   AND revoked = 0 ORDER BY number DESC LIMIT 1";
        Ok(sqlx::query_scalar(sql).bind(bucket).fetch_optional(self.raw()).await?)
    }

    /// Gives a version the next number, which no other had. The bucket must be locked.
    pub async fn complete_version(&mut self, bucket: &str, id: &str) -> Result<()> {
        let sql = "UPDATE buckets SET last_number = last_number + 1 WHERE id = $1 \
                   RETURNING last_number";
        let number: i64 = sqlx::query_scalar(sql).bind(bucket).fetch_one(self.raw()).await?;
        let sql = "UPDATE versions SET updated_at = $1, number = $2 \
                   WHERE id = $3 AND number IS NULL";
        sqlx::query(sql).bind(self.now_micros()).bind(number).bind(id).execute(self.raw()).await?;
        Ok(())
    }

    /// The relations of these versions to what they were built from; with nothing of restricted
    /// channels unless `all`.
    pub async fn parents_of(&mut self, children: &[String], all: bool) -> Result<Vec<RelationRow>> {
        let bucket = "(SELECT p.bucket_id FROM versions p WHERE p.id = d.parent_version_id)";
        let which = format!("d.version_id IN ({})", marks(0, children.len()));
        self.relations(bucket, &which, children, all, OLDEST).await
    }

    /// The relations of a version to those that were built from it, the newest first and so many at
    /// most: of all, or of those that are older than the version `before`.
    pub async fn built_from(
        &mut self,
        version: &str,
        before: Option<&str>,
        all: bool,
        most: u32,
    ) -> Result<Vec<RelationRow>> {
        let bucket = "(SELECT p.bucket_id FROM versions p WHERE p.id = d.parent_version_id)";
        let mut which = "d.parent_version_id = $1".to_owned();
        if before.is_some() {
            which.push_str(" AND d.version_id < $2");
        }
        let values: Vec<String> =
            std::iter::once(version).chain(before).map(str::to_owned).collect();
        let order = format!("d.version_id DESC, d.parent_channel_id LIMIT {most}");
        self.relations(bucket, &which, &values, all, &order).await
    }

    /// How many versions were built from a version.
    pub async fn count_built_from(&mut self, version: &str) -> Result<i64> {
        let sql = "SELECT count(DISTINCT version_id) FROM builds WHERE parent_version_id = $1";
        Ok(sqlx::query_scalar(sql).bind(version).fetch_one(self.raw()).await?)
    }

    /// The fingerprints of the complete versions before and after a number.
    pub async fn neighbours(
        &mut self,
        bucket: &str,
        number: i64,
    ) -> Result<(Option<String>, Option<String>)> {
        let mut found = [None, None];
        for (place, (compare, order)) in [("<", "DESC"), (">", "ASC")].into_iter().enumerate() {
            let sql = AssertSqlSafe(format!(
                "SELECT fingerprint FROM versions WHERE bucket_id = $1 AND number {compare} $2 \
                 ORDER BY number {order} LIMIT 1"
            ));
            let query = sqlx::query_scalar(sql).bind(bucket).bind(number);
            found[place] = query.fetch_optional(self.raw()).await?;
        }
        let [before, after] = found;
        Ok((before, after))
    }

    /// The relations of these buckets' versions to those newest complete versions of other buckets
    /// that were built from them.
    pub async fn children_of(&mut self, buckets: &[String], all: bool) -> Result<Vec<RelationRow>> {
        let bucket = "d.current_parent_bucket_id";
        let which = format!("{bucket} IN ({})", marks(0, buckets.len()));
        self.relations(bucket, &which, buckets, all, OLDEST).await
    }

    /// The relations of the builds for which a condition is true, to which the values are bound.
    async fn relations(
        &mut self,
        parent_bucket: &'static str,
        which: &str,
        values: &[String],
        all: bool,
        order: &str,
    ) -> Result<Vec<RelationRow>> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let sql = AssertSqlSafe(format!(
            "SELECT DISTINCT d.parent_version_id, {parent_bucket} AS bucket_id, d.version_id, \
             d.parent_channel_id, c.name AS channel_name, c.version_id AS channel_version_id FROM builds d \
             LEFT JOIN channels c ON c.id = d.parent_channel_id{} \
             WHERE {which} AND d.parent_version_id IS NOT NULL ORDER BY {order}",
            open_channels(all),
        ));
        let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(value));
        let rows = query.fetch_all(self.raw()).await?;
        let relation = |row: &AnyRow| {
            Ok(RelationRow {
                parent_id: row.text("parent_version_id")?,
                parent_bucket_id: row.text("bucket_id")?,
                child_id: row.text("version_id")?,
                channel_id: row.maybe_text("parent_channel_id")?,
                channel_name: row.maybe_text("channel_name")?,
                channel_version_id: row.maybe_text("channel_version_id")?,
            })
        };
        rows.iter().map(relation).collect()
    }

    /// Removes a version with its builds.
    pub async fn delete_version(&mut self, id: &str) -> Result<()> {
        self.keep_inherited_from(id).await?;
        sqlx::query("DELETE FROM versions WHERE id = $1").bind(id).execute(self.raw()).await?;
        Ok(())
    }
}
