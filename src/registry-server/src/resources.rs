//! What clients ask HCP besides its registry: who they are, which organizations and projects there are,
//! and whether operations are done. The paths are those of its resource manager and IAM of 2019-12-10,
//! and of its operations of 2020-05-05.

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::api_response::{ApiError, ApiResponse};
use super::auth::{Authenticated, Call};
use super::operations;
use ingot_registry::api::{Code, Error, OperationResponse, Result};
use ingot_registry::store::Project;

const ROOT: &str = "/resource-manager/2019-12-10";
/// Where clients wait for what is still under way at HCP.
const OPERATION: &str =
    "/operation/2020-05-05/organizations/{org}/projects/{project}/operations/{operation}";

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route(&format!("{ROOT}/organizations"), get(organizations))
        .route(&format!("{ROOT}/organizations/{{id}}"), get(organization))
        .route(&format!("{ROOT}/projects"), get(projects))
        .route(&format!("{ROOT}/projects/{{id}}"), get(project))
        .route("/iam/2019-12-10/caller-identity", get(caller_identity))
        .route(OPERATION, get(operation))
        .route(&format!("{OPERATION}/wait"), get(operation))
}

/// The projects that a principal may see, oldest first.
async fn visible(app: &Shared, who: &Authenticated) -> Result<Vec<Project>> {
    let mut projects = app.store.read().await?.projects().await?;
    let principal = &who.principal;
    projects.retain(|project| {
        project.location.organization_id == principal.organization_id
            && principal.project_id.as_ref().is_none_or(|id| *id == project.location.project_id)
    });
    Ok(projects)
}

fn show_organization(project: &Project) -> Value {
    json!({
        "id": project.location.organization_id,
        "name": project.organization_name,
        "state": "ACTIVE",
        "created_at": project.organization_created_at,
    })
}

fn show_project(project: &Project) -> Value {
    json!({
        "id": project.location.project_id,
        "name": project.name,
        "description": "",
        "parent": { "type": "ORGANIZATION", "id": project.location.organization_id },
        "state": "ACTIVE",
        "created_at": project.created_at,
    })
}

fn no_such(what: &str) -> ApiError {
    ApiError(Error::new(
        Code::PermissionDenied,
        format!("there is no such {what} for this principal"),
    ))
}

async fn organizations(State(app): State<Shared>, who: Authenticated) -> ApiResponse<Value> {
    let projects = visible(&app, &who).await?;
    let organizations: Vec<Value> = projects.first().map(show_organization).into_iter().collect();
    Ok(Json(json!({ "organizations": organizations, "pagination": {} })))
}

async fn organization(
    State(app): State<Shared>,
    who: Authenticated,
    Path(id): Path<String>,
) -> ApiResponse<Value> {
    let projects = visible(&app, &who).await?;
    let project = projects.iter().find(|project| project.location.organization_id == id);
    let project = project.ok_or_else(|| no_such("organization"))?;
    Ok(Json(json!({ "organization": show_organization(project) })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Scope {
    #[serde(rename = "scope.id")]
    id: String,
}

async fn projects(
    State(app): State<Shared>,
    who: Authenticated,
    Query(scope): Query<Scope>,
) -> ApiResponse<Value> {
    let mut projects = visible(&app, &who).await?;
    if !scope.id.is_empty() {
        projects.retain(|project| project.location.organization_id == scope.id);
    }
    let projects: Vec<Value> = projects.iter().map(show_project).collect();
    Ok(Json(json!({ "projects": projects, "pagination": {} })))
}

async fn project(
    State(app): State<Shared>,
    who: Authenticated,
    Path(id): Path<String>,
) -> ApiResponse<Value> {
    let projects = visible(&app, &who).await?;
    let project = projects.iter().find(|project| project.location.project_id == id);
    let project = project.ok_or_else(|| no_such("project"))?;
    Ok(Json(json!({ "project": show_project(project) })))
}

/// Operations are done when they are answered, and nothing of them is kept.
async fn operation(call: Call) -> ApiResponse<OperationResponse> {
    let no_such = |_| Error::not_found("an operation's id is a UUID, and this is none");
    let id = uuid::Uuid::parse_str(&call.names.operation).map_err(no_such)?;
    Ok(Json(OperationResponse { operation: Some(operations::operation(&call, id)) }))
}

async fn caller_identity(who: Authenticated) -> ApiResponse<Value> {
    let principal = who.principal;
    let level = match &principal.project_id {
        Some(project) => format!("project/{project}"),
        None => format!("organization/{}", principal.organization_id),
    };
    Ok(Json(json!({
        "principal": {
            "id": principal.id,
            "type": "PRINCIPAL_TYPE_SERVICE",
            "group_ids": [],
            "service": {
                "id": principal.id,
                "name": principal.name,
                "organization_id": principal.organization_id,
                "project_id": principal.project_id.unwrap_or_default(),
                "resource_name": format!("iam/{level}/service-principal/{}", principal.name),
                "created_at": principal.created_at,
            },
        },
    })))
}
