//! The secrets engines of Vault, and of OpenBao, which speaks the same.

use std::time::Duration;

use ingot_base::files::read_small_text;
use ingot_base::retry::Retry;
use ingot_base::{Error, Result};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::Environment;
use crate::client::{self, Names, Settings};

/// Where Vault listens by default.
const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";
/// How long a request may take where `VAULT_CLIENT_TIMEOUT` does not say.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is sent again where `VAULT_MAX_RETRIES` does not say.
const RETRIES: u32 = 2;
/// The largest token, in bytes.
const LARGEST_TOKEN: u64 = 64 << 10;

const NAMES: Names = Names {
    ca_file: "VAULT_CACERT",
    ca_text: Some("VAULT_CACERT_BYTES"),
    ca_directory: "VAULT_CAPATH",
    certificate: "VAULT_CLIENT_CERT",
    key: "VAULT_CLIENT_KEY",
    server_name: "VAULT_TLS_SERVER_NAME",
};

/// A response of the API.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Response {
    data: Option<Map<String, Value>>,
    warnings: Option<Vec<String>>,
    errors: Vec<String>,
}

/// The value of `key` in the secret at `path`, of either version of the key/value engine or of
/// another engine. A path of version 2 has `/data/` in it: `secret/data/app`.
///
/// `VAULT_ADDR`, `VAULT_AGENT_ADDR`, `VAULT_TOKEN` or `~/.vault-token`, `VAULT_NAMESPACE`,
/// `VAULT_CACERT`, `VAULT_CACERT_BYTES`, `VAULT_CAPATH`, `VAULT_CLIENT_CERT`, `VAULT_CLIENT_KEY`,
/// `VAULT_SKIP_VERIFY`, `VAULT_CLIENT_TIMEOUT`, `VAULT_MAX_RETRIES`, `VAULT_PROXY_ADDR` and
/// `VAULT_HTTP_PROXY` say where and how.
///
/// # Errors
/// Vault cannot be asked, does not allow it, or has no such secret or no such key in it. No error
/// quotes a secret.
pub async fn vault(path: &str, key: &str, env: &Environment) -> Result<String> {
    let token = token(env)?;
    let given = env.first(&["VAULT_AGENT_ADDR", "VAULT_ADDR"]);
    let given = given.as_deref().unwrap_or(DEFAULT_ADDRESS);
    let (address, socket) = client::address("VAULT_ADDR", given, "https")?;
    let settings = Settings {
        timeout: number(env, "VAULT_CLIENT_TIMEOUT")?.map_or(TIMEOUT, Duration::from_secs),
        insecure: env.flag("VAULT_SKIP_VERIFY")?.unwrap_or(false),
        proxy: env.first(&["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"]),
        socket,
    };
    let client = client::client(env, &NAMES, settings)?;
    let tries = number(env, "VAULT_MAX_RETRIES")?
        .map_or(RETRIES, |retries| u32::try_from(retries).unwrap_or(RETRIES));
    let retry = Retry {
        initial: Duration::from_millis(500),
        max: Duration::from_secs(2),
        tries: Some(tries.saturating_add(1)),
        timeout: None,
    };
    // Whoever waits for the value drops this when the run is cancelled.
    let never = CancellationToken::new();
    let namespace = env.get("VAULT_NAMESPACE");
    let request = SecretRequest { client, address: &address, path, token, namespace };
    let found = retry.run(&never, Error::is_transient, |_| request.read()).await;
    let response = found.map_err(|error| match env.first(&["VAULT_AGENT_ADDR", "VAULT_ADDR"]) {
        None if error.is_transient() => error.hint("VAULT_ADDR says where Vault is; it is not set"),
        _ => error,
    })?;
    value_of(response, path, key)
}

/// The request for a secret.
struct SecretRequest<'a> {
    client: Client,
    address: &'a str,
    path: &'a str,
    token: String,
    namespace: Option<String>,
}

