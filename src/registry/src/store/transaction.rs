//! Transactions: how they begin and end, and what keeps one from harming the next.
//!
//! A connection goes back to the pool only after its `COMMIT` or its `ROLLBACK` went well. After
//! anything else nobody knows what state it is in, so it is closed: SQLite ends a transaction by
//! itself when the disk is full, and a connection about which sqlx believes otherwise keeps an old
//! snapshot open for as long as it lives. That is why this module says `BEGIN` and `ROLLBACK` itself
//! rather than with sqlx's `Transaction`, which counts.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::Any;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};
use tokio::time::timeout;

use super::Store;
use super::connection::{Connection, Limit};
use super::error::Failure;
use super::turn::turn_within;
use crate::api::{Code, Error, Result, Timestamp};

/// How often a transaction is tried that others keep from being made.
const ATTEMPTS: u32 = 8;
/// How long to wait for others to end who use the database.
const QUEUE: Duration = Duration::from_secs(20);
/// How long a connection may take to roll back before it is closed.
const ROLLBACK: Duration = Duration::from_secs(10);

/// How long looking whether the database works may take.
const CHECK: Duration = Duration::from_millis(900);
/// How long it waits for one's turn to write, and for how long another may have had it: for longer than a
/// change may take.
const TURN: Duration = Duration::from_millis(400);
const LONGEST: Duration = Duration::from_secs(120);
/// How much room there must be where SQLite's file is, in bytes, for a server to be of use.
const ROOM: u64 = 1 << 20;

/// A statement that begins a transaction on PostgreSQL, with how long a statement, and waiting for a
/// lock, may take, and how long the transaction may be left alone. A request that is over rolls its
/// transaction back; this is for what it leaves running in the database, and for a server that is gone.
///
/// The limits are the transaction's, not the connection's, which a pooler may give to other programs.
macro_rules! with_limits {
    ($begin:literal) => {
        concat!(
            $begin,
            "; SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '20s'; \
             SET LOCAL idle_in_transaction_session_timeout = '60s'"
        )
    };
}

/// How a transaction begins. SQLite: from the start as a writer, or another one may come between
/// read and write.
const WRITE_SQLITE: &str = "BEGIN IMMEDIATE";
const WRITE_POSTGRES: &str = with_limits!("BEGIN");
const READ_SQLITE: &str = "BEGIN";
const READ_POSTGRES: &str = with_limits!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");

/// A transaction. Dropped without [`Tx::commit`] it changes nothing.
#[derive(Debug)]
pub struct Tx {
    /// None once it has ended.
    connection: Option<Connection>,
    /// How long its statements may take.
    limit: Limit,
    /// The time everything in it happens at.
    pub now: Timestamp,
    pub(super) postgres: bool,
    turn: Turn,
    /// How many statements it was asked for.
    #[cfg(test)]
    pub(crate) statements: u32,
}

