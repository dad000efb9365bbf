//! The registry's database: SQLite or PostgreSQL, by one text of SQL.
//!
//! Both understand `$1`, `RETURNING` and `ON CONFLICT`, so there is no trait with an implementation
//! for each: the two differ in how a connection is set up and how a transaction begins, which is
//! all in this file. Constraints and transactions decide what happens when several servers or
//! processes want the same; nothing is kept in memory.

mod buckets;
mod builds;
mod channels;
mod migrate;
mod outbox;
mod overview;
mod projects;
mod revocations;
mod run_tasks;
mod sessions;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Row};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::api::{Code, Error, Labels, Result, Timestamp};

pub use buckets::{BucketRow, Keyset};
pub use builds::{ArtifactRow, BuildRow, FoundArtifact};
pub use channels::{AssignmentRow, ChannelRow};
pub use outbox::{AuditRow, Delivery, Webhook};
pub use overview::{BucketLine, BuildLine, RelativesLine};
pub use projects::{Principal, Project, Role};
pub use revocations::{Claim, Relative, RevocationRow};
pub use run_tasks::{RunTaskCall, RunTaskJob, RunTaskKey};
pub use versions::{RelationRow, VersionRow};

/// How long to wait for another process that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(20);

/// How many ids go into one statement; databases have a limit.
const CHUNK: usize = 500;

/// How often a transaction is tried that others keep from being made.
const ATTEMPTS: u32 = 8;

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file, made if it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL server, as a `postgres://` URL. It may hold a password.
    Postgres(String),
}

impl Location {
    /// Reads what a user wrote: a `postgres://` URL, or a path, also as a `sqlite:` URL.
    ///
    /// # Errors
    /// It is a URL of something else.
    pub fn parse(text: &str) -> Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Location::Postgres(text.into()));
        }
        let path = text.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
        match path {
            None if text.contains("://") => Err(Error::invalid(
                "the database must be a postgres:// URL, or the path of a SQLite file",
            )),
            path => Ok(Location::Sqlite(PathBuf::from(path.unwrap_or(text)))),
        }
    }
}

/// A database, open.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    postgres: bool,
    /// Writers of this process take turns, as SQLite has one writer at a time and those that wait
    /// in it do so by trying again and again.
    turn: Option<Arc<Mutex<()>>>,
}

