//! Which registry to use, and how to log in to it: what the environment says, in the variables that
//! Packer and its HCP client (hcp-sdk-go) read, and in one of Ingot's own, `INGOT_REGISTRY`.

mod credentials;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ingot_base::{Error, Result};
use reqwest::Url;

use super::data_directory::default_path;
use super::environment::set;
pub use super::environment::{Environment, variable};
use super::geography::Geography;
use super::login;
use credentials::Fallback;
pub(crate) use credentials::{CLIENT_ID, CLIENT_SECRET, CRED_FILE, default_cred_file};
pub use credentials::{Credentials, check_others_can_read_credentials};

/// Ingot's own variable: `local`, the path of a registry's file, or the URL of a server.
pub const INGOT_REGISTRY: &str = "INGOT_REGISTRY";

/// Where tokens are given out, at the address for that.
const TOKEN_PATH: &str = "/oauth2/token";

/// Which registry is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Settings {
    /// One in a file of its own.
    Local(PathBuf),
    /// One that is reached by HTTP: HCP Packer, or an Ingot server.
    Remote(Box<Remote>),
}

/// How to reach a registry by HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// Where the API is: scheme, host and port.
    pub api: Url,
    /// Where tokens are given out.
    pub token: Url,
    /// Whether the API's certificate is not checked.
    pub api_insecure: bool,
    /// Whether the token endpoint's certificate is not checked.
    pub auth_insecure: bool,
    /// Who asks.
    pub credentials: Credentials,
    /// `HCP_ORGANIZATION_ID`; the API is asked without it.
    pub organization: Option<String>,
    /// `HCP_PROJECT_ID`; the API is asked without it.
    pub project: Option<String>,
}

/// Whether the environment names a registry, or credentials for one, whether they are in order or
/// not.
pub fn is_configured() -> bool {
    let is_set = |name: &str| set(&variable, name).is_some();
    // A login that is kept from some day says nothing about what is wanted now.
    [INGOT_REGISTRY, CLIENT_ID, CLIENT_SECRET, CRED_FILE].into_iter().any(is_set)
        || default_cred_file(&variable).is_some()
}

/// The address that tokens come from.
pub(crate) fn auth_address(environment: Environment) -> Result<String> {
    let given = environment("HCP_AUTH_URL");
    Ok(given.unwrap_or(Geography::of(environment)?.auth.to_owned()))
}

/// What this process's environment says.
///
/// # Errors
/// It says nothing, or something that does not make sense; the text says what to set.
pub fn from_environment() -> Result<Settings> {
    read(&variable)
}

fn read(environment: Environment) -> Result<Settings> {
    let own = set(environment, INGOT_REGISTRY);
    let Some(own) = own else { return hcp(environment).map(|r| Settings::Remote(Box::new(r))) };
    if is_url(&own) {
        return server(&own, environment).map(|remote| Settings::Remote(Box::new(remote)));
    }
    let path = path_of(&own)?;
    let hcp = [CLIENT_ID, CRED_FILE].into_iter().find(|name| set(environment, name).is_some());
    if let Some(name) = hcp {
        return Err(Error::new(format!("{INGOT_REGISTRY} and {name} name different registries"))
            .hint(format!(
                "unset {name} to use the local registry, or {INGOT_REGISTRY} to use HCP Packer"
            )));
    }
    Ok(Settings::Local(path))
}

/// The registry's file that `INGOT_REGISTRY` names; none if it is not set, or is a server's URL.
#[cfg(feature = "store")]
pub(crate) fn named_file(environment: Environment) -> Result<Option<PathBuf>> {
    match set(environment, INGOT_REGISTRY) {
        Some(own) if !is_url(&own) => path_of(&own).map(Some),
        _ => Ok(None),
    }
}

fn is_url(own: &str) -> bool {
    own.contains("://")
}

/// The file that a value of `INGOT_REGISTRY` names. A registry is created where there is none, so what
/// is more likely a slip than the name of a file is an error.
fn path_of(own: &str) -> Result<PathBuf> {
    if own == "local" {
        return Ok(default_path());
    }
    // It may be a URL without its scheme, with a password in it.
    let shown = own.rsplit('@').next().unwrap_or(own).trim_end_matches('/');
    if is_host_and_port(shown) {
        return Err(Error::new(format!("{INGOT_REGISTRY} has no scheme: {shown}"))
            .hint(format!("a server is https://{shown}; a file of this name is ./{shown}")));
    }
    let path = Path::new(own);
    let named_so = ["db", "sqlite", "sqlite3"].map(OsStr::new);
    let is_file = || path.is_file() || path.extension().is_some_and(|it| named_so.contains(&it));
    if !own.contains('/') && !is_file() {
        return Err(Error::new(format!("{INGOT_REGISTRY}: there is no registry called {shown}"))
            .hint(format!(
                "`local` is the registry of this user, ./{shown} a new file, and https://{shown} a \
                 server"
            )));
    }
    // What waits to be published names it, whatever directory it is pushed from.
    Ok(std::path::absolute(path).unwrap_or_else(|_| path.into()))
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()
    })
}

