//! Channels and what they pointed at.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::{CHUNK, Columns, Keyset, Tx, marks, new_id};
use crate::api::{Result, Timestamp};
use crate::rollback::{Assigned, rollback_targets};

/// How many assignments of a channel say where it goes back to, the last ones.
const REPLAYED: i64 = 200;

/// A channel.
#[derive(Debug, Clone)]
pub struct ChannelRow {
    /// A ULID.
    pub id: String,
    /// Its bucket.
    pub bucket_id: String,
    /// Its name.
    pub name: String,
    /// Whether the registry sets it.
    pub managed: bool,
    /// Whether only those who may write may read it.
    pub restricted: bool,
    /// What it points at.
    pub version_id: Option<String>,
    /// Who changed it last.
    pub author: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One assignment of a channel.
#[derive(Debug, Clone)]
pub struct AssignmentRow {
    /// Its place in the channel's history.
    pub number: i64,
    /// What; none where the channel was cleared or the version removed.
    pub version_id: Option<String>,
    /// By whom.
    pub author: String,
    /// When.
    pub assigned_at: Timestamp,
}

pub(super) fn channel(row: &AnyRow) -> Result<ChannelRow> {
    Ok(ChannelRow {
        id: row.text("id")?,
        bucket_id: row.text("bucket_id")?,
        name: row.text("name")?,
        managed: row.flag("managed")?,
        restricted: row.flag("restricted")?,
        version_id: row.maybe_text("version_id")?,
        author: row.text("author")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

impl Tx {
    /// Adds a channel that points nowhere.
    pub async fn insert_channel(
        &mut self,
        bucket: &str,
        name: &str,
        managed: bool,
        restricted: bool,
        author: &str,
    ) -> Result<ChannelRow> {
        let row = sqlx::query(
            "INSERT INTO channels \
             (id, bucket_id, name, managed, restricted, author, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING *",
        )
        .bind(new_id())
        .bind(bucket)
        .bind(name)
        .bind(i64::from(managed))
        .bind(i64::from(restricted))
        .bind(author)
        .bind(self.now_micros())
        .fetch_one(self.raw())
        .await?;
        channel(&row)
    }

    /// A channel by its name.
    pub async fn channel(&mut self, bucket: &str, name: &str) -> Result<Option<ChannelRow>> {
        let sql = "SELECT * FROM channels WHERE bucket_id = $1 AND name = $2";
        let query = sqlx::query(sql).bind(bucket).bind(name);
        query.fetch_optional(self.raw()).await?.as_ref().map(channel).transpose()
    }

    /// A channel of a project by its id.
    pub async fn channel_by_id(&mut self, project: &str, id: &str) -> Result<Option<ChannelRow>> {
        let sql = "SELECT c.* FROM channels c JOIN buckets b ON b.id = c.bucket_id \
                   WHERE c.id = $1 AND b.project_id = $2";
        let query = sqlx::query(sql).bind(id).bind(project);
        query.fetch_optional(self.raw()).await?.as_ref().map(channel).transpose()
    }

    /// A bucket's channels by name.
    pub async fn channels(&mut self, bucket: &str) -> Result<Vec<ChannelRow>> {
        let sql = "SELECT * FROM channels WHERE bucket_id = $1 ORDER BY name";
        let rows = sqlx::query(sql).bind(bucket).fetch_all(self.raw()).await?;
        rows.iter().map(channel).collect()
    }

    /// How many channels a bucket has.
    pub async fn count_channels(&mut self, bucket: &str) -> Result<i64> {
        let sql = "SELECT count(*) FROM channels WHERE bucket_id = $1";
        Ok(sqlx::query_scalar(sql).bind(bucket).fetch_one(self.raw()).await?)
    }

    /// The channels that point at these versions, by version.
    pub async fn channels_of_versions(
        &mut self,
        versions: &[String],
    ) -> Result<HashMap<String, Vec<ChannelRow>>> {
        let mut found: HashMap<String, Vec<ChannelRow>> = HashMap::new();
        for ids in versions.chunks(CHUNK) {
            let sql = AssertSqlSafe(format!(
                "SELECT * FROM channels WHERE version_id IN ({}) ORDER BY name",
                marks(0, ids.len())
            ));
            let query = ids.iter().fold(sqlx::query(sql), |query, id| query.bind(id));
            for row in query.fetch_all(self.raw()).await? {
                found.entry(row.text("version_id")?).or_default().push(channel(&row)?);
            }
        }
        Ok(found)
    }

    /// Points a channel at a version and writes down that it does. The bucket must be locked.
    pub async fn assign(
        &mut self,
        channel: &str,
        version: Option<&str>,
        author: &str,
    ) -> Result<()> {
        // What is related now, where the channel is the managed one: that was, this is.
        let managed = "(SELECT version_id FROM channels WHERE id = $1 AND managed = 1)";
        let was = format!(
            "UPDATE builds SET current_parent_bucket_id = NULL WHERE version_id = {managed} \
             AND current_parent_bucket_id IS NOT NULL"
        );
        sqlx::query(AssertSqlSafe(was)).bind(channel).execute(self.raw()).await?;
        let sql = "UPDATE channels SET version_id = $1, author = $2, updated_at = $3 WHERE id = $4";
        sqlx::query(sql)
            .bind(version)
            .bind(author)
            .bind(self.now_micros())
            .bind(channel)
            .execute(self.raw())
            .await?;
        let is = format!(
            "UPDATE builds SET current_parent_bucket_id = \
             (SELECT p.bucket_id FROM versions p WHERE p.id = builds.parent_version_id) \
             WHERE version_id = {managed}"
        );
        sqlx::query(AssertSqlSafe(is)).bind(channel).execute(self.raw()).await?;
        sqlx::query(
            "INSERT INTO assignments (id, channel_id, number, version_id, author, assigned_at) \
             VALUES ($1, $2, \
             (SELECT coalesce(max(number), 0) + 1 FROM assignments WHERE channel_id = $2), \
             $3, $4, $5)",
        )
        .bind(new_id())
        .bind(channel)
        .bind(version)
        .bind(author)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// Sets who may read a channel.
    pub async fn restrict(&mut self, channel: &str, restricted: bool, author: &str) -> Result<()> {
        let sql = "UPDATE channels SET restricted = $1, author = $2, updated_at = $3 WHERE id = $4";
        sqlx::query(sql)
            .bind(i64::from(restricted))
            .bind(author)
            .bind(self.now_micros())
            .bind(channel)
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Where a channel goes when the version that it points at is revoked: of the valid ones of a lower
    /// number that it pointed at, as no channel goes forward, to the last one before it pointed at
    /// that version for the first time; where there is none, to the last one since then.
    pub async fn last_valid_if_revoked(
        &mut self,
        channel: &str,
        revoked: &str,
    ) -> Result<Option<String>> {
        let sql = "SELECT a.version_id FROM assignments a JOIN versions v ON v.id = a.version_id \
                   WHERE a.channel_id = $1 AND v.revoked = 0 \
                   AND v.number < (SELECT r.number FROM versions r WHERE r.id = $2) \
                   ORDER BY CASE WHEN a.number < (SELECT min(f.number) FROM assignments f \
                   WHERE f.channel_id = $1 AND f.version_id = $2) THEN 0 ELSE 1 END, \
                   a.number DESC LIMIT 1";
        let query = sqlx::query_scalar(sql).bind(channel).bind(revoked);
        Ok(query.fetch_optional(self.raw()).await?)
    }

    /// What each channel of a bucket goes back to, if it can go back: the channel's id and the
    /// version's. `only` names one channel.
    pub async fn rollbacks(
        &mut self,
        bucket: &str,
        only: Option<&str>,
    ) -> Result<HashMap<String, String>> {
        let one = if only.is_some() { "AND c.id = $3" } else { "" };
        let sql = format!(
            "SELECT * FROM (SELECT a.channel_id, a.number, a.version_id, a.assigned_at, \
             v.updated_at, v.revoke_at, \
             CAST(CASE WHEN v.revoked = 0 AND v.number IS NOT NULL THEN 1 ELSE 0 END AS BIGINT) \
             AS valid, row_number() OVER (PARTITION BY a.channel_id ORDER BY a.number DESC) AS place \
             FROM assignments a JOIN channels c ON c.id = a.channel_id \
             LEFT JOIN versions v ON v.id = a.version_id WHERE c.bucket_id = $1 {one}) AS found \
             WHERE place <= $2 ORDER BY channel_id, number"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(bucket).bind(REPLAYED);
        if let Some(only) = only {
            query = query.bind(only);
        }
        let rows = query.fetch_all(self.raw()).await?;
        let mut histories: HashMap<String, Vec<Option<Assigned<String>>>> = HashMap::new();
        for row in &rows {
            let (valid, at) = (row.flag("valid")?, row.time("assigned_at")?);
            let (revoke_at, updated_at) = (row.time("revoke_at")?, row.time("updated_at")?);
            let version = row.maybe_text("version_id")?;
            let assigned =
                version.map(|version| Assigned::new(version, valid, at, revoke_at, updated_at));
            histories.entry(row.text("channel_id")?).or_default().push(assigned);
        }
        let back = |(channel, history): (String, Vec<Option<Assigned<String>>>)| {
            let back = rollback_targets(history).into_iter().find(|to| to.valid)?;
            Some((channel, back.version))
        };
        Ok(histories.into_iter().filter_map(back).collect())
    }

    /// A channel's history, newest first, one more than wanted.
    pub async fn assignments(
        &mut self,
        channel: &str,
        keys: &Keyset,
    ) -> Result<Vec<AssignmentRow>> {
        let clause = keys.clause("number", true, 2);
        let sql = AssertSqlSafe(format!("SELECT * FROM assignments WHERE channel_id = $1{clause}"));
        let mut query = sqlx::query(sql).bind(channel);
        if let Some(key) = &keys.key {
            query = query.bind(key.parse::<i64>().unwrap_or_default());
        }
        let assignment = |row: &AnyRow| {
            Ok(AssignmentRow {
                number: row.int("number")?,
                version_id: row.maybe_text("version_id")?,
                author: row.text("author")?,
                assigned_at: row.time("assigned_at")?,
            })
        };
        query.fetch_all(self.raw()).await?.iter().map(assignment).collect()
    }

    /// How long a channel's history is.
    pub async fn count_assignments(&mut self, channel: &str) -> Result<i64> {
        let sql = "SELECT count(*) FROM assignments WHERE channel_id = $1";
        Ok(sqlx::query_scalar(sql).bind(channel).fetch_one(self.raw()).await?)
    }

    /// Removes a channel.
    pub async fn delete_channel(&mut self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM channels WHERE id = $1").bind(id).execute(self.raw()).await?;
        Ok(())
    }
}
