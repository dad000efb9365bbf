//! The database's tables, brought up to date when it is opened.
//!
//! sqlx's own migrations are not used: on SQLite they do not keep two processes from migrating at
//! once, and what embeds them is a procedural macro that costs more to compile than this.

use crate::api::{Code, Error, Result};

use super::Tx;

/// The steps, in order. A step that has been released never changes.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_registry.sql"),
    include_str!("migrations/0002_run_tasks.sql"),
    include_str!("migrations/0003_web.sql"),
    include_str!("migrations/0004_revocations.sql"),
    include_str!("migrations/0005_versions_by_number.sql"),
    include_str!("migrations/0006_sboms.sql"),
    include_str!("migrations/0007_webhook_targets.sql"),
    include_str!("migrations/0008_enforced_blocks.sql"),
    include_str!("migrations/0009_sboms_by_build.sql"),
    include_str!("migrations/0010_audit_by_project.sql"),
];

/// What servers that start at once queue up for.
const LOCK: i64 = 0x1460_7001;

/// How many steps have been taken.
async fn taken(tx: &mut Tx) -> Result<usize> {
    // Many programs call a table so.
    let sql = match tx.postgres {
        true => {
            "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('migrations') \
             AND attname IN ('step', 'at') AND NOT attisdropped"
        }
        false => {
            "SELECT count(*) FROM pragma_table_info('migrations') WHERE name IN ('step', 'at')"
        }
    };
    let columns: i64 = sqlx::query_scalar(sql).fetch_one(tx.raw()).await?;
    if columns < 2 {
        return Err(Error::precondition(
            "this database belongs to another program, as its table `migrations` does",
        )
        .advise(Some("give the registry one of its own")));
    }
    let taken: i64 =
        sqlx::query_scalar("SELECT count(*) FROM migrations").fetch_one(tx.raw()).await?;
    let taken = usize::try_from(taken).unwrap_or(usize::MAX);
    if taken > STEPS.len() {
        return Err(Error::new(
            Code::FailedPrecondition,
            "the registry's database was created by a newer Ingot; use that one",
        ));
    }
    Ok(taken)
}

/// Of which Ingot a database's tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// There are none.
    None,
    Older,
    Current,
}

/// Finds it out, in a transaction that may only read.
pub(super) async fn age(tx: &mut Tx) -> Result<Age> {
    let sql = match tx.postgres {
        true => {
            "SELECT CAST(CASE WHEN to_regclass('migrations') IS NULL THEN 0 ELSE 1 END AS BIGINT)"
        }
        false => "SELECT count(*) FROM sqlite_master WHERE name = 'migrations'",
    };
    let begun: i64 = sqlx::query_scalar(sql).fetch_one(tx.raw()).await?;
    if begun == 0 {
        return Ok(Age::None);
    }
    Ok(match taken(tx).await? {
        0 => Age::None,
        taken if taken < STEPS.len() => Age::Older,
        _ => Age::Current,
    })
}

/// Whether all steps have been taken, of a registry that is only read.
pub(super) async fn check(tx: &mut Tx) -> Result<()> {
    match age(tx).await? {
        Age::Current => Ok(()),
        Age::None | Age::Older => Err(Error::precondition(
            "its database is of an older Ingot, and is only read here; `ingot registry buckets list`, or \
             `ingot registry serve` if it is served, brings it up to date",
        )),
    }
}

/// Whether all steps have been taken, of a registry that a server uses.
pub(super) async fn check_existing(tx: &mut Tx) -> Result<()> {
    match age(tx).await? {
        Age::Current => Ok(()),
        Age::Older => Err(Error::precondition(
            "the registry's database is of an older Ingot, and only `ingot registry serve` migrates it",
        )
        .advise(Some(
            "until then use the Ingot that serves it, also for the backup before the upgrade: a \
             backup of that one can be restored with either",
        ))),
        Age::None => Err(Error::not_found("there is no registry in this database").advise(Some(
            "`ingot registry serve` creates one; -database-url names another database",
        ))),
    }
}

/// Whether a server has used the registry: only a server has principals.
pub(super) async fn was_served(tx: &mut Tx) -> Result<bool> {
    let principals: i64 =
        sqlx::query_scalar("SELECT count(*) FROM principals").fetch_one(tx.raw()).await?;
    Ok(principals > 0)
}

/// Whether builds may bring the registry's tables up to date: not if a server has used it. Of which Ingot
/// they are, if so.
pub(super) async fn check_unserved(tx: &mut Tx) -> Result<Age> {
    let age = age(tx).await?;
    if age == Age::Older && was_served(tx).await? {
        check_existing(tx).await?;
    }
    Ok(age)
}

/// Whether a backup may be restored into the database: nothing else is to be migrated by that.
pub(super) async fn check_restorable(tx: &mut Tx) -> Result<()> {
    match age(tx).await? {
        Age::None | Age::Current => Ok(()),
        Age::Older => Err(Error::precondition(super::backup::NOT_EMPTY)),
    }
}

/// Takes the steps that have not been taken, in the transaction.
pub(super) async fn migrate(tx: &mut Tx) -> Result<()> {
    // A step may take as long as it needs.
    tx.lift_limits().await?;
    if tx.postgres {
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(tx.raw()).await?;
    }
    sqlx::query("CREATE TABLE IF NOT EXISTS migrations (step BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL)")
        .execute(tx.raw())
        .await?;
    let taken = taken(tx).await?;
    for (step, sql) in STEPS.iter().enumerate().skip(taken) {
        sqlx::raw_sql(*sql).execute(tx.raw()).await?;
        sqlx::query("INSERT INTO migrations (step, at) VALUES ($1, $2)")
            .bind(step as i64 + 1)
            .bind(tx.now_micros())
            .execute(tx.raw())
            .await?;
    }
    Ok(())
}
