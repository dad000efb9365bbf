//! Whether the server is alive, and whether it is of use: two questions of whoever runs it. One that
//! is not alive is to be restarted; one that is not ready is to get no requests, and a restart would
//! not help it, as when its database is away or its disk is full, unless it says so.

use std::time::{Duration, Instant};

use axum::extract::State;
use tokio::sync::Mutex;

use super::Shared;
use super::api_response::ApiError;
use ingot_registry::api::Error;

/// How long what was found is good for. Anybody may ask, and it costs a write.
const FRESH: Duration = Duration::from_secs(1);

/// What was found last, and when.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Result<(), Error>)>>);

/// `/healthz`: the process answers.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// `/readyz`: the database can be read and written, and the server's own work goes on.
pub(super) async fn ready(State(app): State<Shared>) -> Result<&'static str, ApiError> {
    let mut found = app.readiness.0.lock().await;
    let result = match &*found {
        Some((at, result)) if at.elapsed() < FRESH => result.clone(),
        _ => {
            let result = app.store.check().await;
            let result = result.and_then(|()| app.progress.check(Instant::now()));
            *found = Some((Instant::now(), result.clone()));
            result
        }
    };
    result?;
    Ok("ready\n")
}
