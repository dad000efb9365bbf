//! The database: opened, brought up to date, closed.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Mutex, Semaphore};

use super::closing::Connections;
use super::connection::Pool;
use super::error::Failure;
use super::location::Location;
use super::migrate;
use super::transaction::transaction;
use crate::api::{Code, Error, Result};

/// How many lists are put together at once.
const LISTS: usize = 4;
/// How many searches are made at once, which may take long.
const SEARCHES: usize = 2;
/// How many pairs of versions are compared at once, which may take long and much memory.
const COMPARISONS: usize = 2;

/// A database, open.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) pool: Pool,
    pub(super) postgres: bool,
    /// SQLite's file.
    pub(super) file: Option<Arc<Path>>,
    /// Writers of this process take turns, as SQLite has one writer at a time and those that wait
    /// in it do so by trying again and again.
    pub(super) turn: Option<Arc<Mutex<()>>>,
    /// Since when [`Store::check`] has found the change that is being made now; none: it has not.
    pub(super) written_since: Arc<parking_lot::Mutex<Option<Instant>>>,
    /// How many may write at once: fewer than there are connections, so that others can read.
    pub(super) writers: Arc<Semaphore>,
    /// How many may read or write at once: one connection is kept back for [`Store::check`].
    pub(super) ordinary: Arc<Semaphore>,
    /// How many lists may be put together at once.
    pub(super) lists: Arc<Semaphore>,
    /// How many may search at once. Apart from lists, which builds wait for.
    pub(super) searches: Arc<Semaphore>,
    /// How many may compare versions at once.
    pub(super) comparisons: Arc<Semaphore>,
    connections: Arc<Connections>,
}

impl Store {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// It cannot be opened or reached, or is of a newer Ingot.
    pub async fn open(location: &Location, connections: u32) -> Result<Self> {
        let store = Self::connect(location, connections).await?;
        transaction!(store, |tx| migrate::migrate(tx))?;
        Ok(store)
    }

    /// Opens a database that a server has brought up to date, and leaves its tables as they are: the
    /// server that uses it now may be of an older Ingot.
    ///
    /// # Errors
    /// It cannot be opened or reached, has no registry, or is of another Ingot.
    pub async fn open_existing(location: &Location, connections: u32) -> Result<Self> {
        let store = Self::connect(location, connections).await?;
        migrate::check_existing(&mut store.read().await?).await?;
        Ok(store)
    }

    /// Opens a database to restore a backup into, and creates its tables if it has none.
    ///
    /// # Errors
    /// It cannot be opened or reached, or is of another Ingot.
    pub async fn open_to_restore(location: &Location, connections: u32) -> Result<Self> {
        let store = Self::connect(location, connections).await?;
        migrate::check_restorable(&mut store.read().await?).await?;
        transaction!(store, |tx| migrate::migrate(tx))?;
        Ok(store)
    }

    /// Opens the registry of builds and brings its tables up to date, but not those that a server has
    /// used: the server that uses them now may be of an older Ingot.
    ///
    /// # Errors
    /// It cannot be opened, is of a newer Ingot, or of an older one and has been served.
    pub async fn open_for_builds(location: &Location, connections: u32) -> Result<Self> {
        let store = Self::connect(location, connections).await?;
        // Who only reads does not wait for those that write.
        if migrate::check_unserved(&mut store.read().await?).await? != migrate::Age::Current {
            transaction!(store, |tx| migrate::migrate(tx))?;
        }
        Ok(store)
    }

