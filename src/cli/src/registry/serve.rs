//! `ingot registry serve`: the registry for other machines.

use super::output;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ingot_engine::signals::Signals;
use ingot_sdk::file_work::is_same_file;
use tokio_util::sync::CancellationToken;

use ingot_registry::api::{Code, Error, Result};
use ingot_registry::service::{Administration, Credentials};
use ingot_registry::settings::INGOT_REGISTRY;
use ingot_registry::store::{Location, Project, Store, transaction};
use ingot_registry::{data_directory, default_path, local_file, network_file_warning};
use ingot_registry_server::{
    Network, Options, RUN_TASK_HOSTS, RunTaskOptions, Tls, TrustedProxies,
};

/// How many connections a command opens to the database.
const CONNECTIONS: u32 = 4;

/// Which database.
#[derive(Debug, Clone, Args)]
pub(super) struct DatabaseArgs {
    /// A postgres:// URL, or the path of a SQLite file; unless it is given, the file that
    /// INGOT_REGISTRY names, else registry-server.db in the data directory
    #[arg(long, env = "INGOT_REGISTRY_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
}

impl DatabaseArgs {
    /// Where the database is.
    ///
    /// # Errors
    /// The URL or the variable is invalid, or it is not clear which of two files is meant.
    pub(super) fn location(&self) -> Result<Location> {
        if let Some(text) = &self.database_url {
            return Location::parse(text);
        }
        let server = server_file();
        let Some(named) = named_file()? else { return Ok(Location::Sqlite(server)) };
        // The variable may be set for builds alone: a wrong guess would serve, back up or change
        // another registry than the one that was served so far.
        if server.exists() && !is_same_file(&named, &server) {
            let (named_at, server) = (named.display(), server.display());
            let what = match named.exists() {
                true => format!(
                    "there are two registries: {named_at}, which {INGOT_REGISTRY} names, and {server}"
                ),
                false => format!(
                    "{INGOT_REGISTRY} names {named_at}, where there is no registry, but there is one at \
                     {server}"
                ),
            };
            return Err(Error::precondition(what).advise(Some(WHICH)));
        }
        Ok(Location::Sqlite(named))
    }

    /// The database to serve: as [`DatabaseArgs::location`], but no empty one is created where the
    /// registry of builds was served before.
    async fn location_to_serve(&self) -> Result<Location> {
        let location = self.location()?;
        let (server, builds) = (server_file(), default_path());
        if self.database_url.is_none()
            && matches!(&location, Location::Sqlite(path) if is_same_file(path, &server))
            && !server.exists()
            && Store::was_served(&builds).await
        {
            let (server, builds) = (server.display(), builds.display());
            let what = format!(
                "there is no registry at {server}, but one at {builds} that was served before"
            );
            return Err(Error::precondition(what).advise(Some(WHICH)));
        }
        Ok(location)
    }

    /// A registry in the data directory that is not this one, where no flag says which is meant.
    fn other(&self, location: &Location) -> Option<PathBuf> {
        let Location::Sqlite(path) = location else { return None };
        if self.database_url.is_some() {
            return None;
        }
        let mut others = [default_path(), server_file()].into_iter();
        others.find(|other| !is_same_file(other, path) && other.exists())
    }

    /// Opens one to restore a backup into.
    pub(super) async fn open_to_restore(&self) -> Result<Store> {
        Store::open_to_restore(&self.location()?, CONNECTIONS).await
    }

    /// Opens one that must be there already. It is not migrated.
    pub(super) async fn open_existing(&self) -> Result<Store> {
        let location = self.location()?;
        if let Location::Sqlite(path) = &location
            && !path.exists()
        {
            let other = match self.other(&location) {
                Some(other) => format!(", but one at {}", other.display()),
                None => String::new(),
            };
            return Err(Error::not_found(format!(
                "there is no registry at {}{other}",
                path.display()
            ))
            .advise(Some("`ingot registry serve` creates one; -database-url names another")));
        }
        Store::open_existing(&location, CONNECTIONS).await
    }

