//! The frame of every page: landmarks, the way to the page, and the headers that keep it safe.

use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;
use super::parts::token_field;
use super::visit::{Place, Visit};

/// Nothing but our own style sheet and icon is loaded, nothing runs, nobody frames the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// What was done, told on the page that follows: a fixed text for a word in its query, as anybody
/// can write a query.
const NOTICES: &[(&str, &str)] = &[
    ("signed-in", "You are signed in."),
    ("assigned", "Done. The channel points at the version shown here."),
    ("created", "Done. The channel was made."),
    ("revoked", "Done. The version is revoked."),
    ("scheduled", "Done. The version will be revoked at the time shown here."),
    ("restored", "Done. The version is valid again."),
    (
        "still-revoked",
        "Its own revocation is taken back. What it was built from is revoked as well.",
    ),
];

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    who: Option<(String, &'static str, String)>,
    path: Vec<(String, String)>,
    notice: Option<&'static str>,
    body: Markup,
}

impl Page {
    /// An empty page for somebody who has not signed in.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Page {
            title: title.into(),
            who: None,
            path: Vec::new(),
            notice: None,
            body: PreEscaped(String::new()),
        }
    }

    /// A page for somebody.
    pub(super) fn visit(mut self, visit: &Visit) -> Self {
        let principal = &visit.principal;
        let token = visit.form_token.clone();
        self.who = Some((principal.name.clone(), principal.role.as_str(), token));
        let query = visit.path.split_once('?').map_or("", |(_, query)| query);
        let done = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "done");
        let done = done.map(|(_, value)| value).unwrap_or_default();
        self.notice = NOTICES.iter().find(|(word, _)| *word == done).map(|(_, text)| *text);
        self
    }

    /// A page of a project, under others: their names and paths.
    pub(super) fn place(mut self, place: &Place, path: &[(&str, String)]) -> Self {
        self = self.visit(&place.visit);
        let root = (place.project.name.clone(), place.buckets_path());
        let path = path.iter().map(|(name, path)| ((*name).to_owned(), path.clone()));
        self.path = std::iter::once(root).chain(path).collect();
        self
    }

    /// What the page shows.
    pub(super) fn body(mut self, body: Markup) -> Self {
        self.body = body;
        self
    }

    fn markup(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Ingot registry" }
                    link rel="icon" type="image/svg+xml" href=(assets::ICON);
                    link rel="stylesheet" href=(assets::style());
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    (self.head())
                    main #main tabindex="-1" {
                        (self.way())
                        @if let Some(notice) = self.notice {
                            p.notice role="status" { (notice) }
                        }
                        (self.body)
                    }
                    footer {
                        p {
                            "Ingot " (env!("CARGO_PKG_VERSION")) " · "
                            a href="/openapi.json" { "API" }
                        }
                    }
                }
            }
        }
    }

    fn head(&self) -> Markup {
        html! {
            header.top {
                a.brand href="/" { (assets::logo()) span { "Ingot registry" } }
                @if let Some((name, role, token)) = &self.who {
                    nav aria-label="Main" {
                        a href="/" { "Buckets" }
                        a href="/projects" { "Projects" }
                    }
                    div.who {
                        span { (name) " " span.role { (role) } }
                        form method="post" action="/sign-out" {
                            (token_field(token))
                            button.quiet type="submit" { "Sign out" }
                        }
                    }
                }
            }
        }
    }

    fn way(&self) -> Markup {
        html! {
            @if !self.path.is_empty() {
                nav.way aria-label="Breadcrumb" {
                    ol {
                        @for (place, (name, path)) in self.path.iter().enumerate() {
                            @let here = place + 1 == self.path.len();
                            li {
                                a href=(path) aria-current=[here.then_some("page")] { (name) }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (HeaderName::from_static("content-security-policy"), POLICY),
            (HeaderName::from_static("x-frame-options"), "DENY"),
            (HeaderName::from_static("referrer-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        (headers, self.markup().into_string()).into_response()
    }
}