impl SecretRequest<'_> {
    async fn read(&self) -> Result<Response> {
        let SecretRequest { client, address, path, token, namespace } = self;
        let url = format!("{address}/v1/{}", client::path(path.trim_start_matches('/')));
        let mut request = client.get(url).header("X-Vault-Token", token.as_str());
        // Vault's agent may be configured to refuse requests without it.
        request = request.header("X-Vault-Request", "true");
        if let Some(namespace) = namespace {
            request = request.header("X-Vault-Namespace", namespace.as_str());
        }
        let (status, body) = client::send(request, "Vault", address).await?;
        let response: Response = match serde_json::from_slice(&body) {
            Ok(response) => response,
            Err(_) if status.is_success() => {
                return Err(Error::new(
                    "invalid response from Vault: it is not the JSON of a secret",
                ));
            }
            Err(_) => Response::default(),
        };
        if status.is_success() || (status.as_u16() == 404 && response.errors.is_empty()) {
            return Ok(response);
        }
        let said: String = response.errors.join("; ").chars().take(400).collect();
        let error = Error::new(match said.is_empty() {
            true => format!("reading {path:?} from Vault: it returned {status}"),
            false => format!("reading {path:?} from Vault: it returned {status}: {said}"),
        });
        Err(match status.as_u16() {
            403 => error.hint(
                "the token may be expired, or its policy or VAULT_NAMESPACE may not reach this path",
            ),
            // 501 means that Vault is not initialized.
            501 => error,
            code if code >= 500 || code == 429 => error.transient(),
            _ => error,
        })
    }
}

/// The token to ask with: `VAULT_TOKEN`, else what `vault login` left.
fn token(env: &Environment) -> Result<String> {
    let left = || {
        let path = env.home()?.join(".vault-token");
        let text = read_small_text(&path, "token", LARGEST_TOKEN).ok()?;
        Some(text.trim().to_owned())
    };
    let token = env.get("VAULT_TOKEN").or_else(left).filter(|token| !token.is_empty());
    token.ok_or_else(|| {
        Error::new("no token for Vault is set")
            .hint("set VAULT_TOKEN, or log in with `vault login`")
    })
}

/// A variable that holds a whole number; a duration in seconds may end in `s`.
fn number(env: &Environment, name: &str) -> Result<Option<u64>> {
    let Some(text) = env.get(name) else { return Ok(None) };
    let number = text.strip_suffix('s').unwrap_or(&text).parse();
    number.map(Some).map_err(|_| Error::new(format!("{name} is {text:?}, not a whole number")))
}

/// The value of `key` in what was answered.
fn value_of(response: Response, path: &str, key: &str) -> Result<String> {
    let warnings = response.warnings.unwrap_or_default().join("; ");
    let none = |what: String| {
        let error = Error::new(match warnings.is_empty() {
            true => what,
            false => format!("{what}; Vault says: {warnings}"),
        });
        match path.contains("/data/") {
            true => error,
            false => error.hint(
                "in version 2 of the key/value engine, `data` stands after the mount, as in \
                 secret/data/app",
            ),
        }
    };
    let Some(data) = response.data.filter(|data| !data.is_empty()) else {
        return Err(none(format!("Vault has no secret at {path:?}")));
    };
    // Version 2 wraps the secret, and gives null for one that was deleted.
    let values = match data.get("data") {
        Some(Value::Object(values)) => values,
        Some(Value::Null) if data.contains_key("metadata") => {
            return Err(Error::new(format!("the secret at {path:?} in Vault was deleted")));
        }
        _ => &data,
    };
    match values.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Bool(flag)) => Ok(flag.to_string()),
        Some(_) => Err(Error::new(format!(
            "{key:?} of the secret at {path:?} in Vault is neither text, number nor bool"
        ))),
        None => Err(none(format!("the secret at {path:?} in Vault has no key {key:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(body: Value, key: &str) -> Result<String> {
        value_of(serde_json::from_value(body).unwrap(), "secret/app", key)
    }

    #[test]
    fn both_versions_of_the_engine() {
        assert_eq!(value(json!({"data": {"data": {"a": "x"}, "metadata": {}}}), "a").unwrap(), "x");
        assert_eq!(value(json!({"data": {"a": "x"}}), "a").unwrap(), "x");
        // A secret of version 1 may have a key of that name.
        assert_eq!(value(json!({"data": {"data": "x"}}), "data").unwrap(), "x");
        assert_eq!(value(json!({"data": {"n": 7, "b": true}}), "n").unwrap(), "7");
        let deleted = json!({"data": {"data": null, "metadata": {}}});
        assert!(value(deleted, "a").unwrap_err().to_string().contains("was deleted"));
        let error = value(json!({"data": null, "warnings": ["Invalid path"]}), "a").unwrap_err();
        assert!(error.to_string().contains("Invalid path") && error.advice().is_some());
        let error = value(json!({"data": {"a": {"b": "hunter2"}}}), "a").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
