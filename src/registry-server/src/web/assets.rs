//! The style sheet and the icon, the only files that pages load.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, PreEscaped};

use crate::secret;

const STYLE: &str = include_str!("style.css");
const LOGO: &str = include_str!("icon.svg");

/// Where the icon is.
pub(super) const ICON: &str = "/assets/icon.svg";

/// Where the style sheet is: its name changes with what is in it, so that browsers may keep it.
pub(super) fn style() -> &'static str {
    static PATH: LazyLock<String> =
        LazyLock::new(|| format!("/assets/style-{}.css", &secret::hash(STYLE)[..12]));
    &PATH
}

/// The icon, to be part of a page.
pub(super) fn logo() -> Markup {
    PreEscaped(LOGO.to_owned())
}

pub(super) async fn show(Path(file): Path<String>) -> Response {
    let path = format!("/assets/{file}");
    let found = match path.as_str() {
        ICON => Some(("image/svg+xml", LOGO, "public, max-age=86400")),
        path if path == style() => Some(("text/css", STYLE, "public, max-age=31536000, immutable")),
        _ => None,
    };
    match found {
        Some((kind, text, keep)) => {
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)], text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What browsers ask for whatever a page says.
pub(super) async fn icon() -> Response {
    show(Path("icon.svg".into())).await
}
