//! What happens by itself when its time comes.

use std::time::Duration;

use super::revocation::carry_out;
use crate::api::{Result, Timestamp};
use crate::store::{Store, transaction};

/// A build that runs says so every two minutes; one that has been silent for so long is over.
const SILENCE: Duration = Duration::from_secs(10 * 60);

/// Carries out the revocations whose time has come; when the next one is to be.
///
/// # Errors
/// The database failed.
pub async fn carry_out_revocations(store: &Store) -> Result<Timestamp> {
    loop {
        let due = store.read().await?.due_revocations().await?;
        if due.is_empty() {
            return store.read().await?.next_revocation().await;
        }
        let mut failed = None;
        for id in due {
            match transaction!(store, |tx| carry_out(tx, &id)) {
                Ok(true) => tracing::info!(version = id, "carried out a scheduled revocation"),
                Ok(false) => {}
                // One that fails does not keep the others from happening.
                Err(error) => {
                    tracing::error!(version = id, %error, "a revocation was not carried out");
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
}

/// How many rows are removed in one transaction. One that removed all that was kept for years would
/// take longer than a statement may, and would be begun again and again; and others wait to write.
const PORTION: u32 = 5000;

/// Removes the lines of the audit log from before a time; how many there were.
///
/// # Errors
/// The database failed. Some may have been removed.
pub async fn forget_audit(store: &Store, before: Timestamp) -> Result<u64> {
    let mut count = 0;
    loop {
        let removed = transaction!(store, |tx| tx.forget_audit(before, PORTION))?;
        count += removed;
        if removed < u64::from(PORTION) {
            return Ok(count);
        }
    }
}

/// Forgets calls of run tasks about which no call is taken any more: of runs made before a time.
///
/// # Errors
/// The database failed. Some may have been removed.
pub async fn forget_run_tasks(store: &Store, before: Timestamp) -> Result<()> {
    while transaction!(store, |tx| tx.forget_run_tasks(before, PORTION))? >= u64::from(PORTION) {}
    Ok(())
}

/// Cancels builds that run and have not been heard of for ten minutes.
///
/// # Errors
/// The database failed.
pub async fn cancel_silent_builds(store: &Store) -> Result<u64> {
    let now = Timestamp::now().micros().unwrap_or_default();
    let since = Timestamp::from_micros(Some(now - SILENCE.as_micros() as i64));
    // Who only reads does not wait for those that write.
    if store.read().await?.silent_builds(since).await? == 0 {
        return Ok(0);
    }
    transaction!(store, |tx| tx.cancel_silent_builds(since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AuditRow, Location};

    #[tokio::test]
    async fn old_lines_are_removed_in_portions() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = Location::Sqlite(dir.path().join("r.db"));
        let store = Store::open(&file, 4).await.expect("a store");
        let count = PORTION + 10;
        let written = transaction!(store, |tx| async {
            for _ in 0..count {
                tx.audit(&AuditRow::default()).await?;
            }
            Ok(tx.now)
        });
        let written = written.expect("they are written");
        let after = Timestamp::from_micros(written.micros().map(|at| at + 1));
        let line = AuditRow { action: "kept".into(), ..AuditRow::default() };
        transaction!(store, |tx| tx.audit(&line)).expect("it is written");
        // No transaction removes more than its limit.
        let removed = transaction!(store, |tx| tx.forget_audit(after, 3));
        assert_eq!(removed.expect("they are removed"), 3);
        let removed = forget_audit(&store, after).await.expect("they are removed");
        assert_eq!(removed, u64::from(count) - 3);
        let mut tx = store.read().await.expect("a transaction");
        let left = tx.audit_log(10, Timestamp::default(), None).await.expect("lines");
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].action, "kept");
        drop(tx);
        store.close().await;
    }
}