impl Store {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// It cannot be opened or reached, or is of a newer Ingot.
    pub async fn open(location: &Location, connections: u32) -> Result<Self> {
        sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
        let postgres = matches!(location, Location::Postgres(_));
        let url = match location {
            Location::Postgres(url) => url.clone(),
            Location::Sqlite(path) => {
                prepare_file(path)?;
                let path = path.to_string_lossy();
                let path = percent_encode(&path);
                format!("sqlite://{path}?mode=rwc")
            }
        };
        let options = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(30))
            // A connection that was used just now is not asked whether it is alive.
            .test_before_acquire(false)
            .before_acquire(|connection, state| {
                Box::pin(async move {
                    if state.idle_for > Duration::from_secs(5) {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if !postgres {
                        set_up_sqlite(connection).await?;
                    }
                    Ok(())
                })
            });
        let pool = options.connect(&url).await.map_err(|error| match location {
            Location::Sqlite(path) => Error::new(
                Code::Unavailable,
                format!("the registry's database {} cannot be opened: {error}", path.display()),
            ),
            // The error may quote the URL, which may hold a password.
            Location::Postgres(_) => {
                let why = match &error {
                    sqlx::Error::Database(error) => error.message().to_owned(),
                    sqlx::Error::Io(error) => error.to_string(),
                    sqlx::Error::PoolTimedOut => "it does not answer".into(),
                    _ => "the URL is wrong or the server refuses it".into(),
                };
                Error::new(
                    Code::Unavailable,
                    format!("the PostgreSQL database cannot be opened: {why}"),
                )
            }
        })?;
        let turn = (!postgres).then(Arc::default);
        let store = Store { pool, postgres, turn };
        transaction!(store, |tx| migrate::migrate(tx))?;
        Ok(store)
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Tx> {
        let turn = match &self.turn {
            Some(turn) => Some(turn.clone().lock_owned().await),
            None => None,
        };
        // SQLite: from the start as a writer, or another one may come between read and write.
        let inner = match self.postgres {
            true => self.pool.begin().await?,
            false => self.pool.begin_with("BEGIN IMMEDIATE").await?,
        };
        Ok(Tx { inner, now: Timestamp::now(), postgres: self.postgres, _turn: turn })
    }

    /// Begins a transaction that reads, and sees one state of the database.
    pub async fn read(&self) -> Result<Tx> {
        let inner = match self.postgres {
            true => self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?,
            false => self.pool.begin().await?,
        };
        Ok(Tx { inner, now: Timestamp::now(), postgres: self.postgres, _turn: None })
    }

    /// Ends all connections, which writes SQLite's log back into its file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A transaction. Dropped without [`Tx::commit`] it changes nothing.
#[derive(Debug)]
pub struct Tx {
    inner: sqlx::Transaction<'static, Any>,
    /// The time everything in it happens at.
    pub now: Timestamp,
    postgres: bool,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Tx {
    fn raw(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    fn now_micros(&self) -> i64 {
        self.now.micros().unwrap_or_default()
    }

    /// Makes it so.
    pub async fn commit(self) -> Result<()> {
        Ok(self.inner.commit().await?)
    }
}

/// Whether and when a transaction is tried again.
#[derive(Debug, Default)]
pub struct Retries(u32);

impl Retries {
    /// Waits, if the failure was that another transaction came between.
    pub async fn again(&mut self, error: &Error) -> bool {
        if error.code != Code::Aborted || self.0 == ATTEMPTS {
            return false;
        }
        self.0 += 1;
        let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
        tokio::time::sleep(Duration::from_millis((1 << self.0) * 5 + spread / 8)).await;
        true
    }
}

/// Does work in a transaction that writes, and commits it; again if another came between. The work
/// is an expression that makes a future of a `Result` with a `&mut Tx`.
#[macro_export]
macro_rules! transaction {
    ($store:expr, |$tx:ident| $work:expr) => {{
        let mut retries = $crate::store::Retries::default();
        loop {
            let outcome = async {
                let mut transaction = $store.begin().await?;
                let $tx = &mut transaction;
                let done: $crate::api::Result<_> = $work.await;
                let value = done?;
                transaction.commit().await?;
                $crate::api::Result::Ok(value)
            };
            match outcome.await {
                Err(error) if retries.again(&error).await => {}
                outcome => break outcome,
            }
        }
    }};
}
pub use transaction;

/// Whether an error of the database is that another transaction came between.
fn came_between(error: &sqlx::Error) -> bool {
    // PostgreSQL: serialization failure, deadlock. SQLite: busy, and busy with a snapshot.
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("40001" | "40P01" | "5" | "517"))
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if came_between(&error) {
            return Error::new(Code::Aborted, "another change came between; try again");
        }
        match &error {
            sqlx::Error::RowNotFound => return Error::not_found("there is no such thing"),
            sqlx::Error::Database(database) if database.is_unique_violation() => {
                return Error::new(Code::AlreadyExists, "there is one of this name already");
            }
            sqlx::Error::Database(database) if database.is_foreign_key_violation() => {
                return Error::precondition("something that it refers to is gone, or refers to it");
            }
            _ => {}
        }
        // What the database says may hold values; it is for the log only.
        tracing::error!(%error, "the registry's database failed");
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
                Error::new(Code::Unavailable, "the registry's database does not answer")
            }
            _ => Error::new(Code::Internal, "the registry's database failed"),
        }
    }
}

/// Makes the folder and the file, which are nobody else's to read.
fn prepare_file(path: &Path) -> Result<()> {
    let fail = |error: std::io::Error| {
        Error::new(
            Code::Unavailable,
            format!("the registry's database {} cannot be made: {error}", path.display()),
        )
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(fail)?;
    Ok(())
}

async fn set_up_sqlite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let busy = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
    sqlx::raw_sql(sqlx::AssertSqlSafe(busy)).execute(&mut *connection).await?;
    // A committed transaction survives a power cut, as with PostgreSQL.
    sqlx::raw_sql(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What would end the path in a URL, escaped.
fn percent_encode(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}

/// A new ULID.
pub fn new_id() -> String {
    ulid::Ulid::generate().to_string()
}

/// `$1, $2, …`: as many as there are values, after the first `taken`.
fn marks(taken: usize, count: usize) -> String {
    let marks: Vec<String> = (1..=count).map(|mark| format!("${}", taken + mark)).collect();
    marks.join(", ")
}

fn labels_text(labels: &Labels) -> String {
    serde_json::to_string(labels).unwrap_or_else(|_| "{}".into())
}

/// Columns by name, without ceremony. A column that is not there or of another type is a mistake
/// in this module's SQL, which its tests find.
trait Columns {
    fn text(&self, column: &str) -> Result<String>;
    fn maybe_text(&self, column: &str) -> Result<Option<String>>;
    fn int(&self, column: &str) -> Result<i64>;
    fn maybe_int(&self, column: &str) -> Result<Option<i64>>;

    fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    fn time(&self, column: &str) -> Result<Timestamp> {
        Ok(Timestamp::from_micros(self.maybe_int(column)?))
    }

    fn value<T: std::str::FromStr + Default>(&self, column: &str) -> Result<T> {
        Ok(self.text(column)?.parse().unwrap_or_default())
    }

    fn labels(&self, column: &str) -> Result<Labels> {
        Ok(serde_json::from_str(&self.text(column)?).unwrap_or_default())
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String> {
        Ok(self.try_get(column)?)
    }

    fn maybe_text(&self, column: &str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }

    fn int(&self, column: &str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }

    fn maybe_int(&self, column: &str) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }
}
