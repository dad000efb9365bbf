//! Webhooks: what is in the outbox is posted until it is taken. A server that is killed leaves it
//! there for the next, so something may be delivered twice, with the same id, but is never lost.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::progress::{AGAIN, BackgroundTask};
use super::{App, Shared, hosts, secret};
use ingot_base::error::IntoError as _;
use ingot_registry::api::{Result, Timestamp};
use ingot_registry::store::{AuditRow, Delivery, transaction};

/// How often to look.
const POLL: Duration = Duration::from_millis(500);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long other servers leave a delivery alone that one has begun.
const LEASE: Duration = Duration::from_secs(30);
/// How much may be under way to one webhook.
const EACH: i64 = 10;
/// How long to wait after a failure: a second, and twice as long each time up to an hour.
const LONGEST: Duration = Duration::from_secs(3600);
/// How often to try: for about a day.
const ATTEMPTS: i64 = 34;

fn later(wait: Duration) -> Timestamp {
    let now = Timestamp::now().micros().unwrap_or_default();
    Timestamp::from_micros(Some(now.saturating_add(wait.as_micros() as i64)))
}

pub(super) async fn run(app: Shared, stop: CancellationToken) {
    let create = || Clients::new(&app.webhook_hosts);
    let clients = tokio::select! {
        () = stop.cancelled() => return,
        clients = app.progress.until_created(BackgroundTask::Webhooks, AGAIN, create) => clients,
    };
    let clients = &clients;
    let mut posts = FuturesUnordered::new();
    // How much is under way to each webhook: one that does not answer holds only its own up.
    let mut busy: HashMap<String, i64> = HashMap::new();
    loop {
        if !stop.is_cancelled() {
            match take(&app, &busy).await {
                Ok(taken) => {
                    for delivery in taken {
                        *busy.entry(delivery.webhook_id.clone()).or_default() += 1;
                        posts.push(async move {
                            let result = post(clients, &delivery).await;
                            (delivery, result)
                        });
                    }
                }
                Err(error) => tracing::error!(%error, "webhooks could not be delivered"),
            }
        }
        app.progress.round(BackgroundTask::Webhooks);
        let done = tokio::select! {
            Some(done) = posts.next() => Some(done),
            () = tokio::time::sleep(POLL), if !stop.is_cancelled() => None,
            // What has begun is ended, so that it is not delivered again.
            () = stop.cancelled(), if !posts.is_empty() => posts.next().await,
            else => return,
        };
        if let Some((delivery, result)) = done {
            if let Some(count) = busy.get_mut(&delivery.webhook_id) {
                *count -= 1;
            }
            busy.retain(|_, count| *count > 0);
            if let Err(error) = end(&app, &delivery, result).await {
                tracing::error!(%error, "what became of a webhook delivery was not written down");
            }
        }
    }
}

/// What is due, as far as there is not enough under way to its webhook already.
async fn take(app: &App, busy: &HashMap<String, i64>) -> Result<Vec<Delivery>> {
    if app.store.read().await?.count_outbox().await? == 0 {
        return Ok(Vec::new());
    }
    let under_way: Vec<(String, i64)> =
        busy.iter().map(|(webhook, count)| (webhook.clone(), *count)).collect();
    transaction!(app.store, |tx| tx.take_deliveries(later(LEASE), EACH, &under_way))
}

/// Writes down what became of a delivery.
async fn end(app: &App, delivery: &Delivery, result: Result<(), String>) -> Result<()> {
    let url = ingot_base::http::shown(&delivery.url);
    match result {
        Ok(()) => {
            app.metrics.deliveries.inc();
            transaction!(app.store, |tx| tx.delivered(&delivery.id))
        }
        Err(why) if delivery.attempts >= ATTEMPTS => {
            tracing::error!(id = delivery.id, url, why, "gave a webhook delivery up");
            let (webhook, event) = (&delivery.webhook_id, &delivery.event);
            let line = AuditRow {
                principal: "registry server".into(),
                project_id: delivery.project_id.clone(),
                action: "give up webhook delivery".into(),
                target: format!("{url} ({webhook}), {event}: {why}"),
                outcome: "failed".into(),
                ..AuditRow::default()
            };
            transaction!(app.store, |tx| async {
                tx.delivered(&delivery.id).await?;
                tx.audit(&line).await
            })
        }
        Err(why) => {
            app.metrics.failed_deliveries.inc();
            tracing::warn!(id = delivery.id, url, why, "a webhook delivery failed");
            let exponent = u32::try_from(delivery.attempts - 1).unwrap_or(0).min(12);
            let wait = Duration::from_secs(1 << exponent).min(LONGEST);
            transaction!(app.store, |tx| tx.put_off(&delivery.id, later(wait), &why))
        }
    }
}

/// The clients that deliver.
struct Clients {
    /// For webhooks that may be anywhere.
    open: reqwest::Client,
    /// For those that may not be in the server's own network. A name may lead elsewhere than when the
    /// webhook was added, so that it is looked at where each connection goes.
    guarded: reqwest::Client,
    /// Hosts of the server's own network that webhooks may be on.
    hosts: Vec<String>,
}

impl Clients {
    fn new(hosts: &[String]) -> ingot_base::Result<Self> {
        // Deliveries wait for certificates; without this they would fail.
        ingot_base::tls::check_system()?;
        let client = |guarded: bool| {
            ingot_base::http::client_with(|builder| {
                let builder = builder.timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
                match guarded {
                    true => builder.dns_resolver(hosts::PublicOnly::new()),
                    false => builder,
                }
            })
        };
        Ok(Clients { open: client(false)?, guarded: client(true)?, hosts: hosts.to_vec() })
    }

    /// The client for a delivery.
    fn of(&self, delivery: &Delivery) -> Result<&reqwest::Client, String> {
        let url: reqwest::Url = delivery.url.parse().map_err(|_| "its URL is invalid")?;
        if delivery.anywhere || hosts::names(&self.hosts, &url) {
            return Ok(&self.open);
        }
        match hosts::is_private_literal(&url) {
            true => Err("it is in the server's own network".into()),
            false => Ok(&self.guarded),
        }
    }
}

async fn post(clients: &Clients, delivery: &Delivery) -> Result<(), String> {
    let signature = secret::signature(&delivery.secret, delivery.body.as_bytes());
    let response = clients
        .of(delivery)?
        .post(&delivery.url)
        .header("content-type", "application/json")
        .header("x-ingot-event", &delivery.event)
        .header("x-ingot-delivery", &delivery.id)
        .header("x-ingot-signature-256", format!("sha256={signature}"))
        .body(delivery.body.clone())
        .send()
        .await
        .map_err(|error| error.into_error().to_string())?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it returned {status}")),
    }
}
