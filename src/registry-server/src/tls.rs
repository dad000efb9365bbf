//! TLS, and the certificate a registry makes for itself when it is given none.

use std::path::Path;

use axum_server::tls_rustls::RustlsConfig;

use super::Tls;
use ingot_registry::api::{Code, Error, Result};

/// The configuration of rustls for a certificate.
pub(super) async fn config(tls: &Tls) -> Result<RustlsConfig> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await.map_err(|error| {
        let (certificate, key) = (tls.certificate.display(), tls.key.display());
        let message = format!("the certificate {certificate} with the key {key}: {error}");
        Error::new(Code::Unavailable, message)
    })
}

/// What a certificate is for at least.
const OLDER: &str = "localhost\n127.0.0.1\n::1";

/// A certificate for these names and addresses, signed by itself, in a folder: made if there is none
/// for all of them. Clients have to be told to trust it.
///
/// # Errors
/// The files cannot be written.
pub fn self_signed(folder: &Path, names: Vec<String>) -> Result<Tls> {
    let tls = Tls { certificate: folder.join("registry.crt"), key: folder.join("registry.key") };
    let list = folder.join("registry.names");
    let known = std::fs::read_to_string(&list).unwrap_or_else(|_| OLDER.into());
    let known: Vec<&str> = known.lines().collect();
    if tls.certificate.exists() && tls.key.exists() {
        if names.iter().all(|name| known.contains(&name.as_str())) {
            return Ok(tls);
        }
        tracing::warn!(?names, "made a new certificate, as the one there was is for other names");
    }
    let fail = |error: String| {
        let folder = folder.display();
        Error::new(Code::Unavailable, format!("a certificate cannot be made in {folder}: {error}"))
    };
    let lines = names.join("\n");
    let pair =
        rcgen::generate_simple_self_signed(names).map_err(|error| fail(error.to_string()))?;
    std::fs::create_dir_all(folder).map_err(|error| fail(error.to_string()))?;
    write_private(&tls.key, &pair.signing_key.serialize_pem())
        .and_then(|()| std::fs::write(&tls.certificate, pair.cert.pem()))
        .and_then(|()| std::fs::write(&list, lines))
        .map_err(|error| fail(error.to_string()))?;
    Ok(tls)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let _ = std::fs::remove_file(path);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}
