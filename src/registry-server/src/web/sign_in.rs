//! Signing in, by a link that works once or as a principal with its secret, and out.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::page::Page;
use super::parts::{own_path, token_field};
use super::problem::{Problem, sentence};
use super::web_session::{Cookie, Fields, Form, SESSION_LIFE, form_token, is_secure};
use crate::{Shared, secret};
use ingot_registry::api::{Result, Timestamp};
use ingot_registry::store::{AuditRow, Principal, Store, transaction};

/// How long a link can be used, in seconds.
const LINK_LIFE: i64 = 3600;

fn in_seconds(seconds: i64) -> Timestamp {
    let now = Timestamp::now().micros().unwrap_or_default();
    Timestamp::from_micros(Some(now + seconds * 1_000_000))
}

/// Makes a link that signs a principal in once, within an hour: its path.
///
/// # Errors
/// The database failed.
pub async fn new_link(store: &Store, principal: &Principal) -> Result<String> {
    let token = secret::random_hex();
    let (hash, until) = (secret::hash(&token), in_seconds(LINK_LIFE));
    transaction!(store, |tx| async {
        tx.insert_sign_in_link(&hash, &principal.id, until).await?;
        tx.audit(&line("command line", "", "make sign-in link", &principal.name)).await
    })?;
    Ok(format!("/sign-in/{token}"))
}

/// A page with a form, and the cookie that the form's token is made of.
fn with_cookie(app: &Shared, headers: &HeaderMap, page: impl FnOnce(&str) -> Page) -> Response {
    let secure = is_secure(app, headers);
    let given = Cookie::Visitor.of(headers, secure);
    let cookie = given.unwrap_or_else(secret::random_hex);
    // As long as a session: the page may stay open for hours before it is filled in.
    let set = Cookie::Visitor.set(&cookie, SESSION_LIFE, secure);
    ([(header::SET_COOKIE, set)], page(&form_token(&cookie))).into_response()
}

fn secret_form(token: &str, next: &str, id: &str, wrong: Option<&str>) -> Page {
    Page::new("Sign in").body(html! {
        div.card.narrow {
            h1 { "Sign in" }
            @if let Some(text) = wrong {
                p.alert.bad #wrong role="alert" { (text) }
            }
            form method="post" action="/sign-in" {
                (token_field(token))
                input type="hidden" name="next" value=(next);
                div.field {
                    label for="client_id" { "Client id" }
                    input #client_id name="client_id" value=(id) required autocomplete="username"
                        autocapitalize="none" spellcheck="false" maxlength="200"
                        aria-invalid=[wrong.map(|_| "true")]
                        aria-describedby=[wrong.map(|_| "wrong")];
                }
                div.field {
                    label for="client_secret" { "Client secret" }
                    input #client_secret type="password" name="client_secret" required
                        autocomplete="current-password" maxlength="200"
                        aria-invalid=[wrong.map(|_| "true")]
                        aria-describedby=[wrong.map(|_| "wrong")];
                }
                button.main type="submit" { "Sign in" }
            }
            p.hint {
                "Or open a link that signs you in once: the server’s administrator creates one with "
                code { "ingot registry sign-in-link" } "."
            }
        }
    })
}

