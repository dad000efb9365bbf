//! The trusted root: the certificates of Fulcio and the keys of Rekor and of the certificate
//! transparency log that signatures are checked with.

use std::path::Path;

use ingot_sdk::file_work::read_small;
use ingot_sdk::{Error, Result};
use sigstore_trust_root::{SigstoreInstance, TrustedRoot};

use crate::error::when;

/// The largest trusted root that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// Reads the trusted root in a file, in the form of Sigstore's `trusted_root.json`. Without one it is
/// the public instance's, as Sigstore's crate ships it: its keys stay the same for years, and to fetch
/// it by TUF brings a crate whose licence asks for more than to be named.
///
/// # Errors
/// It cannot be read, or is not a trusted root.
pub(crate) fn trusted_root(path: Option<&str>) -> Result<TrustedRoot> {
    crate::crypto::install();
    let Some(path) = path else {
        let root = TrustedRoot::from_embedded(SigstoreInstance::PublicGood);
        return root.map_err(when("the trusted root of the public Sigstore"));
    };
    let no_root = |why: String| {
        Error::new(why)
            .hint(
                "it is to be JSON as Sigstore's trusted_root.json; `cosign trusted-root create` \
                 writes one",
            )
            .context(format_args!("the trusted root {path}"))
    };
    let text = read_small(Path::new(path), "trusted root", LARGEST)?;
    let text = String::from_utf8(text).map_err(|error| no_root(error.to_string()))?;
    let root = TrustedRoot::from_json(&text).map_err(|error| no_root(error.to_string()))?;
    match root.certificate_authorities.is_empty() {
        true => Err(no_root("it names no certificate authority".to_owned())),
        false => Ok(root),
    }
}
