//! The HTTP client that everything which speaks HTTP uses: one TLS stack with the system's
//! [certificates](crate::tls), the [proxies](crate::proxy) of the environment (`HTTPS_PROXY`,
//! `NO_PROXY`), one name.

use std::io::Read as _;
use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use reqwest::{Client, ClientBuilder, Proxy, Response, Url};

use crate::error::causes;
use crate::proxy::Proxies;
use crate::tls::Tls;
use crate::trusted::NothingTrusted;
use crate::{Context, Error, Result};

/// A client. Connecting may take half a minute; how long an answer may take is up to the caller.
///
/// # Errors
/// TLS or the proxies cannot be set up.
pub fn client() -> Result<Client> {
    client_with(|builder| builder)
}

/// A client that differs from the common one, but for its TLS: what `adjust` says of certificates does
/// not count. It has the proxies of the environment when `adjust` gets it: `no_proxy` takes them away,
/// which has to come before a `proxy` that is to count instead.
///
/// # Errors
/// As for [`client`].
pub fn client_with(adjust: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    client_with_tls(Tls::default(), adjust)
}

/// As [`client_with`], with other certificates to trust or to show, or none that are checked.
///
/// # Errors
/// Certificates cannot be read or used.
pub fn client_with_tls(
    tls: Tls,
    adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client> {
    // Docker's client brings ring; a second implementation of TLS would only cost build time.
    // It fails where a provider is installed already, which will do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxies = Proxies::from_environment();
    let builder = Client::builder()
        .user_agent(concat!("ingot/", env!("CARGO_PKG_VERSION")))
        .proxy(Proxy::custom(move |url| proxies.of(url).cloned()))
        .connect_timeout(Duration::from_secs(30));
    let starting = "starting the HTTP client";
    let builder = tls.apply(builder).context(starting)?;
    adjust(builder).build().context(starting)
}

/// The body of a response, of at most `limit` bytes.
///
/// # Errors
/// It is longer, which no other try finds better, or the connection breaks (transient).
pub async fn body(response: Response, limit: usize) -> Result<Vec<u8>> {
    let broken = |error: reqwest::Error| Error::caused_by(error.without_url()).transient();
    bounded(response, limit).await.map_err(broken)?.ok_or_else(|| too_long(limit))
}

/// The body of a response, as [`body`] reads it, for those who have their own errors; none if it is
/// longer.
///
/// # Errors
/// The connection breaks.
pub async fn bounded(mut response: Response, limit: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let Some(mut body) = PartialBody::of(&response, limit) else { return Ok(None) };
    while let Some(chunk) = response.chunk().await? {
        if !body.add(&chunk) {
            return Ok(None);
        }
    }
    Ok(Some(body.bytes))
}

/// The body of a response, as [`body`] reads it, of a server that may send nothing for `stall` at most.
///
/// # Errors
/// As for [`body`]; or it sends nothing for so long (transient).
pub async fn body_unless_stalled(
    mut response: Response,
    limit: usize,
    stall: Duration,
) -> Result<Vec<u8>> {
    let mut body = PartialBody::of(&response, limit).ok_or_else(|| too_long(limit))?;
    while let Some(chunk) = unless_stalled(stall, response.chunk()).await? {
        if !body.add(&chunk) {
            return Err(too_long(limit));
        }
    }
    Ok(body.bytes)
}

/// What has arrived of a body that may have `limit` bytes.
struct PartialBody {
    bytes: Vec<u8>,
    limit: usize,
}

impl PartialBody {
    /// Nothing yet; none if the response says that it is longer.
    fn of(response: &Response, limit: usize) -> Option<PartialBody> {
        let is_longer = response.content_length().is_some_and(|length| length > limit as u64);
        (!is_longer).then(|| PartialBody { bytes: Vec::new(), limit })
    }

    /// Whether there was room for `chunk`.
    fn add(&mut self, chunk: &[u8]) -> bool {
        let fits = chunk.len() <= self.limit - self.bytes.len();
        if fits {
            self.bytes.extend_from_slice(chunk);
        }
        fits
    }
}

fn too_long(limit: usize) -> Error {
    Error::new(format!("the response is longer than {limit} bytes"))
}

/// Whether a body is compressed, as some servers store it and send it whatever was asked for; then it is
/// for [`gunzip`].
pub fn is_gzip(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

/// What a body was compressed from, of at most `limit` bytes.
///
/// # Errors
/// It is longer, or is not in gzip's format.
pub async fn gunzip(body: Vec<u8>, limit: usize) -> Result<Vec<u8>> {
    let unpack = move || {
        let mut unpacked = Vec::new();
        let decoder = flate2::read::MultiGzDecoder::new(body.as_slice());
        decoder.take(limit as u64 + 1).read_to_end(&mut unpacked)?;
        Ok::<_, std::io::Error>(unpacked)
    };
    let unpacked = tokio::task::spawn_blocking(unpack).await.context("unpacking the response")?;
    let unpacked = unpacked.context("unpacking the response")?;
    match unpacked.len() > limit {
        true => Err(too_long(limit)),
        false => Ok(unpacked),
    }
}

/// Waits for what a server sends next, for at most `limit`.
///
/// # Errors
/// It sends nothing for so long (transient), or [`request_error`].
pub async fn unless_stalled<T>(
    limit: Duration,
    sent: impl Future<Output = reqwest::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, sent).await {
        Ok(sent) => sent.map_err(request_error),
        Err(_) => {
            let message = format!("the server sent nothing for {} seconds", limit.as_secs_f64());
            Err(Error::new(message).transient())
        }
    }
}

/// The error of a request without a response, which says nothing of the URL: that may hold a password.
/// Another try may help, but for a certificate that is not accepted.
pub fn request_error(error: reqwest::Error) -> Error {
    let lasts = is_bad_certificate(&error);
    let error = Error::caused_by(error.without_url());
    if lasts { error } else { error.transient() }
}

/// Whether `error` means that a server's certificate is not accepted, be it that none is: no later try finds
/// it better.
pub fn is_bad_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    let of_certificate = |error: &rustls::Error| match error {
        rustls::Error::InvalidCertificate(_) => true,
        rustls::Error::Other(other) => other.0.is::<NothingTrusted>(),
        _ => false,
    };
    causes(error).filter_map(|cause| cause.downcast_ref::<rustls::Error>()).any(of_certificate)
}

