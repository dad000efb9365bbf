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

const COLUMNS: &str = "b.id, b.name, b.description, b.updated_at, \
    (SELECT count(*) FROM versions v WHERE v.bucket_id = b.id) AS version_count, \
    (SELECT c.version_id FROM channels c WHERE c.bucket_id = b.id AND c.managed = 1) \
    AS latest_version_id, \
    (SELECT max(v.id) FROM versions v WHERE v.bucket_id = b.id) AS newest_version_id";

/// In which order a list of buckets is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BucketOrder {
    /// By name.
    #[default]
    Name,
    /// The one that changed last first.
    Updated,
    /// The one that was created last first.
    Created,
}

/// How a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketStatus {
    /// Its managed channel points at a version that is not to be revoked.
    Active,
    /// It points at one that is.
    Scheduled,
    /// Its newest version is revoked.
    Revoked,
    /// A build of its newest version runs.
    Running,
    /// A build of its newest version failed.
    Failed,
    /// It has no versions.
    Empty,
}

/// Which buckets a list has: those that all of this is true of.
#[derive(Debug, Clone, Default)]
pub struct BucketFilter {
    /// Each of these is in its name, its description, its labels, the fingerprint of one of its
    /// versions or the id of one of its images.
    pub words: Vec<String>,
    /// How it is.
    pub status: Option<BucketStatus>,
    /// The platform of an image of its newest version; empty for any.
    pub platform: String,
    /// A label's name, and its value if that is not empty; empty for any.
    pub label: (String, String),
    /// Whether only those whose newest version is out of date with its parents.
    pub out_of_date: bool,
    /// Whether channels count that are restricted.
    pub all: bool,
}

/// A word must be this long, in characters, to be looked for within fingerprints and ids, which are
/// read from end to end for it. A shorter one finds the fingerprint that it is the whole of.
const ID: usize = 3;

/// What the managed channel of a bucket points at, and the version made last.
const LATEST: &str =
    "(SELECT c.version_id FROM channels c WHERE c.bucket_id = b.id AND c.managed = 1)";
const NEWEST: &str = "(SELECT max(n.id) FROM versions n WHERE n.bucket_id = b.id)";

