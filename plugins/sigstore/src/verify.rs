//! Checking keyless signatures.

use std::time::Duration;

use ingot_sdk::{Context as _, Error, Result};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sigstore_trust_root::TrustedRoot;
use sigstore_verify::crypto::{WEBPKI_VERIFICATION_ALGS, parse_certificate_info};
use sigstore_verify::types::{
    Artifact, ArtifactDigest, Bundle as SigstoreBundle, DerCertificate, DerPublicKey, DsseEnvelope,
    HashAlgorithm, SignatureContent, Statement,
};
use sigstore_verify::{
    CertificateError, IdentityMatcher, TimestampError, TransparencyLogError, VerificationPolicy,
    Verifier,
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::der::{Any, Encode as _, Tag};

use crate::error::when;
use crate::{crypto, sct, trust};

/// The extended usage of keys for "code signing": 1.3.6.1.5.5.7.3.3.
const CODE_SIGNING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x03";

/// What may be wrong where nothing that is trusted has signed.
const OTHER_ROOT: &str = "was it signed with other services than those of the trusted root? \
     trusted_root_path or -trusted-root-path names its file; without it it is the public Sigstore's, \
     as of when this program was built";

/// Who has to have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The address or URI in the certificate: whose OIDC token it was.
    pub subject: String,
    /// The address of the token's issuer.
    pub issuer: String,
}

/// What signatures are checked with: Sigstore's trusted root, and who has to have signed.
pub struct Trust {
    root: TrustedRoot,
    identity: Identity,
}

/// A signature with what shows when it was made: Sigstore's "bundle".
pub struct Bundle(SigstoreBundle);

/// What of a bundle's evidence has to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// An entry of Rekor.
    pub log: bool,
}

impl Bundle {
    /// Reads a bundle in JSON.
    ///
    /// # Errors
    /// It is none, or not of an envelope.
    pub fn parse(text: &[u8]) -> Result<Bundle> {
        let broken = |error: String| {
            Error::new(error).hint("it is to be Sigstore's bundle of the attestation")
        };
        let text = std::str::from_utf8(text).map_err(|error| broken(error.to_string()))?;
        let bundle = SigstoreBundle::from_json(text).map_err(|error| broken(error.to_string()))?;
        match &bundle.content {
            SignatureContent::DsseEnvelope(_) => Ok(Bundle(bundle)),
            _ => Err(broken("it holds no DSSE envelope".to_owned())),
        }
    }

    pub(crate) fn of(bundle: SigstoreBundle) -> Bundle {
        Bundle(bundle)
    }

    fn envelope(&self) -> Result<&DsseEnvelope> {
        match &self.0.content {
            SignatureContent::DsseEnvelope(envelope) => Ok(envelope),
            _ => Err(Error::new("the bundle holds no DSSE envelope")),
        }
    }

    /// Whether it is the bundle of a signature: of the same payload, signature and certificate (in PEM).
    pub fn is_of(&self, payload: &[u8], signature: &[u8], certificate: &str) -> bool {
        let Ok(envelope) = self.envelope() else { return false };
        let certificate = DerCertificate::from_pem(certificate).ok();
        envelope.payload.as_bytes() == payload
            && envelope.signature.sig.as_bytes() == signature
            && self.0.signing_certificate() == certificate.as_ref()
    }

    /// Whether it shows when the signature was made.
    pub fn is_dated(&self) -> bool {
        let material = &self.0.verification_material;
        let stamps = &material.timestamp_verification_data.rfc3161_timestamps;
        self.is_logged() || !stamps.is_empty()
    }

    /// Whether it has an entry of Rekor.
    pub fn is_logged(&self) -> bool {
        !self.0.verification_material.tlog_entries.is_empty()
    }
}

impl Trust {
    /// Reads the trusted root in a file, in the form of Sigstore's `trusted_root.json`. Without one
    /// it is that of the public Sigstore, as of when this program was built.
    ///
    /// # Errors
    /// It cannot be read, or is not a trusted root.
    pub fn load(path: Option<&str>, identity: Identity) -> Result<Trust> {
        let root = trust::trusted_root(path)?;
        Ok(Trust { root, identity })
    }

