//! What went wrong, as a page; who has not signed in is sent to where they can.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::page::Page;
use ingot_registry::api::{Code, Error};

/// An error, and what was asked for.
#[derive(Debug)]
pub(super) struct Problem {
    error: Error,
    wanted: String,
}

impl Problem {
    /// An error that happened on the way to a path.
    pub(super) fn at(error: Error, wanted: String) -> Self {
        Problem { error, wanted }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem { error, wanted: String::new() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.error.code == Code::Unauthenticated {
            let next: String = form_urlencoded::byte_serialize(self.wanted.as_bytes()).collect();
            return match next.as_str() {
                "" | "%2F" => Redirect::to("/sign-in"),
                next => Redirect::to(&format!("/sign-in?next={next}")),
            }
            .into_response();
        }
        let status = match self.error.code {
            // Asked for by a person, this is no mistake in the request.
            Code::FailedPrecondition => StatusCode::CONFLICT,
            code => StatusCode::from_u16(code.http_status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        };
        let title = match self.error.code {
            Code::NotFound => "Not found",
            Code::PermissionDenied => "Not allowed",
            Code::ResourceExhausted => "Too many requests",
            Code::Aborted | Code::FailedPrecondition | Code::AlreadyExists => "Not done",
            Code::InvalidArgument => "That cannot be read",
            _ => "The registry failed",
        };
        let page = Page::new(title).body(html! {
            div.card.narrow {
                h1 { (title) }
                p role="alert" { (sentence(&self.error.message)) }
                p { a href="/" { "Go to the buckets" } }
            }
        });
        (status, page).into_response()
    }
}

/// A message as a sentence: they are made without a capital letter and a full stop.
pub(super) fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|char| char.to_uppercase().to_string()).unwrap_or_default();
    let rest = chars.as_str();
    let stop = if rest.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{rest}{stop}")
}
