//! How to serve.

use std::path::PathBuf;
use std::time::Duration;

use crate::proxy::TrustedProxies;
use crate::run_task::RunTaskOptions;

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
    /// How long a request may take: to send its body, and to be answered.
    pub request_timeout: Duration,
    /// How long a connection may be open without a request under way.
    pub idle_timeout: Duration,
    /// How long lines of the audit log are kept; none: for ever.
    pub audit_retention: Option<Duration>,
    /// Hosts of the server's own network that webhooks may be added for on the pages: `HOST`,
    /// `HOST:PORT` or `*.DOMAIN`.
    pub webhook_hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` says who asks.
    pub trusted_proxies: TrustedProxies,
}