    fn wants_timestamps(&self) -> bool {
        !self.root.ctlogs.is_empty()
    }

    /// Checks a bundle:
    ///
    /// - the certificate's chain, usage, identity and, where the trusted root names a certificate
    ///   transparency log, its timestamp, all at the time that the evidence shows;
    /// - the signature;
    /// - of each entry of Rekor the signed entry timestamp, the proof of inclusion and the
    ///   checkpoint, that it is of this signature, and that it was made while the certificate was
    ///   valid;
    /// - of each RFC 3161 timestamp its signature and time.
    ///
    /// # Errors
    /// Something of that is not so, or evidence is not there.
    pub fn check_bundle(&self, bundle: &Bundle, evidence: Evidence) -> Result<()> {
        crypto::install();
        if evidence.log && !bundle.is_logged() {
            return Err(Error::new("the bundle has no entry of Rekor")
                .hint("sign with upload_tlog = true, or remove -require-rekor"));
        }
        if !bundle.is_dated() {
            return Err(undated());
        }
        let mut policy = VerificationPolicy::new(
            IdentityMatcher::Exact(self.identity.subject.clone()),
            self.identity.issuer.clone(),
        );
        if !self.wants_timestamps() {
            policy = policy.skip_sct();
        }
        // An entry that is there is checked; without one, a timestamp shows the time.
        if !bundle.is_logged() {
            policy = policy.skip_tlog_unsafe();
        }
        let subject = first_subject(bundle.envelope()?)?;
        let verifier = Verifier::new(&self.root).map_err(report)?;
        verifier.verify(Artifact::Digest(subject), &bundle.0, &policy).map_err(report)?;
        Ok(())
    }

    /// Checks a certificate (in PEM) for a signature whose time nothing shows: as of now. Gives the
    /// certificate's key, a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// It is of nobody who is trusted, of somebody else, or not valid now.
    pub fn check_certificate(&self, certificate: &str) -> Result<Vec<u8>> {
        crypto::install();
        let reading = "reading the certificate";
        let der = DerCertificate::from_pem(certificate).map_err(when(reading))?;
        let info = parse_certificate_info(&der).map_err(when(reading))?;
        let now = jiff::Timestamp::now();
        if now > info.not_after || now < info.not_before {
            return Err(Error::new(format!(
                "the certificate was valid from {} to {}, and nothing shows that the signature was \
                 made then",
                info.not_before, info.not_after
            ))
            .hint(
                "name the bundle of the attestation with -bundle, or put it beside it as \
                 NAME.sigstore.json; it shows the time if it was signed with upload_tlog = true",
            ));
        }
        let issuer = self.check_chain(&der, now)?;
        if self.wants_timestamps() {
            sct::check(&der, issuer.as_bytes(), &self.root)?;
        }
        let (wanted, found) = (&self.identity.subject, info.identity.as_ref());
        if found.map(|found| found.as_str()) != Some(wanted) {
            return Err(other_identity(wanted, found.map(|found| found.as_str())));
        }
        let (wanted, found) = (&self.identity.issuer, info.issuer.as_deref());
        if found != Some(wanted) {
            return Err(other_issuer(wanted, found));
        }
        Ok(info.public_key.as_bytes().to_vec())
    }

    /// Checks that a certificate is of an authority of the trusted root, for signing code, at a time.
    /// Gives the key of the authority that has signed it.
    fn check_chain(&self, leaf: &DerCertificate, time: jiff::Timestamp) -> Result<DerPublicKey> {
        let valid = self.root.certificate_authorities.iter();
        let valid = valid.filter(|one| one.valid_for.is_none_or(|range| range.contains(time)));
        let ders: Vec<CertificateDer<'_>> = valid
            .flat_map(|authority| &authority.cert_chain.certificates)
            .map(|one| CertificateDer::from(one.raw_bytes.as_bytes()))
            .collect();
        let anchors: Result<Vec<TrustAnchor<'_>>, _> =
            ders.iter().map(anchor_from_trusted_cert).collect();
        let anchors = anchors.map_err(when("reading the trusted root's certificates"))?;
        let leaf = CertificateDer::from(leaf.as_bytes());
        let leaf = EndEntityCert::try_from(&leaf).map_err(when("reading the certificate"))?;
        let seconds = Duration::try_from(time.duration_since(jiff::Timestamp::UNIX_EPOCH));
        let seconds = seconds.map_err(when("the time of this machine"))?;
        let path = leaf
            .verify_for_usage(
                WEBPKI_VERIFICATION_ALGS,
                &anchors,
                &[],
                UnixTime::since_unix_epoch(seconds),
                KeyUsage::required(CODE_SIGNING),
                None,
                None,
            )
            .map_err(|error| untrusted(&error.to_string()))?;
        // It is what is inside of the SEQUENCE.
        let key = path.anchor().subject_public_key_info.as_ref();
        let key = Any::new(Tag::Sequence, key).and_then(|any| any.to_der());
        key.map(DerPublicKey::new).map_err(when("reading the trusted root's certificates"))
    }
}

