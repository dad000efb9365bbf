//! The projects that somebody may see.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use super::notice;
use super::page::Page;
use super::parts::{cell, chips, head_cell, table};
use super::problem::Problem;
use super::web_session::{WebSession, projects_of, segment};
use super::when::moment;
use crate::Shared;

/// `/`: the one project's buckets, else the projects.
pub(super) async fn home(
    State(app): State<Shared>,
    visit: WebSession,
) -> Result<Response, Problem> {
    let projects = projects_of(&app, &visit.principal).await?;
    let query = visit.path.split_once('?').map_or("", |(_, query)| query);
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    let path = match projects.as_slice() {
        [one] => format!("/projects/{}/buckets{query}", segment(&one.name)),
        _ => format!("/projects{query}"),
    };
    Ok(Redirect::to(&path).into_response())
}

pub(super) async fn show(State(app): State<Shared>, visit: WebSession) -> Result<Page, Problem> {
    let projects = projects_of(&app, &visit.principal).await?;
    let rows = html! {
        @for project in &projects {
            tr role="row" {
                (head_cell(&html! {
                    a href=(format!("/projects/{}/buckets", segment(&project.name))) {
                        (project.name)
                    }
                }))
                (cell("Organization", &html! { (project.organization_name) }))
                (cell("Project id", &html! { code { (project.location.project_id) } }))
                (cell("State", &match project.activated {
                    true => html! { span.badge.good { "Active" } },
                    false => chips([&"Not activated".to_owned()]),
                }))
                (cell("Created", &moment(project.created_at)))
            }
        }
    };
    let columns = ["Project", "Organization", "Project id", "State", "Created"];
    Ok(Page::new("Projects").visit(&visit).notice(notice::signed_in(&visit)).body(html! {
        h1 { "Projects" }
        (table("Projects you may see", &columns, &rows))
    }))
}