/// An Ingot server at a URL; its tokens come from the same place unless `HCP_AUTH_URL` says
/// otherwise.
fn server(url: &str, environment: Environment) -> Result<Remote> {
    let wrong = |why: String| Error::new(format!("{INGOT_REGISTRY} is not a server's URL: {why}"));
    let api = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let is_http = matches!(api.scheme(), "http" | "https");
    if !is_http || api.host_str().is_none_or(str::is_empty) || !matches!(api.path(), "" | "/") {
        return Err(wrong("it is https://HOST:PORT or http://HOST:PORT".into()));
    }
    if !api.username().is_empty() || api.password().is_some() {
        return Err(wrong("it must not hold a password".into())
            .hint(format!("set {CLIENT_ID} and {CLIENT_SECRET}")));
    }
    let auth = match environment("HCP_AUTH_URL") {
        Some(auth) => auth_url(&auth)?,
        None => api.clone(),
    };
    remote(api, auth, environment, Fallback::None)
}

/// HCP Packer, or what the variables of HCP name in its place.
fn hcp(environment: Environment) -> Result<Remote> {
    let auth = auth_url(&auth_address(environment)?)?;
    let given = environment("HCP_API_ADDRESS");
    let mut address = given.unwrap_or(Geography::of(environment)?.api.to_owned());
    if let Some(host) = environment("HCP_API_HOST") {
        // The older name, which may have the scheme before it.
        let prefix = host.get(..8).filter(|prefix| prefix.eq_ignore_ascii_case("https://"));
        address = host[prefix.map_or(0, str::len)..].to_owned();
    }
    let scheme = match environment("HCP_API_TLS").as_deref() {
        Some("disabled") => "http",
        _ => "https",
    };
    let wrong = || {
        Error::new("HCP_API_ADDRESS is not an address")
            .hint("it is HOST or HOST:PORT, without https:// before it")
    };
    let api = Url::parse(&format!("{scheme}://{address}")).map_err(|_| wrong())?;
    if address.contains("//") || api.host_str().is_none_or(str::is_empty) || api.path() != "/" {
        return Err(wrong());
    }
    let login = login::usable(environment, &api, &auth)?;
    remote(api, auth, environment, Fallback::Login(login))
}

pub(crate) fn auth_url(text: &str) -> Result<Url> {
    match Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(Error::new("HCP_AUTH_URL must not hold a user or password"))
        }
        Ok(url) if url.scheme() == "https" && url.has_host() => Ok(url),
        Ok(_) => Err(Error::new("HCP_AUTH_URL has to be an https URL").hint(
            "secrets go there; HCP_AUTH_TLS=insecure accepts a certificate of your own making",
        )),
        Err(error) => Err(Error::new(format!("HCP_AUTH_URL is not a URL: {error}"))),
    }
}

/// Where tokens are given out at an address.
pub(crate) fn token_path(address: &mut Url) {
    address.set_path(TOKEN_PATH);
    address.set_query(None);
    address.set_fragment(None);
}

/// `login` counts where there are no other credentials.
fn remote(api: Url, auth: Url, environment: Environment, login: Fallback) -> Result<Remote> {
    let mut token = auth;
    token_path(&mut token);
    Ok(Remote {
        api,
        token,
        api_insecure: tls("HCP_API_TLS", environment)? == Tls::Insecure,
        auth_insecure: tls("HCP_AUTH_TLS", environment)? == Tls::Insecure,
        credentials: credentials::credentials(environment, login)?,
        organization: set(environment, "HCP_ORGANIZATION_ID"),
        project: set(environment, "HCP_PROJECT_ID"),
    })
}

#[derive(PartialEq)]
pub(crate) enum Tls {
    Checked,
    Insecure,
    Disabled,
}

