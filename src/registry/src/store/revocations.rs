//! Revocations: what versions were revoked by themselves, and what of it holds for which.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::channels::{ChannelRow, channel};
use super::{CHUNK, Columns, Tx, marks};
use crate::api::{Result, RevocationType, Timestamp};

/// A revocation as it holds for a version. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RevocationRow {
    /// Since when.
    pub at: Timestamp,
    /// Whether it has been carried out.
    pub done: bool,
    /// Why.
    pub message: String,
    /// Who did it.
    pub author: String,
    /// How.
    pub kind: RevocationType,
    /// The version it is inherited from.
    pub from: Option<String>,
    /// Whether channels go back to the version they had before.
    pub rollback: bool,
    /// Whether what was built from it inherits it.
    pub descendants: bool,
}

/// A version of a family and what holds for it now.
#[derive(Debug, Clone)]
pub struct Relative {
    /// The version's id.
    pub id: String,
    /// Its bucket.
    pub bucket_id: String,
    /// Its revocation.
    pub revocation: RevocationRow,
}

/// A revocation that a version may have: its own or an ancestor's.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The version.
    pub heir: String,
    /// The revocation, as it would hold for it, but for whether it is carried out.
    pub revocation: RevocationRow,
}

/// The version `$1` and all that was built from it, directly or not. What is joined with it is a
/// `CROSS JOIN`, which SQLite does from left to right: it takes a family for large and would go
/// through all versions instead.
const FAMILY: &str = "WITH RECURSIVE family (id) AS (SELECT CAST($1 AS TEXT) UNION \
    SELECT b.version_id FROM builds b JOIN family f ON b.parent_version_id = f.id)";

pub(super) fn revocation(row: &AnyRow) -> Result<RevocationRow> {
    Ok(RevocationRow {
        at: row.time("revoke_at")?,
        done: row.flag("revoked")?,
        message: row.text("revocation_message")?,
        author: row.text("revocation_author")?,
        kind: row.value("revocation_type")?,
        from: row.maybe_text("revocation_from")?,
        rollback: row.flag("revoke_rollback")?,
        descendants: row.flag("revoke_descendants")?,
    })
}

