//! Signing with keys that nobody keeps.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::{Error, Result, Secrets, hash};
use reqwest::Url;
use sigstore_verify::bundle::BundleV03;
use sigstore_verify::types::{DsseEnvelope, DsseSignature, KeyId, PayloadBytes, SignatureBytes};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::encoding::pem;
use crate::error::when;
use crate::fulcio::{self, EphemeralKey};
use crate::token::TokenSource;
use crate::verify::{self, Bundle, Evidence, Trust};
use crate::{crypto, rekor};

/// The certificate authority of the public Sigstore.
pub const PUBLIC_FULCIO: &str = "https://fulcio.sigstore.dev";

/// The log of the public Sigstore.
pub const PUBLIC_REKOR: &str = "https://rekor.sigstore.dev";

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
