//! Connections to an Engine over TCP, plain or with TLS.
//!
//! As with the docker client, the kernel asks now and then whether the other end is there. So nothing on
//! the way forgets a connection on which the Engine says nothing for long, as during a commit, and one that
//! was forgotten is noticed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use futures_util::TryFutureExt;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use ingot_sdk::tls::Trust;
use ingot_sdk::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};

/// After how much silence the other end is asked whether it is there, and how long it has to answer. The
/// docker client asks as soon.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How many of these questions in a row may stay without an answer.
const MOST_UNANSWERED: u32 = 4;

/// The client of the Engine at `address` (`HOST:PORT`), with TLS where there is a directory for it. It does
/// not connect yet. `timeout` is its limit for one request, in seconds.
///
/// # Errors
/// The certificates cannot be read.
pub(crate) fn client(address: &str, tls: Option<&Path>, timeout: u64) -> Result<Docker> {
    let mut tcp = HttpConnector::new();
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE));
    tcp.set_keepalive_retries(Some(MOST_UNANSWERED));
    match tls {
        None => client_over(tcp, &format!("http://{address}"), timeout),
        Some(directory) => {
            tcp.enforce_http(false);
            let tls = HttpsConnector::from((tcp, tls_config(directory)?));
            client_over(tls, &format!("https://{address}"), timeout)
        }
    }
}

fn client_over<C>(connector: C, address: &str, timeout: u64) -> Result<Docker>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    // As in bollard's own transports, which have no keep-alive: a connection for each request.
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let send = move |request: BollardRequest| client.request(request).map_err(EngineError::from);
    let version = API_DEFAULT_VERSION;
    Docker::connect_with_custom_transport(send, Some(address), timeout, version)
        .map_err(Error::caused_by)
}

/// How to talk TLS with an Engine, as the docker client does: an authority of the system or of `ca.pem`
/// vouches for the Engine, and `cert.pem` with `key.pem`, where they are there, for this side.
fn tls_config(directory: &Path) -> Result<ClientConfig> {
    let authorities = directory.join("ca.pem");
    let mut own = certificates(&authorities)?;
    if own.is_empty() {
        return Err(Error::new(format!("{} has no certificate in PEM", authorities.display())));
    }
    // One that cannot be used does not stand in the way of the others.
    own.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::caused_by)?
        .dangerous()
        .with_custom_certificate_verifier(Trust::SystemAnd(own).verifier()?);
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    if !certificate.exists() && !key.exists() {
        return Ok(config.with_no_client_auth());
    }
    let own = PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable(&key, error))?;
    let unusable = |error: rustls::Error| {
        let (certificate, key) = (certificate.display(), key.display());
        Error::caused_by(error).context(format_args!("using {certificate} with {key}"))
    };
    let own = provider.key_provider.load_private_key(own).map_err(unusable)?;
    let pair = CertifiedKey::new(certificates(&certificate)?, own);
    match pair.keys_match() {
        Err(
            error @ (rustls::Error::NoCertificatesPresented
            | rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)),
        ) => Err(unusable(error)),
        // What cannot be compared is for the Engine to judge, which takes X.509 version 1, too.
        _ => Ok(config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))),
    }
}

