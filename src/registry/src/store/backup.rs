//! Backups: all that is in a registry's database, as it was at one moment, in a SQLite file, whichever
//! database it is of. So a backup is also the way from one database to the other.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::TryStreamExt as _;
use ingot_base::files::with_suffix;
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{AssertSqlSafe, Column as _, Row as _, ValueRef as _};

use super::migrate::{self, Age};
use super::{CHUNK, Location, Store, Tx, marks};
use crate::api::{Code, Error, Result};

/// All tables but that of the migrations, each after those that it refers to.
const TABLES: &[&str] = &[
    "settings",
    "organizations",
    "projects",
    "principals",
    "buckets",
    "versions",
    "revocations",
    "channels",
    "assignments",
    "builds",
    "artifacts",
    "sboms",
    "enforced_blocks",
    "enforced_block_versions",
    "enforced_block_buckets",
    "webhooks",
    "outbox",
    "audit",
    "run_task_keys",
    "run_tasks",
    "web_sessions",
    "sign_in_links",
];

/// The column by which a table refers to itself: set when all of its rows are there.
const TO_ITSELF: (&str, &str) = ("versions", "revocation_from");

/// How many rows go into one statement at the most, and about how many bytes: each takes a round trip to a
/// database on a server.
const ROWS: usize = 200;
const BYTES: usize = 1 << 20;

/// What is told of a copy that goes on: the table, and how many rows have been copied.
pub type CopyReport<'a> = &'a mut (dyn FnMut(&str, u64) + Send);

/// Why a backup is not restored into a database.
pub(super) const NOT_EMPTY: &str = "the registry's database is not empty; restore into a new one";

/// A value of any column; there are no others.
enum Value {
    Null,
    Number(i64),
    String(String),
}

impl Store {
    /// Writes all that is in the database into a new SQLite file, while others read and write it. How
    /// many rows it has.
    ///
    /// # Errors
    /// There is such a file, it cannot be written, or the database failed.
    pub async fn back_up(&self, file: &Path, report: CopyReport<'_>) -> Result<u64> {
        if file.exists() {
            let message = format!("{} exists already; name a new file", file.display());
            return Err(Error::new(Code::AlreadyExists, message));
        }
        let part = with_suffix(file, ".part");
        remove(&part);
        let written = async {
            let to = Store::open(&Location::Sqlite(part.clone()), 2).await?;
            let rows = self.copy_to(&to, report).await;
            to.close().await;
            rows
        };
        let done = written.await.and_then(|rows| {
            // It is there under its name only when all of it is on the disk.
            let synced = std::fs::File::open(&part).and_then(|part| part.sync_all());
            let renamed = synced.and_then(|()| std::fs::rename(&part, file));
            renamed.map(|()| rows).map_err(|error| file_error(file, &error))
        });
        if done.is_err() {
            remove(&part);
        }
        done
    }

