//! The registry's database: SQLite or PostgreSQL, by one text of SQL.
//!
//! Both understand `$1`, `RETURNING` and `ON CONFLICT`, so there is no trait with an implementation
//! for each: the two differ in how a connection is set up (`connection`) and how a transaction begins
//! (`transaction`). Constraints and transactions decide what happens when several servers or
//! processes want the same; nothing is kept in memory.

mod backup;
mod buckets;
mod builds;
mod channels;
mod connection;
mod enforced_blocks;
mod error;
mod migrate;
mod outbox;
mod overview;
mod projects;
mod revocations;
mod run_tasks;
mod sboms;
mod sessions;
mod transaction;
mod version_list;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row};
use tokio::sync::{Mutex, Semaphore};

use super::api::{Code, Error, Labels, Result, Timestamp};
use connection::Pool;

pub use buckets::{BucketRow, Keyset};
pub use builds::{ArtifactRow, BuildRow, FoundArtifact};
pub use channels::{AssignmentRow, ChannelRow};
pub use enforced_blocks::{EnforcedBlockRow, EnforcedLinkRow, EnforcedVersionRow};
pub use outbox::{AuditRow, Delivery, Webhook};
pub use overview::{BucketFilter, BucketLine, BucketOrder, BucketStatus, BuildLine, RelativesLine};
pub use projects::{Principal, Project, Role};
pub use revocations::{Claim, Relative, RevocationRow};
pub use run_tasks::{RunTaskCall, RunTaskJob, RunTaskKey};
pub use sboms::SbomRow;
pub use transaction::{Retries, Tx, transaction};
pub use version_list::{VersionFilter, VersionOrder};
pub use versions::{RelationRow, VersionRow};

/// How long to wait for another process that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(20);

/// How many lists are put together at once.
const LISTS: usize = 4;

/// How many ids go into one statement; databases have a limit.
const CHUNK: usize = 500;

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
    pool: Pool,
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
    keeper: Arc<Mutex<Option<SqliteConnection>>>,
}

impl Store {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// It cannot be opened or reached, or is of a newer Ingot.
    pub async fn open(location: &Location, connections: u32) -> Result<Self> {
        let postgres = matches!(location, Location::Postgres(_));
        let opened = match location {
            Location::Postgres(url) => Pool::connect_postgres(url, connections).await,
            Location::Sqlite(path) => {
                prepare_file(path)?;
                Pool::open_sqlite(path, connections).await
            }
        };
        let pool = opened.map_err(|error| match location {
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
        let keeper = pool.detach_sqlite().await?;
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

/// Makes the directory and the file, which are nobody else's to read.
fn prepare_file(path: &Path) -> Result<()> {
    let fail = |error: std::io::Error| {
        Error::new(
            Code::Unavailable,
            format!("the registry's database {} cannot be made: {error}", path.display()),
        )
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(fail)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(fail)?;
    Ok(())
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
