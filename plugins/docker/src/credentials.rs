//! Who to be towards a registry: the login options of a template, else what `docker login` left
//! in the docker client's settings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use futures_util::future::join_all;
use ingot_sdk::home::home_dir;
use ingot_sdk::{Error, Result, Ui, environment};
use serde::{Deserialize, Deserializer};
use tokio::io::AsyncWriteExt;

/// The key under which the docker client keeps Docker Hub's credentials.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// How long a credential helper may take.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);

/// Where credentials of the environment are, for messages.
const GIVEN: &str = "the variable DOCKER_AUTH_CONFIG";

/// The parts of the docker client's `config.json` that matter here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClientConfig {
    #[serde(deserialize_with = "map_or_null")]
    auths: BTreeMap<String, AuthEntry>,
    creds_store: Option<String>,
    #[serde(deserialize_with = "map_or_null")]
    cred_helpers: BTreeMap<String, String>,
    /// Proxies for containers, by their Engine's address.
    #[serde(deserialize_with = "map_or_null")]
    pub proxies: BTreeMap<String, Proxies>,
    /// The context in use.
    pub current_context: Option<String>,
    /// The credentials in `DOCKER_AUTH_CONFIG`, which count before all others.
    #[serde(skip)]
    given: BTreeMap<String, AuthEntry>,
}

/// The proxies of one Engine's containers, as in `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Proxies {
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub ftp_proxy: Option<String>,
    pub all_proxy: Option<String>,
}

/// Reads a map, in which null stands for nothing, as it does for the docker client.
fn map_or_null<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let found = Option::<BTreeMap<String, Option<T>>>::deserialize(deserializer)?;
    let found = found.unwrap_or_default().into_iter();
    Ok(found.map(|(name, value)| (name, value.unwrap_or_default())).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

impl ClientConfig {
    /// The directory of the docker client's settings: `DOCKER_CONFIG` or `~/.docker`.
    pub(crate) fn directory() -> PathBuf {
        let set = environment::set("DOCKER_CONFIG").map(PathBuf::from);
        set.unwrap_or_else(|| home_dir().unwrap_or_default().join(".docker"))
    }

    /// Reads `config.json`; without the file, nothing is set.
    ///
    /// # Errors
    /// The file is not JSON of the expected form.
    pub(crate) fn load() -> Result<ClientConfig> {
        let path = ClientConfig::directory().join("config.json");
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(ClientConfig::default()) };
        parse(&text, &path.display().to_string())
    }

    /// The same with the credentials of the environment. Those that cannot be read are only
    /// reported to `ui`, as by the docker client.
    fn with_environment(ui: &Ui) -> Result<ClientConfig> {
        let mut config = ClientConfig::load()?;
        if let Some(text) = environment::set_text("DOCKER_AUTH_CONFIG")
            && let Err(error) = config.give(&text)
        {
            ui.error(format!("Warning: {error}. Nothing of it is used."));
        }
        Ok(config)
    }

    /// Takes the credentials of `DOCKER_AUTH_CONFIG`, of which only `auth` counts there: all or none.
    fn give(&mut self, text: &str) -> Result<()> {
        let mut given = parse(text, GIVEN)?.auths;
        given.retain(|_, entry| entry.auth.as_deref().is_some_and(|auth| !auth.is_empty()));
        for server in given.keys() {
            stored(&given, server, GIVEN)?;
        }
        self.given = given;
        Ok(())
    }

    async fn credentials(&self, registry: &str) -> Result<Option<DockerCredentials>> {
        let key = canonical(registry);
        if let Some(given) = stored(&self.given, key, GIVEN)? {
            return Ok(Some(given));
        }
        let helper = self.cred_helpers.get(registry).or(self.cred_helpers.get(key));
        // As for the docker client, an empty name stands for the file, also where there is a credsStore.
        match helper.or(self.creds_store.as_ref()) {
            Some(helper) if !helper.is_empty() => ask_helper(helper, key).await,
            _ => stored(&self.auths, key, "the docker client's config.json"),
        }
    }
}

/// Reads what `what` holds. Errors do not quote its text, which may be a password.
fn parse(text: &str, what: &str) -> Result<ClientConfig> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::new(format!(
            "cannot read {what}: line {line}, column {column} is not what the docker client expects"
        ))
        .hint("it is JSON such as {\"auths\": {\"registry.example\": {\"auth\": \"…\"}}}")
    })
}

/// The credentials in `auths` for the registry that is called `key` there; `place` is where that is.
fn stored(
    auths: &BTreeMap<String, AuthEntry>,
    key: &str,
    place: &str,
) -> Result<Option<DockerCredentials>> {
    let found = auths.iter().find(|(server, _)| host_of(server) == host_of(key));
    let Some((server, entry)) = found else { return Ok(None) };
    let mut credentials = DockerCredentials {
        username: entry.username.clone(),
        password: entry.password.clone(),
        identitytoken: entry.identitytoken.clone(),
        registrytoken: entry.registrytoken.clone(),
        serveraddress: Some(key.to_owned()),
        ..Default::default()
    };
    if let Some(auth) = entry.auth.as_deref().filter(|auth| !auth.is_empty()) {
        let pair = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((user, password)) = pair.as_deref().and_then(|pair| pair.split_once(':')) else {
            return Err(Error::new(format!(
                "the credentials for {server} in {place} cannot be read"
            ))
            .hint("log in again with `docker login`"));
        };
        credentials.username = Some(user.to_owned());
        credentials.password = Some(password.trim_end_matches('\0').to_owned());
    }
    Ok(Some(credentials))
}

