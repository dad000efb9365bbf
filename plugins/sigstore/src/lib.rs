//! Keyless signatures of Sigstore. There is no key to keep: whoever has an OIDC token gets a
//! certificate of minutes from Fulcio for a key that is made for one signature, and Rekor keeps the
//! signature in a log, which shows that it was made while the certificate was valid.
//!
//! Knows nothing of artifacts, of SBOMs or of builds: it signs bytes.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`Keyless`] | signing |
//! | `token` | OIDC tokens: who signs |
//! | `fulcio` | keys of one signature, and certificates for them |
//! | `rekor` | entries of the log |
//! | `trust` | the certificates and keys that all that is checked with |
//! | [`verify`] | checking signatures |
//! | `sct` | checking that a certificate transparency log has a certificate |
//! | `crypto` | the cryptography that Sigstore's crates call |
//! | `client` | the requests to Sigstore's services |
//! | `addresses` | the addresses of these |
//! | `encoding`, `error` | PEM, and errors of libraries |
//!
//! The checks of bundles are those of Sigstore's own crates.

mod addresses;
mod client;
mod crypto;
mod encoding;
mod error;
mod fulcio;
mod keyless;
mod rekor;
mod sct;
mod token;
mod trust;
pub mod verify;

pub use addresses::{address, secret_address};
pub use keyless::{Keyless, PUBLIC_FULCIO, PUBLIC_REKOR, Signed};
pub use verify::{Bundle, Evidence, Identity, Trust};
