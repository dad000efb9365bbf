//! What responses hold, and what is wrong where there are none.

use ingot_base::error::{IntoError, causes};
use ingot_base::http;
use reqwest::{StatusCode, Url};

use crate::api::{Code, Error, Result, Status};

/// The largest answer that is read, in bytes: a page of versions with all their builds is far
/// below.
const LARGEST_ANSWER: usize = 64 << 20;

/// What an answer holds; none if that is more than is read.
pub(super) async fn bounded(
    response: reqwest::Response,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    http::bounded(response, LARGEST_ANSWER).await
}

pub(super) fn too_long(host: &str) -> Error {
    Error::new(Code::Internal, format!("{host} returned more than {LARGEST_ANSWER} bytes"))
}

/// That somebody could not be asked, and what to do about it.
pub(super) fn unreachable_error(doing: String, error: reqwest::Error) -> Error {
    let advice = advice(&error);
    let why = error.into_error();
    Error::new(Code::Unavailable, format!("{doing}: {why}")).advise(advice)
}

fn advice(error: &reqwest::Error) -> Option<&'static str> {
    let is_of_others = |cause: &(dyn std::error::Error + 'static)| {
        let Some(rustls::Error::InvalidCertificate(why)) = cause.downcast_ref() else {
            return false;
        };
        matches!(
            why,
            rustls::CertificateError::NotValidForName
                | rustls::CertificateError::NotValidForNameContext { .. }
        )
    };
    if causes(error).any(is_of_others) {
        return Some(
            "use a name that the certificate is for, or start the registry with `-tls-name NAME`, \
             which creates a certificate that clients have to trust anew",
        );
    }
    if http::is_bad_certificate(error) {
        return Some(
            "set SSL_CERT_FILE to the file of the registry's certificate, or of the one that it is signed \
             by; `ingot registry serve` prints where its own is",
        );
    }
    let is_plain = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(rustls::Error::InvalidMessage(_)))
    };
    if causes(error).any(is_plain) {
        return Some(
            "there is no TLS at this address; for a registry that is served with -plain-http set \
             INGOT_REGISTRY=http://HOST:PORT",
        );
    }
    error.is_connect().then_some(
        "check that the registry is running, and its address: INGOT_REGISTRY, or HCP_API_ADDRESS and \
         HCP_AUTH_URL",
    )
}

/// Where a URL points, for people.
pub(crate) fn host(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// What an answer that is no success says.
pub(super) fn status_error(status: StatusCode, body: &[u8], place: &str) -> Error {
    reported(body).unwrap_or_else(|| plain_error(status, place))
}

/// The error that a registry's answer holds.
pub(super) fn reported(body: &[u8]) -> Option<Error> {
    let status = serde_json::from_slice::<Status>(body).ok()?;
    (status.code != 0 && !status.message.is_empty()).then(|| status.into())
}

/// What is known of an answer that holds none. A registry says what is wrong with a request, so that it
/// is something before it that refuses one without: nothing that holds for good.
pub(super) fn plain_error(status: StatusCode, place: &str) -> Error {
    let code = match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 => Code::Unavailable,
        409 => Code::Aborted,
        429 => Code::ResourceExhausted,
        // A registry that cannot do something says so; one without it answers 404.
        501 => Code::Unknown,
        500.. => Code::Unavailable,
        _ => Code::Unknown,
    };
    let too_large = (status == StatusCode::PAYLOAD_TOO_LARGE).then_some(
        "what stands before the registry, such as a proxy, limits the size of requests; that of an SBOM \
         has up to 11 MiB",
    );
    Error::new(code, format!("{place} returned {status}")).advise(too_large)
}

/// An error that is "not found" only if the registry itself said so. What stands before one says 404,
/// too, as while the registry is started again, and that does not mean that something is gone for good.
pub(super) fn not_found_by_registry(error: Error, from_registry: bool) -> Error {
    if error.code != Code::NotFound || from_registry {
        return error;
    }
    Error { code: Code::Unavailable, ..error }.advise(Some(
        "no registry said that: check what stands before it, such as a proxy, and that the registry's \
         `-public-url` leads to it",
    ))
}
