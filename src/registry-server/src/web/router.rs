//! The routes of the pages.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use ingot_registry::api::Error;

use super::web_session::page_of;
use super::{
    ancestry, assets, assign, bucket, buckets, channels, compare, enforced_blocks, error_page,
    projects, removal, restore, revoke, settings, sign_in, version, versions,
};
use crate::{Shared, unauthenticated};

/// How large a form may be, in bytes.
const FORM: usize = 64 << 10;

/// Where the pages of a bucket begin.
const BUCKET: &str = "/projects/{project}/buckets/{bucket}";

/// What a browser is answered where there is no page.
pub(crate) async fn nothing_here(app: &Shared, request: &Parts) -> Response {
    error_page::error_response(app, request, &Error::not_found("there is no such page")).await
}

/// The page of a request that is refused before its path is looked at.
pub(crate) async fn refused(app: &Shared, request: &Parts, error: &Error) -> Response {
    error_page::error_response(app, request, error).await
}

/// What a browser is answered that asks for a path in a way that is not there. Who asks for what is
/// only posted to, as by loading the answer to a form again, is led to the page that the form is on.
pub(crate) async fn wrong_method(app: &Shared, request: &Parts, error: &Error) -> Response {
    let (path, page) = (request.uri.path(), page_of(request.uri.path()));
    match request.method == Method::GET && page != path {
        true => Redirect::to(page).into_response(),
        false => error_page::error_response(app, request, error).await,
    }
}

/// All pages.
pub(crate) fn router(app: &Shared) -> Router<Shared> {
    let of_bucket = |path: &str| format!("{BUCKET}{path}");
    let of_version = |path: &str| format!("{BUCKET}/versions/{{version}}{path}");
    let of_channel = |path: &str| format!("{BUCKET}/channels/{{channel}}{path}");
    let small = |route: MethodRouter<Shared>| -> MethodRouter<Shared> {
        route.layer(DefaultBodyLimit::max(unauthenticated::BODY))
    };
    Router::new()
        .route("/", get(projects::home))
        .route("/assets/{file}", get(assets::show))
        .route("/favicon.ico", get(assets::icon))
        .route("/sign-in", small(get(sign_in::show).post(sign_in::with_secret)))
        .route("/sign-in/{token}", small(get(sign_in::show_link).post(sign_in::with_link)))
        .route("/sign-out", post(sign_in::out))
        .route("/projects", get(projects::show))
        .route("/projects/{project}/buckets", get(buckets::show))
        .route("/projects/{project}/enforced-blocks", get(enforced_blocks::list))
        .route("/projects/{project}/enforced-blocks/{block}", get(enforced_blocks::show))
        .route("/projects/{project}/settings", get(settings::show))
        .route("/projects/{project}/settings/run-task", post(settings::configure))
        .route("/projects/{project}/settings/run-task-key", post(settings::replace_key))
        .route("/projects/{project}/settings/members", post(settings::add_member))
        .route("/projects/{project}/settings/members/remove", post(settings::remove_member))
        .route("/projects/{project}/settings/webhooks", post(settings::add_webhook))
        .route("/projects/{project}/settings/webhooks/remove", post(settings::remove_webhook))
        .route(&of_bucket(""), get(bucket::show))
        .route(&of_bucket("/delete"), get(removal::ask_bucket).post(removal::bucket))
        .route(&of_bucket("/versions"), get(versions::show))
        .route(&of_bucket("/ancestry"), get(ancestry::show))
        .route(&of_bucket("/channels"), get(channels::list).post(channels::create))
        .route(&of_channel(""), get(channels::show))
        .route(&of_channel("/access"), post(removal::access))
        .route(&of_channel("/delete"), get(removal::ask_channel).post(removal::channel))
        .route(&of_channel("/assign"), get(assign::confirm).post(assign::assign))
        .route(&of_version(""), get(version::show))
        .route(&of_version("/builds/{build}/sboms/{sbom}"), get(version::sbom))
        .route(&of_version("/compare"), get(compare::show))
        .route(&of_version("/promote"), post(assign::promote))
        .route(&of_version("/restore"), get(restore::show).post(restore::restore))
        .route(&of_version("/revoke"), get(revoke::show).post(revoke::revoke))
        .layer(from_fn_with_state(app.clone(), error_page::frame))
        .layer(DefaultBodyLimit::max(FORM))
}