/// Runs `docker-credential-HELPER get`, the docker client's protocol: the server's name goes to
/// its standard input, JSON comes back.
async fn ask_helper(helper: &str, server: &str) -> Result<Option<DockerCredentials>> {
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| {
        Error::new(format!("the credential helper {program} failed for {server}: {why}"))
            .hint("it is named in the docker client's config.json")
    };
    let run = async {
        let mut child = tokio::process::Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(server.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(HELPER_TIMEOUT, run)
        .await
        .map_err(|_| failed(format!("no response in {} s", HELPER_TIMEOUT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        // Helpers say so on standard output when they know no credentials; the registry may
        // well do without.
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(said.trim().to_owned()));
    }
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("its response does not follow the protocol".to_owned()))?;
    let mut credentials =
        DockerCredentials { serveraddress: Some(server.to_owned()), ..Default::default() };
    if answer.username == "<token>" {
        credentials.identitytoken = Some(answer.secret);
    } else {
        credentials.username = Some(answer.username);
        credentials.password = Some(answer.secret);
    }
    Ok(Some(credentials))
}

/// A login that a template asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    /// The registry; Docker Hub when empty.
    pub server: String,
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl Login {
    fn credentials(&self) -> DockerCredentials {
        DockerCredentials {
            username: Some(self.username.clone()),
            password: Some(self.password.clone()),
            serveraddress: Some(canonical(&self.server).to_owned()),
            ..Default::default()
        }
    }
}

/// The credentials for the registry of `image`: those of `login` if it is for that registry,
/// else those of the docker client's settings, else none. Those of the environment that cannot be read
/// are only reported to `ui`.
///
/// # Errors
/// The settings cannot be read, or a credential helper failed.
pub(crate) async fn for_image(
    image: &str,
    login: Option<&Login>,
    ui: &Ui,
) -> Result<Option<DockerCredentials>> {
    let registry = registry_of(image);
    if let Some(login) = login
        && !login.username.is_empty()
        && host_of(canonical(&login.server)) == host_of(canonical(registry))
    {
        return Ok(Some(login.credentials()));
    }
    ClientConfig::with_environment(ui)?.credentials(registry).await
}

/// All credentials that a build of a Dockerfile may need, by registry: its `FROM` lines are the
/// Engine's to read, so it gets all there are. Helpers are asked all at once, and one that fails is
/// told to `ui` only: its registry may be one that the Dockerfile does not name.
///
/// # Errors
/// The settings cannot be read.
pub(crate) async fn for_build(
    login: Option<&Login>,
    ui: &Ui,
) -> Result<std::collections::HashMap<String, DockerCredentials>> {
    let config = ClientConfig::with_environment(ui)?;
    let kept = config.auths.keys().chain(config.cred_helpers.keys());
    let servers: BTreeSet<&String> = kept.chain(config.given.keys()).collect();
    let hosts: Vec<String> = servers.iter().map(|server| host_of(server)).collect();
    let found = join_all(hosts.iter().map(|host| config.credentials(host))).await;
    let mut all = std::collections::HashMap::new();
    for (server, found) in servers.into_iter().zip(found) {
        match found {
            Ok(found) => all.extend(found.map(|found| (server.clone(), found))),
            Err(error) => ui.message(format!("No credentials for {server}: {error}")),
        }
    }
    if let Some(login) = login.filter(|login| !login.username.is_empty()) {
        all.insert(canonical(&login.server).to_owned(), login.credentials());
    }
    Ok(all)
}

/// The registry in an image's name. A first part that has a dot or a port, or is `localhost`,
/// is a registry; other names are Docker Hub's.
pub(crate) fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

/// The key of a registry's credentials: Docker Hub has one for all of its names.
fn canonical(server: &str) -> &str {
    if server.is_empty() || is_hub(server) { HUB_KEY } else { server }
}

fn is_hub(registry: &str) -> bool {
    matches!(host_of(registry).as_str(), "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

/// The host and port of a registry's address, which people write with and without scheme and
/// path.
fn host_of(server: &str) -> String {
    let bare = server.split_once("://").map_or(server, |(_, rest)| rest);
    bare.split('/').next().unwrap_or(bare).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ingot_sdk::testing::RecordedOutput;

    use super::*;

    #[test]
    fn knows_the_registry_of_a_name() {
        for (image, registry) in [
            ("ubuntu", "docker.io"),
            ("library/ubuntu:22.04", "docker.io"),
            ("ghcr.io/a/b:1", "ghcr.io"),
            ("localhost/a", "localhost"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000"),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }

    #[tokio::test]
    async fn reads_what_docker_login_wrote() {
        let config: ClientConfig = serde_json::from_str(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"bWU6c2U6Y3JldA=="},
                "r.example:5000":{"identitytoken":"t"}},"currentContext":"far"}"#,
        )
        .unwrap();
        let hub = config.credentials("docker.io").await.unwrap().unwrap();
        assert_eq!(hub.username.as_deref(), Some("me"));
        assert_eq!(hub.password.as_deref(), Some("se:cret"));
        let other = config.credentials("r.example:5000").await.unwrap().unwrap();
        assert_eq!(other.identitytoken.as_deref(), Some("t"));
        assert!(config.credentials("elsewhere.example").await.unwrap().is_none());
        assert_eq!(config.current_context.as_deref(), Some("far"));
    }

    #[tokio::test]
    async fn what_the_environment_gives_comes_first() {
        let text = r#"{"auths":{"r.example":{"auth":"bWU6ZmlsZQ=="},
            "other.example":{"auth":"bWU6ZmlsZQ=="}}}"#;
        let mut config: ClientConfig = serde_json::from_str(text).unwrap();
        let given = r#"{"auths":{"https://r.example/v2/":{"auth":"bWU6Z2l2ZW4="},
            "other.example":{}}}"#;
        config.give(given).unwrap();
        for (registry, password) in [("r.example", "given"), ("other.example", "file")] {
            let found = config.credentials(registry).await.unwrap().unwrap();
            assert_eq!(found.password.as_deref(), Some(password), "{registry}");
        }
        for (wrong, said) in [
            (r#"{"auths":{"r.example":"s3cret"}}"#, "DOCKER_AUTH_CONFIG: line 1"),
            (
                r#"{"auths":{"r.example":{"auth":"s3cret"}}}"#,
                "r.example in the variable DOCKER_AUTH",
            ),
        ] {
            let error = config.give(wrong).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
            // What was there before stays.
            let found = config.credentials("r.example").await.unwrap().unwrap();
            assert_eq!(found.password.as_deref(), Some("given"));
        }
    }

    #[tokio::test]
    async fn null_stands_for_nothing() {
        let nothing = r#"{"auths":null,"credsStore":null,"credHelpers":null,"proxies":null,
            "currentContext":null}"#;
        let config: ClientConfig = serde_json::from_str(nothing).unwrap();
        assert!(config.credentials("r.example").await.unwrap().is_none());
        let values = r#"{"auths":{"r.example":null},
            "proxies":{"default":{"httpProxy":"http://p:1","noProxy":null},"tcp://far:1":null}}"#;
        let config: ClientConfig = serde_json::from_str(values).unwrap();
        assert_eq!(config.proxies.len(), 2);
    }

    #[tokio::test]
    async fn a_credential_helper_without_a_name_stands_for_the_file() {
        let text = r#"{"auths":{"r.example":{"auth":"bWU6ZmlsZQ=="},
            "other.example":{"auth":"bWU6ZmlsZQ=="}},"credsStore":"not-there",
            "credHelpers":{"r.example":"","other.example":null}}"#;
        let config: ClientConfig = serde_json::from_str(text).unwrap();
        for registry in ["r.example", "other.example"] {
            let found = config.credentials(registry).await.unwrap().unwrap();
            assert_eq!(found.password.as_deref(), Some("file"), "{registry}");
        }
    }

    #[tokio::test]
    async fn a_login_counts_for_its_own_registry() {
        let login = Login {
            server: "https://r.example:5000/v2/".into(),
            username: "me".into(),
            password: "secret".into(),
        };
        let ui = Ui::new(Arc::new(RecordedOutput::default()));
        let found = for_image("r.example:5000/a/b:1", Some(&login), &ui).await.unwrap().unwrap();
        assert_eq!(found.password.as_deref(), Some("secret"));
        let other = for_image("other.example/a", Some(&login), &ui).await.unwrap();
        assert!(other.is_none_or(|found| found.password.as_deref() != Some("secret")));
    }

    #[tokio::test]
    async fn a_login_to_docker_hub_counts_under_all_of_its_names() {
        for server in [
            "",
            "docker.io",
            "index.docker.io",
            "https://docker.io/",
            "registry-1.docker.io",
            HUB_KEY,
        ] {
            let ui = Ui::new(Arc::new(RecordedOutput::default()));
            let (username, password) = ("me".to_owned(), "secret".to_owned());
            let login = Login { server: server.to_owned(), username, password };
            for image in ["ubuntu", "me/app:1", "docker.io/me/app", "index.docker.io/me/app"] {
                let found = for_image(image, Some(&login), &ui).await.unwrap().unwrap();
                assert_eq!(found.password.as_deref(), Some("secret"), "{server}: {image}");
                assert_eq!(found.serveraddress.as_deref(), Some(HUB_KEY), "{server}: {image}");
            }
            // Where the Engine looks for those of a build.
            let all = for_build(Some(&login), &ui).await.unwrap();
            assert_eq!(all[HUB_KEY].password.as_deref(), Some("secret"), "{server}");
        }
    }
}
