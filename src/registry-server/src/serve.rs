//! The server, from its start to its end.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum_server::tls_rustls::RustlsAcceptor;
use ingot_registry::api::{Code, Error, Result};
use ingot_registry::store::{Store, transaction};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Shared};
use crate::limits::Limits;
use crate::metrics::{self, Metrics};
use crate::options::Options;
use crate::progress::Progress;
use crate::{
    api_response, auth, connections, health, openapi, outgoing, refused_requests, resources,
    routes, run_task, sboms, secret, tls, unauthenticated, web, workers,
};

/// How large a request may be, in bytes.
const BODY: usize = 2 << 20;
/// How long requests may take to end when the server stops.
const GOODBYE: Duration = Duration::from_secs(20);
/// How long the workers may take to end then, from the same moment on, and how long closing the
/// database after that.
const WORKERS: Duration = Duration::from_secs(25);
const CLOSE: Duration = Duration::from_secs(5);
/// How often an HTTP/2 client is asked whether it is there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);
/// How many requests an HTTP/2 client may have under way on one connection.
const STREAMS: u32 = 100;
/// How large the headers of a request may be, in bytes.
const HEADERS: usize = 64 << 10;
/// How many bytes of a body that is not read yet an HTTP/2 client may send, and how many of all bodies
/// on one connection: as much as of sixteen requests, so that some that wait for their turn do not hold up
/// the others, and a thousand connections of one address do not take more than a gigabyte.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;

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
    let strict = is_strict(&run_task.public_url);
    let public_url = Some(run_task.public_url.clone()).filter(|url| !url.is_empty());
    if run_task.public_url.is_empty() {
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        run_task.public_url = format!("{scheme}://{address}");
    }
    let proxies = options.trusted_proxies;
    let connections = connections::Connections::new(options.idle_timeout, proxies.clone());
    let app = Arc::new(App {
        store: store.clone(),
        tokens: secret::TokenKey::new(&key)?,
        limits: Limits::new(options.rate),
        metrics: Metrics::default(),
        readiness: health::Readiness::default(),
        progress: Progress::default(),
        refused_requests: refused_requests::RefusedRequests::default(),
        outgoing: outgoing::Outgoing::default(),
        unauthenticated: unauthenticated::UnauthenticatedBodies::default(),
        uploads: Arc::new(tokio::sync::Semaphore::new(sboms::UPLOADS)),
        audit_retention: options.audit_retention,
        address,
        public_url,
        secure: options.tls.is_some(),
        strict,
        request_timeout: options.request_timeout,
        connections: connections.clone(),
        proxies,
        run_tasks: run_task::RunTasks::new(run_task),
        webhook_hosts: options.webhook_hosts,
        openapi: api.document.to_string().into(),
    });
    let router = router(api.router, app.clone());
    let workers = workers::start(app, stop.clone());

    let handle = axum_server::Handle::new();
    let stopping = Arc::new(OnceLock::new());
    tokio::spawn({
        let (handle, stop, stopping) = (handle.clone(), stop.clone(), stopping.clone());
        async move {
            stop.cancelled().await;
            stopping.get_or_init(Instant::now);
            handle.graceful_shutdown(Some(GOODBYE));
        }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let sweep = tokio::spawn(connections.clone().sweep());
    let mut server = axum_server::from_tcp(listener)
        .map_err(fail)?
        .handle(handle)
        .acceptor(connections::Acceptor(connections))
        .first_request_timeout(options.idle_timeout)
        .accept_error_handler(connections::log_error);
    let http = server.http_builder();
    http.http1().max_buf_size(HEADERS).header_read_timeout(options.idle_timeout);
    http.http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let config = match &options.tls {
        Some(tls) => Some(tls::config(tls).await?),
        None => None,
    };
    let reload = tokio::spawn(tls::reload_on_hangup(config.clone(), options.tls));
    let served = match config {
        Some(config) => {
            server.map(|accept| RustlsAcceptor::new(config).acceptor(accept)).serve(service).await
        }
        None => server.serve(service).await,
    };
    let stopped = *stopping.get_or_init(Instant::now);
    stop.cancel();
    sweep.abort();
    reload.abort();
    // Whatever hangs, as a database that is away: the process ends. What was not done is in the
    // database, and what was not committed is not.
    let workers = futures_util::future::join_all(workers);
    if tokio::time::timeout(WORKERS.saturating_sub(stopped.elapsed()), workers).await.is_err() {
        tracing::warn!("stopped before all webhooks and run tasks under way had ended");
    }
    if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
        tracing::warn!("stopped before all connections to the database had been closed");
    }
    served.map_err(fail)
}

/// Whether responses tell browsers to use nothing but TLS: where the administrator said that clients
/// reach the server by it, and not for names of this machine, which other servers have, too.
fn is_strict(public_url: &str) -> bool {
    let url = public_url.parse::<reqwest::Url>();
    url.is_ok_and(|url| url.scheme() == "https" && url.domain().is_some_and(|it| it != "localhost"))
}

fn router(api: Router<Shared>, app: Shared) -> Router {
    api.merge(resources::router())
        .merge(web::router(&app))
        .merge(run_task::router())
        .route(
            "/oauth2/token",
            post(auth::token).layer(DefaultBodyLimit::max(unauthenticated::BODY)),
        )
        .route("/sboms/{token}", get(sboms::download))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/openapi.json", get(openapi::show))
        .fallback(api_response::nothing_here)
        .method_not_allowed_fallback(api_response::wrong_method)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn_with_state(app.clone(), api_response::middleware))
        .with_state(app)
}
