//! Connections to SQLite and PostgreSQL that run statements of sqlx's `Any`.
//!
//! sqlx's own `AnyConnection` hides the connection that it is made of, and with it SQLite's progress
//! handler, which is the only way to end a statement that is running. So the pools are those of the
//! two databases, and [`Connection`] passes statements of `Any` on, as `AnyConnection` does.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use ingot_base::files::with_suffix;
use sqlx::any::{Any, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{
    ConnectOptions as _, Connection as _, Database, Either, Execute, Executor, PgPool, Postgres,
    SqlStr, Sqlite, SqlitePool,
};
use sqlx_core::any::AnyConnectionBackend;
use tokio::time::{timeout, timeout_at};

use super::error::Failure;
use super::open_connections::OpenConnections;

/// How long to wait for another process that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(20);
/// How long connecting to the database may take, and finding a connection that lives; and on
/// PostgreSQL what takes no time by itself.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection that was idle may take to show that it lives.
const PING: Duration = Duration::from_secs(2);
/// How long SQLite may take to close connections that nobody uses any more.
const CLOSED: Duration = Duration::from_secs(5);
/// As PostgreSQL's `statement_timeout`, which each transaction sets, for SQLite.
const STATEMENT: Duration = Duration::from_secs(30);
/// How long PostgreSQL may be silent during a statement: longer than it lets one take. A connection
/// that a firewall or a load balancer has forgotten stays open and is silent for ever.
const SILENCE: Duration = Duration::from_secs(40);
/// How many instructions SQLite executes between two looks at the time: well below a millisecond, and
/// more than a `COMMIT` or a `ROLLBACK` has.
const INSTRUCTIONS: i32 = 1000;

/// How much of a SQLite file each connection keeps in memory, as the pragma has it: 4 MiB. It is kept
/// for as long as the connection is, and what is not in it is read from the system's own cache.
const CACHE: &str = "-4096";

/// The connections to one of the two databases.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool, OpenConnections),
    Postgres(PgPool),
}

/// A connection out of a [`Pool`].
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>, Arc<Deadline>),
    Postgres(PoolConnection<Postgres>, SilenceLimit),
}

/// How long a statement may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// As long as any statement of a request.
    Usual,
    /// Any time.
    None,
}

/// How long PostgreSQL may be silent, and whether its connection can be used after that.
#[derive(Debug)]
pub(super) struct SilenceLimit {
    limit: Option<Duration>,
    /// Whether the connection is to be closed rather than used again.
    closes: bool,
}

/// When SQLite gives up the statement that is running: in milliseconds of [`clock`].
#[derive(Debug)]
pub(super) struct Deadline(AtomicU64);

impl Deadline {
    const NOW: u64 = 0;
    const NEVER: u64 = u64::MAX;

    fn set(&self, at: u64) {
        self.0.store(at, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        clock() >= self.0.load(Ordering::Relaxed)
    }
}

/// After how long a connection that nobody uses is closed.
const IDLE: Duration = Duration::from_secs(60);

/// After how long a connection to a SQLite file is closed. What it keeps of the file in memory is
/// given back then. None is ever idle for long: the server's own queries take them in turn.
const LIFETIME: Duration = Duration::from_secs(60);

/// Milliseconds since some time before the first connection.
fn clock() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    millis(START.elapsed())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What both pools have in common.
fn options<DB: Database>(connections: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT)
        // What a connection keeps of the database in memory goes with it.
        .idle_timeout(IDLE)
        // A connection that was used just now is not asked whether it is alive.
        .test_before_acquire(false)
        .before_acquire(|connection: &mut DB::Connection, state| {
            Box::pin(async move {
                if state.idle_for > Duration::from_secs(5) {
                    timeout(PING, connection.ping()).await.map_err(|_| silent())??;
                }
                Ok(true)
            })
        })
}

/// What the pools of SQLite have in common.
fn sqlite_options(connections: u32, open: &OpenConnections) -> PoolOptions<Sqlite> {
    open.count(options(connections).max_lifetime(LIFETIME))
}

