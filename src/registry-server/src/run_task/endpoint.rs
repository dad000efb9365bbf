//! The endpoint that Terraform calls.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use ingot_registry::api::{Code, Error, Result, Timestamp};
use ingot_registry::store::{RunTaskCall, RunTaskKey, transaction};
use tokio::sync::{Notify, Semaphore};

use super::call::Call;
use super::options::RunTaskOptions;
use crate::api_response::{self, ApiError};
use crate::{Shared, secret};

/// How large a call may be, in bytes. Terraform's have about 2 KiB.
const BODY: usize = 128 << 10;

/// The path of the endpoint; the run task's id comes after it.
const PATH: &str = "/run-tasks";

/// What the endpoint and the worker share.
#[derive(Debug)]
pub(crate) struct RunTasks {
    pub(super) options: RunTaskOptions,
    /// Notified when there is work.
    pub(super) notifier: Notify,
    /// For those who read a large plan.
    pub(super) large: Arc<Semaphore>,
}

impl RunTasks {
    pub(crate) fn new(options: RunTaskOptions) -> Self {
        RunTasks { options, notifier: Notify::new(), large: Arc::new(Semaphore::new(1)) }
    }

    /// The URL to set in Terraform.
    pub(super) fn url(&self, api_id: &str) -> String {
        format!("{}{PATH}/{api_id}", self.options.public_url.trim_end_matches('/'))
    }
}

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route(&format!("{PATH}/{{task}}"), post(receive))
        .layer(DefaultBodyLimit::max(BODY))
}

/// `POST /run-tasks/{id}`: a call of Terraform's. Answered with 200 and nothing as soon as it is
/// remembered; the same call is not taken twice.
async fn receive(
    State(app): State<Shared>,
    Path(id): Path<String>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> std::result::Result<StatusCode, ApiError> {
    let zero = || ApiError(Error::invalid("the request must not contain NUL characters"));
    if id.contains('\0') {
        return Err(zero());
    }
    let key = app.store.read().await?.run_task_of(&id).await?;
    let key = key.ok_or_else(|| Error::not_found("there is no such run task"))?;
    let headers = request.headers().clone();
    let read = app.unauthenticated.read(request, address.ip()).await?;
    let body = &read.bytes;
    if api_response::holds_zero(body) {
        return Err(zero());
    }
    let signature = headers.get("x-tfc-task-signature").and_then(|value| value.to_str().ok());
    if !secret::is_signature_512(&key.hmac_key, body, signature.unwrap_or_default()) {
        tracing::warn!(project = key.location.project_id, "refused a run task's forged call");
        let message = "x-tfc-task-signature is missing or is not this body's HMAC-SHA512";
        return Err(ApiError(Error::new(Code::Unauthenticated, message)));
    }
    let call = Call::read(body)?;
    if call.is_test() {
        return Ok(StatusCode::OK);
    }
    let created = call.check(&app.run_tasks.options, Timestamp::now())?;
    app.limits.request(&key.api_id)?;
    remember(&app, &key, &call, created).await?;
    app.run_tasks.notifier.notify_one();
    Ok(StatusCode::OK)
}

async fn remember(app: &Shared, key: &RunTaskKey, call: &Call, created: Timestamp) -> Result<()> {
    let row = RunTaskCall {
        project_id: key.location.project_id.clone(),
        task_result_id: call.task_result_id.clone(),
        run_id: call.run_id.clone(),
        run_created_at: created,
        call: call.work(),
    };
    transaction!(app.store, |tx| tx.insert_run_task(&row)).map_err(|error| {
        if error.code != Code::AlreadyExists {
            return error;
        }
        tracing::warn!(result = row.task_result_id, "refused a run task's repeated call");
        Error::new(Code::AlreadyExists, "this task result was asked for before")
    })
}