    pub(super) async fn administration(&self) -> Result<Administration> {
        Ok(Administration::new(self.open_existing().await?))
    }
}

/// What to do where it is not clear which database is meant.
const WHICH: &str = "-database-url says which is meant";

/// The file of the registry that is served, where nothing else is named.
fn server_file() -> PathBuf {
    data_directory().join("registry-server.db")
}

/// The file that `INGOT_REGISTRY` names: what builds on this machine publish to.
fn named_file() -> Result<Option<PathBuf>> {
    local_file().map_err(|error| {
        let advice = error.advice().map(|advice| format!("; {advice}"));
        Error::invalid(format!("{error}{}", advice.unwrap_or_default()))
    })
}

/// What messages call a database. A URL may hold a password.
pub(super) fn shown(location: &Location) -> String {
    match location {
        Location::Sqlite(path) => path.display().to_string(),
        Location::Postgres(_) => "PostgreSQL".into(),
    }
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7420")]
    listen: SocketAddr,
    /// The certificate, in PEM; a self-signed one is created unless it is given
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "PATH", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A name for the self-signed certificate, besides localhost and the address
    #[arg(long, value_name = "NAME")]
    tls_name: Vec<String>,
    /// Serve without TLS, for example behind a proxy that has it
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_name"])]
    plain_http: bool,
    /// How many requests a second a principal may make; 0 for any number
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    rate_limit: u32,
    /// The URL at which Terraform reaches this server, such as https://registry.example.com; where it
    /// listens unless it is given
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// A host that the run task may fetch plans from and send results to, HOST, HOST:PORT or
    /// *.DOMAIN; can be given again; HCP Terraform's unless it is given
    #[arg(long, value_name = "HOST")]
    run_task_host: Vec<String>,
    /// Let the run task fetch plans and send results without TLS, too
    #[arg(long)]
    run_task_http: bool,
    /// A host of the server's own network that administrators may add webhooks for on the pages,
    /// HOST, HOST:PORT or *.DOMAIN; can be given again
    #[arg(long, value_name = "HOST")]
    webhook_host: Vec<String>,
    /// How long a request may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    request_timeout: u64,
    /// How long a connection may be open without a request under way, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    idle_timeout: u64,
    /// How many days to keep lines of the audit log; 0 for ever
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(0..=36500))]
    audit_days: u32,
    /// The address of a trusted proxy, or ADDRESS/BITS: its X-Forwarded-For names the client; can be
    /// given again
    #[arg(long, value_name = "ADDRESS")]
    trusted_proxy: Vec<Network>,
    /// How many connections to the database to open at most, 4 or more
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    connections: u32,
}

pub(super) async fn run(args: &ServeArgs) -> Result<()> {
    #[cfg(unix)]
    reopen_log_on_hangup();
    // All that may go wrong first: the secret of the first run is shown just once.
    let run_task = run_task(args)?;
    let location = args.database.location_to_serve().await?;
    let tls = tls(args).await?;
    let listener = TcpListener::bind(args.listen).map_err(|error| {
        Error::new(Code::Unavailable, format!("cannot listen at {}: {error}", args.listen))
    })?;
    let address =
        listener.local_addr().map_err(|error| Error::new(Code::Unavailable, error.to_string()))?;
    let store = Store::open(&location, args.connections.max(4)).await?;
    let (project, first) = Administration::new(store.clone()).bootstrap().await?;
    let link = match &first {
        Some(first) => Some(ingot_registry_server::web::new_link(&store, &first.principal).await?),
        None => None,
    };
    // Before anybody is told that it runs, and may stop it.
    let stop = stopped_by_signal();
    let server = ServerAddress::new(args, address, tls.as_ref());
    transaction!(store, |tx| tx.put_setting(PAGES_AT, &server.pages))?;
    output::line(format!("The registry is at {}://{}", server.scheme, server.address));
    report_database(args, &location);
    greet(args, &server, tls.as_ref(), &project, first.as_ref(), link.as_deref());

    let options = Options {
        tls,
        rate: args.rate_limit,
        run_task,
        webhook_hosts: args.webhook_host.clone(),
        request_timeout: Duration::from_secs(args.request_timeout),
        idle_timeout: Duration::from_secs(args.idle_timeout),
        audit_retention: (args.audit_days > 0)
            .then(|| Duration::from_secs(u64::from(args.audit_days) * 86_400)),
        trusted_proxies: TrustedProxies(args.trusted_proxy.clone()),
    };
    ingot_registry_server::serve(store, listener, options, stop).await
}