impl BucketFilter {
    /// The condition, of which every part begins with AND, and what is to be bound: from `$2` on.
    fn condition(&self, postgres: bool) -> (String, Vec<String>) {
        let (mut sql, mut values) = (String::new(), Vec::new());
        let mut bind = |value: String| {
            values.push(value);
            values.len() + 1
        };
        for word in &self.words {
            let mark = bind(pattern(word));
            // SQLite's LIKE does not tell capital letters of ASCII from small ones; to make all of
            // them small first takes three times as long. As PostgreSQL's does with this collation.
            let operator = if postgres { "COLLATE \"C\" ILIKE" } else { "LIKE" };
            let like = |column: &str| format!("{column} {operator} ${mark} ESCAPE '\\'");
            let mut places = vec![like("b.name"), like("b.description"), like("b.labels")];
            if word.chars().count() < ID {
                let whole = bind(word.clone());
                places.push(format!(
                    "b.id IN (SELECT f.bucket_id FROM versions f WHERE f.fingerprint = ${whole})"
                ));
            } else {
                places.push(format!(
                    "b.id IN (SELECT f.bucket_id FROM versions f WHERE {})",
                    like("f.fingerprint")
                ));
                places.push(format!(
                    "b.id IN (SELECT f.bucket_id FROM artifacts a JOIN builds d ON d.id = a.build_id \
                     JOIN versions f ON f.id = d.version_id WHERE {})",
                    like("a.external_identifier")
                ));
            }
            sql.push_str(&format!(" AND ({})", places.join(" OR ")));
        }
        let latest = |more: &str| {
            format!(" AND EXISTS (SELECT 1 FROM versions l WHERE l.id = {LATEST} AND {more})")
        };
        let newest = |more: &str| {
            format!(" AND EXISTS (SELECT 1 FROM versions l WHERE l.id = {NEWEST} AND {more})")
        };
        let build = |status: &str| {
            format!(
                "EXISTS (SELECT 1 FROM builds d WHERE d.version_id = l.id AND d.status = '{status}')"
            )
        };
        let running = build(BuildStatus::Running.as_str());
        match self.status {
            None => {}
            Some(BucketStatus::Active) => sql.push_str(&latest("l.revoke_at IS NULL")),
            Some(BucketStatus::Scheduled) => {
                sql.push_str(&latest("l.revoke_at IS NOT NULL AND l.revoked = 0"));
            }
            Some(BucketStatus::Revoked) => sql.push_str(&newest("l.revoked = 1")),
            Some(BucketStatus::Running) => {
                sql.push_str(&newest(&format!("l.number IS NULL AND {running}")));
            }
            Some(BucketStatus::Failed) => {
                let failed = build(BuildStatus::Failed.as_str());
                sql.push_str(&newest(&format!("l.number IS NULL AND {failed} AND NOT {running}")));
            }
            Some(BucketStatus::Empty) => {
                sql.push_str(" AND NOT EXISTS (SELECT 1 FROM versions l WHERE l.bucket_id = b.id)")
            }
        }
        if !self.platform.is_empty() {
            let mark = bind(self.platform.clone());
            sql.push_str(&format!(
                " AND EXISTS (SELECT 1 FROM builds d WHERE d.version_id = {LATEST} \
                 AND d.platform = ${mark})"
            ));
        }
        let (name, value) = &self.label;
        if !name.is_empty() {
            // Labels are kept as JSON without spaces.
            let json = |text: &str| serde_json::Value::from(text).to_string();
            let value = if value.is_empty() { String::new() } else { json(value) };
            let mark = bind(format!("{}:{value}", json(name)));
            // They are exact, which LIKE is not on SQLite.
            let place = if postgres { "strpos" } else { "instr" };
            sql.push_str(&format!(" AND {place}(b.labels, ${mark}) > 0"));
        }
        if self.out_of_date {
            sql.push_str(&format!(
                " AND EXISTS (SELECT 1 FROM builds d JOIN channels c ON c.id = d.parent_channel_id{} \
                 WHERE d.version_id = {LATEST} AND c.version_id <> d.parent_version_id)",
                open_channels(self.all)
            ));
        }
        (sql, values)
    }
}

impl BucketOrder {
    /// The columns that a list is in the order of.
    fn columns(self) -> &'static [&'static str] {
        match self {
            BucketOrder::Name => &["b.name"],
            BucketOrder::Updated => &["b.updated_at", "b.id"],
            // Ids are in the order in which they were made.
            BucketOrder::Created => &["b.id"],
        }
    }

    /// The key that a bucket is sorted by.
    pub fn key(self, line: &BucketLine) -> String {
        match self {
            BucketOrder::Name => line.name.clone(),
            BucketOrder::Updated => {
                format!("{} {}", line.updated_at.micros().unwrap_or_default(), line.id)
            }
            BucketOrder::Created => line.id.clone(),
        }
    }

    /// A comparison with such a key, whose parts are bound from `$mark` on.
    fn compare(self, compare: &str, mark: usize) -> String {
        let columns = self.columns();
        let marks = match self {
            BucketOrder::Updated => format!("CAST(${mark} AS BIGINT), ${}", mark + 1),
            _ => format!("${mark}"),
        };
        format!("({}) {compare} ({marks})", columns.join(", "))
    }

    fn parts(self, key: &str) -> Vec<String> {
        match self {
            BucketOrder::Updated => {
                let (at, id) = key.split_once(' ').unwrap_or((key, ""));
                // What is no number would be an error of the database.
                vec![at.parse::<i64>().unwrap_or_default().to_string(), id.to_owned()]
            }
            _ => vec![key.to_owned()],
        }
    }

    fn descending(self) -> bool {
        self != BucketOrder::Name
    }
}

