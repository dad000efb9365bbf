//! The addresses of services.

use ingot_sdk::{Error, Result};
use reqwest::Url;

/// Reads the address of a service: one of HTTP, and without a user and password, which would be
/// somebody's.
///
/// # Errors
/// It is not such an address.
pub fn address(text: &str) -> Result<Url> {
    let url =
        Url::parse(text.trim()).map_err(|error| Error::new(format!("it is not a URL: {error}")))?;
    match url.scheme() {
        "https" | "http" if url.password().is_some() || !url.username().is_empty() => {
            Err(Error::new("it holds a user or a password"))
        }
        "https" | "http" if url.has_host() => Ok(url),
        _ => Err(Error::new("it is not a URL of https or http")),
    }
}

/// Reads the address of what is sent an OIDC token: without TLS only on this machine.
///
/// # Errors
/// It is not such an address, or would send the token in clear text.
pub fn secret_address(text: &str) -> Result<Url> {
    let url = address(text)?;
    let here = url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    match url.scheme() == "https" || here {
        true => Ok(url),
        false => Err(Error::new("it is without TLS, and the OIDC token is sent there")),
    }
}

/// The address of what is below a service's address, whether or not that ends in a slash.
pub(crate) fn below(service: &Url, path: &str) -> Url {
    let mut url = service.clone();
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/{path}"));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_services() {
        let fulcio = address(" https://fulcio.example.org/x/ ").unwrap();
        assert_eq!(below(&fulcio, "api/v2").as_str(), "https://fulcio.example.org/x/api/v2");
        assert_eq!(below(&address("http://h:1").unwrap(), "a").as_str(), "http://h:1/a");
        for bad in ["", "fulcio", "ftp://h", "file:///x", "https://me:pw@h", "https://me@h"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        for good in ["https://h", "http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"] {
            assert!(secret_address(good).is_ok(), "{good}");
        }
        assert!(secret_address("http://fulcio.example").is_err());
    }
}
