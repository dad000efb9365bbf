//! HCP Packer's API about the run task: its URL, its key, what it does.

use axum::Json;

use super::super::Shared;
use super::super::api_response::{ApiError, ApiResponse, Body};
use super::super::auth::Call;
use super::super::openapi::{Api, GET, PATCH};
use axum::extract::State;
use ingot_registry::api::*;
use ingot_registry::service::Session;

/// Adds its operations.
pub(in super::super) fn add(api: Api, root: &dyn Fn(&str) -> String) -> Api {
    let config = root("/runtasks/config");
    api.add::<Empty, RunTaskConfig, _, _>(GET, &config, "GetRunTaskConfig", &[], get_config)
        .add::<UpdateRunTaskConfigBody, RunTaskConfig, _, _>(
            PATCH,
            &config,
            "UpdateRunTaskConfig",
            &[],
            update_config,
        )
        .add::<Empty, RunTaskHmacKey, _, _>(
            PATCH,
            &root("/runtasks/hmac"),
            "RegenerateTFCRunTaskHmacKey",
            &[],
            rotate,
        )
        .add::<Empty, RunTaskApi, _, _>(
            GET,
            &root("/runtasks/{task}"),
            "GetRegistryTFCRunTaskAPI",
            &[],
            get,
        )
}

async fn get(State(app): State<Shared>, call: Call) -> ApiResponse<RunTaskApi> {
    if call.names.task != "validation" {
        let error = Error::not_found("there is no such run task; there is validation");
        return Err(ApiError(error));
    }
    Ok(Json(of(&app, &call.session).await?))
}

/// The settings of a project's run task in Terraform.
///
/// # Errors
/// The caller may not write, or the database failed.
pub(in super::super) async fn of(app: &Shared, session: &Session) -> Result<RunTaskApi> {
    let key = session.run_task().await?;
    Ok(RunTaskApi { api_url: app.run_tasks.url(&key.api_id), hmac_key: key.hmac_key })
}

async fn rotate(call: Call) -> ApiResponse<RunTaskHmacKey> {
    let key = call.session.rotate_run_task().await?;
    Ok(Json(RunTaskHmacKey { hmac_key: key.hmac_key }))
}

async fn get_config(call: Call) -> ApiResponse<RunTaskConfig> {
    Ok(Json(call.session.run_task_config().await?))
}

async fn update_config(
    call: Call,
    body: Body<UpdateRunTaskConfigBody>,
) -> ApiResponse<RunTaskConfig> {
    Ok(Json(call.session.configure_run_task(&body.0).await?))
}
