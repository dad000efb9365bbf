//! Signed certificate timestamps, with which a certificate transparency log promises to list a
//! certificate. RFC 6962.
//!
//! Sigstore's crate checks them as well, but only for signatures whose time is known.

use ingot_sdk::{Error, Result};
use sigstore_trust_root::TrustedRoot;
use sigstore_verify::crypto::{SigningScheme, sha256};
use sigstore_verify::types::{DerCertificate, Sha256Hash, SignatureBytes};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SignedCertificateTimestampList;

use crate::error::when;
use x509_cert::ext::pkix::sct::{HashAlgorithm, SignatureAlgorithm, SignedCertificateTimestamp};

/// The extension that holds the timestamps of a certificate. RFC 6962, section 3.3.
const TIMESTAMPS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// Checks that one of the certificate's timestamps is of a log that is trusted. `issuer` is the
/// SubjectPublicKeyInfo, in DER, of the authority that has signed it.
pub(crate) fn check(certificate: &DerCertificate, issuer: &[u8], root: &TrustedRoot) -> Result<()> {
    let reading = "reading the certificate's timestamps";
    let mut certificate = Certificate::from_der(certificate.as_bytes()).map_err(when(reading))?;
    let list = certificate.tbs_certificate.get::<SignedCertificateTimestampList>();
    let Some((_, list)) = list.map_err(when(reading))? else {
        return Err(Error::new(
            "the certificate has no timestamp of a certificate transparency log",
        ));
    };
    let unreadable = |_| Error::new(format!("{reading}: they are malformed"));
    let stamps = list.parse_timestamps().map_err(unreadable)?;
    // What the log signs is the certificate before it had its timestamps.
    if let Some(extensions) = &mut certificate.tbs_certificate.extensions {
        extensions.retain(|extension| extension.extn_id != TIMESTAMPS);
    }
    let unstamped = certificate.tbs_certificate.to_der().map_err(when(reading))?;
    let issuer = *sha256(issuer).as_bytes();
    for stamp in stamps {
        let stamp = stamp.parse_timestamp().map_err(unreadable)?;
        if is_of_trusted_log(&stamp, &unstamped, issuer, root)? {
            return Ok(());
        }
    }
    Err(Error::new(
        "no timestamp of the certificate is from a trusted certificate transparency log",
    ))
}

fn is_of_trusted_log(
    stamp: &SignedCertificateTimestamp,
    unstamped: &[u8],
    issuer: [u8; 32],
    root: &TrustedRoot,
) -> Result<bool> {
    let algorithm = &stamp.signature.algorithm;
    let scheme = match (&algorithm.signature, &algorithm.hash) {
        (SignatureAlgorithm::Ecdsa, HashAlgorithm::Sha256) => SigningScheme::EcdsaP256Sha256,
        (SignatureAlgorithm::Ecdsa, HashAlgorithm::Sha384) => SigningScheme::EcdsaP384Sha384,
        (SignatureAlgorithm::Rsa, HashAlgorithm::Sha256) => SigningScheme::RsaPkcs1Sha256,
        (SignatureAlgorithm::Rsa, HashAlgorithm::Sha384) => SigningScheme::RsaPkcs1Sha384,
        (SignatureAlgorithm::Rsa, HashAlgorithm::Sha512) => SigningScheme::RsaPkcs1Sha512,
        _ => return Ok(false),
    };
    let time = i64::try_from(stamp.timestamp).ok();
    let Some(time) = time.and_then(|time| jiff::Timestamp::from_millisecond(time).ok()) else {
        return Ok(false);
    };
    let keys = root.ctfe_keys(scheme).map_err(|error| Error::new(error.to_string()))?;
    let log = Sha256Hash::new(stamp.log_id.key_id);
    let Some(key) = keys.key_at(&log, time) else { return Ok(false) };
    let Some(signed) = signed_bytes(stamp, unstamped, issuer) else { return Ok(false) };
    let signature = SignatureBytes::new(stamp.signature.signature.as_slice().to_vec());
    Ok(key.verify(&signed, &signature).is_ok())
}

/// What a log signs of a certificate: RFC 6962, section 3.2, for a "precert_entry".
fn signed_bytes(
    stamp: &SignedCertificateTimestamp,
    unstamped: &[u8],
    issuer: [u8; 32],
) -> Option<Vec<u8>> {
    // Version 1, "certificate_timestamp".
    let mut bytes = vec![0, 0];
    bytes.extend(stamp.timestamp.to_be_bytes());
    bytes.extend(1_u16.to_be_bytes());
    bytes.extend(issuer);
    // Three bytes of length.
    bytes.extend(u32::try_from(unstamped.len()).ok()?.to_be_bytes().get(1..)?);
    bytes.extend(unstamped);
    let extensions = stamp.extensions.as_slice();
    bytes.extend(u16::try_from(extensions.len()).ok()?.to_be_bytes());
    bytes.extend(extensions);
    Some(bytes)
}