impl Tx {
    /// Writes down that a version is, or is to be, revoked by itself.
    pub async fn put_revocation(&mut self, id: &str, revocation: &RevocationRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO revocations \
             (version_id, at, message, author, rollback, descendants, made_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (version_id) DO UPDATE SET \
             at = excluded.at, message = excluded.message, author = excluded.author, \
             rollback = excluded.rollback, descendants = excluded.descendants, \
             made_at = excluded.made_at",
        )
        .bind(id)
        .bind(revocation.at.micros())
        .bind(&revocation.message)
        .bind(&revocation.author)
        .bind(i64::from(revocation.rollback))
        .bind(i64::from(revocation.descendants))
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// When a version was or is to be revoked by itself.
    pub async fn own_revocation(&mut self, id: &str) -> Result<Timestamp> {
        let sql = "SELECT at FROM revocations WHERE version_id = $1";
        let at = sqlx::query_scalar(sql).bind(id).fetch_optional(self.raw()).await?;
        Ok(Timestamp::from_micros(at))
    }

    /// Whether channels go back and whether descendants inherit it, of the revocation that a version
    /// has or is to have by itself.
    pub async fn own_revocation_choices(&mut self, id: &str) -> Result<Option<(bool, bool)>> {
        let sql = "SELECT rollback, descendants FROM revocations WHERE version_id = $1";
        let row = sqlx::query(sql).bind(id).fetch_optional(self.raw()).await?;
        let choices = |row: &AnyRow| Ok((row.flag("rollback")?, row.flag("descendants")?));
        row.as_ref().map(choices).transpose()
    }

    /// Forgets what a version was revoked by itself; whether it was.
    pub async fn drop_revocation(&mut self, id: &str) -> Result<bool> {
        let sql = "DELETE FROM revocations WHERE version_id = $1";
        Ok(sqlx::query(sql).bind(id).execute(self.raw()).await?.rows_affected() > 0)
    }

    /// Keeps a version from inheriting the revocations there are.
    pub async fn pardon(&mut self, id: &str) -> Result<()> {
        let sql = "UPDATE versions SET pardoned_at = $1 WHERE id = $2";
        sqlx::query(sql).bind(self.now_micros()).bind(id).execute(self.raw()).await?;
        Ok(())
    }

    /// Makes what the descendants of the versions that `which`, a condition of this module's with
    /// `$1`, is true of have inherited their own: the way they inherited it is about to go.
    async fn keep_inherited(&mut self, which: &'static str, value: &str) -> Result<()> {
        let sql = format!(
            "INSERT INTO revocations \
             (version_id, at, message, author, rollback, descendants, made_at) \
             WITH RECURSIVE family (id) AS (SELECT id FROM versions WHERE {which} UNION \
             SELECT b.version_id FROM builds b JOIN family f ON b.parent_version_id = f.id) \
             SELECT v.id, v.revoke_at, v.revocation_message, v.revocation_author, \
             v.revoke_rollback, 0, v.updated_at FROM family f CROSS JOIN versions v \
             WHERE v.id = f.id AND v.revocation_from IS NOT NULL ON CONFLICT DO NOTHING"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(value).execute(self.raw()).await?;
        Ok(())
    }

    /// As [`Tx::keep_inherited`], for a version that is to be removed.
    pub async fn keep_inherited_from(&mut self, version: &str) -> Result<()> {
        self.keep_inherited("id = $1", version).await
    }

    /// As [`Tx::keep_inherited`], for a bucket that is to be removed.
    pub async fn keep_inherited_from_bucket(&mut self, bucket: &str) -> Result<()> {
        self.keep_inherited("bucket_id = $1", bucket).await
    }

    /// Locks the buckets of a version and of all that was built from it.
    pub async fn lock_family(&mut self, id: &str) -> Result<()> {
        if self.postgres {
            let sql = format!(
                "{FAMILY} SELECT id FROM buckets WHERE id IN (SELECT v.bucket_id FROM versions v \
                 JOIN family f ON f.id = v.id) ORDER BY id FOR UPDATE"
            );
            sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_all(self.raw()).await?;
        }
        Ok(())
    }

    /// Waits for those who revoke what a version was built from, and keeps others from it until
    /// the transaction ends.
    pub async fn hold_ancestors(&mut self, id: &str) -> Result<()> {
        if self.postgres {
            let sql = "WITH RECURSIVE up (id) AS (\
                SELECT parent_version_id FROM builds WHERE version_id = $1 UNION \
                SELECT b.parent_version_id FROM builds b JOIN up ON b.version_id = up.id) \
                SELECT id FROM buckets WHERE id IN (SELECT v.bucket_id FROM versions v \
                JOIN up ON up.id = v.id) ORDER BY id FOR SHARE";
            sqlx::query(sql).bind(id).fetch_all(self.raw()).await?;
        }
        Ok(())
    }

    /// A version and all that was built from it.
    pub async fn family(&mut self, id: &str) -> Result<Vec<Relative>> {
        let sql = format!(
            "{FAMILY} SELECT v.id, v.bucket_id, v.revoke_at, v.revoked, v.revocation_message, \
             v.revocation_author, v.revocation_type, v.revocation_from, v.revoke_rollback, \
             v.revoke_descendants FROM family f CROSS JOIN versions v WHERE v.id = f.id"
        );
        let relative = |row: &AnyRow| {
            Ok(Relative {
                id: row.text("id")?,
                bucket_id: row.text("bucket_id")?,
                revocation: revocation(row)?,
            })
        };
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_all(self.raw()).await?;
        rows.iter().map(relative).collect()
    }

    /// What was built from a version, directly or not: the first by their buckets' names, and how
    /// many there are.
    pub async fn descendants(&mut self, id: &str, most: u32) -> Result<(Vec<String>, i64)> {
        let sql = format!("{FAMILY} SELECT count(*) FROM family WHERE id <> $1");
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id);
        let count = query.fetch_one(self.raw()).await?;
        let sql = format!(
            "{FAMILY} SELECT v.id FROM family f CROSS JOIN versions v JOIN buckets b \
             ON b.id = v.bucket_id WHERE v.id = f.id AND v.id <> $1 ORDER BY b.name, v.id LIMIT $2"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id).bind(i64::from(most));
        Ok((query.fetch_all(self.raw()).await?, count))
    }

    /// The channels that point at a version or at what was built from it, with their buckets' names:
    /// the first of them, those that point at the version before others, and how many there are.
    pub async fn channels_of_family(
        &mut self,
        id: &str,
        most: u32,
    ) -> Result<(Vec<(ChannelRow, String)>, i64)> {
        let from = "FROM family f CROSS JOIN channels c JOIN buckets b ON b.id = c.bucket_id \
                    WHERE c.version_id = f.id";
        let sql = format!("{FAMILY} SELECT count(*) {from}");
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id);
        let count = query.fetch_one(self.raw()).await?;
        let sql = format!(
            "{FAMILY} SELECT c.*, b.name AS bucket_name {from} \
             ORDER BY CASE WHEN f.id = $1 THEN 0 ELSE 1 END, b.name, c.name LIMIT $2"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(i64::from(most));
        let rows = query.fetch_all(self.raw()).await?;
        let found = rows.iter().map(|row| Ok((channel(row)?, row.text("bucket_name")?)));
        Ok((found.collect::<Result<_>>()?, count))
    }

    /// The newest complete version of a bucket that is not revoked and not of a version's family.
    ///
    /// As a join, and the highest number of all rather than the first of a list: PostgreSQL would go
    /// through a large family once for each version that it looks at.
    pub async fn newest_valid_outside(
        &mut self,
        bucket: &str,
        version: &str,
    ) -> Result<Option<String>> {
        let sql = format!(
            "{FAMILY} SELECT id FROM versions WHERE bucket_id = $2 AND number = \
             (SELECT max(v.number) FROM versions v LEFT JOIN family f ON f.id = v.id \
             WHERE v.bucket_id = $2 AND v.revoked = 0 AND f.id IS NULL)"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(version).bind(bucket);
        Ok(query.fetch_optional(self.raw()).await?)
    }

    /// As [`Tx::last_valid_if_revoked`] what a channel points at, but not of a version's family.
    pub async fn last_valid_outside(
        &mut self,
        channel: &str,
        version: &str,
    ) -> Result<Option<String>> {
        let sql = format!(
            "{FAMILY} SELECT a.version_id FROM assignments a JOIN versions v ON v.id = a.version_id \
             LEFT JOIN family o ON o.id = v.id \
             WHERE a.channel_id = $2 AND v.revoked = 0 AND o.id IS NULL \
             AND v.number < (SELECT r.number FROM channels c JOIN versions r \
             ON r.id = c.version_id WHERE c.id = $2) \
             ORDER BY CASE WHEN a.number < (SELECT min(f.number) FROM assignments f \
             JOIN channels c ON c.id = f.channel_id AND c.version_id = f.version_id \
             WHERE c.id = $2) THEN 0 ELSE 1 END, a.number DESC LIMIT 1"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(version).bind(channel);
        Ok(query.fetch_optional(self.raw()).await?)
    }

    /// The revocations that could hold for a version and all that was built from it.
    pub async fn claims(&mut self, id: &str) -> Result<Vec<Claim>> {
        let sql = format!(
            "{FAMILY}, up (id, ancestor) AS (SELECT id, id FROM family UNION \
             SELECT up.id, b.parent_version_id FROM builds b JOIN up ON b.version_id = up.ancestor \
             WHERE b.parent_version_id IS NOT NULL) \
             SELECT up.id AS heir, r.version_id, r.at, r.message, r.author, r.rollback, \
             r.descendants FROM up JOIN revocations r ON r.version_id = up.ancestor \
             JOIN versions v ON v.id = up.id WHERE up.ancestor = up.id OR (r.descendants = 1 \
             AND (v.pardoned_at IS NULL OR r.made_at > v.pardoned_at))"
        );
        let claim = |row: &AnyRow| {
            let (heir, of) = (row.text("heir")?, row.text("version_id")?);
            let own = heir == of;
            let revocation = RevocationRow {
                at: row.time("at")?,
                done: false,
                message: row.text("message")?,
                author: row.text("author")?,
                kind: if own { RevocationType::Manual } else { RevocationType::Inherited },
                from: (!own).then_some(of),
                rollback: row.flag("rollback")?,
                descendants: own && row.flag("descendants")?,
            };
            Ok(Claim { heir, revocation })
        };
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_all(self.raw()).await?;
        rows.iter().map(claim).collect()
    }

    /// Sets what holds for these versions.
    pub async fn set_revocation(
        &mut self,
        ids: &[String],
        revocation: &RevocationRow,
    ) -> Result<()> {
        for ids in ids.chunks(CHUNK) {
            let sql = format!(
                "UPDATE versions SET revoke_at = $1, revoked = $2, revocation_message = $3, \
                 revocation_author = $4, revocation_type = $5, revocation_from = $6, \
                 revoke_rollback = $7, revoke_descendants = $8, updated_at = $9 \
                 WHERE id IN ({})",
                marks(9, ids.len())
            );
            let query = sqlx::query(AssertSqlSafe(sql))
                .bind(revocation.at.micros())
                .bind(i64::from(revocation.done))
                .bind(&revocation.message)
                .bind(&revocation.author)
                .bind(revocation.kind.as_str())
                .bind(&revocation.from)
                .bind(i64::from(revocation.rollback))
                .bind(i64::from(revocation.descendants))
                .bind(self.now_micros());
            let query = ids.iter().fold(query, |query, id| query.bind(id));
            query.execute(self.raw()).await?;
        }
        Ok(())
    }

    /// The versions that are to be revoked by now, the earliest first.
    pub async fn due_revocations(&mut self) -> Result<Vec<String>> {
        let sql = "SELECT id FROM versions WHERE revoked = 0 AND revoke_at <= $1 \
                   ORDER BY revoke_at, id LIMIT 100";
        Ok(sqlx::query_scalar(sql).bind(self.now_micros()).fetch_all(self.raw()).await?)
    }

    /// When the next revocation is to be carried out.
    pub async fn next_revocation(&mut self) -> Result<Timestamp> {
        let sql = "SELECT min(revoke_at) FROM versions WHERE revoked = 0 AND revoke_at IS NOT NULL";
        Ok(Timestamp::from_micros(sqlx::query_scalar(sql).fetch_one(self.raw()).await?))
    }
}