    /// Fills the database, which must be empty, with what is in a backup, also of an older Ingot. How
    /// many rows it has.
    ///
    /// # Errors
    /// The database is not empty, the file is not a whole backup, or is of a newer Ingot.
    pub async fn restore(&self, file: &Path, report: CopyReport<'_>) -> Result<u64> {
        let mut tx = self.read().await?;
        if tx.count("organizations").await? > 0 {
            return Err(Error::precondition(NOT_EMPTY));
        }
        drop(tx);
        let log = with_suffix(file, "-wal");
        if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
            return Err(Error::precondition(format!(
                "{} is a database in use, not a backup; create one with `ingot registry backup`",
                file.display()
            )));
        }
        // What has nothing to do with what is in the file is passed on: a disk that is full.
        let not_one = |error: Error| match error.code {
            Code::Unavailable => error,
            // It is of a newer Ingot or another program, not the database that is to be filled.
            Code::FailedPrecondition => {
                Error::precondition(format!("{}: {}", file.display(), error.message))
            }
            _ => Error::invalid(format!("{} is not a backup of a registry", file.display())),
        };
        let fail = |error: std::io::Error| file_error(file, &error);
        // Of a pipe nothing can be read twice: it is copied.
        if std::fs::metadata(file).map_err(fail)?.is_file() {
            std::fs::File::open(file).map_err(fail)?;
            let from = Store::open_backup(file).await.map_err(not_one)?;
            let restored = match from.age().await.map_err(not_one) {
                Ok(Age::Older) => Ok(None),
                Ok(Age::Current | Age::None) => from.fill(self, not_one, report).await.map(Some),
                Err(error) => Err(error),
            };
            from.close().await;
            if let Some(rows) = restored? {
                return Ok(rows);
            }
        }
        self.restore_copy(file, not_one, report).await
    }

    /// As [`Store::restore`], by a copy of the file, whose tables are brought up to date: beside the
    /// database, or where temporary files are if that is on a server.
    async fn restore_copy(
        &self,
        file: &Path,
        not_one: impl Fn(Error) -> Error,
        report: CopyReport<'_>,
    ) -> Result<u64> {
        let (copy, advice) = match &self.file {
            Some(database) => {
                (with_suffix(database, ".restore-part"), "make room in that directory")
            }
            None => (
                std::env::temp_dir().join(format!("ingot-restore-{}", uuid::Uuid::new_v4())),
                "make room in that directory, or name another one by TMPDIR",
            ),
        };
        let failed = |what: &str, why: &dyn std::fmt::Display| {
            let (file, copy) = (file.display(), copy.display());
            let message = format!("{file} cannot be {what} {copy}: {why}");
            Error::new(Code::Unavailable, message).advise(Some(advice))
        };
        // What a restore that was killed has left.
        remove(&copy);
        let restored = async {
            copy_private(file, &copy).map_err(|error| failed("copied to", &error))?;
            let from = Store::open(&Location::Sqlite(copy.clone()), 2).await;
            let from = from.map_err(|error| match error.code {
                Code::Unavailable => failed("brought up to date in", &error),
                _ => not_one(error),
            })?;
            let rows = from.fill(self, &not_one, report).await;
            from.close().await;
            rows
        };
        let restored = restored.await;
        remove(&copy);
        restored
    }

    /// Of which Ingot its tables are.
    async fn age(&self) -> Result<Age> {
        migrate::age(&mut self.read().await?).await
    }

    /// Fills a database with what is in this backup, if it is one.
    async fn fill(
        &self,
        to: &Store,
        not_one: impl Fn(Error) -> Error,
        report: CopyReport<'_>,
    ) -> Result<u64> {
        self.check_backup().await.map_err(not_one)?;
        self.copy_to(to, report).await
    }

    /// Whether it is whole, and a registry's.
    async fn check_backup(&self) -> Result<()> {
        let mut tx = self.read().await?;
        tx.lift_limits().await?;
        let whole: String =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_one(tx.raw()).await?;
        match whole == "ok" && tx.count("organizations").await? > 0 {
            true => Ok(()),
            false => Err(Error::invalid("it is damaged or empty")),
        }
    }

    /// Copies everything, in one transaction of each.
    async fn copy_to(&self, to: &Store, report: CopyReport<'_>) -> Result<u64> {
        let (mut from, mut to) = (self.read().await?, to.begin().await?);
        from.lift_limits().await?;
        to.lift_limits().await?;
        sqlx::query("DELETE FROM settings").execute(to.raw()).await?;
        let mut count = 0;
        for table in TABLES {
            let mut late: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let mut batch = Batch::default();
            let sql = AssertSqlSafe(format!("SELECT * FROM {table}"));
            let mut rows = sqlx::query(sql).fetch(from.raw());
            while let Some(row) = rows.try_next().await? {
                let mut values = read(&row)?;
                if *table == TO_ITSELF.0
                    && let Some((id, reference)) = take(&mut values, TO_ITSELF.1)
                {
                    late.entry(reference).or_default().push(id);
                }
                count += 1;
                batch.add(values);
                if batch.is_full() {
                    batch.write(&mut to, table).await?;
                    report(table, count);
                }
            }
            drop(rows);
            batch.write(&mut to, table).await?;
            for (reference, ids) in late {
                to.set_reference(&reference, &ids).await?;
            }
        }
        to.commit().await?;
        Ok(count)
    }
}