impl Pool {
    /// Opens a SQLite file, which is created if it is not there.
    ///
    /// Of several processes that create one file at once, one has it for itself when it turns the
    /// write-ahead log on, for which the others do not wait by themselves.
    pub(super) async fn open_sqlite(path: &Path, connections: u32) -> Result<Self, sqlx::Error> {
        let file = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(BUSY)
            .journal_mode(SqliteJournalMode::Wal)
            // A committed transaction survives a power cut, as with PostgreSQL.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", CACHE);
        let open = OpenConnections::default();
        let start = Instant::now();
        loop {
            match sqlite_options(connections, &open).connect_with(file.clone()).await {
                Err(error)
                    if Failure::of(&error) == Failure::Conflict && start.elapsed() < BUSY =>
                {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                result => return result.map(|pool| Pool::Sqlite(pool, open)),
            }
        }
    }

    /// Opens a SQLite file to read. Nothing is changed, nor is anything left beside it.
    ///
    /// Where there is no log nobody has the file open, and it is read as it is: SQLite would create a
    /// log and its index even to read, which fails on a file system that can only be read, and leave
    /// them, which others may not be able to write.
    pub(super) async fn open_sqlite_to_read(
        path: &Path,
        connections: u32,
    ) -> Result<Self, sqlx::Error> {
        let file = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .immutable(!with_suffix(path, "-wal").exists())
            .busy_timeout(BUSY)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", CACHE);
        let open = OpenConnections::default();
        let pool = sqlite_options(connections, &open).connect_with(file).await?;
        Ok(Pool::Sqlite(pool, open))
    }

    /// Connects to a PostgreSQL server.
    pub(super) async fn connect_postgres(url: &str, connections: u32) -> Result<Self, sqlx::Error> {
        let server: PgConnectOptions = url.parse()?;
        options::<Postgres>(connections).connect_with(server).await.map(Pool::Postgres)
    }

    /// How many connections there may be.
    pub(super) fn most(&self) -> u32 {
        match self {
            Pool::Sqlite(pool, _) => pool.options().get_max_connections(),
            Pool::Postgres(pool) => pool.options().get_max_connections(),
        }
    }

    /// A connection, which nobody else uses until it is dropped.
    pub(super) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Pool::Sqlite(pool, _) => {
                let mut connection = pool.acquire().await?;
                let deadline = Arc::new(Deadline(AtomicU64::new(Deadline::NEVER)));
                let watched = deadline.clone();
                let mut handle = connection.lock_handle().await?;
                handle.set_progress_handler(INSTRUCTIONS, move || !watched.is_over());
                drop(handle);
                Ok(Connection::Sqlite(connection, deadline))
            }
            Pool::Postgres(pool) => {
                let silence = SilenceLimit { limit: Some(CONNECT), closes: false };
                Ok(Connection::Postgres(pool.acquire().await?, silence))
            }
        }
    }

    /// A connection to SQLite that the pool does not count any more.
    pub(super) async fn detach_sqlite(&self) -> Result<Option<SqliteConnection>, sqlx::Error> {
        match self {
            Pool::Sqlite(pool, _) => Ok(Some(pool.acquire().await?.detach())),
            Pool::Postgres(_) => Ok(None),
        }
    }

    /// Whether [`Pool::close`] was called.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Pool::Sqlite(pool, _) => pool.is_closed(),
            Pool::Postgres(pool) => pool.is_closed(),
        }
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        match self {
            Pool::Sqlite(pool, _) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// Closes all connections to SQLite and then `keeper`, with which the log goes.
    pub(super) async fn close_with(&self, keeper: SqliteConnection) {
        self.close().await;
        let Pool::Sqlite(pool, open) = self else { return };
        let _ = timeout(CLOSED, open.wait_for(1)).await;
        let _ = keeper.close().await;
        // Another process has closed the file at the same moment, and each found that the other had it:
        // the next one to close takes the log.
        let options = pool.connect_options();
        if with_suffix(options.get_filename(), "-wal").exists()
            && let Ok(next) = (*options).clone().create_if_missing(false).connect().await
        {
            let _ = next.close().await;
        }
    }
}

impl Connection {
    /// Keeps it out of the pool, as nobody knows what state it is in.
    pub(super) fn close_on_drop(&mut self) {
        match self {
            Connection::Sqlite(connection, _) => connection.close_on_drop(),
            Connection::Postgres(_, silence) => silence.closes = true,
        }
    }

    /// Whether PostgreSQL was silent for too long, so that nothing more is to be asked of it.
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self, Connection::Postgres(_, silence) if silence.closes)
    }

    /// Gives the next statement its time.
    pub(super) fn begin_statement(&mut self, limit: Limit) {
        match self {
            Connection::Sqlite(_, deadline) => deadline.set(match limit {
                Limit::None => Deadline::NEVER,
                Limit::Usual => clock().saturating_add(millis(STATEMENT)),
            }),
            Connection::Postgres(_, silence) => {
                silence.limit = match limit {
                    Limit::Usual => Some(SILENCE),
                    Limit::None => None,
                }
            }
        }
    }

    /// Ends the statement that is running, as nobody waits for it any more. On PostgreSQL its own
    /// limits do.
    pub(super) fn interrupt(&self) {
        if let Connection::Sqlite(_, deadline) = self {
            deadline.set(Deadline::NOW);
        }
    }

    /// What runs its statements, and how long to wait for that.
    fn parts(&mut self) -> (&mut dyn AnyConnectionBackend, Option<&mut SilenceLimit>) {
        match self {
            Connection::Sqlite(connection, _) => {
                let backend: &mut dyn AnyConnectionBackend = &mut **connection;
                (backend, None)
            }
            Connection::Postgres(connection, silence) => {
                let backend: &mut dyn AnyConnectionBackend = &mut **connection;
                (backend, Some(silence))
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Connection::Postgres(connection, silence) = self else { return };
        match silence.closes {
            true => connection.close_on_drop(),
            // The pool asks each that comes back whether it lives, and would wait for ever.
            false => {
                tokio::spawn(timeout(CONNECT, connection.return_to_pool()));
            }
        }
    }
}

fn silent() -> sqlx::Error {
    let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "the connection is silent");
    sqlx::Error::Io(error)
}

