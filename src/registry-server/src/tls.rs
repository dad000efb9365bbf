//! TLS, and the certificate a registry makes for itself when it is given none.

use std::path::Path;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use ingot_base::file_lock::FileLock;
use ingot_base::whole_file::{self, Mode, Options};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

use super::Tls;
use ingot_registry::api::{Code, Error, Result};

/// How often, and how long apart, files are read that do not belong together: they are replaced one
/// after the other.
const READS: u32 = 5;
const APART: Duration = Duration::from_millis(200);

/// How long another server may take to create the certificate, which is a matter of milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// The configuration of rustls for a certificate.
pub(super) async fn config(tls: &Tls) -> Result<RustlsConfig> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut read = RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await;
    for _ in 1..READS {
        if read.is_ok() {
            break;
        }
        tokio::time::sleep(APART).await;
        read = RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await;
    }
    read.map_err(|error| unreadable(tls, &error))
}

fn unreadable(tls: &Tls, error: &std::io::Error) -> Error {
    let (certificate, key) = (tls.certificate.display(), tls.key.display());
    Error::new(
        Code::Unavailable,
        format!("the certificate {certificate} with the key {key}: {error}"),
    )
}

/// Reads the certificate and its key again whenever the process gets the signal SIGHUP. What cannot
/// be used leaves the one in use as it is; so does a server without TLS, which has none.
pub(super) async fn reload_on_hangup(config: Option<RustlsConfig>, tls: Option<Tls>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!(%error, "SIGHUP cannot be waited for");
                return;
            }
        };
        while hangup.recv().await.is_some() {
            let (Some(config), Some(tls)) = (&config, &tls) else { continue };
            match self::config(tls).await {
                Ok(read) => {
                    config.reload_from_config(read.get_inner());
                    tracing::warn!("the certificate was read again");
                }
                Err(error) => tracing::error!(%error, "the certificate in use is kept"),
            }
        }
    }
    #[cfg(not(unix))]
    let _ = (config, tls);
}

/// What a certificate is for at least.
const OLDER: &str = "localhost\n127.0.0.1\n::1";

/// A self-signed certificate for these names and addresses, in a directory: created if there is none
/// for all of them. Clients have to be configured to trust it.
///
/// # Errors
/// The files cannot be written.
pub async fn self_signed(directory: &Path, names: Vec<String>) -> Result<Tls> {
    let fail = |error: String| {
        let directory = directory.display();
        Error::new(
            Code::Unavailable,
            format!("a certificate cannot be created in {directory}: {error}"),
        )
    };
    let write_fail = |error: std::io::Error| fail(error.to_string());
    let tls =
        Tls { certificate: directory.join("registry.crt"), key: directory.join("registry.key") };
    let list = directory.join("registry.names");
    std::fs::create_dir_all(directory).map_err(write_fail)?;
    // Of several servers that start at once one creates it; the others wait for that.
    let path = directory.join("registry.lock");
    let never = CancellationToken::new();
    let on_wait = || tracing::info!("waiting for another server");
    let lock = FileLock::take_within(LOCK_TIMEOUT, &never, &path, on_wait).await;
    let _lock = lock.map_err(|error| fail(error.to_string()))?;
    let known = std::fs::read_to_string(&list).unwrap_or_else(|_| OLDER.into());
    let known: Vec<&str> = known.lines().collect();
    if tls.certificate.exists() && tls.key.exists() && belong_together(&tls) {
        if names.iter().all(|name| known.contains(&name.as_str())) {
            return Ok(tls);
        }
        tracing::warn!(?names, "created a new certificate: the one before is for other names");
    }
    let lines = names.join("\n");
    let pair =
        rcgen::generate_simple_self_signed(names).map_err(|error| fail(error.to_string()))?;
    let public = Options { mode: Mode::Umask(0o644), ..Options::default() };
    let key = pair.signing_key.serialize_pem();
    whole_file::write(&tls.key, key.as_bytes(), &Options::default())
        .and_then(|()| whole_file::write(&tls.certificate, pair.cert.pem().as_bytes(), &public))
        .and_then(|()| whole_file::write(&list, lines.as_bytes(), &public))
        .map_err(write_fail)?;
    Ok(tls)
}

/// Whether a key is its certificate's. It is not where a process was killed between writing them.
fn belong_together(tls: &Tls) -> bool {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = || -> Option<rustls::ServerConfig> {
        let certificates = CertificateDer::pem_file_iter(&tls.certificate).ok()?;
        let certificates = certificates.collect::<Result<Vec<_>, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_file(&tls.key).ok()?;
        let builder = rustls::ServerConfig::builder().with_no_client_auth();
        builder.with_single_cert(certificates, key).ok()
    };
    read().is_some()
}
