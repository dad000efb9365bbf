//! Figures for Prometheus.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::timeout;

use super::Shared;
use super::api_response::ApiError;
use ingot_registry::api::{Code, Error};

/// Seconds.
const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// How long the database may take to count what is in the outbox.
const DATABASE: Duration = Duration::from_millis(900);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    path: String,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    method: String,
    path: String,
}

#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Path, Histogram, fn() -> Histogram>,
    outbox: Gauge,
    pub revocations: Counter,
    pub deliveries: Counter,
    pub failed_deliveries: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("ingot_registry"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            outbox: Gauge::default(),
            revocations: Counter::default(),
            deliveries: Counter::default(),
            failed_deliveries: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register(
            "request_duration_seconds",
            "How long requests took",
            metrics.durations.clone(),
        );
        registry.register("outbox", "Webhook deliveries still to make", metrics.outbox.clone());
        registry.register(
            "revocation_rounds",
            "Rounds of carrying out scheduled revocations",
            metrics.revocations.clone(),
        );
        registry.register(
            "webhook_deliveries",
            "Webhook deliveries made",
            metrics.deliveries.clone(),
        );
        registry.register(
            "webhook_failures",
            "Webhook deliveries that failed and were put off",
            metrics.failed_deliveries.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// Counts a request. `path` is the pattern, not what the client asked for.
    pub(crate) fn request(&self, method: &str, path: &str, status: u16, took: Duration) {
        // Methods are the client's to make up.
        let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        let method = known.into_iter().find(|known| *known == method).unwrap_or("other");
        let label = Request { method: method.into(), path: path.into(), status: u32::from(status) };
        self.requests.get_or_create(&label).inc();
        let label = Path { method: method.into(), path: path.into() };
        self.durations.get_or_create(&label).observe(took.as_secs_f64());
    }
}

/// `/metrics`. The server's own figures are there without the database, too: that is when they count.
pub(super) async fn show(State(app): State<Shared>) -> Result<impl IntoResponse, ApiError> {
    let outbox = async { app.store.read().await?.count_outbox().await };
    match timeout(DATABASE, outbox).await {
        Ok(Ok(count)) => {
            app.metrics.outbox.set(count);
        }
        _ => tracing::debug!("the outbox could not be counted for the metrics"),
    }
    let mut text = String::new();
    encode(&mut text, &app.metrics.registry)
        .map_err(|_| Error::new(Code::Internal, "the figures cannot be written"))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text))
}
