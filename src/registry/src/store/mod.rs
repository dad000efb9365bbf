//! The registry's database: SQLite or PostgreSQL, by one text of SQL.
//!
//! Both understand `$1`, `RETURNING` and `ON CONFLICT`, so there is no trait with an implementation
//! for each: the two differ in how a connection is set up and how a transaction begins, which is
//! all in this file. Constraints and transactions decide what happens when several servers or
//! processes want the same; nothing is kept in memory.

mod backup;
mod buckets;
mod builds;
mod channels;
mod error;
mod migrate;
mod outbox;
mod overview;
mod projects;
mod revocations;
mod run_tasks;
mod sessions;
mod transaction;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{AnyConnection, AnyPool, Connection as _, Row};
use tokio::sync::{Mutex, Semaphore};

use super::api::{Code, Error, Labels, Result, Timestamp};
use error::Failure;

pub use buckets::{BucketRow, Keyset};
pub use builds::{ArtifactRow, BuildRow, FoundArtifact};
pub use channels::{AssignmentRow, ChannelRow};
pub use outbox::{AuditRow, Delivery, Webhook};
pub use overview::{BucketFilter, BucketLine, BucketOrder, BucketStatus, BuildLine, RelativesLine};
pub use projects::{Principal, Project, Role};
pub use revocations::{Claim, Relative, RevocationRow};
pub use run_tasks::{RunTaskCall, RunTaskJob, RunTaskKey};
pub use transaction::{Retries, Tx, transaction};
pub use versions::{RelationRow, VersionRow};

/// How long to wait for another process that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(20);

/// How many lists are put together at once.
const LISTS: usize = 4;

/// How many ids go into one statement; databases have a limit.
const CHUNK: usize = 500;

/// How long a statement, and waiting for a lock, may take on PostgreSQL, and how long a transaction
/// may be left alone. A request that is over rolls its transaction back; this is for what it leaves
/// running in the database, and for a server that is gone.
const POSTGRES_LIMITS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '20s'; \
     SET idle_in_transaction_session_timeout = '60s'";

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
    /// SQLite's file.
    file: Option<Arc<Path>>,
    /// Writers of this process take turns, as SQLite has one writer at a time and those that wait
    /// in it do so by trying again and again.
    turn: Option<Arc<Mutex<()>>>,
    /// How many may write at once: fewer than there are connections, so that others can read.
    writers: Arc<Semaphore>,
    /// How many may read or write at once: one connection is kept back for [`Store::check`].
    ordinary: Arc<Semaphore>,
    /// How many lists may be put together at once.
    lists: Arc<Semaphore>,
    /// A connection that is never used. The last one to be closed takes SQLite's log and index with
    /// it, which cannot be created again on a full disk, not even to read.
    keeper: Arc<Mutex<Option<AnyConnection>>>,
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
            .acquire_timeout(transaction::CONNECT)
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
                    match postgres {
                        true => set_up_postgres(connection).await,
                        false => set_up_sqlite(connection).await,
                    }
                })
            });
        let pool = connect(options, &url).await.map_err(|error| match location {
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
        let keeper = match postgres {
            true => None,
            false => Some(pool.acquire().await?.detach()),
        };
        let connections = connections as usize;
        let store = Store {
            pool,
            postgres,
            file: match location {
                Location::Sqlite(path) => Some(path.as_path().into()),
                Location::Postgres(_) => None,
            },
            turn: (!postgres).then(Arc::default),
            writers: Arc::new(Semaphore::new(connections.saturating_sub(2).max(1))),
            ordinary: Arc::new(Semaphore::new(connections.saturating_sub(1).max(1))),
            lists: Arc::new(Semaphore::new(LISTS)),
            keeper: Arc::new(Mutex::new(keeper)),
        };
        transaction!(store, |tx| migrate::migrate(tx))?;
        Ok(store)
    }

    /// Ends all connections, which writes SQLite's log back into its file.
    pub async fn close(&self) {
        self.pool.close().await;
        if let Some(keeper) = self.keeper.lock().await.take() {
            let _ = keeper.close().await;
        }
    }
}

/// Opens a pool. Of several processes that create a SQLite file at once one has it for itself when it
/// becomes one with a write-ahead log, for which the others do not wait by themselves.
async fn connect(options: AnyPoolOptions, url: &str) -> Result<AnyPool, sqlx::Error> {
    let start = Instant::now();
    loop {
        match options.clone().connect(url).await {
            Err(error) if Failure::of(&error) == Failure::Conflict && start.elapsed() < BUSY => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
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

async fn set_up_postgres(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(POSTGRES_LIMITS).execute(connection).await?;
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