pub(crate) fn tls(name: &str, environment: Environment) -> Result<Tls> {
    match environment(name).as_deref() {
        None => Ok(Tls::Checked),
        Some("insecure") => Ok(Tls::Insecure),
        Some("disabled") => Ok(Tls::Disabled),
        Some(other) => Err(Error::new(format!("{name} is `{other}`"))
            .hint("it can be `insecure` or `disabled`, or unset")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(pairs: &[(&str, &str)]) -> Result<Settings> {
        read(&|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn remote_from(pairs: &[(&str, &str)]) -> Remote {
        let key = [("HCP_CLIENT_ID", "id"), ("HCP_CLIENT_SECRET", "hidden")];
        match read_from(&[pairs, &key].concat()).expect("settings") {
            Settings::Remote(remote) => *remote,
            Settings::Local(path) => panic!("{}", path.display()),
        }
    }

    #[test]
    fn one_setting_makes_it_local() {
        let local = read_from(&[("INGOT_REGISTRY", "local")]).unwrap();
        assert_eq!(local, Settings::Local(default_path()));
        let local = read_from(&[("INGOT_REGISTRY", "/x/r.db")]).unwrap();
        assert_eq!(local, Settings::Local("/x/r.db".into()));
        let both = read_from(&[("INGOT_REGISTRY", "local"), ("HCP_CLIENT_ID", "id")]);
        assert!(both.unwrap_err().to_string().contains("HCP_CLIENT_ID"));
        let none = read_from(&[]).unwrap_err();
        assert!(none.advice().unwrap().contains("INGOT_REGISTRY=local"));
    }

    #[test]
    fn a_slip_names_no_file() {
        for (slip, told, advice) in [
            ("locl", "no registry called locl", "`local` is the registry of this user"),
            ("off", "no registry called off", "./off a new file"),
            ("registry.example.com", "no registry called", "https://registry.example.com a server"),
            ("registry.example.com:7420", "has no scheme", "https://registry.example.com:7420"),
            ("[::1]:7420/", "has no scheme", "https://[::1]:7420;"),
            ("me:pw@host:7420", "has no scheme: host:7420", "https://host:7420"),
            ("postgres://me:pw@host/db", "is not a server's URL", ""),
        ] {
            // Also beside credentials, which are not what is wrong.
            let key = [("HCP_CLIENT_ID", "id"), ("HCP_CLIENT_SECRET", "hidden")];
            for key in [&key[..], &[]] {
                let error = read_from(&[&[("INGOT_REGISTRY", slip)], key].concat()).unwrap_err();
                let hint = error.advice().unwrap_or_default();
                assert!(error.to_string().contains(told), "{error}");
                assert!(hint.contains(advice), "{hint}");
                assert!(!format!("{error}{hint}").contains("pw"), "{error} {hint}");
            }
        }
        for file in ["registry.db", "r.sqlite", "./locl", "sub/host:7420"] {
            let path = std::path::absolute(file).unwrap();
            assert_eq!(read_from(&[("INGOT_REGISTRY", file)]).unwrap(), Settings::Local(path));
        }
        assert_eq!(
            remote_from(&[("INGOT_REGISTRY", "HTTPS://host:1")]).api.as_str(),
            "https://host:1/"
        );
    }

    #[test]
    fn addresses_are_those_of_hcp() {
        let remote = remote_from(&[]);
        assert_eq!(remote.api.as_str(), "https://api.cloud.hashicorp.com/");
        assert_eq!(remote.token.as_str(), "https://auth.idp.hashicorp.com/oauth2/token");
        assert!(!format!("{remote:?}").contains("hidden"));
        let remote = remote_from(&[
            ("HCP_API_ADDRESS", "other:1"),
            ("HCP_API_HOST", "https://localhost:8"),
            ("HCP_API_TLS", "disabled"),
            ("HCP_AUTH_URL", "https://auth:9/ignored"),
            ("HCP_AUTH_TLS", "insecure"),
        ]);
        assert_eq!(remote.api.as_str(), "http://localhost:8/");
        assert_eq!(remote.token.as_str(), "https://auth:9/oauth2/token");
        assert!(remote.auth_insecure && !remote.api_insecure);
        let remote = remote_from(&[("INGOT_REGISTRY", "http://127.0.0.1:7")]);
        assert_eq!(remote.token.as_str(), "http://127.0.0.1:7/oauth2/token");
    }

    #[test]
    fn invalid_settings_are_refused() {
        let key = [("HCP_CLIENT_ID", "id"), ("HCP_CLIENT_SECRET", "hidden")];
        let wrong = [
            ("HCP_API_TLS", "off"),
            ("HCP_AUTH_URL", "http://plain"),
            ("HCP_API_ADDRESS", "https://with.scheme"),
            ("HCP_GEOGRAPHY", "moon"),
            ("INGOT_REGISTRY", "https://me:pw@host"),
        ];
        for pair in wrong {
            let error = read_from(&[&[pair], &key[..]].concat()).unwrap_err().to_string();
            assert!(error.contains(pair.0) && !error.contains("pw@"), "{error}");
        }
        assert!(read_from(&[("HCP_CLIENT_ID", "id")]).is_err());
    }
}