/// What a statement gives, if it does so in time.
fn in_time<'e, T: Send + 'e>(
    silence: Option<&'e mut SilenceLimit>,
    result: BoxFuture<'e, Result<T, sqlx::Error>>,
) -> BoxFuture<'e, Result<T, sqlx::Error>> {
    let Some(silence) = silence else { return result };
    let Some(limit) = silence.limit else { return result };
    Box::pin(async move {
        match timeout(limit, result).await {
            Ok(result) => result,
            Err(_) => {
                silence.closes = true;
                Err(silent())
            }
        }
    })
}

/// The rows of a statement, if all of them come in time.
fn all_in_time<'e, T: Send + 'e>(
    silence: Option<&'e mut SilenceLimit>,
    rows: BoxStream<'e, Result<T, sqlx::Error>>,
) -> BoxStream<'e, Result<T, sqlx::Error>> {
    let Some(silence) = silence else { return rows };
    let Some(limit) = silence.limit else { return rows };
    let end = tokio::time::Instant::now() + limit;
    let next = move |state: Option<(BoxStream<'e, _>, &'e mut SilenceLimit)>| async move {
        let (mut rows, silence) = state?;
        match timeout_at(end, rows.next()).await {
            Ok(row) => Some((row?, Some((rows, silence)))),
            Err(_) => {
                silence.closes = true;
                Some((Err(silent()), None))
            }
        }
    };
    Box::pin(stream::unfold(Some((rows, silence)), next))
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        mut query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match query.take_arguments().map_err(sqlx::Error::Encode) {
            Ok(arguments) => {
                let persistent = query.persistent();
                let (backend, silence) = self.parts();
                all_in_time(silence, backend.fetch_many(query.sql(), persistent, arguments))
            }
            Err(error) => Box::pin(stream::once(future::ready(Err(error)))),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        mut query: E,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match query.take_arguments().map_err(sqlx::Error::Encode) {
            Ok(arguments) => {
                let persistent = query.persistent();
                let (backend, silence) = self.parts();
                in_time(silence, backend.fetch_optional(query.sql(), persistent, arguments))
            }
            Err(error) => Box::pin(future::ready(Err(error))),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let (backend, silence) = self.parts();
        in_time(silence, backend.prepare_with(sql, parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Code;
    use crate::store::{Location, Store};

    /// Takes hours.
    const SLOW: &str = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n \
        WHERE x < 1000000000000) SELECT count(*) FROM n";

    #[tokio::test]
    async fn a_statement_ends_with_its_transaction() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Location::Sqlite(dir.path().join("r.db"));
        let store = Store::open(&file, 4).await.expect("a store");
        for _ in 0..3 {
            let slow = async {
                let mut tx = store.begin().await.expect("a transaction");
                tx.ensure_organization("kept back").await.expect("a change");
                let _: i64 = sqlx::query_scalar(SLOW).fetch_one(tx.raw()).await.expect("no end");
            };
            tokio::time::timeout(Duration::from_millis(300), slow).await.expect_err("no end");
            let given_up = Instant::now();
            let mut tx = store.begin().await.expect("the next one begins");
            // Less than a statement may take.
            assert!(given_up.elapsed() < Duration::from_secs(10), "{:?}", given_up.elapsed());
            let count = sqlx::query_scalar("SELECT count(*) FROM organizations");
            let count: i64 = count.fetch_one(tx.raw()).await.expect("a number");
            assert_eq!(count, 0, "it was rolled back");
        }
        store.close().await;
    }

    #[tokio::test]
    async fn a_statement_has_its_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Location::Sqlite(dir.path().join("r.db"));
        let store = Store::open(&file, 4).await.expect("a store");
        let mut tx = store.read().await.expect("a transaction");
        let connection = tx.raw();
        let Connection::Sqlite(_, deadline) = &*connection else { panic!("not SQLite") };
        deadline.set(clock() + 200);
        let start = Instant::now();
        let ended = sqlx::query_scalar::<_, i64>(SLOW).fetch_one(connection).await;
        let error = crate::api::Error::from(ended.expect_err("it has no end"));
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        assert_eq!(error.code, Code::Unavailable);
        assert!(error.to_string().contains("took too long"), "{error}");
        drop(tx);
        let mut tx = store.read().await.expect("the next one");
        let one: i64 = sqlx::query_scalar("SELECT 1").fetch_one(tx.raw()).await.expect("a number");
        assert_eq!(one, 1);
    }
}
