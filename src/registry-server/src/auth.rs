//! Who asks: the token endpoint, and the principal and project of a request.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::api_response::ApiError;
use super::{Shared, secret};
use ingot_registry::api::{Code, Error, Location, Page, Result};
use ingot_registry::service::{Caller, Session};
use ingot_registry::store::{AuditRow, Principal, transaction};

/// `POST /oauth2/token`: OAuth 2's client credentials, in the header or in the form, as Go's
/// library tries one after the other.
pub(super) async fn token(
    State(app): State<Shared>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    // It counts until the end: it takes memory while the database is waited for.
    let body = app.unauthenticated.read(request, address.ip()).await?;
    let address = address.ip().to_string();
    let refuse = |status: StatusCode, error: &str, why: &str| {
        let body = json!({ "error": error, "error_description": why });
        (status, axum::Json(body)).into_response()
    };
    let field = |name: &str| {
        let mut pairs = form_urlencoded::parse(&body.bytes);
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    if field("grant_type") != "client_credentials" {
        let why = "grant_type must be client_credentials";
        return Ok(refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type", why));
    }
    let (id, given) =
        basic(&headers).unwrap_or_else(|| (field("client_id"), field("client_secret")));
    match app.store.principal(&id).await? {
        Some(principal) if secret::is_secret_of(&principal, &given) => {
            let body = json!({
                "access_token": app.tokens.token(&principal.id),
                "token_type": "Bearer",
                "expires_in": secret::TOKEN_LIFE,
            });
            Ok(axum::Json(body).into_response())
        }
        // Only who is wrong is slowed down: nobody guesses 256 random bits, and others must not be
        // able to lock somebody out by being wrong in their name.
        _ => {
            app.limits.sign_in(&address, &id)?;
            app.limits.failed(&address, &id);
            tracing::warn!(address, "somebody failed to sign in");
            let why = "the client id or the client secret is invalid";
            Ok(refuse(StatusCode::UNAUTHORIZED, "invalid_client", why))
        }
    }
}

/// The id and secret of a `Basic` header, which OAuth 2 wants percent-encoded in it.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?.to_owned();
    let decode = |text: &str| {
        form_urlencoded::parse(format!("v={}", text.replace('&', "%26")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

/// An authenticated principal.
#[derive(Debug)]
pub(super) struct Authenticated {
    pub principal: Principal,
    pub address: String,
}

impl FromRequestParts<Shared> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiError> {
        let unknown = || {
            Error::new(Code::Unauthenticated, "sign in: the token is missing, invalid or expired")
        };
        let header = parts.headers.get(header::AUTHORIZATION);
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let id = token.and_then(|token| app.tokens.principal(token)).ok_or_else(unknown)?;
        app.limits.request(&id)?;
        // Asked for every time, so that a principal that was removed is locked out at once.
        let principal = app.store.principal(&id).await?.ok_or_else(unknown)?;
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let address = address.map(|info| info.0.ip().to_string()).unwrap_or_default();
        Ok(Authenticated { principal, address })
    }
}

/// What a path names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Names {
    org: String,
    project: String,
    pub bucket: String,
    pub version: String,
    pub build: String,
    pub channel: String,
    pub block: String,
    pub block_version: String,
    pub sbom: String,
    pub task: String,
    pub operation: String,
}

/// A request of somebody who may make it.
#[derive(Debug)]
pub(super) struct Call {
    pub session: Session,
    pub names: Names,
    pub page: Page,
    query: String,
}

impl Call {
    /// Checks that the query wants a list in its own order: by a field, ascending or descending.
    pub(crate) fn ordered(&self, field: &str, direction: &str) -> Result<()> {
        let pairs: Vec<(String, String)> = self.query()?;
        let orders = pairs.iter().filter(|(name, _)| name == "sorting.order_by");
        for (_, order) in orders {
            let mut words = order.split_whitespace();
            let fits = words.next().is_none_or(|word| word == field)
                && words.next().unwrap_or("asc").eq_ignore_ascii_case(direction)
                && words.next().is_none();
            if !fits {
                return Err(Error::new(
                    Code::Unimplemented,
                    format!("this list is ordered by `{field} {direction}`, and by nothing else"),
                ));
            }
        }
        Ok(())
    }

    /// The query as a structure.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T> {
        let wrong = |_| Error::invalid("the query is not what it should be");
        serde_urlencoded::from_str(&self.query).map_err(wrong)
    }
}

impl FromRequestParts<Shared> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiError> {
        let who = Authenticated::from_request_parts(parts, app).await?;
        let wrong = || Error::invalid("the path or the query is not what it should be");
        let names: Path<Names> = Path::from_request_parts(parts, app).await.map_err(|_| wrong())?;
        let names = names.0;
        let all = [
            &names.bucket,
            &names.version,
            &names.build,
            &names.channel,
            &names.block,
            &names.block_version,
            &names.sbom,
        ];
        let zero = |text: &str| text.contains('\0') || text.contains("%00");
        if all.into_iter().any(|name| zero(name)) || parts.uri.query().is_some_and(zero) {
            return Err(ApiError(wrong()));
        }
        let location =
            Location { organization_id: names.org.clone(), project_id: names.project.clone() };
        let principal = &who.principal;
        let may = principal.organization_id == location.organization_id
            && principal.project_id.as_ref().is_none_or(|id| *id == location.project_id);
        let project = match may {
            true => app.store.project(&location).await?,
            false => None,
        };
        let Some(project) = project else {
            // The same whether there is such a project or not.
            refused(app, &who, parts).await?;
            return Err(ApiError(Error::new(
                Code::PermissionDenied,
                "there is no such project for this principal",
            )));
        };
        let page: Query<Page> = Query::from_request_parts(parts, app).await.map_err(|_| wrong())?;
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let caller = Caller {
            id: who.principal.id,
            name: who.principal.name,
            role: who.principal.role,
            address: who.address,
        };
        let session = Session::new(app.store.clone(), project, caller, app.address.clone());
        Ok(Call { session, names, page: page.0, query })
    }
}

/// Writes down that somebody asked for what is not theirs: the first time, and then once a minute how
/// often they did.
async fn refused(app: &Shared, who: &Authenticated, parts: &Parts) -> Result<()> {
    if !app.refused_requests.is_first(&who.principal.id, &who.address) {
        return Ok(());
    }
    let target = parts.uri.path().chars().take(500).collect();
    let line = AuditRow {
        principal: who.principal.id.clone(),
        action: parts.method.to_string(),
        target,
        outcome: "refused".into(),
        address: who.address.clone(),
        ..AuditRow::default()
    };
    transaction!(app.store, |tx| tx.audit(&line))
}