/// Opens the log's file again whenever the process gets the signal SIGHUP. From here on the signal ends
/// nothing; the server reads its certificate again.
#[cfg(unix)]
fn reopen_log_on_hangup() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    crate::logging::reopen();
                }
            });
        }
        Err(error) => tracing::warn!(%error, "SIGHUP cannot be listened for"),
    }
}

fn run_task(args: &ServeArgs) -> Result<RunTaskOptions> {
    let public_url = args.public_url.clone().unwrap_or_default();
    let is_url = reqwest::Url::parse(&public_url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !public_url.is_empty() && !is_url {
        return Err(Error::invalid("-public-url must be http:// or https:// and a host"));
    }
    for (flag, hosts) in
        [("-run-task-host", &args.run_task_host), ("-webhook-host", &args.webhook_host)]
    {
        if let Some(wrong) = hosts.iter().find(|host| host.contains(['/', '@', '?'])) {
            return Err(Error::invalid(format!("{flag} is the name of a host, not {wrong:?}")));
        }
    }
    let hosts = match args.run_task_host.is_empty() {
        true => RUN_TASK_HOSTS.iter().map(|host| (*host).to_owned()).collect(),
        false => args.run_task_host.clone(),
    };
    Ok(RunTaskOptions { public_url, hosts, http: args.run_task_http })
}

async fn tls(args: &ServeArgs) -> Result<Option<Tls>> {
    if args.plain_http {
        return Ok(None);
    }
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        return Ok(Some(Tls { certificate: certificate.clone(), key: key.clone() }));
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(args.listen.ip().to_string());
    names.extend(args.tls_name.iter().cloned());
    names.dedup();
    ingot_registry_server::self_signed(&data_directory(), names).await.map(Some)
}

/// The setting of the database that says where the pages are of the server that was started last.
pub(super) const PAGES_AT: &str = "pages_at";

/// Where the server is.
struct ServerAddress {
    scheme: &'static str,
    /// Where clients connect to, as HOST:PORT.
    address: String,
    /// Whether others cannot connect.
    is_loopback: bool,
    /// The URL of its pages.
    pages: String,
}

impl ServerAddress {
    fn new(args: &ServeArgs, address: SocketAddr, tls: Option<&Tls>) -> Self {
        let is_loopback = address.ip().is_loopback();
        let port = address.port();
        let name = args.tls_name.iter().find(|name| !is_loopback && !name.contains('*'));
        let address = match name {
            Some(name) => match name.parse::<IpAddr>() {
                Ok(ip) => SocketAddr::new(ip, port).to_string(),
                Err(_) => format!("{name}:{port}"),
            },
            // A client cannot connect to "any address", but one on this machine to this.
            None if address.ip().is_unspecified() => {
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port).to_string()
            }
            None => address.to_string(),
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let public = args.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
        let pages = public.unwrap_or_else(|| format!("{scheme}://{address}"));
        ServerAddress { scheme, address, is_loopback, pages }
    }
}

/// Says which database is served, and how to serve the one that may have been meant.
fn report_database(args: &ServeArgs, location: &Location) {
    output::line(format!("Its database is {}", shown(location)));
    if let Location::Sqlite(file) = location
        && let Some(warning) = network_file_warning(file)
    {
        output::line(format!("Warning: {warning}"));
    }
    if let Some(other) = args.database.other(location) {
        let flag = shell_word(&other.to_string_lossy());
        output::line(format!(
            "There is another registry, which `ingot registry serve -database-url {flag}` serves"
        ));
    }
}

fn greet(
    args: &ServeArgs,
    server: &ServerAddress,
    tls: Option<&Tls>,
    project: &Project,
    first: Option<&Credentials>,
    link: Option<&str>,
) {
    let ServerAddress { scheme, address: shown, pages: at, .. } = server;
    if tls.is_none() && !server.is_loopback {
        output::line(
            "Warning: it is served without TLS; tokens and secrets can be read on the way",
        );
    }
    if let Some(tls) = tls.filter(|_| args.tls_cert.is_none() && !server.is_loopback) {
        let certificate = tls.certificate.display();
        output::line(format!(
            "Other machines need a copy of {certificate}, which SSL_CERT_FILE names there"
        ));
        if args.listen.ip().is_unspecified() && args.tls_name.is_empty() {
            output::line(
                "They cannot use it yet: its certificate needs a name, from -tls-name NAME",
            );
        }
    }
    let database = database_flag(args);
    match link {
        Some(link) => {
            output::line("To sign in with a browser, once and within an hour:");
            output::line(format!("  {at}{link}"));
        }
        None => output::line(format!(
            "A link to sign in with a browser: `ingot registry sign-in-link{database}`"
        )),
    }
    output::line("");
    output::line("To use it, set in the environment:");
    // It would go before the addresses of HCP.
    if tls.is_some() && std::env::var_os(INGOT_REGISTRY).is_some() {
        output::line(format!("  unset {INGOT_REGISTRY}"));
    }
    let export = |name: &str, value: &str| {
        output::line(format!("  export {name}={}", shell_word(value)));
    };
    match tls {
        Some(_) => {
            export("HCP_API_ADDRESS", shown);
            export("HCP_AUTH_URL", &format!("{scheme}://{shown}"));
        }
        // Secrets are sent to an HCP_AUTH_URL of https only, by HashiCorp's clients as by this one.
        None => export("INGOT_REGISTRY", &format!("{scheme}://{shown}")),
    }
    export("HCP_ORGANIZATION_ID", &project.location.organization_id);
    export("HCP_PROJECT_ID", &project.location.project_id);
    match tls {
        Some(tls) if args.tls_cert.is_none() => {
            export("SSL_CERT_FILE", &tls.certificate.to_string_lossy());
        }
        _ => {}
    }
    match first {
        Some(Credentials { principal, secret }) => {
            export("HCP_CLIENT_ID", &principal.id);
            export("HCP_CLIENT_SECRET", secret);
            output::line("");
            output::line("The secret is shown this once. Make others with:");
            output::line(format!(
                "  ingot registry principal create NAME -role contributor{database}"
            ));
        }
        None => output::line(format!(
            "and HCP_CLIENT_ID and HCP_CLIENT_SECRET, from `ingot registry principal create{}`",
            match database.is_empty() {
                true => String::new(),
                false => format!(" NAME{database}"),
            }
        )),
    }
}

/// The flag of other commands that makes them use the database of this one; none where they find it
/// by themselves.
fn database_flag(args: &ServeArgs) -> String {
    let named = args.database.database_url.as_deref();
    let in_environment = std::env::var("INGOT_REGISTRY_DATABASE_URL").ok();
    let of_builds = || named_file().ok().flatten().filter(|_| named.is_none());
    match named.filter(|named| in_environment.as_deref() != Some(*named)) {
        // What is printed to set takes the place of the variable that names it.
        None => of_builds().map_or_else(String::new, |file| {
            format!(" -database-url {}", shell_word(&file.to_string_lossy()))
        }),
        // It may hold a password, which does not belong on a screen.
        Some(url) if url.contains("://") => " -database-url URL".into(),
        Some(path) => format!(" -database-url {}", shell_word(path)),
    }
}

/// A text as one word of a shell's command.
fn shell_word(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./:,@%+=".contains(char);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// What the first signal from now on cancels. The second ends the process: whoever sends it does not
/// want to wait.
fn stopped_by_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let mut signals = match Signals::without_hangup() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::warn!(%error, "signals cannot be listened for");
            return stop;
        }
    };
    let cancelled = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        cancelled.cancel();
        signals.next().await;
        std::process::exit(1);
    });
    stop
}
