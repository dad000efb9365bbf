//! Attestations: signed statements of how an artifact came to be, and of what is in it.
//!
//! Knows artifacts and the SBOMs of `ingot-sbom`; knows nothing of registries or of builders.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`post_processor`] | `post-processor "provenance"` |
//! | [`options`] | its options, and what is wrong with those of signing |
//! | [`statement`] | in-toto statements and SLSA's provenance |
//! | [`source`] | the repository and the CI job that a build runs in |
//! | [`envelope`] | DSSE, the envelope that signatures are in |
//! | [`keys`] | keys in PEM: RSA, ECDSA and Ed25519 |
//! | [`signer`] | what signs: a key in a file, one that a cloud keeps, or Sigstore |
//! | [`keyless`] | checking attestations that Sigstore's certificates signed |
//! | [`signature`] | whether a signature is of a key |
//! | [`verify`] | checking an attestation's signature, and what it says |

pub mod envelope;
pub mod keyless;
pub mod keys;
pub mod options;
pub mod post_processor;
mod shown;
pub mod signature;
pub mod signer;
pub mod source;
pub mod statement;
mod subject;
pub mod verify;

use std::sync::Arc;

use ingot_sdk::PluginSet;

pub use signer::KeyService;

/// Adds this crate's plugins. `kms` signs with the keys that a cloud keeps, where there is one.
pub fn register(set: &mut PluginSet, kms: Option<Arc<dyn KeyService>>) {
    set.add_post_processor(post_processor::ProvenancePostProcessor { kms });
}
