//! Checking attestations that were signed with a certificate of Sigstore.

use std::path::{Path, PathBuf};

use ingot_sdk::file_work::read_small;
use ingot_sdk::{Error, Result};
use ingot_sigstore::{Bundle, Evidence, Identity, Trust};

use crate::envelope::{Envelope, EnvelopeSignature, signed_bytes};
use crate::keys::PublicKey;

/// The largest bundle that is read, in bytes: it holds the attestation, which may hold an SBOM.
const LARGEST: u64 = 64 << 20;

/// What must be true of a keyless attestation.
#[derive(Debug, Clone, Default)]
pub struct KeylessPolicy {
    /// Who has to have signed: the identity in the certificate.
    pub identity: Option<String>,
    /// The issuer of the OIDC token that showed who signs.
    pub issuer: Option<String>,
    /// The file of the trusted root; the public Sigstore's where this is none.
    pub trusted_root: Option<String>,
    /// The file of the bundle; the one beside the attestation, if there is one, where this is none.
    pub bundle: Option<String>,
    /// Whether Rekor has to have the signature.
    pub require_log: bool,
    /// Whether Rekor or a timestamp authority has to show when it was signed.
    pub require_time: bool,
}

impl KeylessPolicy {
    /// A flag that asks for something that attestations of other kinds do not have.
    pub(crate) fn first_flag(&self) -> Option<&'static str> {
        [
            ("-require-rekor", self.require_log),
            ("-require-timestamp", self.require_time),
            ("-bundle", self.bundle.is_some()),
            ("-trusted-root-path", self.trusted_root.is_some()),
            ("-keyless-identity", self.identity.is_some()),
            ("-keyless-oidc-issuer", self.issuer.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
    }

    fn identity(&self) -> Result<Identity> {
        let given = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let both = given(&self.identity).zip(given(&self.issuer));
        let (subject, issuer) = both.ok_or_else(|| {
            Error::new("nothing says who must have signed the attestation").hint(
                "name the identity and the issuer of its token, both, with \
                 -keyless-identity=IDENTITY and -keyless-oidc-issuer=URL",
            )
        })?;
        Ok(Identity { subject, issuer })
    }
}

/// Where the bundle of an attestation is: beside it, with `.sigstore.json` in place of `.json`, as
/// Packer names it.
pub fn bundle_path(attestation: &Path) -> PathBuf {
    let name = attestation.as_os_str().to_string_lossy();
    PathBuf::from(format!("{}.sigstore.json", name.strip_suffix(".json").unwrap_or(&name)))
}

/// Checks the signature of an attestation, and what shows when it was made: with its bundle where there
/// is one that shows it, else with its certificate, which has to be valid now.
///
/// # Errors
/// It is not what the policy asks for.
pub(crate) fn check(
    path: &str,
    envelope: &Envelope,
    payload: &[u8],
    policy: &KeylessPolicy,
) -> Result<()> {
    let identity = policy.identity()?;
    let certified = envelope.signatures.iter().find(|one| !one.cert.trim().is_empty());
    let signature = certified.ok_or_else(|| {
        Error::new("no signature of the attestation has a certificate")
            .hint("it was not signed keyless; name its key with -verifier=PATH or -key=PATH_OR_URI")
    })?;
    let bundle = bundle(path, policy)?;
    let trust = Trust::load(policy.trusted_root.as_deref(), identity)?;
    match bundle {
        Some((path, bundle)) if bundle.is_dated() || policy.require_log || policy.require_time => {
            check_bundle(&trust, &bundle, signature, payload, policy)
                .map_err(|error| error.context(format_args!("the bundle {}", path.display())))
        }
        None if policy.require_log || policy.require_time => {
            Err(Error::new("there is no bundle that shows when the attestation was signed")
                .hint("name it with -bundle=PATH"))
        }
        _ => {
            let key = PublicKey::from_der(&trust.check_certificate(&signature.cert)?)?;
            let message = signed_bytes(&envelope.payload_type, payload);
            match key.verifies(&message, &signature.bytes()?) {
                true => Ok(()),
                false => Err(Error::new("signature verification failed")
                    .hint("the attestation was changed after it was signed")),
            }
        }
    }
}

/// Reads the bundle that the policy names, or the one beside the attestation.
fn bundle(attestation: &str, policy: &KeylessPolicy) -> Result<Option<(PathBuf, Bundle)>> {
    let path = match &policy.bundle {
        Some(path) => PathBuf::from(path),
        None => {
            let beside = bundle_path(Path::new(attestation));
            if !beside.is_file() {
                return Ok(None);
            }
            beside
        }
    };
    let text = read_small(&path, "bundle", LARGEST)?;
    let bundle = Bundle::parse(&text)
        .map_err(|error| error.context(format_args!("the bundle {}", path.display())))?;
    Ok(Some((path, bundle)))
}

fn check_bundle(
    trust: &Trust,
    bundle: &Bundle,
    signature: &EnvelopeSignature,
    payload: &[u8],
    policy: &KeylessPolicy,
) -> Result<()> {
    if !bundle.is_of(payload, &signature.bytes()?, &signature.cert) {
        return Err(Error::new("it belongs to another attestation, or one of the two was changed"));
    }
    trust.check_bundle(bundle, Evidence { log: policy.require_log })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_beside_their_attestations() {
        for (attestation, bundle) in [
            ("out/a.provenance.json", "out/a.provenance.sigstore.json"),
            ("a.att", "a.att.sigstore.json"),
        ] {
            assert_eq!(bundle_path(Path::new(attestation)), Path::new(bundle));
        }
    }
}
