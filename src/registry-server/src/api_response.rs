//! Requests and responses of the API: JSON both ways, errors as gRPC's gateway has them.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body as RawBody, BodyDataStream, HttpBody as _};
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, FromRequest, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use super::Shared;
use ingot_registry::api::{Code, Error, Status};

/// An error as a response.
#[derive(Debug)]
pub(super) struct ApiError(pub Error);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        ApiError(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.http_status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(Status::from(&self.0))).into_response();
        let header = match self.0.code {
            Code::Unauthenticated => Some((header::WWW_AUTHENTICATE, "Bearer")),
            // In seconds: a bucket of requests is refilled, a database restarted, in a few.
            Code::ResourceExhausted => Some((header::RETRY_AFTER, "1")),
            Code::Unavailable => Some((header::RETRY_AFTER, "5")),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The response of a handler: JSON, or an error.
pub(super) type ApiResponse<T> = Result<Json<T>, ApiError>;

/// A request's body. Whatever its content type says: clients differ, and it is JSON or nothing.
#[derive(Debug)]
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = axum::body::Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| body_error(&rejection))?;
        if bytes.is_empty() {
            return Ok(Body(T::default()));
        }
        if holds_zero(&bytes) {
            return Err(ApiError(Error::invalid("the request must not hold zero characters")));
        }
        let wrong = |error: serde_json::Error| {
            Error::invalid(format!("the request is not the JSON that it should be: {error}"))
        };
        Ok(Body(serde_json::from_slice(&bytes).map_err(wrong)?))
    }
}

/// Why a body could not be read.
pub(super) fn body_error(rejection: &BytesRejection) -> Error {
    let mut source = rejection.source();
    while let Some(error) = source {
        if error.is::<LateBody>() {
            return late();
        }
        source = error.source();
    }
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Error::new(Code::ResourceExhausted, "the request is too large")
        }
        _ => Error::invalid("the request cannot be read"),
    }
}

/// The error of a body that did not arrive in time: nothing is wrong with the request, which may be sent
/// again.
pub(super) fn late() -> Error {
    Error::new(Code::Unavailable, "the request did not arrive in time")
}

/// Tells a body that did not arrive by its deadline from others that cannot be read.
#[derive(Debug)]
struct LateBody;

impl fmt::Display for LateBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the body did not arrive in time")
    }
}

impl StdError for LateBody {}

/// Whether JSON holds a zero character, which it can only as an escape. PostgreSQL cannot keep it.
pub(super) fn holds_zero(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at..].starts_with(b"\\u0000") {
            return true;
        }
        // Whatever is escaped does not begin an escape itself.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// Whether who asks reads pages, as a browser does.
fn reads_pages(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

pub(super) async fn nothing_here(State(app): State<Shared>, request: Request) -> Response {
    if reads_pages(request.headers()) {
        return super::web::nothing_here(&app, &request.into_parts().0).await;
    }
    let refusal = ApiError(Error::new(
        Code::Unimplemented,
        "this registry has nothing at this path; its API is at /openapi.json",
    ));
    refusal.into_response()
}

/// The answer to a path or a query with a zero character, as a page for whoever reads pages.
async fn zero_character(app: &Shared, request: Request) -> Response {
    let wrong = Error::invalid("a path and a query must not hold zero characters");
    let asked = request.into_parts().0;
    if reads_pages(&asked.headers) {
        return super::web::refused(app, &asked, &wrong).await;
    }
    ApiError(wrong).into_response()
}

pub(super) async fn wrong_method(State(app): State<Shared>, request: Request) -> Response {
    let wrong = Error::new(Code::Unimplemented, "this registry has no such method at this path");
    if reads_pages(request.headers()) {
        return super::web::wrong_method(&app, &request.into_parts().0, &wrong).await;
    }
    ApiError(wrong).into_response()
}

/// A body that must have come by a deadline.
fn in_time(body: RawBody, deadline: tokio::time::Instant) -> RawBody {
    if body.is_end_stream() {
        return body;
    }
    let stream = Box::pin(body.into_data_stream());
    let next = move |mut stream: std::pin::Pin<Box<BodyDataStream>>| async move {
        match tokio::time::timeout_at(deadline, stream.next()).await {
            Ok(chunk) => chunk.map(|chunk| (chunk, stream)),
            Err(_) => Some((Err(axum::Error::new(LateBody)), stream)),
        }
    };
    RawBody::from_stream(futures_util::stream::unfold(stream, next))
}

/// The error of a request whose time was over. What it was to change may be at its commit, which
/// nobody can take back.
fn given_up(method: &Method) -> Error {
    let error = |message: &str| Error::new(Code::Unavailable, message);
    match *method {
        Method::GET | Method::HEAD => error("the request took too long and was given up"),
        _ => error(
            "the request took too long and was given up; whether anything was changed is not known",
        )
        .perhaps_done(),
    }
}

/// Middleware of every request: a time limit, headers, metrics, the log.
pub(super) async fn middleware(
    State(app): State<Shared>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let _under_way = app.connections.request(address);
    let address = app.proxies.client(address, request.headers());
    request.extensions_mut().insert(ConnectInfo(address));
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let uri = request.uri().path_and_query();
    let readable = !uri.is_some_and(|path| path.as_str().contains("%00"));
    // In a task of its own, a change that has begun ends even if the client goes away; but it ends
    // with its time, too: what is dropped is rolled back.
    let deadline = tokio::time::Instant::now() + app.request_timeout;
    let request = request.map(|body| in_time(body, deadline));
    // A request that is given up is answered, too.
    let longest = app.request_timeout + Duration::from_secs(1);
    let shared = app.clone();
    let answer = async move {
        match readable {
            true => next.run(request).await,
            false => zero_character(&shared, request).await,
        }
    };
    let work = tokio::spawn(tokio::time::timeout(longest, answer));
    let mut response = match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError(given_up(&method)).into_response(),
        Err(_) => ApiError(Error::new(Code::Internal, "the registry failed")).into_response(),
    };
    response = app
        .outgoing
        .admit(response, address.ip())
        .unwrap_or_else(|error| ApiError(error).into_response());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if app.strict {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    // Pages say what they need.
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("content-security-policy"), "default-src 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let status = response.status().as_u16();
    app.metrics.request(method.as_str(), &path, status, start.elapsed());
    tracing::debug!(%method, path, status, %address, took = ?start.elapsed(), "request");
    response
}
