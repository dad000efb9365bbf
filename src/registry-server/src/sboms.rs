//! SBOMs over HTTP: uploading, listing, and downloading by a URL that needs no token.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::Shared;
use super::api_response::{ApiError, ApiResponse, Body};
use super::auth::Call;
use super::web::is_secure;
use ingot_registry::api::limits::COMPRESSED_SBOM;
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::service::sbom_document;
use ingot_registry::store::{Role, SbomRow, turn_within};

/// How large the request of an upload may be, in bytes: the SBOM in base64, and some more.
pub(super) const BODY: usize = COMPRESSED_SBOM / 3 * 4 + (64 << 10);
/// How many uploads may be read at once, as each may take that much memory.
pub(super) const UPLOADS: usize = 4;
/// How long an upload waits for others to end. Its body takes up HTTP/2's window meanwhile.
const QUEUE: Duration = Duration::from_secs(20);
/// How long the URL of a download is good for, in seconds.
const LIFE: i64 = 300;

pub(super) async fn upload(
    State(app): State<Shared>,
    call: Call,
    request: Request,
) -> ApiResponse<UploadSbomResponse> {
    // Before the body is read: not for somebody who may not upload any.
    call.session.need(Role::Contributor)?;
    let turn = turn_within(QUEUE, app.uploads.clone().acquire_owned()).await?;
    let body = Body::<UploadSbomBody>::from_request(request, &app).await?.0;
    let names = &call.names;
    let (bucket, version) = (&names.bucket, &names.version);
    let sbom = call.session.upload_packed_sbom(bucket, version, &names.build, body, turn).await?;
    Ok(Json(UploadSbomResponse { sbom: Some(sbom) }))
}

pub(super) async fn list(call: Call) -> ApiResponse<ListSbomsResponse> {
    let names = &call.names;
    Ok(Json(call.session.list_sboms(&names.bucket, &names.version, &names.build).await?))
}

pub(super) async fn get(
    State(app): State<Shared>,
    call: Call,
    request: Request,
) -> ApiResponse<GetSbomResponse> {
    let names = &call.names;
    let (bucket, version) = (&names.bucket, &names.version);
    let sbom = call.session.find_sbom(bucket, version, &names.build, &names.sbom).await?;
    let (base, token) = (base_url(&app, &request), app.tokens.sbom_token(&sbom.id, LIFE));
    Ok(Json(GetSbomResponse { download_url: format!("{base}/sboms/{token}") }))
}

/// Where the client reaches this server: as the administrator says, else as the client does now.
fn base_url(app: &Shared, request: &Request) -> String {
    if let Some(url) = &app.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(|it| it.as_str()).or(header);
    let scheme = if is_secure(app, request.headers()) { "https" } else { "http" };
    format!("{scheme}://{}", authority.unwrap_or(&app.address))
}

/// `/sboms/{token}`
pub(super) async fn download(
    State(app): State<Shared>,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    let old = || Error::new(Code::PermissionDenied, "the URL is invalid or too old; get a new one");
    let id = app.tokens.sbom(&token).ok_or_else(old)?;
    let sbom = app.store.read().await?.sbom_by_id(&id).await?.ok_or_else(old)?;
    Ok(document(&sbom, sbom_document(&app.store, &id).await?))
}

/// An SBOM as a file.
pub(super) fn document(sbom: &SbomRow, document: Vec<u8>) -> Response {
    let kind = match sbom.format {
        SbomFormat::CycloneDx => "application/vnd.cyclonedx+json",
        SbomFormat::Spdx => "application/spdx+json",
        SbomFormat::Unset => "application/json",
    };
    let mut response = ([(header::CONTENT_TYPE, kind)], document).into_response();
    // Names of SBOMs are letters, digits, `-`, `_` and `.`.
    let saved = format!("attachment; filename=\"{}.json\"", sbom.name);
    if let Ok(saved) = HeaderValue::from_str(&saved) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, saved);
    }
    response
}