    async fn connect(location: &Location, connections: u32) -> Result<Self> {
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
                match Failure::of(&error) {
                    Failure::Damaged => Code::Internal,
                    _ => Code::Unavailable,
                },
                format!("the registry's database {} cannot be opened: {error}", path.display()),
            ),
            // The error may quote the URL, which may hold a password.
            Location::Postgres(_) => {
                let why = match &error {
                    sqlx::Error::Database(error) => error.message().to_owned(),
                    sqlx::Error::Io(error) => error.to_string(),
                    sqlx::Error::PoolTimedOut => "it does not respond".into(),
                    _ => "the URL is invalid or the server refuses it".into(),
                };
                Error::new(
                    Code::Unavailable,
                    format!("the PostgreSQL database cannot be opened: {why}"),
                )
            }
        })?;
        let keeper = pool.detach_sqlite().await?;
        let file = match location {
            Location::Sqlite(path) => Some(path.as_path()),
            Location::Postgres(_) => None,
        };
        Ok(Store::of(pool, postgres, file, keeper, connections))
    }

    /// Opens a SQLite file to read. Nothing of it is changed.
    ///
    /// # Errors
    /// It cannot be opened, or is of another Ingot.
    pub async fn open_to_read(path: &Path, connections: u32) -> Result<Self> {
        let pool = Pool::open_sqlite_to_read(path, connections).await.map_err(|error| {
            let path = path.display();
            Error::new(
                Code::Unavailable,
                format!("the registry's database {path} cannot be opened to read: {error}"),
            )
        })?;
        let store = Store::of(pool, false, Some(path), None, connections);
        migrate::check(&mut store.read().await?).await?;
        Ok(store)
    }

    /// Opens a backup to read, of whichever Ingot it is. Nothing of it is changed.
    pub(super) async fn open_backup(path: &Path) -> Result<Self> {
        let pool = Pool::open_sqlite_to_read(path, 2).await.map_err(|error| {
            let code = match Failure::of(&error) {
                Failure::Damaged => Code::Internal,
                _ => Code::Unavailable,
            };
            Error::new(code, format!("{} cannot be opened: {error}", path.display()))
        })?;
        Ok(Store::of(pool, false, Some(path), None, 2))
    }

    /// Whether a server has used the registry in a SQLite file. Nothing of the file is changed. One that
    /// cannot be read, or has no registry, has not been served.
    pub async fn was_served(path: &Path) -> bool {
        let Ok(pool) = Pool::open_sqlite_to_read(path, 2).await else { return false };
        let store = Store::of(pool, false, Some(path), None, 2);
        let Ok(mut tx) = store.read().await else { return false };
        migrate::was_served(&mut tx).await.unwrap_or(false)
    }

    fn of(
        pool: Pool,
        postgres: bool,
        file: Option<&Path>,
        keeper: Option<SqliteConnection>,
        connections: u32,
    ) -> Store {
        let of_store = Arc::new(Connections::new(&pool, keeper));
        let connections = connections as usize;
        Store {
            pool,
            postgres,
            file: file.map(Into::into),
            turn: (!postgres).then(Arc::default),
            written_since: Arc::default(),
            writers: Arc::new(Semaphore::new(connections.saturating_sub(2).max(1))),
            ordinary: Arc::new(Semaphore::new(connections.saturating_sub(1).max(1))),
            lists: Arc::new(Semaphore::new(LISTS)),
            searches: Arc::new(Semaphore::new(SEARCHES)),
            comparisons: Arc::new(Semaphore::new(COMPARISONS)),
            connections: of_store,
        }
    }

    /// Ends all connections, which writes SQLite's log back into its file. A store that is dropped is
    /// closed, too: see [`super::wait_until_closed`].
    pub async fn close(&self) {
        self.connections.close().await;
    }
}

/// Makes the directory and the file, which are nobody else's to read.
fn prepare_file(path: &Path) -> Result<()> {
    let fail = |error: std::io::Error| {
        let shown = path.display();
        let read_only =
            matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem);
        let message = match path.exists() {
            true if read_only => format!(
                "the registry's database {shown} cannot be opened for writing, which SQLite needs \
                 to read it, too: {error}; use a copy of it, or a server that has it"
            ),
            true => format!("the registry's database {shown} cannot be opened: {error}"),
            false => format!("the registry's database {shown} cannot be created: {error}"),
        };
        Error::new(Code::Unavailable, message)
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
