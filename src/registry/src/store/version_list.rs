//! A bucket's versions in a list for people: of one status or platform, from either end.

use sqlx::AssertSqlSafe;

use super::versions::{KEY, VERSION, VersionRow, version};
use super::{Keyset, Tx};
use crate::api::{BuildStatus, Result, VersionStatus};

/// Which versions a list has: those that all of this is true of.
#[derive(Debug, Clone, Default)]
pub struct VersionFilter {
    /// Their status.
    pub status: Option<VersionStatus>,
    /// The platform of one of their builds; empty for any.
    pub platform: String,
    /// Whether only those that are complete.
    pub complete: bool,
    /// Whether only those that a channel can be assigned: complete, and not revoked.
    pub assignable: bool,
}

/// In which order a list of versions is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VersionOrder {
    /// The one that was created last first.
    #[default]
    Newest,
    /// The other way round.
    Oldest,
    /// By number, the highest first; before them those without one.
    Number,
}

impl VersionOrder {
    /// What the list is sorted by.
    fn column(self) -> &'static str {
        match self {
            // Ids are in the order in which they were created.
            VersionOrder::Newest | VersionOrder::Oldest => "v.id",
            VersionOrder::Number => KEY,
        }
    }

    /// The key that a version is sorted by.
    pub fn key(self, row: &VersionRow) -> String {
        match self {
            VersionOrder::Newest | VersionOrder::Oldest => row.id.clone(),
            VersionOrder::Number => row.key(),
        }
    }
}

impl VersionFilter {
    /// The condition, of which every part begins with AND; a platform is bound to `$2`.
    fn condition(&self, now: i64) -> String {
        let build = |status: BuildStatus| {
            format!(
                "EXISTS (SELECT 1 FROM builds d WHERE d.version_id = v.id AND d.status = '{status}')"
            )
        };
        let [running, failed, cancelled] =
            [BuildStatus::Running, BuildStatus::Failed, BuildStatus::Cancelled].map(build);
        // As the status is found for one version, in the same order.
        let open = "v.revoke_at IS NULL AND v.revoked = 0 AND v.number IS NULL";
        let mut sql = match self.status {
            None | Some(VersionStatus::Unset) => String::new(),
            Some(VersionStatus::Revoked) => {
                format!(" AND (v.revoked = 1 OR v.revoke_at <= {now})")
            }
            Some(VersionStatus::RevocationScheduled) => {
                format!(" AND v.revoked = 0 AND v.revoke_at > {now}")
            }
            Some(VersionStatus::Active) => {
                " AND v.revoke_at IS NULL AND v.revoked = 0 AND v.number IS NOT NULL".into()
            }
            Some(VersionStatus::Running) => format!(" AND {open} AND {running}"),
            Some(VersionStatus::Failed) => format!(" AND {open} AND {failed} AND NOT {running}"),
            Some(VersionStatus::Cancelled) => {
                format!(" AND {open} AND {cancelled} AND NOT {failed} AND NOT {running}")
            }
            Some(VersionStatus::Incomplete) => {
                format!(" AND {open} AND NOT {cancelled} AND NOT {failed} AND NOT {running}")
            }
        };
        if self.complete || self.assignable {
            sql.push_str(" AND v.number IS NOT NULL");
        }
        if self.assignable {
            sql.push_str(&format!(
                " AND v.revoked = 0 AND (v.revoke_at IS NULL OR v.revoke_at > {now})"
            ));
        }
        if !self.platform.is_empty() {
            sql.push_str(
                " AND EXISTS (SELECT 1 FROM builds d WHERE d.version_id = v.id AND d.platform = $2)",
            );
        }
        sql
    }
}

impl Tx {
    /// A part of the list of a bucket's versions, one more than wanted. Their keys are
    /// [`VersionOrder::key`].
    pub async fn search_versions(
        &mut self,
        bucket: &str,
        filter: &VersionFilter,
        order: VersionOrder,
        keys: &Keyset,
    ) -> Result<Vec<VersionRow>> {
        let by_platform = !filter.platform.is_empty();
        let mark = if by_platform { 3 } else { 2 };
        let condition = filter.condition(self.now_micros());
        let clause = keys.clause(order.column(), order != VersionOrder::Oldest, mark);
        let sql = AssertSqlSafe(format!("{VERSION} WHERE v.bucket_id = $1{condition}{clause}"));
        let mut query = sqlx::query(sql).bind(bucket);
        if by_platform {
            query = query.bind(&filter.platform);
        }
        if let Some(key) = &keys.key {
            query = query.bind(key);
        }
        query.fetch_all(self.raw()).await?.iter().map(version).collect()
    }

    /// How many versions of a bucket a list has; only those before a key, if there is one.
    pub async fn count_versions(
        &mut self,
        bucket: &str,
        filter: &VersionFilter,
        order: VersionOrder,
        before: Option<&str>,
    ) -> Result<i64> {
        let by_platform = !filter.platform.is_empty();
        let mark = if by_platform { 3 } else { 2 };
        let compare = if order == VersionOrder::Oldest { "<" } else { ">" };
        let mut condition = filter.condition(self.now_micros());
        if before.is_some() {
            condition.push_str(&format!(" AND {} {compare} ${mark}", order.column()));
        }
        let sql = AssertSqlSafe(format!(
            "SELECT count(*) FROM versions v WHERE v.bucket_id = $1{condition}"
        ));
        let mut query = sqlx::query_scalar(sql).bind(bucket);
        if by_platform {
            query = query.bind(&filter.platform);
        }
        if let Some(key) = before {
            query = query.bind(key);
        }
        Ok(query.fetch_one(self.raw()).await?)
    }

    /// The platforms that builds of a bucket are of.
    pub async fn platforms_of(&mut self, bucket: &str) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT d.platform FROM builds d JOIN versions v ON v.id = d.version_id \
                   WHERE v.bucket_id = $1 AND d.platform <> '' ORDER BY d.platform LIMIT 50";
        Ok(sqlx::query_scalar(sql).bind(bucket).fetch_all(self.raw()).await?)
    }
}
