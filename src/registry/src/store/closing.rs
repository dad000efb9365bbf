//! The end of a database's connections.
//!
//! SQLite writes its log back into its file, and removes the log and its index from beside it, when
//! the last connection is closed. Connections that are dropped close on threads of their own, and a
//! process that ends meanwhile leaves both files behind. So a store that nobody uses any more is closed
//! by a thread that [`wait_until_closed`] waits for.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use sqlx::sqlite::SqliteConnection;

use super::connection::Pool;

/// How long closing a store may take that nobody waits for.
const LIMIT: Duration = Duration::from_secs(10);

/// How many SQLite files this process has open.
static OPEN: Mutex<usize> = Mutex::new(0);
static CLOSED: Condvar = Condvar::new();

/// Counts among those that are open as long as it lives.
#[derive(Debug)]
struct Counted;

impl Counted {
    fn new() -> Counted {
        *OPEN.lock() += 1;
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *OPEN.lock() -= 1;
        CLOSED.notify_all();
    }
}

/// Waits until all SQLite files that this process has opened are closed, if nobody uses them any more;
/// no longer than `limit`. To be called before a process ends.
pub fn wait_until_closed(limit: Duration) {
    let until = Instant::now() + limit;
    let mut open = OPEN.lock();
    while *open > 0 {
        if CLOSED.wait_until(&mut open, until).timed_out() {
            tracing::warn!("a SQLite file is still open: its log stays beside it");
            return;
        }
    }
}

/// All connections of a store, which are closed with it.
#[derive(Debug)]
pub(super) struct Connections {
    pool: Pool,
    /// A connection that is never used. The last one to be closed takes SQLite's log and index with
    /// it, which cannot be created again on a full disk, not even to read.
    keeper: Mutex<Option<SqliteConnection>>,
    counted: Option<Counted>,
}

impl Connections {
    pub(super) fn new(pool: &Pool, keeper: Option<SqliteConnection>) -> Connections {
        let counted = matches!(pool, Pool::Sqlite(..)).then(Counted::new);
        Connections { pool: pool.clone(), keeper: Mutex::new(keeper), counted }
    }

    /// Ends all connections, which writes SQLite's log back into its file.
    pub(super) async fn close(&self) {
        let keeper = self.keeper.lock().take();
        close(&self.pool, keeper).await;
    }
}

/// Held while a store is closed. Of two connections that close at once, each finds that the other still has
/// the file, and neither takes the log with it.
static CLOSING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn close(pool: &Pool, keeper: Option<SqliteConnection>) {
    let _turn = CLOSING.lock().await;
    match keeper {
        Some(keeper) => pool.close_with(keeper).await,
        None => pool.close().await,
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        let Some(counted) = self.counted.take() else { return };
        let keeper = self.keeper.get_mut().take();
        if self.pool.is_closed() && keeper.is_none() {
            return;
        }
        let pool = self.pool.clone();
        let closing = std::thread::Builder::new().name("closing".to_owned()).spawn(move || {
            let _counted = counted;
            // The runtime that the connections were made in may be gone.
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build()
            {
                let closing = async { tokio::time::timeout(LIMIT, close(&pool, keeper)).await };
                let _ = runtime.block_on(closing);
            }
        });
        if let Err(error) = closing {
            tracing::warn!(%error, "a database cannot be closed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::Executor as _;

    use super::super::connection::Pool;
    use super::Connections;

    /// Numbers that take SQLite some tenths of a second to count.
    const SLOW: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n";

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    #[test]
    fn the_log_goes_although_a_connection_was_in_use_when_its_runtime_ended() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("registry.db");
        let first = runtime();
        let connections = first.block_on(async {
            let pool = Pool::open_sqlite(&file, 3).await.expect("it opens");
            let keeper = pool.detach_sqlite().await.expect("a connection");
            let Pool::Sqlite(sqlite, _) = &pool else { panic!("it is SQLite") };
            sqlite.execute("CREATE TABLE t (c)").await.expect("it is created");
            let mut used = sqlite.acquire().await.expect("a connection");
            tokio::spawn(async move {
                let _ = used.execute(SLOW).await;
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
            Connections::new(&pool, keeper)
        });
        drop(first);
        assert!(directory.path().join("registry.db-wal").exists());
        runtime().block_on(connections.close());
        let left: Vec<_> = std::fs::read_dir(directory.path()).expect("it is read").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