/// Rows of a table that are still to be inserted.
#[derive(Default)]
struct Batch {
    /// By the columns in which they have values: a NULL has no type of its own to be bound with.
    rows: BTreeMap<Vec<String>, Vec<Vec<Value>>>,
    count: usize,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, row: Vec<(String, Value)>) {
        let there = row.into_iter().filter(|(_, value)| !matches!(value, Value::Null));
        let (columns, values): (Vec<String>, Vec<Value>) = there.unzip();
        let size = |value: &Value| match value {
            Value::String(string) => string.len(),
            Value::Number(_) | Value::Null => size_of::<i64>(),
        };
        self.count += 1;
        self.bytes += values.iter().map(size).sum::<usize>();
        self.rows.entry(columns).or_default().push(values);
    }

    fn is_full(&self) -> bool {
        self.count >= ROWS || self.bytes >= BYTES
    }

    /// Inserts them, and is empty then.
    async fn write(&mut self, to: &mut Tx, table: &str) -> Result<()> {
        for (columns, rows) in std::mem::take(self).rows {
            to.insert_rows(table, &columns, rows).await?;
        }
        Ok(())
    }
}

/// Takes a reference to the row's own table out of its values: the row's id and the reference.
fn take(values: &mut [(String, Value)], column: &str) -> Option<(String, String)> {
    let id = values.iter().find_map(|(name, value)| match value {
        Value::String(id) if name == "id" => Some(id.clone()),
        _ => None,
    })?;
    let (_, value) = values.iter_mut().find(|(name, _)| name == column)?;
    match std::mem::replace(value, Value::Null) {
        Value::String(reference) => Some((id, reference)),
        _ => None,
    }
}

fn read(row: &AnyRow) -> Result<Vec<(String, Value)>> {
    let value = |at: usize| -> Result<Value> {
        let raw = row.try_get_raw(at)?;
        Ok(match raw.type_info().kind() {
            _ if raw.is_null() => Value::Null,
            AnyTypeInfoKind::Text => Value::String(row.try_get(at)?),
            _ => Value::Number(row.try_get(at)?),
        })
    };
    let columns = row.columns().iter().enumerate();
    columns.map(|(at, column)| Ok((column.name().to_owned(), value(at)?))).collect()
}

impl Tx {
    async fn count(&mut self, table: &'static str) -> Result<i64> {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        Ok(sqlx::query_scalar(sql).fetch_one(self.raw()).await?)
    }

    /// Inserts rows that have values in the same columns.
    async fn insert_rows(
        &mut self,
        table: &str,
        columns: &[String],
        rows: Vec<Vec<Value>>,
    ) -> Result<()> {
        let of_row = |row: usize| format!("({})", marks(row * columns.len(), columns.len()));
        let values: Vec<String> = (0..rows.len()).map(of_row).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        let sql = format!("INSERT INTO {table} ({columns}) VALUES {values}");
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = rows.into_iter().flatten().fold(query, |query, value| match value {
            Value::Number(number) => query.bind(number),
            Value::String(string) => query.bind(string),
            Value::Null => query,
        });
        query.execute(self.raw()).await?;
        Ok(())
    }

    /// Sets the reference to its own table of the rows of these ids.
    async fn set_reference(&mut self, reference: &str, ids: &[String]) -> Result<()> {
        let (table, column) = TO_ITSELF;
        for ids in ids.chunks(CHUNK) {
            let marks = marks(1, ids.len());
            let sql = format!("UPDATE {table} SET {column} = $1 WHERE id IN ({marks})");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(reference);
            let query = ids.iter().fold(query, |query, id| query.bind(id));
            query.execute(self.raw()).await?;
        }
        Ok(())
    }
}

/// Removes a SQLite file that is not in use, with its log.
fn remove(file: &Path) {
    for more in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(with_suffix(file, more));
    }
}

/// Copies a file into a new one that is nobody else's to read, and that its owner can write, whoever
/// may do what with the first: secrets are in it, as hashes and as they are.
fn copy_private(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut from = std::fs::File::open(from)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::copy(&mut from, &mut options.open(to)?).map(drop)
}

