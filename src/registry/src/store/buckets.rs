//! Buckets.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::{CHUNK, Columns, Tx, labels_text, marks, new_id};
use crate::api::{Labels, Result, Timestamp};

/// A bucket.
#[derive(Debug, Clone)]
pub struct BucketRow {
    /// A ULID.
    pub id: String,
    /// The project's id.
    pub project_id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Custom metadata.
    pub labels: Labels,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How many versions it has.
    pub version_count: i64,
    /// What its managed channel points at.
    pub latest_version_id: Option<String>,
}

/// A part of a list: so many entries after a key, or before one.
#[derive(Debug, Clone)]
pub struct Keyset {
    /// How many at most.
    pub limit: i64,
    /// After this key in the list's order; before it if `backward`. None: from the list's start.
    pub key: Option<String>,
    /// Whether those before the key are wanted.
    pub backward: bool,
}

impl Keyset {
    /// The end of a statement for a list in the order of `column`: what to compare with `$mark`,
    /// the order and the limit, for one entry more than wanted.
    pub(super) fn clause(&self, column: &str, descending: bool, mark: usize) -> String {
        let up = descending == self.backward;
        let (compare, order) = if up { (">", "ASC") } else { ("<", "DESC") };
        let limit = self.limit + 1;
        let after = match self.key {
            Some(_) => format!(" AND {column} {compare} ${mark}"),
            None => String::new(),
        };
        format!("{after} ORDER BY {column} {order} LIMIT {limit}")
    }
}

const BUCKET: &str = "SELECT b.id, b.project_id, b.name, b.description, b.labels, b.created_at, \
    b.updated_at, (SELECT count(*) FROM versions v WHERE v.bucket_id = b.id) AS version_count, \
    (SELECT c.version_id FROM channels c WHERE c.bucket_id = b.id AND c.managed = 1) \
    AS latest_version_id FROM buckets b";

fn bucket(row: &AnyRow) -> Result<BucketRow> {
    Ok(BucketRow {
        id: row.text("id")?,
        project_id: row.text("project_id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        labels: row.labels("labels")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version_count: row.int("version_count")?,
        latest_version_id: row.maybe_text("latest_version_id")?,
    })
}

impl Tx {
    /// Adds a bucket; its id.
    pub async fn insert_bucket(
        &mut self,
        project: &str,
        name: &str,
        description: &str,
        labels: &Labels,
    ) -> Result<String> {
        let id = new_id();
        sqlx::query(
            "INSERT INTO buckets (id, project_id, name, description, labels, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
        )
        .bind(&id)
        .bind(project)
        .bind(name)
        .bind(description)
        .bind(labels_text(labels))
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(id)
    }

    /// A bucket by its name.
    pub async fn bucket(&mut self, project: &str, name: &str) -> Result<Option<BucketRow>> {
        let sql = AssertSqlSafe(format!("{BUCKET} WHERE b.project_id = $1 AND b.name = $2"));
        let query = sqlx::query(sql).bind(project).bind(name);
        query.fetch_optional(self.raw()).await?.as_ref().map(bucket).transpose()
    }

    /// The id of a bucket.
    pub async fn bucket_id(&mut self, project: &str, name: &str) -> Result<Option<String>> {
        let sql = "SELECT id FROM buckets WHERE project_id = $1 AND name = $2";
        Ok(sqlx::query_scalar(sql).bind(project).bind(name).fetch_optional(self.raw()).await?)
    }

    /// The id of a bucket, which nobody else changes anything in until the transaction ends.
    pub async fn lock_bucket(&mut self, project: &str, name: &str) -> Result<Option<String>> {
        if !self.postgres {
            // SQLite has one writer at a time anyway.
            return self.bucket_id(project, name).await;
        }
        let sql = "SELECT id FROM buckets WHERE project_id = $1 AND name = $2 FOR UPDATE";
        let query = sqlx::query_scalar(sql).bind(project).bind(name);
        Ok(query.fetch_optional(self.raw()).await?)
    }

    /// As [`Tx::lock_bucket`], by the bucket's id.
    pub async fn lock_bucket_id(&mut self, id: &str) -> Result<()> {
        if self.postgres {
            let sql = "SELECT id FROM buckets WHERE id = $1 FOR UPDATE";
            let _: Option<String> =
                sqlx::query_scalar(sql).bind(id).fetch_optional(self.raw()).await?;
        }
        Ok(())
    }

    /// About how many bytes the same buckets as [`Tx::buckets`] gives are in a response without
    /// their latest versions, and the ids of these.
    pub async fn bucket_sizes(
        &mut self,
        project: &str,
        keys: &Keyset,
    ) -> Result<Vec<(i64, Option<String>)>> {
        let clause = keys.clause("b.name", false, 2);
        let sql = AssertSqlSafe(format!(
            "SELECT CAST(octet_length(b.labels) + octet_length(b.description) + 1500 AS BIGINT) \
             AS bytes, (SELECT c.version_id FROM channels c WHERE c.bucket_id = b.id \
             AND c.managed = 1) AS version_id FROM buckets b WHERE b.project_id = $1{clause}"
        ));
        let mut query = sqlx::query(sql).bind(project);
        if let Some(key) = &keys.key {
            query = query.bind(key);
        }
        let size = |row: &AnyRow| Ok((row.int("bytes")?, row.maybe_text("version_id")?));
        query.fetch_all(self.raw()).await?.iter().map(size).collect()
    }

    /// A project's buckets by name, one more than wanted.
    pub async fn buckets(&mut self, project: &str, keys: &Keyset) -> Result<Vec<BucketRow>> {
        let clause = keys.clause("b.name", false, 2);
        let sql = AssertSqlSafe(format!("{BUCKET} WHERE b.project_id = $1{clause}"));
        let mut query = sqlx::query(sql).bind(project);
        if let Some(key) = &keys.key {
            query = query.bind(key);
        }
        query.fetch_all(self.raw()).await?.iter().map(bucket).collect()
    }

    /// Sets a bucket's description and labels.
    pub async fn update_bucket(
        &mut self,
        id: &str,
        description: &str,
        labels: &Labels,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE buckets SET description = $1, labels = $2, updated_at = $3 WHERE id = $4",
        )
        .bind(description)
        .bind(labels_text(labels))
        .bind(self.now_micros())
        .bind(id)
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// Says that buckets changed.
    pub async fn touch_buckets(&mut self, ids: &[String]) -> Result<()> {
        for ids in ids.chunks(CHUNK) {
            let sql =
                format!("UPDATE buckets SET updated_at = $1 WHERE id IN ({})", marks(1, ids.len()));
            let query = sqlx::query(AssertSqlSafe(sql)).bind(self.now_micros());
            let query = ids.iter().fold(query, |query, id| query.bind(id));
            query.execute(self.raw()).await?;
        }
        Ok(())
    }

    /// Removes a bucket with all that is in it.
    pub async fn delete_bucket(&mut self, id: &str) -> Result<()> {
        self.keep_inherited_from_bucket(id).await?;
        // Channels hold on to their versions, so they go first.
        for sql in
            ["DELETE FROM channels WHERE bucket_id = $1", "DELETE FROM buckets WHERE id = $1"]
        {
            sqlx::query(sql).bind(id).execute(self.raw()).await?;
        }
        Ok(())
    }
}
