//! Finding the Docker Engine and talking to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::ImageInspect;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use ingot_sdk::environment::{self, set_text};
use ingot_sdk::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::credentials::ClientConfig;
use crate::patience::Patience;
use crate::platform;
use crate::transport;

/// Where the Engine listens when nothing says otherwise.
const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";

/// How long the Engine may take for its first answer. After that, a commit or an import takes as long
/// as it takes while the Engine answers other calls, and cancelling drops the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The client's own limit for one request, in seconds; a day stands for "none".
const REQUEST_TIMEOUT: u64 = 24 * 60 * 60;

/// How to reach an Engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `unix:///path` or `tcp://host:port`.
    pub host: String,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`, when the connection uses TLS.
    pub tls: Option<PathBuf>,
    /// Which setting the host comes from, for messages.
    source: &'static str,
}

/// Where a host comes from that no setting names.
const DEFAULT_SOURCE: &str = "the default";
/// The same where Podman is meant.
const PODMAN_SOURCE: &str = "Podman's default";

/// A connected Engine.
#[derive(Clone)]
pub(crate) struct Engine {
    /// The client.
    pub api: Docker,
    /// What it is connected to.
    pub endpoint: Endpoint,
    /// How long it is waited for.
    pub patience: Patience,
}

/// The part of a context's `meta.json` that says where its Engine is.
#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: std::collections::BTreeMap<String, ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

/// The socket of an Engine that this user runs without root, if there is one.
fn runtime_socket(name: &str) -> Option<PathBuf> {
    let directory = environment::set("XDG_RUNTIME_DIR")?;
    Some(PathBuf::from(directory).join(name)).filter(|socket| socket.exists())
}

impl Endpoint {
    /// The Engine that the environment and the docker client's settings name: `DOCKER_HOST`,
    /// else the context in `DOCKER_CONTEXT` or the current one, else the local socket. With
    /// `podman`, the local socket is Podman's.
    ///
    /// # Errors
    /// The context does not exist, or its endpoint is of a kind that is not supported.
    pub(crate) fn find(podman: bool) -> Result<Endpoint> {
        if let Some(host) = set_text("DOCKER_HOST") {
            let tls = (host.starts_with("tcp://") || host.starts_with("https://"))
                && (set_text("DOCKER_TLS_VERIFY").is_some() || host.starts_with("https://"));
            let tls = tls.then(|| {
                set_text("DOCKER_CERT_PATH").map_or_else(ClientConfig::directory, PathBuf::from)
            });
            return Ok(Endpoint { host, tls, source: "DOCKER_HOST" });
        }
        let context = match set_text("DOCKER_CONTEXT") {
            Some(name) => Some((name, "DOCKER_CONTEXT")),
            None => ClientConfig::load()?
                .current_context
                .map(|name| (name, "the current docker context")),
        };
        if let Some((name, source)) = context.filter(|(name, _)| name != "default") {
            return Endpoint::of_context(
                &ClientConfig::directory().join("contexts"),
                &name,
                source,
            );
        }
        if podman {
            let rootless = runtime_socket("podman/podman.sock");
            let socket = rootless.unwrap_or_else(|| PathBuf::from("/run/podman/podman.sock"));
            let host = format!("unix://{}", socket.display());
            return Ok(Endpoint { host, tls: None, source: PODMAN_SOURCE });
        }
        Ok(Endpoint { host: DEFAULT_ENDPOINT.to_owned(), tls: None, source: DEFAULT_SOURCE })
    }

    /// The endpoint of the docker context `name`, stored below the directory `contexts`.
    fn of_context(contexts: &Path, name: &str, source: &'static str) -> Result<Endpoint> {
        let missing = || {
            Error::new(format!("the docker context {name:?}, named by {source}, does not exist"))
                .hint("`docker context ls` lists the contexts; DOCKER_HOST overrides them")
        };
        // The directories are named by a hash of the context's name; reading the few there are
        // saves computing it.
        let directories = std::fs::read_dir(contexts.join("meta")).map_err(|_| missing())?;
        for directory in directories.flatten() {
            let Ok(text) = std::fs::read_to_string(directory.path().join("meta.json")) else {
                continue;
            };
            let Ok(meta) = serde_json::from_str::<ContextMeta>(&text) else { continue };
            if meta.name != name {
                continue;
            }
            let host = meta
                .endpoints
                .get("docker")
                .map(|endpoint| endpoint.host.clone())
                .filter(|host| !host.is_empty())
                .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
            let tls = contexts.join("tls").join(directory.file_name()).join("docker");
            let tls = (host.starts_with("tcp://") && tls.is_dir()).then_some(tls);
            return Ok(Endpoint { host, tls, source });
        }
        Err(missing())
    }

    /// The endpoint that a journal's record names, so that a leftover is looked for where it
    /// was created and not where the environment points now.
    pub(crate) fn recorded(host: &str, tls: Option<&str>) -> Endpoint {
        let tls = tls.map(PathBuf::from);
        Endpoint { host: host.to_owned(), tls, source: "the journal" }
    }

    /// Connects and agrees on a version of the API. One round trip.
    ///
    /// # Errors
    /// The Engine cannot be reached; the hint says how to choose another.
    pub(crate) async fn connect(self) -> Result<Engine> {
        let unreachable = |why: String| {
            let hint = match runtime_socket("docker.sock") {
                Some(socket) if self.source == DEFAULT_SOURCE => format!(
                    "you have an Engine without root: export DOCKER_HOST=unix://{}",
                    socket.display()
                ),
                _ if self.source == PODMAN_SOURCE => "Podman is reached by its socket, which not \
                      all installations start: `systemctl --user enable --now podman.socket` \
                      (root's without --user), or `podman system service`; or set DOCKER_HOST to \
                      where it is"
                    .to_owned(),
                _ => "is it running, and may this user use it? Set DOCKER_HOST to an Engine \
                      that can be reached, such as unix:///var/run/docker.sock or \
                      tcp://host:2376 with DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"
                    .to_owned(),
            };
            Error::new(format!(
                "cannot reach the Docker Engine at {} (from {}): {why}",
                self.host, self.source
            ))
            .hint(hint)
        };
        let api = match self.host.split_once("://") {
            Some(("unix", path)) => {
                Docker::connect_with_unix(path, REQUEST_TIMEOUT, API_DEFAULT_VERSION)
                    .map_err(|error| describe(&error))
            }
            Some(("tcp" | "http" | "https", address)) => {
                transport::client(address, self.tls.as_deref(), REQUEST_TIMEOUT)
                    .map_err(|error| error.to_string())
            }
            Some(("ssh", _)) => {
                return Err(Error::new(format!(
                    "{} is {:?}: reaching an Engine through ssh is not supported yet",
                    self.source, self.host
                ))
                .hint(
                    "forward its socket with `ssh -nNT -o ServerAliveInterval=30 \
                     -o StreamLocalBindUnlink=yes -L /tmp/docker.sock:/var/run/docker.sock HOST` \
                     and set DOCKER_HOST=unix:///tmp/docker.sock",
                ));
            }
            _ => {
                return Err(Error::new(format!(
                    "{} is {:?}, which is not an address of a Docker Engine",
                    self.source, self.host
                ))
                .hint("write it as unix:///path/to/docker.sock or tcp://host:port"));
            }
        };
        let api = api.map_err(unreachable)?;
        // The Engine decodes registry credentials as URL-safe base64; the client sends the
        // standard alphabet, which breaks those whose encoding has a `+` or `/`.
        let api = api.with_request_modifier(|mut request| {
            for name in ["x-registry-auth", "x-registry-config"] {
                let safe = request
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .map(|text| text.replace('+', "-").replace('/', "_"));
                if let Some(value) = safe.and_then(|text| text.parse().ok()) {
                    request.headers_mut().insert(name, value);
                }
            }
            request
        });
        let negotiated = tokio::time::timeout(CONNECT_TIMEOUT, api.negotiate_version()).await;
        match negotiated {
            Ok(Ok(api)) => Ok(Engine { api, endpoint: self, patience: Patience::default() }),
            Ok(Err(error)) => Err(unreachable(describe(&error))),
            Err(_) => Err(unreachable(format!("no response in {} s", CONNECT_TIMEOUT.as_secs()))),
        }
    }
}

impl Engine {
    /// Connects to the Engine that the environment names; see [`Endpoint::find`].
    ///
    /// # Errors
    /// See [`Endpoint::connect`].
    pub(crate) async fn connect(podman: bool) -> Result<Engine> {
        Endpoint::find(podman)?.connect().await
    }

    /// Whether the API has at least version 1.`minor`.
    pub(crate) fn has_api(&self, minor: usize) -> bool {
        let has = self.api.client_version();
        (has.major_version, has.minor_version) >= (1, minor)
    }

    /// Looks at an image of several platforms as it is for `platform`. An Engine that has one platform
    /// for each image, as all did before API 1.49, is asked without it.
    ///
    /// # Errors
    /// As of the Engine: there is no such image, or not for this platform.
    pub(crate) async fn inspect_image_of(
        &self,
        image: &str,
        platform: &str,
    ) -> Result<ImageInspect, bollard::errors::Error> {
        let object = platform::object(platform).filter(|_| self.has_api(PLATFORM_OF_INSPECT));
        let Some(object) = object else { return self.ask(self.api.inspect_image(image)).await };
        // The client has no argument for it.
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("platform", &object.to_string())
            .finish();
        let api =
            self.api.clone().with_request_modifier(move |request| with_query(request, &query));
        self.ask(api.inspect_image(image)).await
    }
}

/// The version of the API, 1.49, since when an image can be looked at as it is for one platform.
const PLATFORM_OF_INSPECT: usize = 49;

/// A request with `query` in its address.
fn with_query(mut request: BollardRequest, query: &str) -> BollardRequest {
    let mut parts = request.uri().clone().into_parts();
    let path = request.uri().path();
    parts.path_and_query = format!("{path}?{query}").parse().ok().or(parts.path_and_query);
    if let Ok(address) = parts.try_into() {
        *request.uri_mut() = address;
    }
    request
}

/// Why the Engine refuses what contradicts the state of things (409).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// It is removing the container already.
    BeingRemoved,
    /// Other images are made of the image.
    HasChildren,
    /// Something else.
    Other,
}

/// The conflict that an error is about, if it is one. The Engine gives no code but 409; its words
/// have been the same since Docker 1.13.
pub(crate) fn conflict(error: &bollard::errors::Error) -> Option<Conflict> {
    if status(error) != Some(409) {
        return None;
    }
    let said = describe(error);
    Some(if said.contains("already in progress") {
        Conflict::BeingRemoved
    } else if said.contains("has dependent child images") {
        Conflict::HasChildren
    } else {
        Conflict::Other
    })
}

/// Whether an error is about the directory in the container that something is uploaded to, which is
/// not there. Of a container that is not there the Engine gives the same code.
pub(crate) fn is_no_directory(error: &bollard::errors::Error) -> bool {
    status(error) == Some(404) && describe(error).contains("Could not find the file")
}

/// What an image lacks that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacking {
    /// The user that the command is to run as.
    User,
    /// `/bin/sh`.
    Shell,
}

/// What the image lacks by what the Engine, or the runtime below it, says of a command that it could
/// not start.
pub(crate) fn lacking(said: &str) -> Option<Lacking> {
    if said.contains("unable to find user") {
        return Some(Lacking::User);
    }
    said.contains("/bin/sh").then_some(Lacking::Shell)
}

/// What went wrong, in the Engine's own words where it spoke.
pub(crate) fn describe(error: &bollard::errors::Error) -> String {
    use bollard::errors::Error as E;
    match error {
        E::DockerResponseServerError { message, status_code } => match message.trim() {
            "" => format!("the Docker Engine answered with the status {status_code}"),
            said => said.to_owned(),
        },
        E::DockerStreamError { error } => error.trim().to_owned(),
        E::RequestTimeoutError => "no answer in time".to_owned(),
        other => {
            // The HTTP client's name says nothing to people; its causes do.
            let mut text = match other {
                E::HyperLegacyError { err } => err.to_string(),
                other => other.to_string(),
            };
            let mut cause = std::error::Error::source(other);
            while let Some(error) = cause {
                let more = error.to_string();
                if !text.contains(&more) {
                    text.push_str(": ");
                    text.push_str(&more);
                }
                cause = error.source();
            }
            text
        }
    }
}

/// The HTTP status of an error that the Engine answered.
pub(crate) fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether it is an answer of the Engine, or of a proxy before it that lets only some calls through, that it
/// does not do what it was asked. Then it is there.
pub(crate) fn is_refusal(error: &bollard::errors::Error) -> bool {
    status(error).is_some_and(|status| status < 500)
}

/// Whether the Engine did not answer at all. It may be restarting.
pub(crate) fn is_away(error: &bollard::errors::Error) -> bool {
    use bollard::errors::Error as E;
    matches!(
        error,
        E::HyperResponseError { .. }
            | E::HyperLegacyError { .. }
            | E::IOError { .. }
            | E::SocketNotFoundError(_)
            | E::RequestTimeoutError
    )
}

/// Says what was being done when the Engine failed.
pub(crate) trait EngineContext<T> {
    /// Prefixes the error with `doing`.
    fn doing(self, doing: impl std::fmt::Display) -> Result<T>;
}

impl<T> EngineContext<T> for Result<T, bollard::errors::Error> {
    fn doing(self, doing: impl std::fmt::Display) -> Result<T> {
        self.map_err(|error| Error::new(describe(&error)).context(doing))
    }
}

/// Judges the option `docker_path`: Packer runs the program it names, here the Engine API is
/// used. Returns whether Podman is meant.
///
/// # Errors
/// It names neither docker nor Podman.
pub(crate) fn check_docker_path(path: Option<&str>) -> Result<bool, ingot_sdk::ConfigError> {
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(false) };
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    match name.strip_suffix(".exe").unwrap_or(name) {
        "docker" => Ok(false),
        "podman" => Ok(true),
        _ => Err(ingot_sdk::ConfigError::on(
            "docker_path",
            format!("{path:?} cannot be used: no client program is run, the Docker Engine API is"),
        )
        .hint("leave docker_path out and set DOCKER_HOST to the socket of the engine you mean")),
    }
}

/// A value of generated data as text; empty where it is not known.
pub(crate) fn text_of(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_engine::TestEngine;

    #[test]
    fn a_context_is_found_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let meta = directory.path().join("meta/abc");
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::create_dir_all(directory.path().join("tls/abc/docker")).unwrap();
        let text = r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":
            {"Host":"tcp://10.0.0.1:2376","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let found = Endpoint::of_context(directory.path(), "far", "DOCKER_CONTEXT").unwrap();
        assert_eq!(found.host, "tcp://10.0.0.1:2376");
        assert_eq!(found.tls, Some(directory.path().join("tls/abc/docker")));
        let error = Endpoint::of_context(directory.path(), "near", "DOCKER_CONTEXT").unwrap_err();
        assert!(error.to_string().contains("\"near\""), "{error}");
    }

    #[tokio::test]
    async fn an_unreachable_engine_is_named_with_a_way_out() {
        let endpoint = Endpoint::recorded("unix:///nowhere/docker.sock", None);
        let error = endpoint.connect().await.err().unwrap();
        assert!(error.to_string().contains("unix:///nowhere/docker.sock"), "{error}");
        assert!(error.advice().unwrap().contains("DOCKER_HOST"));
        let host = "unix:///nowhere/podman.sock".to_owned();
        let podman = Endpoint { host, tls: None, source: PODMAN_SOURCE };
        let error = podman.connect().await.err().unwrap();
        assert!(error.advice().unwrap().contains("podman.socket"), "{error:?}");
        for host in ["ssh://build@host", "host.example"] {
            let error = Endpoint::recorded(host, None).connect().await.err().unwrap();
            assert!(error.to_string().contains(host), "{error}");
        }
        let ssh = Endpoint::recorded("ssh://build@host", None).connect().await.err().unwrap();
        assert!(ssh.advice().unwrap().contains("-o ServerAliveInterval=30"), "{ssh:?}");
    }

    #[tokio::test]
    async fn an_engine_is_reached_over_tcp() {
        let test = ingot_test_support::require!(TestEngine::start().await);
        assert_eq!(test.connect().await.api.ping().await.unwrap(), "OK");
        // With certificates that are not there, the directory is named.
        let tls = Endpoint::recorded(&test.host, Some("/no/certs"));
        let error = tls.connect().await.err().unwrap();
        assert!(error.to_string().contains("/no/certs/"), "{error}");
    }

    #[test]
    fn docker_path_may_name_docker_or_podman_only() {
        assert!(!check_docker_path(Some("/usr/local/bin/docker")).unwrap());
        assert!(check_docker_path(Some("podman")).unwrap());
        assert_eq!(check_docker_path(Some("nerdctl")).unwrap_err().option.unwrap(), "docker_path");
    }
}
