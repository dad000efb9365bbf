//! `http_directory` and its kin: a small web server that hands files to the machine that is
//! being installed.
//!
//! It answers as Packer's does: files by their path, `index.html` or a list for a directory, parts
//! of files on request. Symbolic links are followed wherever they lead: whoever made the directory
//! made them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use ingot_sdk::{
    ConfigError, ConfigErrors, ConfigWarning, Context, Error, GeneratedData, Prepared, Result,
    RunContext, Ui,
};
use ingot_suggest::closest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_http::services::ServeFile;

use crate::ports::{PortRange, ReservedPort};

/// What is written as `%20` and the like in a link.
const LINK: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The options, to be flattened into a builder's own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct HttpOptions {
    /// A directory whose files the machine can fetch. Without it and `http_content` there is no
    /// server.
    #[schemars(extend("reads" = "paths"))]
    pub http_directory: Option<String>,
    /// Files by their path, which begins with a slash. Not with `http_directory`.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub http_content: BTreeMap<String, String>,
    /// The lowest port that the server may use: 8000.
    pub http_port_min: Option<u16>,
    /// The highest: 9000.
    pub http_port_max: Option<u16>,
    /// The address that the server listens on: `0.0.0.0`.
    pub http_bind_address: Option<String>,
    /// Has no effect; Packer takes it and does not use it for this either.
    pub http_interface: Option<String>,
    /// `tcp`, `tcp4` or `tcp6`.
    pub http_network_protocol: Option<String>,
}

impl HttpOptions {
    /// Whether there will be a server.
    pub fn is_set(&self) -> bool {
        self.directory().is_some() || !self.http_content.is_empty()
    }

    fn directory(&self) -> Option<&str> {
        self.http_directory.as_deref().filter(|directory| !directory.is_empty())
    }

    /// The same for a server on `port`, which one had before, if that is free now.
    pub fn at(mut self, port: u16) -> Self {
        let address = self.address().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        if std::net::TcpListener::bind((address, port)).is_ok() {
            (self.http_port_min, self.http_port_max) = (Some(port), Some(port));
        }
        self
    }

    /// The ports the server may use.
    pub fn ports(&self) -> PortRange {
        let set = |port: Option<u16>, default| port.filter(|&port| port != 0).unwrap_or(default);
        PortRange { min: set(self.http_port_min, 8000), max: set(self.http_port_max, 9000) }
    }

    /// The address to listen on.
    fn address(&self) -> Result<IpAddr, String> {
        let text = self.http_bind_address.as_deref().unwrap_or_default();
        let protocol = self.http_network_protocol.as_deref().unwrap_or_default();
        let address = match (text, protocol) {
            ("", "tcp6") => Ipv6Addr::UNSPECIFIED.into(),
            ("", _) => Ipv4Addr::UNSPECIFIED.into(),
            ("localhost", "tcp6") => Ipv6Addr::LOCALHOST.into(),
            ("localhost", _) => Ipv4Addr::LOCALHOST.into(),
            (text, _) => text
                .trim_matches(['[', ']'])
                .parse()
                .map_err(|_| format!("`{text}` is not an IP address"))?,
        };
        match (protocol, address) {
            ("tcp4", IpAddr::V6(_)) => Err(format!("{address} is not an address for tcp4")),
            ("tcp6", IpAddr::V4(_)) => Err(format!("{address} is not an address for tcp6")),
            _ => Ok(address),
        }
    }

    /// Judges the options.
    pub fn prepare(&self, prepared: &mut Prepared, errors: &mut ConfigErrors) {
        if self.directory().is_some() && !self.http_content.is_empty() {
            errors.push(
                ConfigError::on(
                    "http_content",
                    "`http_directory` and `http_content` cannot be used together",
                )
                .hint("read files into `http_content` with the function file"),
            );
        }
        if let Some(directory) = self.directory() {
            match std::fs::metadata(directory) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => {
                    let why = format!("{directory} is a file, not a directory");
                    errors.push(ConfigError::on("http_directory", why));
                }
                // The run may make it; it says so then if it does not.
                Err(error) => {
                    let message = format!("http_directory: {directory}: {error}");
                    prepared.warnings.push(ConfigWarning::on("http_directory", message));
                }
            }
        }
        for path in self.http_content.keys() {
            if !path.starts_with('/') {
                errors.push(
                    ConfigError::on(
                        "http_content",
                        format!("`{path}` does not begin with a slash"),
                    )
                    .hint(format!("write \"/{path}\"")),
                );
            }
        }
        let range = self.ports();
        if range.min > range.max {
            let message = format!("{} is above `http_port_max`, {}", range.min, range.max);
            errors.push(ConfigError::on("http_port_min", message).related(["http_port_max"]));
        }
        let protocol = self.http_network_protocol.as_deref().unwrap_or_default();
        match protocol {
            "" | "tcp" | "tcp4" | "tcp6" => {
                if let Err(why) = self.address() {
                    let error = ConfigError::on("http_bind_address", why);
                    errors.push(error.related(["http_network_protocol"]));
                }
            }
            "unix" | "unixpacket" => errors.push(
                ConfigError::on("http_network_protocol", format!("`{protocol}` is not supported"))
                    .hint("a virtual machine cannot reach it; use tcp, tcp4 or tcp6"),
            ),
            other => errors.push(
                ConfigError::on("http_network_protocol", format!("`{other}` is not a protocol"))
                    .hint("use tcp, tcp4 or tcp6"),
            ),
        }
        if self.http_interface.as_deref().is_some_and(|name| !name.is_empty()) {
            if self.http_bind_address.as_deref().is_some_and(|address| !address.is_empty()) {
                errors.push(ConfigError::on(
                    "http_interface",
                    "`http_interface` and `http_bind_address` cannot be used together",
                ));
            } else {
                prepared.warnings.push(ConfigWarning::on(
                    "http_interface",
                    "http_interface has no effect; set http_bind_address to listen on one address",
                ));
            }
        }
    }
}

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct HttpServer {
    port: ReservedPort,
    _running: DropGuard,
}

