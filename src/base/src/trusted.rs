//! The certificates that a client of TLS trusts, the system's among them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{Error as TlsError, OtherError, RootCertStore};
use rustls_native_certs::{CertificateResult, load_native_certs};

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
            let system = system();
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

/// The system's certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name in their place.
fn system() -> CertificateResult {
    #[cfg(all(unix, not(target_os = "macos")))]
    {
        let is_empty = std::env::var_os("SSL_CERT_FILE").is_some_and(|file| file.is_empty());
        if is_empty && crate::environment::set("SSL_CERT_DIR").is_none() {
            return usual_places();
        }
    }
    load_native_certs()
}

/// What the system has. `load_native_certs` takes an empty `SSL_CERT_FILE` for the name of a file, while it
/// is one that is not set, as CI systems leave variables without a value.
#[cfg(all(unix, not(target_os = "macos")))]
fn usual_places() -> CertificateResult {
    use rustls_native_certs::load_certs_from_paths;

    let places = openssl_probe::probe();
    let mut all = load_certs_from_paths(places.cert_file.as_deref(), None);
    for directory in places.cert_dir {
        let of_directory = load_certs_from_paths(None, Some(&directory));
        all.certs.extend(of_directory.certs);
        all.errors.extend(of_directory.errors);
    }
    all.certs.sort_unstable_by(|one, other| one[..].cmp(&other[..]));
    all.certs.dedup();
    all
}
