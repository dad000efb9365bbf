//! The HTTP client that everything which speaks HTTP uses: one TLS stack with the system's
//! certificates, the proxies of the environment (`HTTPS_PROXY`, `NO_PROXY`), one name.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response, Url};

use crate::error::causes;
use crate::{Context, Error, Result};

/// A client. Connecting may take half a minute; how long an answer may take is up to the caller.
///
/// # Errors
/// The system's certificates cannot be read.
pub fn client() -> Result<Client> {
    client_with(|builder| builder)
}

/// A client that differs from the common one, as where a server's certificate is not checked.
///
/// # Errors
/// As for [`client`].
pub fn client_with(adjust: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    // Docker's client brings ring; a second implementation of TLS would only cost build time.
    // It fails where a provider is installed already, which will do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("ingot/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(30));
    adjust(builder).build().context("starting the HTTP client")
}

/// The body of a response, of at most `limit` bytes.
///
/// # Errors
/// It is longer, which no other try finds better, or the connection breaks (transient).
pub async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>> {
    let too_long = || Error::new(format!("the response is longer than {limit} bytes"));
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    let broken = |error: reqwest::Error| Error::caused_by(error.without_url()).transient();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether `error` means that a server's certificate is not accepted: no later try finds it better.
pub fn is_bad_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<rustls::Error>())
        .any(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

/// A URL for people: without user, password, query and fragment, which may hold secrets.
pub fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or(""), url.path())
        }
        Err(_) => "the URL".into(),
    }
}

/// What of a URL must not be shown: its password, as it is written and as it is meant.
pub fn password(url: &str) -> Vec<String> {
    let Some(parsed) = Url::parse(url).ok() else { return Vec::new() };
    let Some(written) = parsed.password() else { return Vec::new() };
    let meant = percent_encoding::percent_decode_str(written).decode_utf8_lossy().into_owned();
    vec![written.to_owned(), meant]
}

#[cfg(test)]
mod tests {
    #[test]
    fn bad_certificates_are_told_from_other_failures() {
        let why = rustls::CertificateError::UnknownIssuer;
        let bad = std::io::Error::other(rustls::Error::InvalidCertificate(why));
        assert!(super::is_bad_certificate(&std::io::Error::other(bad)));
        let other = std::io::Error::other(rustls::Error::DecryptError);
        assert!(!super::is_bad_certificate(&other));
    }

    #[test]
    fn passwords_are_found() {
        assert_eq!(super::password("http://me:p%40w@h/"), ["p%40w", "p@w"]);
        assert!(super::password("http://me@h/").is_empty() && super::password("x").is_empty());
    }

    #[test]
    fn shown_urls_hold_no_secret() {
        assert_eq!(super::shown("https://me:pw@h:8/a/b?token=x#y"), "https://h:8/a/b");
    }
}
