//! Who looks at a page: cookies, the session behind them, and the token that a form must carry so
//! that no other site can send it.

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use axum_extra::extract::cookie::{self, CookieJar};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_base::hash::sha256_bytes;
use ring::hmac;
use serde::Deserialize;

use super::problem::Problem;
use crate::{Shared, secret};
use ingot_registry::api::{Code, Error, Result, Timestamp};
use ingot_registry::service::{Caller, Session};
use ingot_registry::store::{Principal, Project, Role};

/// How long somebody stays signed in, in seconds.
pub(super) const SESSION_LIFE: i64 = 12 * 3600;

/// How many fields of a form are read; no form has as many.
const FIELDS: usize = 100;

/// The field of a form that holds its token.
pub(super) const FORM_TOKEN: &str = "form_token";

/// A cookie of the registry's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cookie {
    /// Who has signed in.
    Session,
    /// Who is about to: what the form's token is made of before there is a session.
    Visitor,
}

impl Cookie {
    /// Its name. `__Host-` keeps other hosts of a domain from setting it, which browsers do under
    /// TLS only.
    fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Cookie::Session, true) => "__Host-ingot-session",
            (Cookie::Session, false) => "ingot-session",
            (Cookie::Visitor, true) => "__Host-ingot-visitor",
            (Cookie::Visitor, false) => "ingot-visitor",
        }
    }

    /// Its value, of the request.
    pub(super) fn of(self, headers: &HeaderMap, secure: bool) -> Option<String> {
        let jar = CookieJar::from_headers(headers);
        let value = jar.get(self.name(secure))?.value();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The header that sets it, for so many seconds.
    pub(super) fn set(self, value: &str, seconds: i64, secure: bool) -> String {
        cookie::Cookie::build((self.name(secure), value))
            .path("/")
            .http_only(true)
            .same_site(cookie::SameSite::Lax)
            .max_age(time::Duration::seconds(seconds))
            .secure(secure)
            .to_string()
    }
}

/// How long what tells a form's token from others is, in bytes.
const MAC: usize = 32;

/// The token of the forms that whoever has this cookie may send. It is another one in every page,
/// covered by as many random bytes: what is on a page in compressed form could be guessed from its
/// length if it were always the same.
pub(super) fn form_token(cookie: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    let cover = sha256_bytes(secret::random_hex());
    let covered = hmac::sign(&key, b"form");
    let covered = covered.as_ref().iter().zip(cover.as_ref()).map(|(a, b)| a ^ b);
    let token: Vec<u8> = cover.as_ref().iter().copied().chain(covered).collect();
    URL_SAFE_NO_PAD.encode(token)
}

fn is_form_token(cookie: &str, token: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, cookie.as_bytes());
    let decoded = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let Some((cover, covered)) = decoded.split_at_checked(MAC) else { return false };
    let mac: Vec<u8> = covered.iter().zip(cover).map(|(a, b)| a ^ b).collect();
    covered.len() == MAC && hmac::verify(&key, b"form", &mac).is_ok()
}