/// What a transaction holds so that others wait for it.
#[derive(Debug, Default)]
struct Turn {
    _writer: Option<OwnedMutexGuard<()>>,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Store {
    /// Begins a transaction that writes.
    ///
    /// # Errors
    /// Unavailable: the database does not answer, or too many others write.
    pub async fn begin(&self) -> Result<Tx> {
        let turn = turn_within(QUEUE, async {
            Ok(Turn {
                _writer: match &self.turn {
                    Some(writer) => {
                        let writer = writer.clone().lock_owned().await;
                        // The one before has ended, so it did not hang.
                        *self.written_since.lock() = None;
                        Some(writer)
                    }
                    None => None,
                },
                _permits: vec![
                    self.writers.clone().acquire_owned().await?,
                    self.ordinary.clone().acquire_owned().await?,
                ],
            })
        });
        let turn = turn.await?;
        self.start(self.write_statement(), turn).await
    }

    /// Begins a transaction that reads, and sees one state of the database.
    ///
    /// # Errors
    /// Unavailable: the database does not answer, or too many others use it.
    pub async fn read(&self) -> Result<Tx> {
        let turn = self.ordinary_turn().await?;
        self.start(if self.postgres { READ_POSTGRES } else { READ_SQLITE }, turn).await
    }

    /// The first row of a query that finds it by its key. On PostgreSQL it has a transaction around it,
    /// for the limits that the database itself keeps: it does not notice that nobody waits any more.
    pub(super) async fn row(
        &self,
        query: Query<'static, Any, AnyArguments>,
    ) -> Result<Option<AnyRow>> {
        if self.postgres {
            let mut tx = self.read().await?;
            return Ok(query.fetch_optional(tx.raw()).await?);
        }
        let _turn = self.ordinary_turn().await?;
        let mut connection = self.pool.acquire().await?;
        connection.begin_statement(Limit::Usual);
        Ok(query.fetch_optional(&mut connection).await?)
    }

    /// Waits until a list may be put together, which takes memory: few are at once.
    ///
    /// # Errors
    /// Unavailable: there are too many others.
    pub async fn list_turn(&self) -> Result<OwnedSemaphorePermit> {
        turn_within(QUEUE, self.lists.clone().acquire_owned()).await
    }

    /// Waits until one may look through all that a project has, which takes time: few do at once.
    ///
    /// # Errors
    /// Unavailable: there are too many others.
    pub async fn search_turn(&self) -> Result<OwnedSemaphorePermit> {
        turn_within(QUEUE, self.searches.clone().acquire_owned()).await
    }

    /// Waits until versions may be compared with all their packages, which takes time and memory.
    ///
    /// # Errors
    /// Unavailable: there are too many others.
    pub async fn comparison_turn(&self) -> Result<OwnedSemaphorePermit> {
        turn_within(QUEUE, self.comparisons.clone().acquire_owned()).await
    }

    async fn ordinary_turn(&self) -> Result<Turn> {
        let permit = turn_within(QUEUE, self.ordinary.clone().acquire_owned()).await?;
        Ok(Turn { _permits: vec![permit], ..Turn::default() })
    }

    /// Whether the database can be read and written now, however busy the server is.
    ///
    /// # Errors
    /// Why it cannot be. The answer comes within [`CHECK`].
    pub async fn check(&self) -> Result<()> {
        let checked = async {
            if let Some(file) = &self.file {
                room_at(file)?;
            }
            let writer = match &self.turn {
                Some(writer) => match timeout(TURN, writer.clone().lock_owned()).await {
                    Ok(writer) => Some(writer),
                    Err(_) => return self.check_while_written().await,
                },
                None => None,
            };
            *self.written_since.lock() = None;
            let turn = Turn { _writer: writer, _permits: Vec::new() };
            let mut tx = self.start(self.write_statement(), turn).await?;
            tx.put_setting("checked_at", &tx.now.to_string()).await?;
            tx.commit().await
        };
        timeout(CHECK, checked).await.map_err(|_| no_answer())?
    }

    /// As [`Store::check`], of SQLite while somebody else writes: then it can be written, as long as
    /// that ends, and whether it can be read is tried.
    async fn check_while_written(&self) -> Result<()> {
        let since = *self.written_since.lock().get_or_insert_with(Instant::now);
        if since.elapsed() > LONGEST {
            return Err(no_answer());
        }
        let mut tx = self.start(READ_SQLITE, Turn::default()).await?;
        sqlx::query("SELECT value FROM settings LIMIT 1").fetch_optional(tx.raw()).await?;
        Ok(())
    }

    fn write_statement(&self) -> &'static str {
        if self.postgres { WRITE_POSTGRES } else { WRITE_SQLITE }
    }

    /// Begins a transaction, on a fresh connection if the one that was kept is gone or silent: nothing
    /// of it has happened yet. After a restart of the database all that were kept are.
    async fn start(&self, statement: &'static str, turn: Turn) -> Result<Tx> {
        let now = Timestamp::now();
        let mut tx = Tx {
            connection: None,
            limit: Limit::Usual,
            now,
            postgres: self.postgres,
            turn,
            #[cfg(test)]
            statements: 0,
        };
        for _ in 0..=self.pool.most() {
            // In the transaction before it begins, so that it is rolled back if nobody waits for
            // the beginning any more.
            let connection = tx.connection.insert(self.pool.acquire().await?);
            match sqlx::raw_sql(statement).execute(&mut *connection).await {
                Ok(_) => return Ok(tx),
                Err(error) => {
                    connection.close_on_drop();
                    tx.connection = None;
                    if Failure::of(&error) != Failure::Lost {
                        return Err(error.into());
                    }
                    tracing::warn!(%error, "replaced a lost connection to the registry's database");
                }
            }
        }
        Err(Error::new(Code::Unavailable, "the registry's database does not respond"))
    }
}

