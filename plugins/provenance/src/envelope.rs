//! DSSE, the "Dead Simple Signing Envelope". See <https://github.com/secure-systems-lab/dsse>.

use base64::engine::general_purpose::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _, alphabet};
use ingot_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

/// The type of a payload that is an in-toto statement.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A payload, and signatures of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The payload in base64.
    pub payload: String,
    /// The signatures.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature of an envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// Which key it is of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyid: String,
    /// The signature in base64.
    pub sig: String,
    /// The certificate of a key that lives for minutes, in PEM.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cert: String,
}

impl Envelope {
    /// An envelope with one signature.
    pub fn new(payload_type: &str, payload: &[u8], keyid: String, signature: &[u8]) -> Envelope {
        let sig = STANDARD.encode(signature);
        Envelope {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![EnvelopeSignature { keyid, sig, cert: String::new() }],
        }
    }

    /// The same with the certificate, in PEM, of the key that signed.
    #[must_use]
    pub fn with_certificate(mut self, certificate: &str) -> Envelope {
        for signature in &mut self.signatures {
            certificate.clone_into(&mut signature.cert);
        }
        self
    }

    /// The payload.
    ///
    /// # Errors
    /// It is not base64.
    pub fn payload(&self) -> Result<Vec<u8>> {
        decode(&self.payload)
            .map_err(|error| Error::new(format!("the payload is not base64: {error}")))
    }

    /// Whether it was signed with a key of a certificate.
    pub fn is_keyless(&self) -> bool {
        self.signatures.iter().any(|signature| !signature.cert.trim().is_empty())
    }
}

impl EnvelopeSignature {
    /// The signature.
    ///
    /// # Errors
    /// It is not base64.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        decode(&self.sig).map_err(|error| Error::new(format!("a signature is not base64: {error}")))
    }
}

/// Reads base64 as Go's library for envelopes does: of the standard alphabet or that for URLs, padded,
/// and with line breaks in it.
fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    const LAX: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let standard = GeneralPurpose::new(&alphabet::STANDARD, LAX).decode(&text);
    standard.or_else(|error| {
        let for_urls = GeneralPurpose::new(&alphabet::URL_SAFE, LAX).decode(&text);
        for_urls.map_err(|_| error)
    })
}

/// What is signed of a payload: DSSE's "pre-authentication encoding".
pub fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn what_is_signed() {
        let bytes = signed_bytes("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
