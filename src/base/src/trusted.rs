//! The certificates that a client of TLS trusts, the system's among them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{Error as TlsError, OtherError, RootCertStore};

/// That no certificate is trusted, and so no server.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no certificate to trust{why}; install the system's, such as Debian's package \
     ca-certificates, or name a file of them in SSL_CERT_FILE"
)]
pub(crate) struct NothingTrusted {
    /// Why not, after a colon; or nothing.
    why: String,
}

impl NothingTrusted {
    /// The first of `errors`, by which the system's could not be read, is named.
    pub(crate) fn because(errors: &[rustls_native_certs::Error]) -> Self {
        NothingTrusted {
            why: errors.first().map_or_else(String::new, |error| format!(": {error}")),
        }
    }
}

/// What is trusted, and rustls' own check with that.
#[derive(Debug)]
pub(crate) struct Trusted {
    pub(crate) usual: Arc<WebPkiServerVerifier>,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

impl Trusted {
    /// Those that are `named`, and the system's where they are trusted as well.
    ///
    /// # Errors
    /// There are none, or one that is named cannot be used.
    pub(crate) fn load(
        named: &[CertificateDer<'static>],
        and_system: bool,
    ) -> Result<Trusted, TlsError> {
        let mut roots = RootCertStore::empty();
        let (mut certificates, mut errors) = (Vec::new(), Vec::new());
        if and_system {
            let system = rustls_native_certs::load_native_certs();
            // A system's collection may hold something odd, which concerns nobody.
            roots.add_parsable_certificates(system.certs.iter().cloned());
            certificates = system.certs;
            errors = system.errors;
        }
        for certificate in named {
            roots.add(certificate.clone())?;
            certificates.push(certificate.clone());
        }
        if roots.is_empty() {
            let error = NothingTrusted::because(&errors);
            return Err(TlsError::Other(OtherError(Arc::new(error))));
        }
        let provider = Arc::new(ring::default_provider());
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let usual = usual.map_err(|error| TlsError::General(error.to_string()))?;
        Ok(Trusted { usual, certificates })
    }
}
