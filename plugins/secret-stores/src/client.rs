//! The HTTP client of both stores, with the TLS that the environment asks for.

use std::time::Duration;

use ingot_base::tls::{self, Tls, Trust};
use ingot_base::{Context, Error, Result, http};
use reqwest::{Client, Identity, Proxy, StatusCode, redirect};

use crate::Environment;

/// The largest response that is read. Consul holds values of up to half a mebibyte, Vault of one.
const LARGEST: usize = 8 << 20;
/// How many redirects are followed: a standby of a cluster names its leader.
const REDIRECTS: usize = 3;

/// What the variables of a store are called.
pub(crate) struct Names {
    /// The file of the certificates to trust.
    pub ca_file: &'static str,
    /// Such certificates themselves, where the store has a variable of them. The file counts before them.
    pub ca_text: Option<&'static str>,
    /// The directory of such files, which counts last.
    pub ca_directory: &'static str,
    /// The file of the certificate to show.
    pub certificate: &'static str,
    /// The file of its key.
    pub key: &'static str,
    /// The name to expect in the server's certificate, which cannot be set here.
    pub server_name: &'static str,
}

/// What else a client needs to know.
pub(crate) struct Settings {
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// The proxy, where the store has a variable of its own for that.
    pub proxy: Option<String>,
    /// The socket to speak over, instead of the network.
    pub socket: Option<String>,
}

/// Makes a client.
///
/// # Errors
/// A file cannot be read, or holds something else than it should.
pub(crate) fn client(env: &Environment, names: &Names, settings: Settings) -> Result<Client> {
    if env.get(names.server_name).is_some() {
        return Err(Error::new(format!("{} is not supported", names.server_name)).hint(
            "use the name in the server's certificate in the address, and unset the variable",
        ));
    }
    let identity = match (env.file(names.certificate)?, env.file(names.key)?) {
        (Some(certificate), Some(key)) => {
            let both = [certificate, b"\n".to_vec(), key].concat();
            let reading = || format!("reading {} and {}", names.certificate, names.key);
            Identity::from_pem(&both).with_context(reading)?;
            Some(both)
        }
        (None, None) => None,
        _ => {
            let (certificate, key) = (names.certificate, names.key);
            return Err(Error::new(format!("only one of {certificate} and {key} is set"))
                .hint("set both, or none of them"));
        }
    };
    let proxy = settings.proxy.map(|proxy| Proxy::all(&proxy).context("reading the proxy's URL"));
    let proxy = proxy.transpose()?;
    let trust = trust(env, names)?;
    http::client_with_tls(Tls { trust, identity, insecure: settings.insecure }, |mut builder| {
        builder = builder.timeout(settings.timeout).redirect(redirects());
        if let Some(proxy) = proxy {
            // In place of those of the environment, for servers on this machine, too.
            builder = builder.no_proxy().proxy(proxy);
        }
        #[cfg(unix)]
        if let Some(socket) = settings.socket {
            builder = builder.unix_socket(socket);
        }
        builder
    })
}

/// The certificates to trust: those of the first variable that is set, else the system's.
///
/// # Errors
/// A file cannot be read, or there is no certificate where there should be some.
fn trust(env: &Environment, names: &Names) -> Result<Trust> {
    let text = names.ca_text.and_then(|name| Some((name, env.get(name)?)));
    let (variable, files) = if let Some(pem) = env.file(names.ca_file)? {
        (names.ca_file, vec![pem])
    } else if let Some((name, pem)) = text {
        (name, vec![pem.into_bytes()])
    } else if env.get(names.ca_directory).is_some() {
        (names.ca_directory, env.directory(names.ca_directory)?)
    } else {
        return Ok(Trust::default());
    };
    let mut trusted = Vec::new();
    for pem in files {
        let reading = || format!("reading the certificates of {variable}");
        trusted.extend(tls::certificates(&pem).with_context(reading)?);
    }
    if trusted.is_empty() {
        // The token must not go to a server that only the system trusts.
        return Err(Error::new(format!("{variable} has no certificate in PEM"))
            .hint("`openssl x509 -inform der -in FILE` prints that of a file in DER as PEM"));
    }
    Ok(Trust::Only(trusted))
}

/// Follows a redirect unless it gives up TLS, since the token goes along.
fn redirects() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let from_tls = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > REDIRECTS {
            return attempt.error("too many redirects");
        }
        if from_tls && attempt.url().scheme() != "https" {
            return attempt.error("redirected from https to http");
        }
        attempt.follow()
    })
}

/// Sends a request, and reads what is answered.
///
/// # Errors
/// Nobody answers in time, or with too much. Such an error is transient where another try may help.
pub(crate) async fn send(
    request: reqwest::RequestBuilder,
    store: &str,
    address: &str,
) -> Result<(StatusCode, Vec<u8>)> {
    let asking = || format!("asking {store} at {}", http::shown(address));
    let failed = |error| http::request_error(error).context(asking());
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let body = http::body(response, LARGEST).await.map_err(|error| error.context(asking()))?;
    Ok((status, body))
}

/// The key of a value as part of a URL's path; `/` separates its parts.
pub(crate) fn path(key: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(key, KEPT).to_string()
}

/// Where a store is: a URL without slash at its end, and the socket if it is one.
///
/// # Errors
/// `address` is not the address of a store.
pub(crate) fn address(
    variable: &str,
    address: &str,
    scheme: &str,
) -> Result<(String, Option<String>)> {
    if let Some(socket) = address.strip_prefix("unix://") {
        return Ok(("http://localhost".to_owned(), Some(socket.to_owned())));
    }
    let url = match address.contains("://") {
        true => address.to_owned(),
        false => format!("{scheme}://{address}"),
    };
    let parsed = reqwest::Url::parse(&url);
    let usable = parsed.is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| !h.is_empty())
    });
    if !usable {
        return Err(Error::new(format!("{variable} is not the URL of a server"))
            .hint(format!("it looks like {scheme}://HOST:PORT")));
    }
    Ok((url.trim_end_matches('/').to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_paths() {
        assert_eq!(path("a/b c?d#e%/ü"), "a/b%20c%3Fd%23e%25/%C3%BC");
    }

    #[test]
    fn addresses() {
        let url = |text: &str| address("X", text, "http").unwrap();
        assert_eq!(url("127.0.0.1:8500").0, "http://127.0.0.1:8500");
        assert_eq!(url("https://c.example/prefix/").0, "https://c.example/prefix");
        assert_eq!(url("unix:///run/c.sock").1.as_deref(), Some("/run/c.sock"));
        for bad in ["", "ftp://x", "http://", "a b"] {
            assert!(address("X", bad, "http").is_err(), "{bad}");
        }
    }
}
