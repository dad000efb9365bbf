//! The page.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::form::{Shown, path};
use super::{members, webhooks};
use crate::web::enforced_blocks;
use crate::web::page::Page;
use crate::web::parts::{cell, head_cell, table, token_field};
use crate::web::problem::Problem;
use crate::web::web_session::PageContext;
use crate::web::when::moment;
use crate::{Shared, run_task};
use ingot_registry::api::{Code, Error, Result, RunTaskApi, RunTaskBehaviour, RunTaskConfig};
use ingot_registry::store::{AuditRow, Role};

/// How many lines of the audit log are shown.
const LINES: u32 = 100;

/// The page.
pub(in crate::web) async fn show(
    State(app): State<Shared>,
    context: PageContext,
) -> Result<Page, Problem> {
    show_with(&app, &context, Shown::default()).await
}

/// The page again, with a form that was refused.
pub(super) async fn refused(
    app: &Shared,
    context: &PageContext,
    shown: Shown,
) -> Result<Response, Problem> {
    let page = show_with(app, context, shown).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// The page with more on it.
pub(super) async fn show_with(
    app: &Shared,
    context: &PageContext,
    shown: Shown,
) -> Result<Page, Problem> {
    if !context.visit.may_write() {
        let text = "the settings of a project need the role contributor";
        return Err(Error::new(Code::PermissionDenied, text).into());
    }
    let task = run_task::api::of(app, &context.session).await?;
    let config = context.session.run_task_config().await?;
    let admin = context.visit.principal.role >= Role::Admin;
    let rest = match admin {
        true => {
            let members = context.session.members().await?;
            let hooks = context.session.webhooks().await?;
            let waiting = context.session.waiting_deliveries().await?;
            let lines = context.session.audit_log(LINES).await?;
            html! {
                (members::section(context, &members, &shown.member))
                (webhooks::section(context, &hooks, &waiting, &shown.webhook))
                (audit(&lines))
            }
        }
        false => html! {
            p.dimmed { "Members, webhooks and the audit log are shown to administrators." }
        },
    };
    let breadcrumbs = [("Settings", path(context, ""))];
    let title = format!("Settings of {}", context.project.name);
    Ok(Page::new(title).context(context, &breadcrumbs).notice(shown.created).body(html! {
        h1 { "Settings" }
        (terraform(context, &task, &config, admin))
        (enforced_blocks::section(context))
        (rest)
    }))
}

fn terraform(
    context: &PageContext,
    task: &RunTaskApi,
    config: &RunTaskConfig,
    admin: bool,
) -> Markup {
    html! {
        section.card aria-labelledby="terraform" {
            h2 #terraform { "Terraform run task" }
            p.lead {
                "Terraform asks it before it applies a plan whether the images in it may be used. "
                "Add a run task with this endpoint and this key to an organization of HCP Terraform."
            }
            dl.facts {
                div.wide { dt { "Endpoint URL" } dd { code.id { (task.api_url) } } }
                div.wide { dt { "HMAC key" } dd {
                    details { summary { "Show the key" } code.id { (task.hmac_key) } }
                } }
            }
            @if admin {
                form.line method="post" action=(path(context, "/run-task")) {
                    (token_field(&context.visit.form_token))
                    (behaviour("untracked", "Images that are not known", config.on_untracked_image))
                    (behaviour("outdated", "Images that are out of date", config.on_outdated_image))
                    button type="submit" { "Save" }
                }
                details {
                    summary { "Make a new key…" }
                    form method="post" action=(path(context, "/run-task-key")) {
                        (token_field(&context.visit.form_token))
                        p.hint { "Calls that are signed with the key there is are refused from then on, "
                            "until Terraform has the new one." }
                        button.danger type="submit" { "Replace the key" }
                    }
                }
            }
        }
    }
}

fn behaviour(name: &str, label: &str, now: RunTaskBehaviour) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="WARN" selected[now != RunTaskBehaviour::Fail] { "Pass with a warning" }
                option value="FAIL" selected[now == RunTaskBehaviour::Fail] { "Fail" }
            }
        }
    }
}

fn audit(lines: &[AuditRow]) -> Markup {
    let columns = ["When", "Principal", "What", "To what", "Outcome", "From"];
    let rows = html! {
        @for line in lines {
            tr role="row" {
                (head_cell(&moment(line.at)))
                (cell("Principal", &html! {
                    @if !line.principal_name.is_empty() { bdi { (line.principal_name) } " " }
                    code { (line.principal) }
                }))
                (cell("What", &html! { (line.action) }))
                (cell("To what", &html! { bdi { (line.target) } }))
                (cell("Outcome", &html! { (line.outcome) }))
                (cell("From", &html! { (line.address) }))
            }
        }
    };
    html! {
        section aria-labelledby="audit" {
            h2 #audit { "Audit log" }
            @if lines.is_empty() { p.dimmed { "Nothing has been done yet." } }
            @else { (table("What was done last", &columns, &rows)) }
            p.hint { "All of it is listed by " code { "ingot registry audit" } " on the server." }
        }
    }
}
