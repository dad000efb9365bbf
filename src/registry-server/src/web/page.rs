//! The frame of every page: landmarks, the way to the page, and the headers that keep it safe.

use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets;
use super::parts::token_field;
use super::web_session::{PageContext, WebSession, segment};

/// Nothing but our own style sheet and icon is loaded, nothing runs, nobody frames the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    who: Option<(String, &'static str, String)>,
    /// Where "Buckets" leads: to those of the project that the page is of.
    buckets: String,
    /// The project's settings, for who may see them.
    settings: Option<String>,
    path: Vec<(String, String)>,
    /// Whether the page itself is not the last of `path`.
    above: bool,
    notice: Option<Markup>,
    body: Markup,
}

impl Page {
    /// An empty page for somebody who has not signed in.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Page {
            title: title.into(),
            who: None,
            buckets: "/".to_owned(),
            settings: None,
            path: Vec::new(),
            above: false,
            notice: None,
            body: PreEscaped(String::new()),
        }
    }

    /// A page for somebody.
    pub(super) fn visit(mut self, visit: &WebSession) -> Self {
        let principal = &visit.principal;
        let token = visit.form_token.clone();
        self.who = Some((principal.name.clone(), principal.role.as_str(), token));
        self
    }

    /// A page of a project, under others: their names and paths.
    pub(super) fn context(mut self, context: &PageContext, path: &[(&str, String)]) -> Self {
        self = self.visit(&context.visit);
        self.buckets = context.buckets_path();
        let settings = format!("/projects/{}/settings", segment(&context.project.name));
        self.settings = context.visit.may_write().then_some(settings);
        let root = (context.project.name.clone(), context.buckets_path());
        let path = path.iter().map(|(name, path)| ((*name).to_owned(), path.clone()));
        self.path = std::iter::once(root).chain(path).collect();
        self
    }

    /// The pages above this one, where it is not known whether there are any others: the project's
    /// name, the path of its buckets, and the pages under that.
    pub(super) fn under(
        mut self,
        project: &str,
        buckets: String,
        path: Vec<(String, String)>,
    ) -> Self {
        self.buckets.clone_from(&buckets);
        self.path = std::iter::once((project.to_owned(), buckets)).chain(path).collect();
        // None of them is this page.
        self.above = true;
        self
    }

    /// What was done, if anything was.
    pub(super) fn notice(mut self, notice: Option<Markup>) -> Self {
        self.notice = notice;
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
                        (self.breadcrumbs())
                        @if let Some(notice) = &self.notice {
                            div.notice role="status" { (notice) }
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
                        a href=(self.buckets) { "Buckets" }
                        a href="/projects" { "Projects" }
                        @if let Some(settings) = &self.settings { a href=(settings) { "Settings" } }
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

    fn breadcrumbs(&self) -> Markup {
        html! {
            @if !self.path.is_empty() {
                nav.way aria-label="Breadcrumb" {
                    ol {
                        @for (context, (name, path)) in self.path.iter().enumerate() {
                            @let here = !self.above && context + 1 == self.path.len();
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