/// What is answered to a form that was sent after its session had ended. It is the answer itself
/// and not a page that it leads to, so that no link can claim this.
pub(super) fn form_was_lost(app: &Shared, headers: &HeaderMap, next: &str) -> Response {
    let text = "Your session has ended, so what you sent was not done and nothing was saved. \
                Sign in to go back to the page that you sent it from.";
    let mut response = with_cookie(app, headers, |token| secret_form(token, next, "", Some(text)));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

pub(super) async fn show(
    State(app): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let next = query.iter().find(|(key, _)| key == "next").map_or("", |(_, value)| value);
    let next = own_path(next).unwrap_or("/");
    with_cookie(&app, &headers, |token| secret_form(token, next, "", None))
}

/// The form again, with what was filled in but the secret, and why it is shown again.
fn secret_form_again(app: &Shared, headers: &HeaderMap, fields: &Fields, wrong: &str) -> Response {
    let next = own_path(fields.text("next")).unwrap_or("/");
    let id = fields.text("client_id").trim();
    let page = |token: &str| secret_form(token, next, id, Some(wrong));
    let mut response = with_cookie(app, headers, page);
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

pub(super) async fn with_secret(
    State(app): State<Shared>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let secure = is_secure(&app, &headers);
    // It counts until the end: it takes memory while the database is waited for.
    let body = app.unauthenticated.read(request, address.ip()).await?;
    let address = address.ip().to_string();
    let Some(cookie) = Cookie::Visitor.of(&headers, secure) else {
        // This sets one, so that the form can be sent from here.
        let wrong = "Nothing was done, as the page was too old or your browser sent no cookie. \
                     Enter the secret and send it once more; if this is shown again, allow cookies.";
        return Ok(secret_form_again(&app, &headers, &Fields::parse(&body.bytes)?, wrong));
    };
    let fields = Fields::of_form(&body.bytes, &cookie)?;
    let (id, given) = (fields.text("client_id").trim(), fields.text("client_secret").trim());
    let next = own_path(fields.text("next")).unwrap_or("/");
    let principal = app.store.principal(id).await?;
    let principal = principal.filter(|principal| secret::is_secret_of(principal, given));
    let Some(principal) = principal else {
        // Only who is wrong is slowed down.
        app.limits.sign_in(&address, id)?;
        app.limits.failed(&address, id);
        tracing::warn!(address, "somebody failed to sign in");
        let wrong = "The client id or the client secret is invalid.";
        return Ok(secret_form_again(&app, &headers, &fields, wrong));
    };
    let (hash, cookie) = new_session(secure);
    transaction!(app.store, |tx| async {
        tx.insert_web_session(&hash, &principal.id, in_seconds(SESSION_LIFE)).await?;
        tx.audit(&line(&principal.id, &address, "sign in", "with the secret")).await
    })?;
    Ok(signed_in(&cookie, next))
}

/// A line of the audit log.
fn line(principal: &str, address: &str, action: &str, target: &str) -> AuditRow {
    AuditRow {
        principal: principal.to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
        outcome: "done".into(),
        address: address.to_owned(),
        ..AuditRow::default()
    }
}

/// A new session: the hash to keep of its token, and the cookie that holds it.
fn new_session(secure: bool) -> (String, String) {
    let token = secret::random_hex();
    (secret::hash(&token), Cookie::Session.set(&token, SESSION_LIFE, secure))
}

fn signed_in(cookie: &str, next: &str) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

/// Who shows up with a link has not used it yet: programs that look at what links lead to would
/// use it up. They press the button that the page has.
pub(super) async fn show_link(
    State(app): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    link_form(&app, &token, &headers, None).await
}

/// The page of a link, and why it is shown again.
async fn link_form(
    app: &Shared,
    token: &str,
    headers: &HeaderMap,
    wrong: Option<&str>,
) -> Result<Response, Problem> {
    let mut tx = app.store.read().await?;
    let id = tx.sign_in_link(&secret::hash(token)).await?;
    let principal = match id {
        Some(id) => tx.principal(&id).await?,
        None => None,
    };
    drop(tx);
    let Some(principal) = principal else { return Ok(used_up()) };
    let page = |form_token: &str| {
        Page::new("Sign in").body(html! {
            div.card.narrow {
                h1 { "Sign in" }
                @if let Some(text) = wrong {
                    p.alert.bad role="alert" { (text) }
                }
                p { "This link signs you in as " strong { (principal.name) } ", with the role "
                    span.role { (principal.role.as_str()) } ". It works once." }
                form method="post" action=(format!("/sign-in/{token}")) {
                    (token_field(form_token))
                    button.main type="submit" { "Sign in as " (principal.name) }
                }
            }
        })
    };
    let mut response = no_trace(with_cookie(app, headers, page));
    if wrong.is_some() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    Ok(response)
}

/// The link is in the page's address: what the page links to is not to learn it.
fn no_trace(mut response: Response) -> Response {
    response.headers_mut().insert(
        HeaderName::from_static("referrer-policy"),
        axum::http::HeaderValue::from_static("no-referrer"),
    );
    response
}

fn used_up() -> Response {
    let page = Page::new("Sign in").body(html! {
        div.card.narrow {
            h1 { "This link cannot be used" }
            p role="alert" { (sentence("it has been used, or it is too old")) }
            p { "Make another with " code { "ingot registry sign-in-link" } ", or "
                a href="/sign-in" { "sign in with a client id and secret" } "." }
        }
    });
    no_trace((StatusCode::GONE, page).into_response())
}

pub(super) async fn with_link(
    State(app): State<Shared>,
    Path(token): Path<String>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let secure = is_secure(&app, &headers);
    let Some(cookie) = Cookie::Visitor.of(&headers, secure) else {
        // This sets one, so that the link can be used from here.
        let wrong = "Nothing was done, as the page was too old or your browser sent no cookie. \
                     Press the button once more; if this is shown again, allow cookies.";
        return link_form(&app, &token, &headers, Some(wrong)).await;
    };
    let body = app.unauthenticated.read(request, address.ip()).await?;
    Fields::of_form(&body.bytes, &cookie)?;
    let address = address.ip().to_string();
    let (hash, cookie) = new_session(secure);
    let link = secret::hash(&token);
    let taken = transaction!(app.store, |tx| async {
        let Some(id) = tx.take_sign_in_link(&link).await? else { return Ok(false) };
        tx.insert_web_session(&hash, &id, in_seconds(SESSION_LIFE)).await?;
        tx.audit(&line(&id, &address, "sign in", "with a link")).await?;
        Ok(true)
    })?;
    match taken {
        true => Ok(signed_in(&cookie, "/?done=signed-in")),
        // What a link holds cannot be guessed, however often one tries.
        false => Ok(used_up()),
    }
}

/// Ends the session, here and in the database.
pub(super) async fn out(
    State(app): State<Shared>,
    headers: HeaderMap,
    Form(visit): Form,
) -> Result<Response, Problem> {
    let id = visit.principal.id;
    transaction!(app.store, |tx| async {
        tx.delete_web_session(&visit.session_hash).await?;
        tx.audit(&line(&id, &visit.address, "sign out", "")).await
    })?;
    let gone = Cookie::Session.set("", 0, is_secure(&app, &headers));
    Ok(([(header::SET_COOKIE, gone)], Redirect::to("/sign-in")).into_response())
}
