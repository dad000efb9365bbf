//! Whether a signature is of a key.

use ingot_sdk::{Error, Result};

use crate::envelope::{Envelope, signed_bytes};
use crate::keys::PublicKey;

/// Checks that one of the signatures is of the key. Others may be of other keys, or of kinds that are
/// not known here.
///
/// # Errors
/// None is.
pub fn check_signature(envelope: &Envelope, payload: &[u8], key: &PublicKey) -> Result<()> {
    if envelope.signatures.is_empty() {
        return Err(Error::new("the envelope has no signatures"));
    }
    let message = signed_bytes(&envelope.payload_type, payload);
    let mut unreadable = None;
    for signature in &envelope.signatures {
        match signature.bytes() {
            Ok(bytes) if key.verifies(&message, &bytes) => return Ok(()),
            Ok(_) => {}
            Err(error) => unreadable = Some(error),
        }
    }
    if let Some(error) = unreadable.filter(|_| envelope.signatures.len() == 1) {
        return Err(error);
    }
    Err(Error::new("signature verification failed")
        .hint("the attestation was changed, or signed with another key"))
}
