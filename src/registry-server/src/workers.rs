//! What a server does without being asked. Every server on a database does it; the database sees
//! to it that each thing is done once.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::progress::BackgroundTask;
use super::{Shared, deliver, run_task};
use ingot_registry::api::Timestamp;
use ingot_registry::service;
use ingot_registry::store::{AuditRow, transaction};

/// How often to look for what another server or process scheduled.
const POLL: Duration = Duration::from_secs(1);
/// How often to look for builds that have gone silent.
const SILENT: Duration = Duration::from_secs(60);
/// How often to write down how many requests were refused.
const MINUTE: Duration = Duration::from_secs(60);
/// How often to remove old lines of the audit log.
const HOUR: Duration = Duration::from_secs(3600);

/// Starts them. They end when the token is cancelled.
pub(super) fn start(app: Shared, stop: CancellationToken) -> Vec<JoinHandle<()>> {
    let until = |work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! { () = stop.cancelled() => {}, () = work => {} }
        })
    };
    vec![
        until(Box::pin(revoke(app.clone()))),
        until(Box::pin(cancel(app.clone()))),
        until(Box::pin(keep_audit(app.clone()))),
        tokio::spawn(run_task::run(app.clone(), stop.clone())),
        tokio::spawn(deliver::run(app, stop.clone())),
    ]
}

async fn revoke(app: Shared) {
    loop {
        let next = service::carry_out_revocations(&app.store).await;
        app.metrics.revocations.inc();
        app.progress.round(BackgroundTask::Revocations);
        let wait = match next {
            Ok(next) => {
                let left = next.micros().zip(Timestamp::now().micros());
                let left = left.map(|(next, now)| u64::try_from(next - now).unwrap_or(0));
                left.map_or(POLL, |micros| POLL.min(Duration::from_micros(micros)))
            }
            Err(error) => {
                tracing::error!(%error, "scheduled revocations could not be carried out");
                POLL
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Writes down how often requests were refused, and forgets what is too old.
async fn keep_audit(app: Shared) {
    let mut forgotten = None::<Instant>;
    loop {
        for (principal, address, count) in app.refused_requests.take() {
            let row = AuditRow {
                principal,
                action: "requests".into(),
                target: format!("{count} more, of other projects"),
                outcome: "refused".into(),
                address,
                ..AuditRow::default()
            };
            if let Err(error) = transaction!(app.store, |tx| tx.audit(&row)) {
                tracing::error!(%error, "refused requests could not be written down");
            }
        }
        if let Some(kept) = app.audit_retention
            && forgotten.is_none_or(|at| at.elapsed() > HOUR)
        {
            forgotten = Some(Instant::now());
            let now = Timestamp::now().micros().unwrap_or_default();
            let before = now.saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
            let before = Timestamp::from_micros(Some(before));
            match service::forget_audit(&app.store, before).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "removed old lines of the audit log"),
                Err(error) => {
                    tracing::error!(%error, "old lines of the audit log could not be removed");
                }
            }
        }
        app.progress.round(BackgroundTask::Audit);
        tokio::time::sleep(MINUTE).await;
    }
}

async fn cancel(app: Shared) {
    loop {
        match service::cancel_silent_builds(&app.store).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "cancelled builds without a heartbeat"),
            Err(error) => tracing::error!(%error, "silent builds could not be cancelled"),
        }
        app.progress.round(BackgroundTask::SilentBuilds);
        tokio::time::sleep(SILENT).await;
    }
}
