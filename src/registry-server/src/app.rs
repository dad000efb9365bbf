//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use ingot_registry::store::Store;

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::proxy::TrustedProxies;
use crate::unauthenticated::UnauthenticatedBodies;
use crate::{connections, health, outgoing, refused_requests, run_task, secret};

/// What all requests share. What is in it is not needed to be right, only to be quick.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) tokens: secret::TokenKey,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: health::Readiness,
    pub(crate) progress: Progress,
    pub(crate) refused_requests: refused_requests::RefusedRequests,
    pub(crate) outgoing: outgoing::Outgoing,
    pub(crate) unauthenticated: UnauthenticatedBodies,
    /// Who may upload an SBOM now.
    pub(crate) uploads: Arc<tokio::sync::Semaphore>,
    /// How long lines of the audit log are kept; none: for ever.
    pub(crate) audit_retention: Option<Duration>,
    pub(crate) address: String,
    /// Where clients reach it, if the administrator says so.
    pub(crate) public_url: Option<String>,
    /// Whether it has TLS itself.
    pub(crate) secure: bool,
    /// Whether responses tell browsers to use TLS only.
    pub(crate) strict: bool,
    pub(crate) request_timeout: Duration,
    pub(crate) connections: Arc<connections::Connections>,
    pub(crate) proxies: TrustedProxies,
    pub(crate) run_tasks: run_task::RunTasks,
    pub(crate) webhook_hosts: Vec<String>,
    /// The description of the API, as JSON.
    pub(crate) openapi: axum::body::Bytes,
}

/// The same, as handlers get it.
pub(crate) type Shared = Arc<App>;
