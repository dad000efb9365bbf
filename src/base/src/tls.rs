//! Which servers a TLS client trusts, and what it shows of itself.
//!
//! A certificate that is trusted itself is good for the server that shows it, whoever signed it, also where
//! it is an authority's, as `openssl req -x509` makes them. So it is with Go's programs; rustls alone asks
//! for the issuer, and refuses an authority's certificate wherever a server shows it.

use std::sync::{Arc, OnceLock};

use reqwest::{ClientBuilder, Identity};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::trusted::{NothingTrusted, Trusted};
use crate::{Error, Result};

/// The extended usage of keys for "TLS WWW server authentication".
const SERVER_AUTHENTICATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// That of a certificate which is good for every usage.
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// The certificates that are trusted: a server has to show one of them, or one that they vouch for.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The system's, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name in their place; and these.
    SystemAnd(Vec<CertificateDer<'static>>),
    /// These alone.
    Only(Vec<CertificateDer<'static>>),
}

impl Default for Trust {
    fn default() -> Self {
        Trust::SystemAnd(Vec::new())
    }
}

impl Trust {
    /// What checks the certificate of a server. The system's certificates are read when a server first shows
    /// one: without TLS they are not needed, and some machines have none.
    ///
    /// # Errors
    /// A certificate that was named is none; or it is these alone that are trusted, and there are none.
    pub fn verifier(self) -> Result<Arc<dyn ServerCertVerifier>> {
        let (named, and_system) = match self {
            Trust::SystemAnd(named) => (named, true),
            Trust::Only(named) => (named, false),
        };
        let mut roots = RootCertStore::empty();
        for certificate in &named {
            let unusable =
                |error: TlsError| Error::caused_by(error).context("reading a trusted certificate");
            roots.add(certificate.clone()).map_err(unusable)?;
        }
        if roots.is_empty() && !and_system {
            return Err(Error::caused_by(NothingTrusted::because(&[])));
        }
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Ok(Arc::new(Verifier { named, and_system, algorithms, trusted: OnceLock::new() }))
    }
}

/// Checks that the system has certificates to trust, for who had better wait than fail.
///
/// # Errors
/// It has none.
pub fn check_system() -> Result<()> {
    Trusted::load(&[], true).map(|_| ()).map_err(Error::caused_by)
}

/// The TLS of an HTTP client.
#[derive(Default)]
pub struct Tls {
    /// Which servers are trusted.
    pub trust: Trust,
    /// What is shown to a server that asks for it: a certificate and its key, in PEM. Of several keys it is
    /// the last.
    pub identity: Option<Vec<u8>>,
    /// Whether any certificate of a server will do.
    pub insecure: bool,
}

impl Tls {
    /// The same for a client that is being built.
    ///
    /// # Errors
    /// A certificate cannot be used.
    pub(crate) fn apply(self, builder: ClientBuilder) -> Result<ClientBuilder> {
        if !self.insecure {
            return Ok(builder.tls_backend_preconfigured(self.config()?));
        }
        let builder = builder.tls_danger_accept_invalid_certs(true);
        match self.identity {
            Some(pem) => Ok(builder.identity(Identity::from_pem(&pem).map_err(Error::caused_by)?)),
            None => Ok(builder),
        }
    }

    fn config(self) -> Result<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Error::caused_by)?
            .dangerous()
            .with_custom_certificate_verifier(self.trust.verifier()?);
        let mut config = match self.identity {
            Some(pem) => {
                let chain = certificates(&pem)?;
                let key = last_key(&pem)?;
                config.with_client_auth_cert(chain, key).map_err(Error::caused_by)?
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The certificates in a text of PEM.
///
/// # Errors
/// Something in it is cut off, or not in base64.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<_, _>>()
        .map_err(Error::caused_by)
}

/// The last key in a text of PEM, as reqwest takes it: a file of a certificate may hold a key of its own, and
/// the file of the key comes after it.
fn last_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    let keys: std::result::Result<Vec<_>, _> = PrivateKeyDer::pem_slice_iter(pem).collect();
    let last = keys.map_err(Error::caused_by)?.pop();
    last.ok_or_else(|| Error::new("there is no key of a certificate in PEM"))
}

/// rustls' own check, and what it has no room for: a server that shows one of the trusted certificates,
/// which needs no issuer.
#[derive(Debug)]
struct Verifier {
    named: Vec<CertificateDer<'static>>,
    and_system: bool,
    algorithms: WebPkiSupportedAlgorithms,
    /// Empty until a server shows a certificate, and for as long as there is none to trust.
    trusted: OnceLock<Trusted>,
}

impl Verifier {
    fn trusted(&self) -> Result<&Trusted, TlsError> {
        if let Some(trusted) = self.trusted.get() {
            return Ok(trusted);
        }
        let loaded = Trusted::load(&self.named, self.and_system)?;
        Ok(self.trusted.get_or_init(|| loaded))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let trusted = self.trusted()?;
        let checked = trusted.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        // Byte by byte: one with the same name or key is another certificate.
        let is_trusted = || trusted.certificates.iter().any(|own| own[..] == end_entity[..]);
        if checked.is_ok() || !is_trusted() {
            return checked;
        }
        // Whatever was wrong: it may have been an issuer, which does not matter here.
        check_dates_and_usage(end_entity, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks when and for what a certificate is valid, which webpki may not have reached.
fn check_dates_and_usage(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), TlsError> {
    let encoding = |_| TlsError::from(CertificateError::BadEncoding);
    let certificate = Certificate::from_der(certificate.as_ref()).map_err(encoding)?;
    let certificate = certificate.tbs_certificate;
    let not_before = UnixTime::since_unix_epoch(certificate.validity.not_before.to_unix_duration());
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    let not_after = UnixTime::since_unix_epoch(certificate.validity.not_after.to_unix_duration());
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    match certificate.get::<ExtendedKeyUsage>().map_err(encoding)? {
        Some((_, usages)) => {
            let for_servers =
                |usage: &ObjectIdentifier| [SERVER_AUTHENTICATION, ANY_USAGE].contains(usage);
            match usages.0.iter().any(for_servers) {
                true => Ok(()),
                false => Err(CertificateError::InvalidPurpose.into()),
            }
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
        IsCa, KeyPair, date_time_ymd,
    };
    use rustls::server::ServerConfig;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::{ClientConnection, ConnectionCommon, ServerConnection};

    use super::*;

    /// As of `openssl req -x509`: an authority's, and valid for some time in 2020.
    fn params() -> CertificateParams {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 12, 31);
        params
    }

    fn signed(params: &CertificateParams, key: &KeyPair) -> CertificateDer<'static> {
        params.self_signed(key).unwrap().der().clone()
    }

    const IN_2020: u64 = 1_593_561_600;
    const YEAR: u64 = 366 * 86_400;

    /// Checks what a server shows; the error's name where it is not trusted.
    fn check(trust: Trust, shown: &CertificateDer<'_>, host: &str, at: u64) -> Result<(), String> {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let checked = trust.verifier().unwrap().verify_server_cert(shown, &[], &name, &[], now);
        checked.map(|_| ()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn an_authoritys_certificate_that_is_trusted_itself_is_good_for_a_server() {
        let own = signed(&params(), &KeyPair::generate().unwrap());
        let only = || Trust::Only(vec![own.clone()]);
        assert_eq!(check(only(), &own, "localhost", IN_2020), Ok(()));
        assert_eq!(check(Trust::SystemAnd(vec![own.clone()]), &own, "localhost", IN_2020), Ok(()));

        for (host, at, why) in [
            ("example.com", IN_2020, "NotValidForName"),
            ("127.0.0.1", IN_2020, "NotValidForName"),
            ("localhost", IN_2020 - YEAR, "NotValidYet"),
            ("localhost", IN_2020 + YEAR, "Expired"),
        ] {
            let error = check(only(), &own, host, at).unwrap_err();
            assert!(error.contains(why), "{host} {at}: {error}");
        }
    }

    /// Certificates for servers that one authority signed, which is called as they are if `alike`.
    fn siblings(alike: bool) -> [CertificateDer<'static>; 2] {
        let mut authority = params();
        if !alike {
            authority.distinguished_name.push(DnType::CommonName, "authority");
        }
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let mut of_server = params();
        of_server.is_ca = IsCa::ExplicitNoCa;
        [(); 2].map(|()| {
            let key = KeyPair::generate().unwrap();
            of_server.signed_by(&key, &issuer).unwrap().der().clone()
        })
    }

    #[test]
    fn a_certificate_that_is_trusted_itself_needs_no_issuer() {
        for alike in [false, true] {
            let [own, sibling] = siblings(alike);
            let only = || Trust::Only(vec![own.clone()]);
            assert_eq!(check(only(), &own, "localhost", IN_2020), Ok(()));
            for (shown, host, at, why) in [
                (&own, "example.com", IN_2020, "NotValidForName"),
                (&own, "localhost", IN_2020 - YEAR, "NotValidYet"),
                (&own, "localhost", IN_2020 + YEAR, "Expired"),
                // The name alone may make it look as if the trusted one had signed it.
                (
                    &sibling,
                    "localhost",
                    IN_2020,
                    if alike { "BadSignature" } else { "UnknownIssuer" },
                ),
            ] {
                let error = check(only(), shown, host, at).unwrap_err();
                assert!(error.contains(why), "{host} {at}: {error}");
            }
        }
    }

    #[test]
    fn dates_are_checked_also_should_webpki_check_them_later() {
        let own = signed(&params(), &KeyPair::generate().unwrap());
        let at = |at| {
            let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
            check_dates_and_usage(&own, now).map_err(|error| format!("{error:?}"))
        };
        assert_eq!(at(IN_2020), Ok(()));
        assert!(at(IN_2020 - YEAR).unwrap_err().contains("NotValidYet"));
        assert!(at(IN_2020 + YEAR).unwrap_err().contains("Expired"));
    }

    #[test]
    fn another_certificate_is_not_the_trusted_one() {
        let key = KeyPair::generate().unwrap();
        let own = signed(&params(), &key);
        // With the same name and key; with the same name; of an authority that is below the trusted one.
        let mut longer = params();
        longer.not_after = date_time_ymd(2030, 1, 1);
        let issuer = CertifiedIssuer::self_signed(params(), KeyPair::generate().unwrap()).unwrap();
        let below = params().signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        for (trusted, other) in [
            (own.clone(), signed(&longer, &key)),
            (own.clone(), signed(&params(), &KeyPair::generate().unwrap())),
            (issuer.der().clone(), below.der().clone()),
        ] {
            let trust = Trust::Only(vec![trusted]);
            let error = check(trust, &other, "localhost", IN_2020).unwrap_err();
            assert!(error.contains("CaUsedAsEndEntity"), "{error}");
        }
    }

    #[test]
    fn a_trusted_certificate_has_to_be_for_servers() {
        let with = |usages: &[ExtendedKeyUsagePurpose]| {
            let mut params = params();
            params.extended_key_usages = usages.to_vec();
            let own = signed(&params, &KeyPair::generate().unwrap());
            check(Trust::Only(vec![own.clone()]), &own, "localhost", IN_2020)
        };
        let (client, server) =
            (ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth);
        assert_eq!(with(&[client.clone(), server]), Ok(()));
        assert_eq!(with(&[ExtendedKeyUsagePurpose::Any]), Ok(()));
        assert!(with(&[client]).unwrap_err().contains("InvalidPurpose"));
    }

    /// Hands what one side of a connection has to say to the other.
    fn carry<A, B>(
        from: &mut ConnectionCommon<A>,
        to: &mut ConnectionCommon<B>,
    ) -> Result<(), TlsError> {
        let mut sent = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut sent).unwrap();
        }
        let mut sent = sent.as_slice();
        while !sent.is_empty() {
            to.read_tls(&mut sent).unwrap();
            to.process_new_packets()?;
        }
        Ok(())
    }

    /// Shakes hands with a server that shows `shown` and signs with `key`.
    fn handshake(shown: &CertificateDer<'static>, key: &KeyPair) -> Result<(), TlsError> {
        let provider = Arc::new(ring::default_provider());
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let pair = CertifiedKey::new(vec![shown.clone()], key);
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        let tls = Tls { trust: Trust::Only(vec![shown.clone()]), ..Tls::default() };
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(tls.config().unwrap()), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            carry(&mut client, &mut server)?;
            carry(&mut server, &mut client)?;
        }
        Ok(())
    }

    #[test]
    fn a_server_has_to_have_the_key_of_a_trusted_certificate() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = params();
        params.not_after = date_time_ymd(4096, 1, 1);
        let own = signed(&params, &key);
        assert_eq!(handshake(&own, &key), Ok(()));
        let error = handshake(&own, &other).unwrap_err();
        assert_eq!(error, TlsError::from(CertificateError::BadSignature));
    }

    #[test]
    fn the_last_of_several_keys_is_that_of_the_certificate() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let certificate = params().self_signed(&key).unwrap();
        let trust = Trust::Only(vec![certificate.der().clone()]);
        let config = |parts: &[String]| {
            let identity = Some(parts.join("\n").into_bytes());
            Tls { trust: trust.clone(), identity, ..Tls::default() }.config().map(|_| ())
        };
        let (own, other) = (key.serialize_pem(), other.serialize_pem());
        let certificate = certificate.pem();
        assert!(config(&[certificate.clone(), other.clone(), own.clone()]).is_ok());
        assert!(config(&[certificate.clone(), own, other]).is_err());
        assert!(config(&[certificate]).unwrap_err().to_string().contains("there is no key"));
    }

    #[test]
    fn certificates_are_read_from_pem() {
        let certificate = params().self_signed(&KeyPair::generate().unwrap()).unwrap();
        let pem = certificate.pem().repeat(2);
        assert_eq!(certificates(pem.as_bytes()).unwrap(), vec![certificate.der().clone(); 2]);
        assert!(certificates(b"nothing").unwrap().is_empty());
        assert!(certificates(&pem.as_bytes()[..100]).is_err());
    }
}
