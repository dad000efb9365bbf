//! How many connections to a SQLite file are open.
//!
//! sqlx says that a connection is closed when it has told the thread that runs it to close it. Only for
//! one that is given back in time does it wait for that thread; one whose task ends with its runtime
//! is closed some time later, when the one that was to take SQLite's log with it may be gone already.
//! SQLite itself says when it has closed a connection: it drops the connection's collations then.

use sqlx::Sqlite;
use sqlx::pool::PoolOptions;
use tokio::sync::watch;

/// Counts the connections of a pool until SQLite has closed them.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenConnections(watch::Sender<usize>);

/// One of them.
struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl OpenConnections {
    /// Counts each connection that a pool with `options` opens.
    pub(super) fn count(&self, options: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
        let open = self.0.clone();
        options.after_connect(move |connection, _| {
            open.send_modify(|open| *open += 1);
            let counted = Counted(open.clone());
            Box::pin(async move {
                let mut handle = connection.lock_handle().await?;
                // No statement uses it.
                handle.create_collation("ingot_open", move |left, right| {
                    let _ = &counted;
                    left.cmp(right)
                })
            })
        })
    }

    /// Waits until no more than `rest` are open.
    pub(super) async fn wait_for(&self, rest: usize) {
        // Its sender is here.
        let _ = self.0.subscribe().wait_for(|open| *open <= rest).await;
    }
}