fn file_error(file: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::Unavailable, format!("{}: {error}", file.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{Permissions, metadata, read, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use sqlx::Connection as _;

    use super::*;

    #[test]
    fn a_copy_is_its_owners_to_read_and_write() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        write(&from, "secret").expect("it is written");
        // As an archive keeps them, and as others may read it where it is.
        for mode in [0o400, 0o644] {
            set_permissions(&from, Permissions::from_mode(mode)).expect("it is its owner's");
            copy_private(&from, &to).expect("it is copied");
            let copied = metadata(&to).expect("it is there").permissions().mode();
            assert_eq!(copied & 0o777, 0o600, "{mode:o}");
            assert_eq!(read(&to).expect("it can be read"), b"secret");
            copy_private(&from, &to).expect_err("it is there already");
            std::fs::remove_file(&to).expect("it is its owner's");
        }
    }

    /// Other errors of reading a backup are reported as they are.
    #[tokio::test]
    async fn only_invalid_files_are_reported_as_no_backup() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let to = Store::open(&Location::Sqlite(at("to.db")), 2).await.expect("a store");
        write(at("other"), "this is no database").expect("it is written");
        let mut damaged = b"SQLite format 3\0".to_vec();
        damaged.resize(8192, 7);
        write(at("damaged"), damaged).expect("it is written");
        let url = format!("sqlite://{}?mode=rwc", at("program").display());
        let mut program = sqlx::SqliteConnection::connect(&url).await.expect("a database");
        let table = "CREATE TABLE migrations (id BIGINT, name TEXT)";
        sqlx::raw_sql(table).execute(&mut program).await.expect("a table");
        program.close().await.expect("it is written");
        for (name, why) in [
            ("other", "is not a backup"),
            ("damaged", "is not a backup"),
            ("none", "No such file"),
            ("program", "program: this database belongs to another program"),
        ] {
            let error = to.restore(&at(name), &mut |_, _| {}).await.expect_err("it is no backup");
            assert!(error.message.contains(why) && error.message.contains(name), "{error}");
            assert_eq!(error.what_to_do(), None, "{error}");
        }
        to.close().await;
    }

    /// Each table takes few statements, and is the same afterwards.
    #[tokio::test]
    async fn many_rows_go_into_one_statement() {
        const LINES: u64 = 1234;
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let open =
            async |name: &str| Store::open(&Location::Sqlite(at(name)), 2).await.expect("a store");
        let from = open("from.db").await;
        let mut tx = from.begin().await.expect("a transaction");
        let organization = tx.ensure_organization("default").await.expect("an organization");
        let project = tx.ensure_project(&organization, "default").await.expect("a project");
        let project = &project.location.project_id;
        let bucket = "INSERT INTO buckets (id, project_id, name, description, labels, created_at, \
                      updated_at) VALUES ('b', $1, 'b', '', '{}', 1, 1)";
        sqlx::query(bucket).bind(project).execute(tx.raw()).await.expect("a bucket");
        // Every other one has no number, and all refer to the first.
        let versions = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < $1) \
             INSERT INTO versions (id, bucket_id, fingerprint, number, template_type, author, revoked, \
             revocation_message, revocation_author, revocation_type, revocation_from, \
             revoke_rollback, revoke_descendants, created_at, updated_at) SELECT 'v' || x, 'b', \
             'f' || x, CASE WHEN x % 2 = 0 THEN x END, 'HCL2', 'ann', 0, '', '', '', \
             CASE WHEN x > 1 THEN 'v1' END, 0, 0, x, x FROM n";
        let count = i64::try_from(LINES).expect("a number");
        sqlx::query(versions).bind(count).execute(tx.raw()).await.expect("versions");
        tx.commit().await.expect("it is kept");

        let mut reports = 0;
        let mut report = |_: &str, _: u64| reports += 1;
        let rows = from.back_up(&at("backup.db"), &mut report).await.expect("a backup");
        let to = open("to.db").await;
        let restored = to.restore(&at("backup.db"), &mut report).await.expect("it is restored");
        assert_eq!(restored, rows);
        assert!(rows > LINES && reports <= 2 * (1 + rows / 200), "{rows} rows, {reports} reports");
        let all = async |store: &Store| {
            let mut tx = store.read().await.expect("a transaction");
            let sql = "SELECT CAST(id || fingerprint || coalesce(number, '-') || \
                       coalesce(revocation_from, '-') AS TEXT) FROM versions ORDER BY id";
            let all = sqlx::query_scalar::<_, String>(sql).fetch_all(tx.raw()).await;
            all.expect("the versions")
        };
        assert_eq!(all(&to).await, all(&from).await);
        to.close().await;
        from.close().await;
    }
}