impl HttpServer {
    /// Starts to serve on a free port; none when the options do not ask for a server.
    ///
    /// # Errors
    /// The directory does not exist, or no port is free.
    pub async fn start(ctx: &RunContext, options: &HttpOptions) -> Result<Option<HttpServer>> {
        let content = match options.directory() {
            Some(directory) => {
                let root = tokio::fs::canonicalize(directory)
                    .await
                    .with_context(|| format!("http_directory: finding {directory}"))?;
                if !root.is_dir() {
                    return Err(Error::new(format!(
                        "http_directory: {directory} is not a directory"
                    )));
                }
                Content::Directory(root)
            }
            None if options.http_content.is_empty() => return Ok(None),
            None => Content::Texts(options.http_content.clone()),
        };
        let address =
            options.address().map_err(|why| Error::new(why).context("http_bind_address"))?;
        let mut port = options.ports().reserve(ctx, address).await?;
        let listener =
            port.take_listener().ok_or_else(|| Error::new("the reserved port has no socket"))?;
        ctx.ui.say(format!("Starting HTTP server on port {}", port.port()));
        let site = Arc::new(Site { content, ui: ctx.ui.clone() });
        let router = Router::new().fallback(answer).with_state(site);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                ended = axum::serve(listener, router) => {
                    tracing::warn!(?ended, "the HTTP server ended by itself");
                }
            }
        });
        Ok(Some(HttpServer { port, _running: stop.drop_guard() }))
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port.port()
    }

    /// Adds the values that provisioners get about the server, which the machine reaches at `host`:
    /// `PackerHTTPIP`, `PackerHTTPPort` and `PackerHTTPAddr`.
    pub fn generated(&self, host: &str, data: &mut GeneratedData) {
        let port = self.port();
        data.insert("PackerHTTPIP".to_owned(), host.into());
        data.insert("PackerHTTPPort".to_owned(), port.to_string().into());
        data.insert("PackerHTTPAddr".to_owned(), format!("{host}:{port}").into());
    }
}

/// The content of a server, and where it reports errors.
struct Site {
    content: Content,
    ui: Ui,
}

enum Content {
    /// A directory, without symbolic links in its path.
    Directory(PathBuf),
    Texts(BTreeMap<String, String>),
}

async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = if method == Method::GET || method == Method::HEAD {
        match &site.content {
            Content::Directory(root) => directory(root, &site.ui, request).await,
            Content::Texts(texts) => text(texts, &path),
        }
    } else {
        plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD")
    };
    tracing::debug!(%method, path, status = response.status().as_u16(), "HTTP request");
    response
}

fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    (status, text.into()).into_response()
}

fn text(texts: &BTreeMap<String, String>, path: &str) -> Response {
    let path = clean(&percent_decode_str(path).decode_utf8_lossy());
    match texts.get(&path) {
        Some(text) => plain(StatusCode::OK, text.clone()),
        None => {
            let mut why = format!("{path} not found.");
            if let Some(name) = closest(&path, texts.keys().map(String::as_str)) {
                why.push_str(&format!(" Did you mean {name:?}?"));
            }
            plain(StatusCode::NOT_FOUND, why)
        }
    }
}

/// `path` without `.`, `..` and doubled slashes.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

async fn directory(root: &Path, ui: &Ui, request: Request) -> Response {
    let asked = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    let relative = PathBuf::from(asked.trim_start_matches('/'));
    let plain_parts = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if asked.contains('\0') || !relative.components().all(plain_parts) {
        return plain(StatusCode::BAD_REQUEST, "this is not a path");
    }
    let missing = || plain(StatusCode::NOT_FOUND, "not found");
    let mut path = root.join(&relative);
    if tokio::fs::metadata(&path).await.is_err() {
        return missing();
    }
    if path.is_dir() {
        if !asked.ends_with('/') {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default();
            return (StatusCode::MOVED_PERMANENTLY, [(LOCATION, format!("{name}/"))])
                .into_response();
        }
        let index = path.join("index.html");
        match index.is_file() {
            true => path = index,
            false => return listing(&path).await,
        }
    } else if asked.ends_with('/') {
        return missing();
    }
    match ServeFile::new(&path).try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            ui.error(format!("Serving {asked}: {error}"));
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read")
        }
    }
}

/// A page with links to what is in a directory.
async fn listing(directory: &Path) -> Response {
    let mut names = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir(directory).await else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the directory cannot be read");
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let slash = if entry.path().is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    let mut page = "<!doctype html>\n<pre>\n".to_owned();
    for name in names {
        page.push_str(&format!(
            "<a href=\"{}\">{}</a>\n",
            utf8_percent_encode(&name, LINK),
            name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
        ));
    }
    page.push_str("</pre>\n");
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}