fn no_answer() -> Error {
    Error::new(Code::Unavailable, "the registry's database does not respond in time")
}

/// Whether there is room where a file is. A full disk may still take a small change.
fn room_at(file: &Path) -> Result<()> {
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty());
    let Ok(system) = rustix::fs::statvfs(directory.unwrap_or(Path::new("."))) else {
        return Ok(());
    };
    match system.f_bavail.saturating_mul(system.f_frsize) < ROOM {
        true => Err(Error::new(Code::Unavailable, "the registry's disk is full")),
        false => Ok(()),
    }
}

impl Tx {
    /// The connection, for one statement.
    pub(super) fn raw(&mut self) -> &mut Connection {
        #[cfg(test)]
        {
            self.statements += 1;
        }
        let connection =
            self.connection.as_mut().expect("a transaction that has not ended has a connection");
        connection.begin_statement(self.limit);
        connection
    }

    /// Lets the transaction's statements take any time, and wait long for a lock, as for work on the
    /// whole database.
    pub(super) async fn lift_limits(&mut self) -> Result<()> {
        self.limit = Limit::None;
        if self.postgres {
            let limits = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10min'; \
                          SET LOCAL idle_in_transaction_session_timeout = 0";
            sqlx::raw_sql(limits).execute(self.raw()).await?;
        }
        Ok(())
    }

    pub(super) fn now_micros(&self) -> i64 {
        self.now.micros().unwrap_or_default()
    }

    /// Makes it so.
    ///
    /// # Errors
    /// Nothing of it was done; if the connection was lost, all of it may have been.
    pub async fn commit(mut self) -> Result<()> {
        let result = sqlx::raw_sql("COMMIT").execute(self.raw()).await;
        let connection = self.connection.take();
        if let (Some(mut connection), Err(error)) = (connection, result) {
            connection.close_on_drop();
            if Failure::of(&error) == Failure::Lost {
                tracing::error!(%error, "the registry's database was lost at a commit");
                return Err(Error::new(
                    Code::Unavailable,
                    "the registry's database was lost at the end of a change, which may or may not \
                     have been made",
                )
                .perhaps_done());
            }
            return Err(error.into());
        }
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let turn = std::mem::take(&mut self.turn);
        if connection.is_given_up() {
            return;
        }
        connection.interrupt();
        tokio::spawn(async move {
            let rolled_back = sqlx::raw_sql("ROLLBACK").execute(&mut connection);
            match timeout(ROLLBACK, rolled_back).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, "closed a connection that could not roll back");
                    connection.close_on_drop();
                }
                Err(_) => connection.close_on_drop(),
            }
            drop(connection);
            drop(turn);
        });
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
            // Boxed: the compiler proves once that it can move between threads, and not again for
            // each caller.
            let outcome: $crate::store::BoxFuture<'_, _> = Box::pin(async {
                let mut transaction = $store.begin().await?;
                let $tx = &mut transaction;
                let done: $crate::api::Result<_> = $work.await;
                let value = done?;
                transaction.commit().await?;
                $crate::api::Result::Ok(value)
            });
            match outcome.await {
                Err(error) if retries.again(&error).await => {}
                outcome => break outcome,
            }
        }
    }};
}
pub use transaction;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Location;

    /// What probes a server must not find it ill because somebody revokes a large family.
    #[tokio::test]
    async fn a_long_change_does_not_fail_the_check() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Location::Sqlite(dir.path().join("r.db"));
        let store = Store::open(&file, 4).await.expect("a store");
        let mut change = store.begin().await.expect("a transaction");
        change.put_setting("a", "b").await.expect("a change");
        store.check().await.expect("it can be read, and is written");
        // A change that never ends is another matter.
        let long_ago = Instant::now().checked_sub(LONGEST + Duration::from_secs(1));
        *store.written_since.lock() = long_ago;
        let error = store.check().await.expect_err("it hangs");
        assert!(error.message.contains("does not respond in time"), "{error}");
        change.commit().await.expect("it ends");
        // Each of many may take its time, also if none was checked between them.
        let change = store.begin().await.expect("a transaction");
        store.check().await.expect("this one has only begun");
        change.commit().await.expect("it ends");
        store.check().await.expect("it can be written");
        assert!(store.written_since.lock().is_none());
        store.close().await;
    }
}
