//! The image registry's server: HCP Packer's API over HTTP, and what makes a server of it: service
//! principals and their tokens, limits, metrics, an audit log, webhooks, web pages, and the run task
//! by which Terraform asks before it applies a plan.
//!
//! It knows the [`Registry`](ingot_registry::client::Registry) trait and the store's principals; the
//! rules of the registry are in [`ingot_registry::service`], those about Terraform's plans in
//! [`ingot_plan_check`]. It knows nothing of templates, builds or the command line.
//!
//! [`serve`] runs a server until it is told to stop.

mod answer;
mod auth;
mod deliver;
mod health;
mod limits;
mod metrics;
mod openapi;
mod resources;
mod routes;
mod run_task;
pub mod secret;
mod tls;
mod v2021;
pub mod web;
mod workers;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use ingot_registry::api::{Code, Error, Result};
use ingot_registry::store::{Store, transaction};
use limits::Limits;
use metrics::Metrics;

pub use run_task::{HOSTS as RUN_TASK_HOSTS, RunTaskOptions};
pub use tls::self_signed;

/// How large a request may be, in bytes.
const BODY: usize = 2 << 20;
/// How long a connection may take to send its first request.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long requests may take to end when the server stops.
const GOODBYE: Duration = Duration::from_secs(20);

/// A server's certificate and key, as files of PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate, with those it is signed by.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// None: plain HTTP, as behind a proxy.
    pub tls: Option<Tls>,
    /// How many requests a second a principal may make; 0 for any number.
    pub rate: u32,
    /// How Terraform's run task works.
    pub run_task: RunTaskOptions,
}

/// What all requests share. What is in it is not needed to be right, only to be quick.
#[derive(Debug)]
struct App {
    store: Store,
    tokens: secret::TokenKey,
    limits: Limits,
    metrics: Metrics,
    readiness: health::Readiness,
    address: String,
    /// Whether it has TLS itself.
    secure: bool,
    run_tasks: run_task::RunTasks,
    openapi: serde_json::Value,
}

type Shared = Arc<App>;

/// Serves until the token is cancelled.
///
/// # Errors
/// The certificate cannot be read, or the database failed at the start.
pub async fn serve(
    store: Store,
    listener: TcpListener,
    options: Options,
    stop: CancellationToken,
) -> Result<()> {
    let fail = |error: std::io::Error| Error::new(Code::Unavailable, error.to_string());
    let address = listener.local_addr().map_err(fail)?.to_string();
    let seed = secret::random_hex();
    let key = transaction!(store, |tx| tx.setting("token_key", &seed))?;
    let api = routes::api();
    let mut run_task = options.run_task;
    if run_task.public_url.is_empty() {
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        run_task.public_url = format!("{scheme}://{address}");
    }
    let app = Arc::new(App {
        store: store.clone(),
        tokens: secret::TokenKey::new(&key)?,
        limits: Limits::new(options.rate),
        metrics: Metrics::default(),
        readiness: health::Readiness::default(),
        address,
        secure: options.tls.is_some(),
        run_tasks: run_task::RunTasks::new(run_task),
        openapi: api.document,
    });
    let router = router(api.router, app.clone());
    let workers = workers::start(app, stop.clone());

    let handle = axum_server::Handle::new();
    tokio::spawn({
        let (handle, stop) = (handle.clone(), stop.clone());
        async move {
            stop.cancelled().await;
            handle.graceful_shutdown(Some(GOODBYE));
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    listener.set_nonblocking(true).map_err(fail)?;
    let served = match options.tls {
        Some(tls) => {
            let config = tls::config(&tls).await?;
            let server = axum_server::from_tcp_rustls(listener, config).map_err(fail)?;
            server.handle(handle).first_request_timeout(PATIENCE).serve(service).await
        }
        None => {
            let server = axum_server::from_tcp(listener).map_err(fail)?;
            server.handle(handle).first_request_timeout(PATIENCE).serve(service).await
        }
    };
    stop.cancel();
    for worker in workers {
        let _ = worker.await;
    }
    store.close().await;
    served.map_err(fail)
}

fn router(api: Router<Shared>, app: Shared) -> Router {
    api.merge(resources::router())
        .merge(web::router(&app))
        .merge(run_task::router())
        .route("/oauth2/token", axum::routing::post(auth::token))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/openapi.json", get(openapi::show))
        .fallback(answer::nothing_here)
        .method_not_allowed_fallback(answer::wrong_method)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(app.clone(), answer::around))
        .with_state(app)
}