/// Whether a child is behind: 0 for undetermined, 1 for no, 2 for yes.
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
    /// A part of the list of a project's buckets, one more than wanted; and how many the list has,
    /// where that comes with it: words are looked for in all there is, which takes a while.
    pub async fn search_buckets(
        &mut self,
        project: &str,
        filter: &BucketFilter,
        order: BucketOrder,
        keys: &Keyset,
    ) -> Result<(Vec<BucketLine>, Option<i64>)> {
        let (mut sql, mut values) = filter.condition(self.postgres);
        let up = order.descending() == keys.backward;
        if let Some(key) = &keys.key {
            let compare = order.compare(if up { ">" } else { "<" }, values.len() + 2);
            sql.push_str(&format!(" AND {compare}"));
            values.extend(order.parts(key));
        }
        let direction = if up { "ASC" } else { "DESC" };
        let columns: Vec<String> =
            order.columns().iter().map(|column| format!("{column} {direction}")).collect();
        let (columns, limit) = (columns.join(", "), keys.limit + 1);
        let counts = keys.key.is_none() && !filter.words.is_empty();
        let rest = format!("WHERE b.project_id = $1{sql} ORDER BY {columns} LIMIT {limit}");
        let sql = match counts {
            // Only the ids of all are gone through.
            true => format!(
                "SELECT {COLUMNS}, hits.matching FROM (SELECT b.id AS hit, count(*) OVER () \
                 AS matching FROM buckets b {rest}) AS hits JOIN buckets b ON b.id = hits.hit \
                 ORDER BY {columns}"
            ),
            false => format!("SELECT {COLUMNS} FROM buckets b {rest}"),
        };
        let query = sqlx::query(AssertSqlSafe(sql)).bind(project);
        let query = values.into_iter().fold(query, |query, value| query.bind(value));
        let rows = query.fetch_all(self.raw()).await?;
        let total = match (counts, rows.first()) {
            (true, Some(row)) => Some(row.int("matching")?),
            (true, None) => Some(0),
            (false, _) => None,
        };
        Ok((rows.iter().map(line).collect::<Result<_>>()?, total))
    }

    /// How many buckets of a project a list has, and how many of them are before a key, if there is
    /// one.
    pub async fn count_buckets(
        &mut self,
        project: &str,
        filter: &BucketFilter,
        order: BucketOrder,
        before: Option<&str>,
    ) -> Result<(i64, i64)> {
        let (condition, mut values) = filter.condition(self.postgres);
        let is_before = match before {
            Some(key) => {
                let compare = if order.descending() { ">" } else { "<" };
                let is_before = order.compare(compare, values.len() + 2);
                values.extend(order.parts(key));
                is_before
            }
            None => "1 = 0".to_owned(),
        };
        let sql = AssertSqlSafe(format!(
            "SELECT count(*) AS total, \
             CAST(COALESCE(sum(CASE WHEN {is_before} THEN 1 ELSE 0 END), 0) AS BIGINT) AS earlier \
             FROM buckets b WHERE b.project_id = $1{condition}"
        ));
        let query = sqlx::query(sql).bind(project);
        let query = values.into_iter().fold(query, |query, value| query.bind(value));
        let row = query.fetch_one(self.raw()).await?;
        Ok((row.int("total")?, row.int("earlier")?))
    }

    /// The platforms that builds of a project are of.
    pub async fn platforms(&mut self, project: &str) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT d.platform FROM channels c JOIN buckets b ON b.id = c.bucket_id \
                   JOIN builds d ON d.version_id = c.version_id WHERE c.managed = 1 \
                   AND b.project_id = $1 AND d.platform <> '' ORDER BY d.platform LIMIT 50";
        Ok(sqlx::query_scalar(sql).bind(project).fetch_all(self.raw()).await?)
    }

    /// Buckets by their ids, in no order.
    pub async fn bucket_lines(&mut self, ids: &[String]) -> Result<Vec<BucketLine>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let marks = marks(0, ids.len());
        let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM buckets b WHERE b.id IN ({marks})"));
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
