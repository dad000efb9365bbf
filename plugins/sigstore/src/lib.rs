//! Keyless signatures of Sigstore. There is no key to keep: whoever has an OIDC token gets a
//! certificate of minutes from Fulcio for a key that is made for one signature, and Rekor keeps the
//! signature in a log, which shows that it was made while the certificate was valid.
//!
//! Knows nothing of artifacts, of SBOMs or of builds: it signs bytes.
//!
//! | module | what it is |
//! | --- | --- |
//! | `token` | OIDC tokens: who signs |
//! | `fulcio` | keys of one signature, and certificates for them |
//! | `rekor` | entries of the log |
//! | `trust` | the certificates and keys that all that is checked with |
//! | [`verify`] | checking signatures |
//! | `sct` | checking that a certificate transparency log has a certificate |
//! | `crypto` | the cryptography that Sigstore's crates call |
//! | `client` | the requests to Sigstore's services |
//!
//! The checks of bundles are those of Sigstore's own crates.

mod client;
mod crypto;
mod fulcio;
mod rekor;
mod sct;
mod token;
mod trust;
pub mod verify;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::{Error, Result, Secrets, hash};
use reqwest::Url;
use sigstore_verify::bundle::BundleV03;
use sigstore_verify::types::{DsseEnvelope, DsseSignature, KeyId, PayloadBytes, SignatureBytes};
use tokio_util::sync::CancellationToken;

use client::Client;
use fulcio::EphemeralKey;
use token::TokenSource;
pub use verify::{Bundle, Evidence, Identity, Trust};

/// The certificate authority of the public Sigstore.
pub const PUBLIC_FULCIO: &str = "https://fulcio.sigstore.dev";

/// The log of the public Sigstore.
pub const PUBLIC_REKOR: &str = "https://rekor.sigstore.dev";

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
/// It is none, or would send the token in clear text.
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

/// How far the clock of this machine may be behind those of Sigstore's services.
const MOST_BEHIND: Duration = Duration::from_secs(60);

/// Waits until a time that a service has seen is not in the future here, too, if it soon is not.
async fn wait_for_clock(time: jiff::Timestamp, cancel: &CancellationToken) -> Result<()> {
    let left = Duration::try_from(time.duration_since(jiff::Timestamp::now()));
    let Ok(left) = left.map(|left| left + Duration::from_secs(1)) else { return Ok(()) };
    if left > MOST_BEHIND {
        // What is checked next says so.
        return Ok(());
    }
    tracing::debug!(?left, "the clock of this machine is behind that of Sigstore");
    tokio::select! {
        () = cancel.cancelled() => Err(Error::Cancelled),
        () = tokio::time::sleep(left) => Ok(()),
    }
}

/// Converts a library's error, with what was being done before it.
fn when<E: std::error::Error + Send + Sync + 'static>(
    doing: impl std::fmt::Display,
) -> impl FnOnce(E) -> Error {
    move |error| Error::caused_by(error).context(doing)
}

/// The address of what is below a service's address, whether or not that ends in a slash.
fn below(service: &Url, path: &str) -> Url {
    let mut url = service.clone();
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/{path}"));
    url
}

/// Text in PEM, with the line ends that Go writes.
fn pem(tag: &str, der: &[u8]) -> String {
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, der), lines)
}

/// What signs: the services, and the token that says who does.
pub struct Keyless {
    client: Client,
    token: TokenSource,
    fulcio: Url,
    rekor: Option<Url>,
    secrets: Secrets,
}

/// A signature of a payload, and what checks it.
pub struct Signed {
    /// The signature.
    pub signature: Vec<u8>,
    /// What Packer calls the key: the SHA-256 of the public key, in base64, in hexadecimal digits.
    pub key_id: String,
    /// The certificate in PEM.
    pub certificate: String,
    /// The bundle in JSON.
    pub bundle: String,
}

impl Keyless {
    /// Finds a token in the environment. Without a `rekor` signatures are not put into a log, and can
    /// be checked for as long as the certificate is valid only. What is found is added to `secrets`.
    ///
    /// # Errors
    /// There is no token.
    pub fn new(
        fulcio: Url,
        rekor: Option<Url>,
        lookup: impl Fn(&str) -> Option<String>,
        secrets: &Secrets,
    ) -> Result<Keyless> {
        crypto::install();
        let token = TokenSource::find(lookup, secrets)?;
        Ok(Keyless { client: Client::new()?, token, fulcio, rekor, secrets: secrets.clone() })
    }

    /// Signs a payload with a new key, and checks the signature as anybody else would who trusts
    /// `trust`.
    ///
    /// # Errors
    /// There is no token, a service does not answer or refuses, or the signature does not check.
    pub async fn sign(
        &self,
        payload_type: &str,
        payload: &[u8],
        trust: &Trust,
        cancel: &CancellationToken,
    ) -> Result<Signed> {
        let token = self.token.token(&self.client, &self.secrets, cancel).await?;
        let key = EphemeralKey::generate()?;
        let certificate =
            fulcio::certificate(&self.client, &self.fulcio, &token, &key, cancel).await?;
        let message = sigstore_verify::types::pae(payload_type, payload);
        let signature = key.sign(&message)?;
        let envelope = DsseEnvelope::new(
            payload_type,
            PayloadBytes::from_bytes(payload),
            DsseSignature::new(SignatureBytes::from_bytes(&signature), KeyId::default()),
        );
        let mut bundle =
            BundleV03::with_certificate_and_dsse(certificate.clone(), envelope.clone());
        // What is in the log stays there: a certificate that nobody would take does not come so far.
        let text = pem("CERTIFICATE", certificate.as_bytes());
        wait_for_clock(verify::begins(&certificate)?, cancel).await?;
        trust.check_certificate(&text)?;
        if let Some(rekor) = &self.rekor {
            let entry = rekor::log(&self.client, rekor, &envelope, &certificate, cancel).await?;
            if let Some(logged) = entry.integrated_time {
                wait_for_clock(logged, cancel).await?;
            }
            bundle = bundle.with_tlog_entry(entry);
        }
        let bundle = bundle.into_bundle();
        let certificate = text;
        let text = bundle.to_json_pretty().map_err(when("writing the bundle"))?;
        if self.rekor.is_some() {
            trust.check_bundle(&Bundle::of(bundle), Evidence { log: true })?;
        }
        let hint = sigstore_verify::crypto::sha256(key.public().as_bytes());
        let key_id = hash::hex(STANDARD.encode(hint.as_bytes()).as_bytes());
        Ok(Signed { signature, key_id, certificate, bundle: text })
    }
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