/// A URL for people: without user, password, query and fragment, which may hold secrets.
pub fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => {
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or(""), url.path())
        }
        Err(_) => "the URL".into(),
    }
}

/// What of a URL must not be shown: its password, as it is written and as it is meant.
pub fn password(url: &str) -> Vec<String> {
    let Some(parsed) = Url::parse(url).ok() else { return Vec::new() };
    let Some(written) = parsed.password() else { return Vec::new() };
    let meant = percent_encoding::percent_decode_str(written).decode_utf8_lossy().into_owned();
    vec![written.to_owned(), meant]
}

#[cfg(test)]
pub(crate) mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// What a server responds that closes the connection then.
    pub(crate) async fn response(text: &'static str) -> reqwest::Response {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", server.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(text.as_bytes()).await.unwrap();
            // The client may be gone, which had enough.
            let _ = stream.shutdown().await;
        });
        let client = super::client_with(reqwest::ClientBuilder::no_proxy).unwrap();
        client.get(url).send().await.unwrap()
    }

    #[tokio::test]
    async fn bodies_are_read_up_to_their_limit() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        ] {
            assert_eq!(super::body(response(text).await, 5).await.unwrap(), b"hello");
            let error = super::body(response(text).await, 4).await.unwrap_err();
            assert_eq!(error.to_string(), "the response is longer than 4 bytes");
            assert!(!error.is_transient());
            let stall = std::time::Duration::from_secs(60);
            let read = |limit| async move {
                super::body_unless_stalled(response(text).await, limit, stall).await
            };
            assert_eq!(read(5).await.unwrap(), b"hello");
            assert_eq!(read(4).await.unwrap_err().to_string(), error.to_string());
        }
        let cut = response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").await;
        assert!(super::body(cut, 9).await.unwrap_err().is_transient());
    }

    #[tokio::test]
    async fn compressed_bodies_are_unpacked_up_to_their_limit() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        std::io::Write::write_all(&mut encoder, b"hello").unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(super::gunzip(packed.clone(), 5).await.unwrap(), b"hello");
        let error = super::gunzip(packed.clone(), 4).await.unwrap_err().to_string();
        assert_eq!(error, "the response is longer than 4 bytes");
        for bad in [&packed[..packed.len() - 1], b"hello"] {
            let error = super::gunzip(bad.to_vec(), 5).await.unwrap_err().to_string();
            assert!(error.starts_with("unpacking the response: "), "{error}");
        }
    }

    #[test]
    fn bad_certificates_are_distinguished_from_other_failures() {
        let why = rustls::CertificateError::UnknownIssuer;
        let bad = std::io::Error::other(rustls::Error::InvalidCertificate(why));
        assert!(super::is_bad_certificate(&std::io::Error::other(bad)));
        let other = std::io::Error::other(rustls::Error::DecryptError);
        assert!(!super::is_bad_certificate(&other));
    }

    #[test]
    fn passwords_are_found() {
        assert_eq!(super::password("http://me:p%40w@h/"), ["p%40w", "p@w"]);
        assert!(super::password("http://me@h/").is_empty() && super::password("x").is_empty());
    }

    #[test]
    fn shown_urls_hold_no_secret() {
        assert_eq!(super::shown("https://me:pw@h:8/a/b?token=x#y"), "https://h:8/a/b");
    }
}
