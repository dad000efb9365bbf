//! Webhooks: what is in the outbox is posted until it is taken. A server that is killed leaves it
//! there for the next, so something may be delivered twice, with the same id, but is never lost.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{App, Shared, secret};
use crate::registry::api::{Result, Timestamp};
use crate::registry::store::{Delivery, transaction};

/// How often to look.
const POLL: Duration = Duration::from_millis(500);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long other servers leave a delivery alone that one has begun.
const LEASE: Duration = Duration::from_secs(30);
/// How long to wait after a failure: a second, and twice as long each time up to an hour.
const LONGEST: Duration = Duration::from_secs(3600);
/// How often to try: for about a day.
const ATTEMPTS: i64 = 34;

fn later(wait: Duration) -> Timestamp {
    let now = Timestamp::now().micros().unwrap_or_default();
    Timestamp::from_micros(Some(now.saturating_add(wait.as_micros() as i64)))
}

pub(super) async fn run(app: Shared, stop: CancellationToken) {
    let client = ingot_sdk::http::client_with(|builder| {
        builder.timeout(PATIENCE).redirect(reqwest::redirect::Policy::none())
    });
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "webhooks cannot be delivered");
            return;
        }
    };
    while !stop.is_cancelled() {
        // What has begun is ended, so that it is not delivered again.
        let found = match round(&app, &client).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "webhooks could not be delivered");
                false
            }
        };
        if !found {
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(POLL) => {} }
        }
    }
}

/// Delivers what is due; whether there was something.
async fn round(app: &App, client: &reqwest::Client) -> Result<bool> {
    if app.store.read().await?.count_outbox().await? == 0 {
        return Ok(false);
    }
    let taken = transaction!(app.store, |tx| tx.take_deliveries(later(LEASE)))?;
    let found = !taken.is_empty();
    let results = join_all(taken.iter().map(|delivery| post(client, delivery))).await;
    for (delivery, result) in taken.iter().zip(results) {
        let url = ingot_sdk::http::shown(&delivery.url);
        match result {
            Ok(()) => {
                app.metrics.deliveries.inc();
                transaction!(app.store, |tx| tx.delivered(&delivery.id))?;
            }
            Err(why) if delivery.attempts >= ATTEMPTS => {
                tracing::error!(id = delivery.id, url, why, "gave a webhook delivery up");
                transaction!(app.store, |tx| tx.delivered(&delivery.id))?;
            }
            Err(why) => {
                app.metrics.failed_deliveries.inc();
                tracing::warn!(id = delivery.id, url, why, "a webhook delivery failed");
                let exponent = u32::try_from(delivery.attempts - 1).unwrap_or(0).min(12);
                let wait = Duration::from_secs(1 << exponent).min(LONGEST);
                transaction!(app.store, |tx| tx.put_off(&delivery.id, later(wait), &why))?;
            }
        }
    }
    Ok(found)
}

async fn post(client: &reqwest::Client, delivery: &Delivery) -> Result<(), String> {
    let signature = secret::signature(&delivery.secret, delivery.body.as_bytes());
    let response = client
        .post(&delivery.url)
        .header("content-type", "application/json")
        .header("x-ingot-event", &delivery.event)
        .header("x-ingot-delivery", &delivery.id)
        .header("x-ingot-signature-256", format!("sha256={signature}"))
        .body(delivery.body.clone())
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answered {status}")),
    }
}