/// Whether the browser reached the registry by TLS: its own, or that of a proxy before it, which
/// says so. Who claims it falsely only keeps their own browser from sending the cookie back.
pub(crate) fn is_secure(app: &Shared, headers: &HeaderMap) -> bool {
    let proxied = headers.get("x-forwarded-proto");
    app.secure || proxied.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// The address of who asks.
fn address_of(parts: &Parts) -> String {
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    address.map(|info| info.0.ip().to_string()).unwrap_or_default()
}

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub(super) struct WebSession {
    /// As whom.
    pub principal: Principal,
    /// From where.
    pub address: String,
    /// What their forms must carry.
    pub form_token: String,
    /// What they asked for, to come back to.
    pub path: String,
    /// What is kept of the session's token.
    pub session_hash: String,
    /// When they signed in.
    pub since: Timestamp,
}

impl WebSession {
    /// What the query of the page says of something; empty if it does not.
    pub(super) fn query_value(&self, name: &str) -> String {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    /// Whether they may change anything.
    pub(super) fn may_write(&self) -> bool {
        self.principal.role >= Role::Contributor
    }
}

/// Who has signed in, and what they send must carry.
async fn visit(parts: &Parts, app: &Shared) -> Result<(WebSession, String)> {
    let (visit, cookie) = visitor(parts, app).await?;
    app.limits.request(&visit.principal.id)?;
    Ok((visit, cookie))
}

/// As [`visit`], and does not count as a request: for the page that tells why one failed.
pub(super) async fn visitor(parts: &Parts, app: &Shared) -> Result<(WebSession, String)> {
    let unknown = || Error::new(Code::Unauthenticated, "sign in first");
    let cookie = Cookie::Session.of(&parts.headers, is_secure(app, &parts.headers));
    let cookie = cookie.ok_or_else(unknown)?;
    let session_hash = secret::hash(&cookie);
    let mut tx = app.store.read().await?;
    let (id, since) = tx.web_session(&session_hash).await?.ok_or_else(unknown)?;
    let principal = tx.principal(&id).await?.ok_or_else(unknown)?;
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let (address, form_token) = (address_of(parts), form_token(&cookie));
    Ok((WebSession { principal, address, form_token, path, session_hash, since }, cookie))
}

/// The page that a path belongs to: itself, or where the form is that is sent there and nowhere else.
pub(super) fn page_of(path: &str) -> &str {
    let parts: Vec<&str> = path.split('/').collect();
    let slashes = match parts.as_slice() {
        ["", "sign-out"] => return "/",
        ["", "projects", _, "settings", ..] => 3,
        ["", "projects", _, "buckets", _, "channels", _, "assign" | "access"]
        | ["", "projects", _, "buckets", _, "versions", _, "promote"] => 6,
        _ => return path,
    };
    path.match_indices('/').nth(slashes).map_or(path, |(end, _)| &path[..end])
}

/// Where to come back to: the page that was asked for, or the page that the form is on.
pub(super) fn return_path(parts: &Parts) -> String {
    let path = |uri: &Uri| uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    if parts.method == Method::GET {
        return path(&parts.uri);
    }
    if parts.uri.path() == "/sign-out" {
        return "/".into();
    }
    // What somebody was asked is at the path of its form, with a query.
    let page = |uri: &Uri| match uri.query() {
        Some(_) => path(uri),
        None => page_of(uri.path()).to_owned(),
    };
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = parts.uri.authority().map(ToString::to_string);
    let host = host.or_else(|| text(header::HOST).map(str::to_owned));
    let from = text(header::REFERER).and_then(|referer| referer.parse::<Uri>().ok());
    match from.filter(|from| from.authority().map(ToString::to_string) == host) {
        Some(from) => page(&from),
        None => page(&parts.uri),
    }
}

impl FromRequestParts<Shared> for WebSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        Ok(visit(parts, app).await.map(|(visit, _)| visit)?)
    }
}

/// What a path names.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Names {
    pub project: String,
    pub bucket: String,
    pub version: String,
    pub build: String,
    pub sbom: String,
    pub block: String,
    pub channel: String,
}

/// A visit to a page of a project.
#[derive(Debug)]
pub(super) struct PageContext {
    /// Who visits.
    pub visit: WebSession,
    /// What they can do and see there.
    pub session: Session,
    /// The project.
    pub project: Project,
    /// What the path names.
    pub names: Names,
}

impl PageContext {
    /// The path of a bucket's page, or of what is under it.
    pub(super) fn bucket_path(&self, bucket: &str, rest: &str) -> String {
        format!("{}/{}{rest}", self.buckets_path(), segment(bucket))
    }

    /// The path of the list of buckets.
    pub(super) fn buckets_path(&self) -> String {
        format!("/projects/{}/buckets", segment(&self.project.name))
    }

    /// The path of a version's page, or of what is under it.
    pub(super) fn version_path(&self, bucket: &str, fingerprint: &str, rest: &str) -> String {
        self.bucket_path(bucket, &format!("/versions/{}{rest}", segment(fingerprint)))
    }

    /// The path of a channel's page, or of what is under it.
    pub(super) fn channel_path(&self, bucket: &str, channel: &str, rest: &str) -> String {
        self.bucket_path(bucket, &format!("/channels/{}{rest}", segment(channel)))
    }
}

/// A name as a part of a path.
pub(super) fn segment(name: &str) -> percent_encoding::PercentEncode<'_> {
    const PLAIN: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(name, PLAIN)
}

/// The projects that a principal may see.
pub(super) async fn projects_of(app: &Shared, principal: &Principal) -> Result<Vec<Project>> {
    let mut projects = app.store.read().await?.projects().await?;
    projects.retain(|project| {
        project.location.organization_id == principal.organization_id
            && principal.project_id.as_ref().is_none_or(|id| *id == project.location.project_id)
    });
    Ok(projects)
}

