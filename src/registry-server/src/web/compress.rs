//! Pages in gzip's form, for browsers that take it: a list of fifty buckets is a tenth of the size.

use std::io::Write as _;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

/// What is shorter, in bytes, is not worth it.
const LEAST: usize = 1024;

/// How large a page may be, in bytes. None is anywhere near it.
const MOST: usize = 16 << 20;

/// Whether a browser takes gzip's form.
fn takes_gzip(request: &Parts) -> bool {
    let accepted = request.headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = accepted.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .is_some_and(|it| it.parse::<f64>().is_ok_and(|weight| weight <= 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// A page or a style sheet, compressed if the browser takes it.
pub(super) async fn compress(request: &Parts, mut response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/") || kind == "image/svg+xml") {
        return response;
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !takes_gzip(request) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MOST).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = match bytes.len() < LEAST {
        true => None,
        // Writing into memory does not fail.
        false => encoder.write_all(&bytes).and_then(|()| encoder.finish()).ok(),
    };
    let Some(packed) = packed else { return Response::from_parts(parts, Body::from(bytes)) };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(packed))
}
