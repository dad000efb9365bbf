//! Terraform's side of a run task: what calls it, has the plans, and gets the results.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use ingot_test_support::eventually_async;
use serde_json::{Value, json};

/// The token of a call.
pub(crate) const TOKEN: &str = "x7Qw9.atlasv1.run-task-token-that-nobody-may-see";

/// What Terraform's side was asked.
#[derive(Debug, Clone)]
pub(crate) struct RecordedRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) body: Value,
}

/// Terraform's side.
#[derive(Clone, Default)]
pub(crate) struct Terraform {
    pub(crate) url: String,
    /// Where plans are that are elsewhere.
    pub(crate) elsewhere: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<RecordedRequest>>>,
    /// What plans are answered with, by the last part of their path.
    plans: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Terraform {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let terraform = Terraform { url, ..Default::default() };
        let router = Router::new()
            .route("/api/v2/{kind}/{id}/{rest}", any(Terraform::answer))
            .with_state(terraform.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        terraform
    }

    async fn answer(
        State(terraform): State<Terraform>,
        method: Method,
        uri: Uri,
        Path((kind, id, _)): Path<(String, String, String)>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let text = |name| headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
        let before = terraform.seen(&id, &method).len();
        terraform.asked.lock().expect("a lock").push(RecordedRequest {
            method,
            path: uri.path().to_owned(),
            token: text(header::AUTHORIZATION),
            kind: text(header::CONTENT_TYPE),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        });
        if kind != "plans" {
            return StatusCode::OK.into_response();
        }
        match (id.as_str(), before) {
            ("plan-moved", _) => {
                let to = terraform.elsewhere.lock().expect("a lock").clone();
                (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
            }
            ("plan-later", 0) => StatusCode::NO_CONTENT.into_response(),
            ("plan-later", 1) => StatusCode::BAD_GATEWAY.into_response(),
            (id, 0) if id.starts_with("plan-hangs") => {
                tokio::time::sleep(Duration::from_secs(600)).await;
                StatusCode::OK.into_response()
            }
            ("plan-large", _) => vec![b' '; 65 << 20].into_response(),
            _ => match terraform.plans.lock().expect("a lock").get(&id) {
                Some(plan) => plan.clone().into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
        }
    }

    pub(crate) fn plan(&self, id: &str, plan: &Value) {
        let text = serde_json::to_vec(plan).expect("JSON");
        self.plans.lock().expect("a lock").insert(id.to_owned(), text);
    }

    pub(crate) fn asked(&self) -> Vec<RecordedRequest> {
        self.asked.lock().expect("a lock").clone()
    }

    pub(crate) fn seen(&self, id: &str, method: &Method) -> Vec<RecordedRequest> {
        let all = self.asked().into_iter();
        all.filter(|it| it.method == *method && it.path.contains(&format!("/{id}/"))).collect()
    }

    /// The final result that was sent about something.
    pub(crate) async fn result(&self, id: &str) -> RecordedRequest {
        eventually_async(format!("a result for {id}"), async || {
            let status =
                |asked: &RecordedRequest| asked.body["data"]["attributes"]["status"].clone();
            let reported = self.seen(id, &Method::PATCH);
            let last = reported.iter().find(|it| status(it) != "running");
            last.cloned().ok_or_else(|| format!("{reported:?}"))
        })
        .await
    }

    /// A call about a plan.
    pub(crate) fn call(&self, result: &str, plan: &str) -> Value {
        let url = &self.url;
        json!({
            "payload_version": 1,
            "stage": "post_plan",
            "access_token": TOKEN,
            "capabilities": { "outcomes": true },
            "configuration_version_download_url": format!("{url}/api/v2/configuration-versions/cv-1/download"),
            "configuration_version_id": "cv-1",
            "is_speculative": false,
            "organization_name": "acme",
            "plan_json_api_url": format!("{url}/api/v2/plans/{plan}/json-output"),
            "run_app_url": format!("{url}/app/acme/web/runs/run-1"),
            "run_created_at": now(0),
            "run_created_by": "somebody",
            "run_id": "run-1",
            "run_message": "Triggered via UI",
            "task_result_callback_url": format!("{url}/api/v2/task-results/{result}/callback"),
            "task_result_enforcement_level": "mandatory",
            "task_result_id": result,
            "vcs_branch": "main",
            "vcs_commit_url": null,
            "vcs_pull_request_url": null,
            "vcs_repo_url": null,
            "workspace_app_url": format!("{url}/app/acme/web"),
            "workspace_id": "ws-1",
            "workspace_name": "web",
            "workspace_working_directory": "",
        })
    }
}

/// Now and so many seconds, in RFC 3339.
pub(crate) fn now(seconds: i64) -> String {
    let at = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    at.format(&time::format_description::well_known::Rfc3339).expect("a time")
}
