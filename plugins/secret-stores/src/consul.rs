//! Consul's key/value store.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_base::{Error, Result};
use serde::Deserialize;

use crate::Environment;
use crate::client::{self, Names, Settings};

/// Where Consul's agent listens by default.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8500";
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(60);

const NAMES: Names = Names {
    ca_file: "CONSUL_CACERT",
    ca_text: None,
    ca_directory: "CONSUL_CAPATH",
    certificate: "CONSUL_CLIENT_CERT",
    key: "CONSUL_CLIENT_KEY",
    server_name: "CONSUL_TLS_SERVER_NAME",
};

/// An entry as the API gives it. `Value` is in base64, and null where it is empty.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    value: Option<String>,
}

/// The value of a key in Consul.
///
/// `CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN`, `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_AUTH`,
/// `CONSUL_HTTP_SSL`, `CONSUL_HTTP_SSL_VERIFY`, `CONSUL_CACERT`, `CONSUL_CAPATH`,
/// `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY`, `CONSUL_NAMESPACE` and `CONSUL_PARTITION` say where
/// and how.
///
/// # Errors
/// Consul cannot be asked, does not allow it, or has no such key or no value of it.
pub async fn consul_key(key: &str, env: &Environment) -> Result<String> {
    let tls = env.flag("CONSUL_HTTP_SSL")?.unwrap_or(false);
    let given = env.get("CONSUL_HTTP_ADDR").unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let scheme = if tls { "https" } else { "http" };
    let (address, socket) = client::address("CONSUL_HTTP_ADDR", &given, scheme)?;
    let settings = Settings {
        timeout: TIMEOUT,
        insecure: env.flag("CONSUL_HTTP_SSL_VERIFY")? == Some(false),
        proxy: None,
        socket,
    };
    let client = client::client(env, &NAMES, settings)?;
    let mut url = format!("{address}/v1/kv/{}", client::path(key.trim_start_matches('/')));
    let places = [("ns", "CONSUL_NAMESPACE"), ("partition", "CONSUL_PARTITION")];
    for (index, (name, value)) in
        places.iter().filter_map(|(name, variable)| Some((name, env.get(variable)?))).enumerate()
    {
        let separator = if index == 0 { '?' } else { '&' };
        url.push_str(&format!("{separator}{name}={}", client::path(&value)));
    }
    let mut request = client.get(url);
    if let Some(token) = token(env)? {
        request = request.header("X-Consul-Token", token);
    }
    if let Some(auth) = env.get("CONSUL_HTTP_AUTH") {
        let (user, password) = auth.split_once(':').unwrap_or((&auth, ""));
        request = request.basic_auth(user, Some(password));
    }
    let (status, body) =
        client::send(request, "Consul", &address).await.map_err(|error| {
            match env.get("CONSUL_HTTP_ADDR") {
                None => error.hint("CONSUL_HTTP_ADDR says where Consul is; it is not set"),
                Some(_) => error,
            }
        })?;
    match status.as_u16() {
        200 => {}
        404 => return Err(Error::new(format!("Consul has no key {key:?}"))),
        403 => {
            return Err(Error::new(format!("Consul does not allow to read the key {key:?}"))
                .hint("set CONSUL_HTTP_TOKEN to a token with key:read for it"));
        }
        other => {
            let said = String::from_utf8_lossy(&body);
            let said: String = said.trim().chars().take(200).collect();
            return Err(Error::new(format!("Consul returned {other}: {said}")));
        }
    }
    let invalid = || Error::new("invalid response from Consul: it is not a list of one entry");
    let entries: Vec<Entry> = serde_json::from_slice(&body).map_err(|_| invalid())?;
    let [entry] = entries.as_slice() else { return Err(invalid()) };
    let value = STANDARD.decode(entry.value.as_deref().unwrap_or_default());
    let value = value.map_err(|_| invalid())?;
    if value.is_empty() {
        return Err(Error::new(format!("the value of the key {key:?} in Consul is empty")));
    }
    String::from_utf8(value)
        .map_err(|_| Error::new(format!("the value of the key {key:?} in Consul is not text")))
}

/// The token to ask with; that of a file goes before the variable, as in Consul's own client.
fn token(env: &Environment) -> Result<Option<String>> {
    if let Some(token) = env.file("CONSUL_HTTP_TOKEN_FILE")? {
        let token = String::from_utf8_lossy(&token).trim().to_owned();
        if !token.is_empty() {
            return Ok(Some(token));
        }
    }
    Ok(env.get("CONSUL_HTTP_TOKEN"))
}