/// When a certificate becomes valid.
pub(crate) fn begins(certificate: &DerCertificate) -> Result<jiff::Timestamp> {
    let info = parse_certificate_info(certificate).map_err(when("reading the certificate"))?;
    Ok(info.not_before)
}

/// The digest of one of the things that an attestation is of. Which of them a file is, is checked
/// elsewhere, by name; the crate asks for one.
fn first_subject(envelope: &DsseEnvelope) -> Result<ArtifactDigest> {
    let statement = serde_json::from_slice::<Statement>(envelope.payload.as_bytes());
    let statement = statement.context("reading the statement")?;
    let digest = statement.subject.iter().find_map(|subject| {
        let sha256 = subject.digest.sha256.map(ArtifactDigest::sha256);
        sha256.or_else(|| {
            let sha512 = subject.digest.sha512.as_ref()?.as_slice().to_vec();
            ArtifactDigest::new(HashAlgorithm::Sha2512, sha512).ok()
        })
    });
    digest.ok_or_else(|| Error::new("no subject of the attestation has a SHA-256 or SHA-512"))
}

fn other_identity(wanted: &str, found: Option<&str>) -> Error {
    let found = found.unwrap_or("nobody");
    Error::new(format!("the certificate's identity is {found:?}, not {wanted:?}"))
        .hint("keyless_identity or -keyless-identity says who must have signed")
}

fn other_issuer(wanted: &str, found: Option<&str>) -> Error {
    let found = found.unwrap_or("none");
    Error::new(format!("the certificate's OIDC issuer is {found:?}, not {wanted:?}"))
        .hint("keyless_oidc_issuer or -keyless-oidc-issuer names the issuer of the token")
}

fn untrusted(why: &str) -> Error {
    Error::new(format!("the certificate is not of an authority of the trusted root: {why}"))
        .hint(OTHER_ROOT)
}

fn undated() -> Error {
    Error::new("nothing that the trusted root vouches for shows when the attestation was signed")
        .hint("sign with upload_tlog = true")
}

/// The error of Sigstore's crate in our words.
fn report(error: sigstore_verify::Error) -> Error {
    use sigstore_verify::Error as E;
    match &error {
        E::IdentityMismatch { expected, actual } => {
            other_identity(&expected.to_string(), actual.as_ref().map(|actual| actual.as_str()))
        }
        E::IssuerMismatch { expected, actual } => other_issuer(expected, actual.as_deref()),
        E::Certificate(CertificateError::ChainInvalid(why)) => untrusted(why),
        E::Certificate(CertificateError::NoValidAuthority { .. }) => untrusted(&error.to_string()),
        E::TransparencyLog(
            TransparencyLogError::UnknownLog { .. } | TransparencyLogError::InclusionPromise(_),
        )
        | E::Certificate(CertificateError::Sct(_)) => {
            Error::new(error.to_string()).hint(OTHER_ROOT)
        }
        E::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => undated(),
        E::TransparencyLog(TransparencyLogError::IntegratedTime(_))
        | E::Certificate(CertificateError::NotYetValid { .. }) => {
            Error::new(error.to_string()).hint("is the clock of this machine right?")
        }
        E::Bundle(why) => Error::new(why.to_string()),
        _ => Error::new(error.to_string()),
    }
}
