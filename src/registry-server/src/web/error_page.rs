//! What went wrong, as a page with the header and a way back; who has not signed in is sent to where
//! they can.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::compress::compress;
use super::page::Page;
use super::parts::own_path;
use super::problem::{Problem, sentence};
use super::sign_in;
use super::web_session::{projects_of, return_path, segment, visitor};
use crate::Shared;
use ingot_registry::api::{Code, Error, Result};

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, page) = page(&self.0, Page::new(title(&self.0)), &Back::default());
        let mut response = (status, page).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Where an error's page leads back to: a path and what is there.
#[derive(Debug)]
struct Back {
    path: String,
    name: String,
}

impl Default for Back {
    fn default() -> Self {
        Back { path: "/".into(), name: "Go to the buckets".into() }
    }
}

fn title(error: &Error) -> &'static str {
    match error.code {
        Code::NotFound => "Not found",
        Code::PermissionDenied => "Not allowed",
        Code::ResourceExhausted => "Too many requests",
        Code::Aborted | Code::FailedPrecondition | Code::AlreadyExists => "Not done",
        Code::InvalidArgument => "That cannot be read",
        Code::Unimplemented => "That cannot be done",
        _ => "The registry failed",
    }
}

fn page(error: &Error, page: Page, back: &Back) -> (StatusCode, Page) {
    let status = match error.code {
        // Asked for by a person, this is no mistake in the request.
        Code::FailedPrecondition => StatusCode::CONFLICT,
        code => {
            StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    let page = page.body(html! {
        div.card.narrow {
            h1 { (title(error)) }
            p role="alert" { (sentence(&error.message)) }
            p { a href=(back.path) { (back.name) } }
        }
    });
    (status, page)
}

/// Puts the header, the way to the page and the way back around the pages of errors. Visitors who
/// have not signed in are asked to; if they sent a form, the page says that it was not processed.
pub(super) async fn frame(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let request = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let response = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => error_response(&app, &request, &problem.0).await,
        None => response,
    };
    compress(&request, response).await
}

/// The answer to a request that failed.
pub(super) async fn error_response(app: &Shared, request: &Parts, error: &Error) -> Response {
    if error.code == Code::Unauthenticated {
        return sign_in_first(app, request);
    }
    match page_frame(app, request, title(error)).await {
        Ok((frame, back)) => page(error, frame, &back).into_response(),
        Err(_) => page(error, Page::new(title(error)), &Back::default()).into_response(),
    }
}

fn sign_in_first(app: &Shared, request: &Parts) -> Response {
    let return_path = return_path(request);
    if request.method == Method::POST && request.uri.path() != "/sign-out" {
        return sign_in::form_was_lost(
            app,
            &request.headers,
            own_path(&return_path).unwrap_or("/"),
        );
    }
    let next: String = form_urlencoded::byte_serialize(return_path.as_bytes()).collect();
    match next.as_str() {
        "" | "%2F" => Redirect::to("/sign-in"),
        next => Redirect::to(&format!("/sign-in?next={next}")),
    }
    .into_response()
}

/// The frame of a page of this path, as far as there is something of it.
async fn page_frame(app: &Shared, request: &Parts, title: &str) -> Result<(Page, Back)> {
    let (visit, _) = visitor(request, app).await?;
    let page = Page::new(title).visit(&visit);
    let names: Vec<String> = request
        .uri
        .path()
        .split('/')
        .skip(1)
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let mut back = Back::default();
    let (page, names) = match names.as_slice() {
        [first, project, rest @ ..] if first == "projects" => {
            let projects = projects_of(app, &visit.principal).await?;
            let Some(project) = projects.into_iter().find(|it| it.name == *project) else {
                return Ok((
                    page,
                    Back { path: "/projects".into(), name: "Go to the projects".into() },
                ));
            };
            let buckets = format!("/projects/{}/buckets", segment(&project.name));
            back = Back {
                path: buckets.clone(),
                name: format!("Go to the buckets of {}", project.name),
            };
            let mut above = Vec::new();
            // Not the bucket itself: it may be what was not found.
            if let [_, bucket, _, ..] = rest {
                let id = &project.location.project_id;
                if app.store.read().await?.bucket_id(id, bucket).await?.is_some() {
                    let path = format!("{buckets}/{}", segment(bucket));
                    above.push((bucket.clone(), path.clone()));
                    back = Back { path, name: format!("Go to the bucket {bucket}") };
                }
            }
            (page.under(&project.name, buckets, above), rest)
        }
        rest => (page, rest),
    };
    if request.method == Method::POST
        && !names.is_empty()
        && let Some(path) = own_path(&return_path(request))
    {
        back = Back { path: path.to_owned(), name: "Go back to the page".into() };
    }
    Ok((page, back))
}
