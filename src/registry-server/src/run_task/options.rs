//! How the run task works.

/// The hosts that plans are fetched from and results are sent to unless others are given: HCP
/// Terraform's.
pub const HOSTS: &[&str] = &["*.terraform.io"];

/// How the run task works.
#[derive(Debug, Clone)]
pub struct RunTaskOptions {
    /// Where Terraform reaches this server, as `https://registry.example.com`; empty for where it
    /// listens.
    pub public_url: String,
    /// The hosts that plans may be fetched from and results sent to: `HOST` or `*.DOMAIN`.
    pub hosts: Vec<String>,
    /// Whether that may be done without TLS, too.
    pub http: bool,
}

impl Default for RunTaskOptions {
    fn default() -> Self {
        let hosts = HOSTS.iter().map(|host| (*host).to_owned()).collect();
        RunTaskOptions { public_url: String::new(), hosts, http: false }
    }
}