/// The certificates in a file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path);
    let found = found.and_then(|found| found.collect::<std::result::Result<Vec<_>, _>>());
    found.map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: rustls::pki_types::pem::Error) -> Error {
    Error::caused_by(error).context(format_args!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use ingot_test_support::require;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::engine::Endpoint;
    use crate::test_engine::{Hold, TestEngine};

    /// Whether the kernel watches a connection to `port` of this machine that is open: the second of its
    /// timers, as /proc/net/tcp numbers them, is that of keep-alive.
    fn is_kept_alive(port: &str) -> bool {
        let port = format!(":{:04X}", port.parse::<u16>().unwrap());
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        table.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields[2].ends_with(&port) && fields[3] == "01" && fields[5].starts_with("02:")
        })
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_happens_is_kept_alive() {
        let test = require!(TestEngine::start().await);
        let engine = test.connect().await;
        test.hold(Hold::Calls("/_ping"));
        let ping = tokio::spawn(async move { engine.api.ping().await });
        test.held().await;
        let port = test.host.rsplit(':').next().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        // Until what was sent is acknowledged, another timer runs.
        while !is_kept_alive(port) {
            assert!(Instant::now() < deadline, "nothing watches the connection");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ping.abort();
    }

    /// Writes certificates for a server on this machine and a client to `directory`, and returns the
    /// server's end of TLS, which lets nobody in without one.
    fn certify(directory: &Path) -> TlsAcceptor {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let (server, client) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let signed = |key: &KeyPair| {
            let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.signed_by(key, &authority).unwrap()
        };
        let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
        write("ca.pem", authority.pem());
        write("cert.pem", signed(&client).pem());
        write("key.pem", client.serialize_pem());

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap());
        let key = PrivateKeyDer::from_pem_slice(server.serialize_pem().as_bytes()).unwrap();
        let config = config.with_single_cert(vec![signed(&server).der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// The address of a port where TLS ends on the way to `test`.
    async fn behind_tls(test: &TestEngine, tls: TlsAcceptor) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let engine = test.host.trim_start_matches("tcp://").to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (tls, engine) = (tls.clone(), engine.clone());
                tokio::spawn(async move {
                    let Ok(mut client) = tls.accept(client).await else { return };
                    let mut engine = TcpStream::connect(&engine).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
                });
            }
        });
        host
    }

    #[test]
    fn a_file_of_authorities_without_a_certificate_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), [0x30, 0x82, 0xff]).unwrap();
        let error = tls_config(directory.path()).err().unwrap().to_string();
        assert!(error.ends_with("ca.pem has no certificate in PEM"), "{error}");
    }

    #[tokio::test]
    async fn an_engine_is_reached_over_tls_with_the_certificates_of_a_directory() {
        let test = require!(TestEngine::start().await);
        let directory = tempfile::tempdir().unwrap();
        let host = behind_tls(&test, certify(directory.path())).await;
        let endpoint = || Endpoint::recorded(&host, directory.path().to_str());
        let engine = endpoint().connect().await.unwrap();
        assert_eq!(engine.api.ping().await.unwrap(), "OK");

        // It does not let in who does not show one, and half of one is none.
        std::fs::remove_file(directory.path().join("cert.pem")).unwrap();
        let error = endpoint().connect().await.err().unwrap().to_string();
        assert!(error.contains("reading ") && error.contains("cert.pem"), "{error}");
        std::fs::remove_file(directory.path().join("key.pem")).unwrap();
        assert!(endpoint().connect().await.is_err());
    }

    #[tokio::test]
    async fn an_engine_may_show_the_very_certificate_that_is_trusted() {
        let test = require!(TestEngine::start().await);
        let directory = tempfile::tempdir().unwrap();
        // An authority's, as `openssl req -x509` makes one.
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let config = config.with_single_cert(vec![own.der().clone()], key).unwrap();
        let host = behind_tls(&test, TlsAcceptor::from(Arc::new(config))).await;
        let endpoint = || Endpoint::recorded(&host, directory.path().to_str());
        let trust = |pem: String| std::fs::write(directory.path().join("ca.pem"), pem).unwrap();

        trust(own.pem());
        let engine = endpoint().connect().await.unwrap();
        assert_eq!(engine.api.ping().await.unwrap(), "OK");
        trust(params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem());
        assert!(endpoint().connect().await.is_err());
    }

    /// As `openssl x509 -req` makes one without `-extfile`.
    const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBGjCBwQIUTc5Y7aldq3nX9TiwulkEydHku6EwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCY2EwIBcNMjYxMTMwMDYyMDA0WhgPMjEyNjExMDYwNjIwMDRaMBExDzAN
BgNVBAMMBmNsaWVudDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLao+DVxnf7C
lvWD3nIeFojF3Xl2rnFQ9JLTEDh2hkPRAsts9tmQZjY2Y8sfawJArt1YJV8YuztW
Yx4WP4hwF98wCgYIKoZIzj0EAwIDSAAwRQIhAPhDjqTIPVOdnJRKKv1drS5sRSZZ
LGNk91e6izWP8dnwAiBdklBU06+p4vJ90vfeeX4a9QLxlXL/ltCms90gcFAt8w==
-----END CERTIFICATE-----
";

    #[test]
    fn the_certificate_of_this_side_may_be_of_version_1_and_must_belong_to_its_key() {
        let directory = tempfile::tempdir().unwrap();
        certify(directory.path());
        let other = KeyPair::generate().unwrap().serialize_pem();
        std::fs::write(directory.path().join("key.pem"), other).unwrap();
        let error = tls_config(directory.path()).err().unwrap().to_string();
        assert!(error.contains("cert.pem with ") && error.contains("key.pem"), "{error}");

        // It is not compared with the key, so that any will do.
        std::fs::write(directory.path().join("cert.pem"), VERSION_1).unwrap();
        let config = tls_config(directory.path()).unwrap();
        assert!(config.client_auth_cert_resolver.has_certs());
    }
}
