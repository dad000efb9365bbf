//! Fulcio, the certificate authority: it gives the holder of an OIDC token a certificate of minutes for
//! a key. See <https://github.com/sigstore/fulcio>, API version 2.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::{Context, Error, Result, http};
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde::Deserialize;
use serde_json::json;
use sigstore_verify::types::{DerCertificate, DerPublicKey};
use tokio_util::sync::CancellationToken;
use x509_cert::der::{Decode as _, Encode as _};

use crate::addresses::below;
use crate::client::Client;
use crate::encoding::pem;
use crate::error::when;
use crate::token::IdToken;

/// The longest answer that is read, in bytes: a chain of certificates.
const LARGEST_ANSWER: usize = 1 << 20;

/// What comes before the point in the SubjectPublicKeyInfo of a key on P-256. RFC 5480.
const P256_PREFIX: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\
\x3d\x03\x01\x07\x03\x42\x00";

/// A key on P-256 that is made for one signature, and is nowhere but in memory.
pub(crate) struct EphemeralKey(EcdsaKeyPair);

impl EphemeralKey {
    pub(crate) fn generate() -> Result<EphemeralKey> {
        let failed = || Error::new("the system gives no random numbers for a key");
        let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| failed())?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        Ok(EphemeralKey(pair.map_err(|_| failed())?))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.0.sign(&SystemRandom::new(), message);
        let signature = signature.map_err(|_| Error::new("the key does not sign"))?;
        Ok(signature.as_ref().to_vec())
    }

    /// The public half as a SubjectPublicKeyInfo in DER.
    pub(crate) fn public(&self) -> DerPublicKey {
        DerPublicKey::new([P256_PREFIX, self.0.public_key().as_ref()].concat())
    }
}

/// Fulcio's answer: the certificate and those above it, in PEM. Which of both it has depends on whether
/// Fulcio writes to a certificate transparency log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateResponse {
    signed_certificate_embedded_sct: Option<Signed>,
    signed_certificate_detached_sct: Option<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

/// Gets a certificate for a key. Whether it is of a Fulcio that is trusted is not checked here.
pub(crate) async fn certificate(
    client: &Client,
    fulcio: &Url,
    token: &IdToken,
    key: &EphemeralKey,
    cancel: &CancellationToken,
) -> Result<DerCertificate> {
    let url = below(fulcio, "api/v2/signingCert");
    let asking = || format!("asking Fulcio for a certificate at {}", http::shown(url.as_str()));
    let body = json!({
        "publicKeyRequest": {
            "publicKey": { "algorithm": "ECDSA", "content": pem("PUBLIC KEY", key.public().as_bytes()) },
            "proofOfPossession": STANDARD.encode(key.sign(token.subject.as_bytes())?),
        },
    });
    let request =
        |http: &reqwest::Client| http.post(url.clone()).bearer_auth(&token.raw).json(&body);
    let response = client.send(cancel, LARGEST_ANSWER, request).await;
    let response =
        response.and_then(|response| response.success()).map_err(|e| e.context(asking()))?;
    let response: CertificateResponse = serde_json::from_slice(&response).with_context(asking)?;
    let both = [response.signed_certificate_embedded_sct, response.signed_certificate_detached_sct];
    let chain = both.into_iter().flatten().map(|signed| signed.chain.certificates);
    let first = chain.flatten().next();
    let first =
        first.ok_or_else(|| Error::new("the response has no certificate").context(asking()))?;
    let certificate = DerCertificate::from_pem(&first).map_err(when(asking()))?;
    let parsed = x509_cert::Certificate::from_der(certificate.as_bytes());
    let parsed = parsed.map_err(when(asking()))?;
    let of = parsed.tbs_certificate.subject_public_key_info.to_der();
    let of = of.map_err(when(asking()))?;
    match of == key.public().as_bytes() {
        true => Ok(certificate),
        false => Err(Error::new("the certificate is for another key").context(asking())),
    }
}

#[cfg(test)]
mod tests {
    use sigstore_verify::crypto::{SigningScheme, verify_signature};
    use sigstore_verify::types::SignatureBytes;

    use super::*;

    #[test]
    fn an_ephemeral_key_verifies_what_it_signs() {
        crate::crypto::install();
        let key = EphemeralKey::generate().unwrap();
        let signature = SignatureBytes::new(key.sign(b"message").unwrap());
        let scheme = SigningScheme::EcdsaP256Sha256;
        verify_signature(&key.public(), b"message", &signature, scheme).unwrap();
        assert!(verify_signature(&key.public(), b"other", &signature, scheme).is_err());
        assert_ne!(EphemeralKey::generate().unwrap().public(), key.public());
    }
}