pub(super) async fn context(
    parts: &mut Parts,
    app: &Shared,
    visit: WebSession,
) -> Result<PageContext> {
    let wrong = |_| Error::not_found("there is no such page");
    let Path(names) = Path::<Names>::from_request_parts(parts, app).await.map_err(wrong)?;
    let projects = projects_of(app, &visit.principal).await?;
    let project = projects.into_iter().find(|project| project.name == names.project);
    // The same whether there is such a project or not.
    let project =
        project.ok_or_else(|| Error::not_found("there is no such project for this principal"))?;
    let caller = Caller {
        id: visit.principal.id.clone(),
        name: visit.principal.name.clone(),
        role: visit.principal.role,
        address: visit.address.clone(),
    };
    let session = Session::new(app.store.clone(), project.clone(), caller, app.address.clone());
    Ok(PageContext { visit, session, project, names })
}

impl FromRequestParts<Shared> for PageContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let visit = WebSession::from_request_parts(parts, app).await?;
        Ok(context(parts, app, visit).await?)
    }
}

/// The fields of a form.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Fields that a query has.
    pub(super) fn new(query: Vec<(String, String)>) -> Self {
        Fields(query)
    }

    /// A field's text; empty where it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Whether a box is ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// The form of a request, if its token is the one of this cookie.
    async fn read(request: Request, cookie: &str) -> Result<Self> {
        let bytes = Bytes::from_request(request, &()).await;
        let bytes = bytes.map_err(|_| Error::invalid("the form cannot be read"))?;
        Fields::of_form(&bytes, cookie)
    }

    /// The fields in the body of a form, whoever sent it.
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        // Of many short ones each would take far more memory than in the body.
        let fields = form_urlencoded::parse(body).into_owned().take(FIELDS);
        let fields = Fields(fields.collect());
        if fields.0.iter().any(|(_, text)| text.contains('\0')) {
            return Err(Error::invalid("a form must not hold zero characters"));
        }
        Ok(fields)
    }

    /// As [`Fields::parse`], if the form's token is the one of this cookie.
    pub(super) fn of_form(body: &[u8], cookie: &str) -> Result<Self> {
        let fields = Fields::parse(body)?;
        match is_form_token(cookie, fields.text(FORM_TOKEN)) {
            true => Ok(fields),
            false => Err(Error::new(
                Code::PermissionDenied,
                "the form was not created by this registry for you, or is too old; \
                 go back, load the page again and send it once more",
            )),
        }
    }
}

/// A form without fields, sent by somebody who has signed in.
#[derive(Debug)]
pub(super) struct Form(pub WebSession);

impl FromRequest<Shared> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let (visit, cookie) = visit(&parts, app).await?;
        Fields::read(Request::from_parts(parts, body), &cookie).await?;
        Ok(Form(visit))
    }
}

/// A form of a page of a project.
#[derive(Debug)]
pub(super) struct Change {
    pub context: PageContext,
    pub fields: Fields,
}

impl FromRequest<Shared> for Change {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let (visit, cookie) = visit(&parts, app).await?;
        let context = context(&mut parts, app, visit).await?;
        let fields = Fields::read(Request::from_parts(parts, body), &cookie).await?;
        Ok(Change { context, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_taken_from_who_it_was_made_for() {
        let token = form_token("one");
        assert_ne!(token, form_token("one"));
        assert!(is_form_token("one", &token));
        for (cookie, token) in [("two", token.as_str()), ("one", ""), ("one", &token[1..])] {
            assert!(!is_form_token(cookie, token), "{cookie} {token}");
        }
    }

    #[test]
    fn paths_that_are_only_posted_to_have_a_page() {
        let bucket = "/projects/a%2Fb/buckets/web";
        for (path, page) in [
            ("/sign-out", "/".to_owned()),
            ("/projects/p/settings", "/projects/p/settings".into()),
            ("/projects/p/settings/members", "/projects/p/settings".into()),
            ("/projects/p/settings/webhooks/remove", "/projects/p/settings".into()),
            (&format!("{bucket}/channels/c/assign"), format!("{bucket}/channels/c")),
            (&format!("{bucket}/channels/c/access"), format!("{bucket}/channels/c")),
            (&format!("{bucket}/versions/v/promote"), format!("{bucket}/versions/v")),
            // These are pages, whatever they are called.
            (&format!("{bucket}/channels/assign"), format!("{bucket}/channels/assign")),
            (&format!("{bucket}/versions/v/revoke"), format!("{bucket}/versions/v/revoke")),
            ("/projects/settings/buckets", "/projects/settings/buckets".into()),
        ] {
            assert_eq!(page_of(path), page);
        }
    }

    #[test]
    fn names_cannot_leave_their_part_of_a_path() {
        assert_eq!(segment("a/../b?c#d\"<é").to_string(), "a%2F..%2Fb%3Fc%23d%22%3C%C3%A9");
    }
}
