//! What signs attestations: a key in a file, one that a cloud keeps, or whoever a token says.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use ingot_sdk::file_work::read_small;
use ingot_sdk::{Error, Result};
use ingot_sigstore::{Keyless, Trust};
use tokio_util::sync::CancellationToken;

use crate::envelope::{Envelope, signed_bytes};
use crate::keys::{Kind, PrivateKey, PublicKey};
use crate::signature::check_signature;

/// The largest key file that is read, in bytes.
const LARGEST_KEY: u64 = 1 << 20;

/// The schemes of addresses of keys that services keep.
pub const KMS_SCHEMES: [&str; 4] = ["awskms://", "gcpkms://", "azurekms://", "hashivault://"];

/// Whether `reference` is the address of a key that a service keeps.
pub fn is_kms(reference: &str) -> bool {
    KMS_SCHEMES.iter().any(|scheme| reference.starts_with(scheme))
}

/// Signs with keys that a service keeps.
#[async_trait]
pub trait KeyService: Send + Sync {
    /// The public key as a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// There is no such key, or nobody may read it.
    async fn public_key(&self, reference: &str) -> Result<Vec<u8>>;

    /// Signs the SHA-256 of a message: with PKCS #1 v1.5 where `rsa`, else with ECDSA, in DER.
    ///
    /// # Errors
    /// Nobody may sign with it.
    async fn sign(&self, reference: &str, message: &[u8], rsa: bool) -> Result<Vec<u8>>;
}

/// Something that signs.
pub enum Signer {
    /// A key of a file.
    Key(Box<PrivateKey>),
    /// A key of a service.
    Kms {
        /// The service.
        service: Arc<dyn KeyService>,
        /// Its address.
        reference: String,
        /// What verifies its signatures.
        public: Box<PublicKey>,
    },
    /// Sigstore, for whoever an OIDC token says.
    Keyless {
        /// What signs.
        keyless: Box<Keyless>,
        /// What the signature is checked with.
        trust: Box<Trust>,
    },
}

/// A signed payload.
pub struct Sealed {
    /// The payload and its signature.
    pub envelope: Envelope,
    /// Sigstore's bundle, in JSON, where it was signed keyless.
    pub bundle: Option<String>,
}

impl Signer {
    /// Reads the key in a file.
    ///
    /// # Errors
    /// It cannot be read, or is not a private key.
    pub fn from_file(path: &str) -> Result<Signer> {
        let reading = || format!("the signer {path}");
        let key = PrivateKey::from_pem(&read(path)?).map_err(|error| error.context(reading()))?;
        Ok(Signer::Key(Box::new(key)))
    }

    /// Finds a key that a service keeps.
    ///
    /// # Errors
    /// There is none, or no such service is known.
    pub async fn from_kms(
        reference: &str,
        service: Option<&Arc<dyn KeyService>>,
    ) -> Result<Signer> {
        let (service, public) = find_kms(reference, service).await?;
        let reference = reference.to_owned();
        Ok(Signer::Kms { service, reference, public: Box::new(public) })
    }

    /// Signs a payload, and checks the signature.
    ///
    /// # Errors
    /// The key does not sign, or the signature does not check.
    pub async fn seal(
        &self,
        payload_type: &str,
        payload: &[u8],
        cancel: &CancellationToken,
    ) -> Result<Sealed> {
        let message = signed_bytes(payload_type, payload);
        let (signature, public) = match self {
            Signer::Key(key) => (key.sign(&message)?, key.public()),
            Signer::Kms { service, reference, public } => {
                let rsa = public.kind() == Kind::Rsa;
                let signature = service.sign(reference, &message, rsa).await?;
                (signature, PublicKey::clone(public))
            }
            Signer::Keyless { keyless, trust } => {
                let signed = keyless.sign(payload_type, payload, trust, cancel).await?;
                let envelope =
                    Envelope::new(payload_type, payload, signed.key_id, &signed.signature)
                        .with_certificate(&signed.certificate);
                return Ok(Sealed { envelope, bundle: Some(signed.bundle) });
            }
        };
        let envelope = Envelope::new(payload_type, payload, public.id()?, &signature);
        check_signature(&envelope, payload, &public)
            .map_err(|error| error.context("verify signed attestation"))?;
        Ok(Sealed { envelope, bundle: None })
    }

    /// The key that verifies its signatures; none where each signature has its own.
    pub fn public(&self) -> Option<PublicKey> {
        match self {
            Signer::Key(key) => Some(key.public()),
            Signer::Kms { public, .. } => Some(PublicKey::clone(public)),
            Signer::Keyless { .. } => None,
        }
    }
}

/// What verifies the signatures of a key that a service keeps.
///
/// # Errors
/// There is none, or no such service is known.
pub async fn verifier_from_kms(
    reference: &str,
    service: Option<&Arc<dyn KeyService>>,
) -> Result<PublicKey> {
    find_kms(reference, service).await.map(|(_, public)| public)
}

async fn find_kms(
    reference: &str,
    service: Option<&Arc<dyn KeyService>>,
) -> Result<(Arc<dyn KeyService>, PublicKey)> {
    let service = match (reference.starts_with("awskms://"), service) {
        (true, Some(service)) => Arc::clone(service),
        (true, None) => {
            return Err(Error::new("this program was built without the feature `amazon`"));
        }
        (false, _) => return Err(unsupported_kms(reference)),
    };
    let finding = || format!("the signer {reference}");
    let der = service.public_key(reference).await;
    let der = der.map_err(|error| error.context(finding()))?;
    let public = PublicKey::from_der(&der).map_err(|error| error.context(finding()))?;
    // Others sign with longer hashes there, and would not verify elsewhere.
    if !matches!(public.kind(), Kind::Rsa | Kind::P256) {
        let kind = public.kind();
        return Err(Error::new(format!("the signer {reference} is a {kind:?} key"))
            .hint("use an RSA or an ECC_NIST_P256 key for SIGN_VERIFY"));
    }
    Ok((service, public))
}

/// The error for a service whose keys are not supported.
pub fn unsupported_kms(reference: &str) -> Error {
    let scheme = reference.split("://").next().unwrap_or(reference);
    Error::new(format!("keys of {scheme}:// are not supported"))
        .hint("use awskms:// for a key of AWS KMS, or a key in a PEM file")
}

/// Reads the public key in a file.
///
/// # Errors
/// It cannot be read, or is not a public key.
pub fn verifier_from_file(path: &str) -> Result<PublicKey> {
    let reading = || format!("the verifier {path}");
    PublicKey::from_pem(&read(path)?).map_err(|error| error.context(reading()))
}

fn read(path: &str) -> Result<Vec<u8>> {
    read_small(Path::new(path), "key", LARGEST_KEY)
}
