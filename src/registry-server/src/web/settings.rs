//! The settings of a project: Terraform's run task, who may use it, who is told, what was done.

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};

use super::page::Page;
use super::parts::{cell, head_cell, table, token_field};
use super::problem::Problem;
use super::visit::{Change, Place, segment};
use super::when::moment;
use crate::{Shared, run_task};
use ingot_registry::api::{
    Code, Error, Result, RunTaskApi, RunTaskBehaviour, RunTaskConfig, UpdateRunTaskConfigBody,
};
use ingot_registry::store::{AuditRow, Principal, Role, Webhook};

/// How many lines of the audit log are shown.
const LINES: usize = 100;

fn path(place: &Place, rest: &str) -> String {
    format!("/projects/{}/settings{rest}", segment(&place.project.name))
}

pub(super) async fn show(State(app): State<Shared>, place: Place) -> Result<Page, Problem> {
    if !place.visit.may_write() {
        let text = "the settings of a project need the role contributor";
        return Err(Error::new(Code::PermissionDenied, text).into());
    }
    let task = run_task::api::of(&app, &place.session).await?;
    let config = place.session.run_task_config(&run_task::api::fresh()).await?;
    let admin = place.visit.principal.role >= Role::Admin;
    let rest = match admin {
        true => html! {
            (members(&place.session.members().await?))
            (webhooks(&place, &place.session.webhooks().await?))
            (audit(&place.session.audit_log(LINES).await?))
        },
        false => html! {
            p.dimmed { "Members, webhooks and the audit log are shown to administrators." }
        },
    };
    let way = [("Settings", path(&place, ""))];
    let title = format!("Settings of {}", place.project.name);
    Ok(Page::new(title).place(&place, &way).body(html! {
        h1 { "Settings" }
        (terraform(&place, &task, &config, admin))
        (rest)
    }))
}

fn terraform(place: &Place, task: &RunTaskApi, config: &RunTaskConfig, admin: bool) -> Markup {
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
                form.line method="post" action=(path(place, "/run-task")) {
                    (token_field(&place.visit.form_token))
                    (behaviour("untracked", "Images that are not known", config.on_untracked_image))
                    (behaviour("outdated", "Images that are out of date", config.on_outdated_image))
                    button type="submit" { "Save" }
                }
                details {
                    summary { "Make a new key…" }
                    form method="post" action=(path(place, "/run-task-key")) {
                        (token_field(&place.visit.form_token))
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

fn members(members: &[Principal]) -> Markup {
    let columns = ["Name", "Role", "Client id", "Covers", "Created"];
    let rows = html! {
        @for member in members {
            tr role="row" {
                (head_cell(&html! { bdi { (member.name) } }))
                (cell("Role", &html! { span.role { (member.role.as_str()) } }))
                (cell("Client id", &html! { code.id { (member.id) } }))
                (cell("Covers", &html! {
                    @if member.project_id.is_some() { "This project" } @else { "All projects" }
                }))
                (cell("Created", &moment(member.created_at)))
            }
        }
    };
    html! {
        section aria-labelledby="members" {
            h2 #members { "Members" }
            (table("Service principals that may use this project", &columns, &rows))
            p.hint { "Add one on the server with " code { "ingot registry principal create NAME -role viewer" }
                ", remove one with " code { "ingot registry principal delete NAME" } "." }
        }
    }
}

fn webhooks(place: &Place, hooks: &[Webhook]) -> Markup {
    let columns = ["URL", "Events", "Created", "Action"];
    let rows = html! {
        @for hook in hooks {
            tr role="row" {
                (head_cell(&html! { code { (hook.url) } }))
                (cell("Events", &html! {
                    @if hook.events.is_empty() { "All" } @else { (hook.events.replace(',', ", ")) }
                }))
                (cell("Created", &moment(hook.created_at)))
                (cell("Action", &html! {
                    form method="post" action=(path(place, "/webhooks/remove")) {
                        (token_field(&place.visit.form_token))
                        input type="hidden" name="id" value=(hook.id);
                        button.danger type="submit" aria-label=(format!("Remove {}", hook.url)) { "Remove" }
                    }
                }))
            }
        }
    };
    html! {
        section aria-labelledby="webhooks" {
            h2 #webhooks { "Webhooks" }
            @if hooks.is_empty() {
                p.dimmed { "Nobody is told of what happens in this project." }
            } @else {
                (table("Who is told of what happens in this project", &columns, &rows))
            }
            p.hint { "Add one on the server with " code { "ingot registry webhook create URL" } "." }
        }
    }
}

fn audit(lines: &[AuditRow]) -> Markup {
    let columns = ["When", "Principal", "What", "To what", "Outcome", "From"];
    let rows = html! {
        @for line in lines {
            tr role="row" {
                (head_cell(&moment(line.at)))
                (cell("Principal", &html! { code { (line.principal) } }))
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
            @if lines.is_empty() { p.dimmed { "Nothing was done so far." } }
            @else { (table("What was done last", &columns, &rows)) }
            p.hint { "All of it is told by " code { "ingot registry audit" } " on the server." }
        }
    }
}

fn back(place: &Place, part: &str) -> Redirect {
    Redirect::to(&path(place, part))
}

/// Gives the run task another key.
pub(super) async fn replace_key(Change { place, .. }: Change) -> Result<Redirect, Problem> {
    place.session.rotate_run_task(&run_task::api::fresh()).await?;
    Ok(back(&place, "#terraform"))
}

/// Changes what the run task does.
pub(super) async fn configure(Change { place, fields }: Change) -> Result<Redirect, Problem> {
    let read = |name: &str| match fields.text(name) {
        "FAIL" => Ok(RunTaskBehaviour::Fail),
        "WARN" => Ok(RunTaskBehaviour::Warn),
        _ => Err(Error::invalid("a run task passes with a warning or fails")),
    };
    let change = UpdateRunTaskConfigBody {
        on_untracked_image: read("untracked")?,
        on_outdated_image: read("outdated")?,
    };
    place.session.configure_run_task(&run_task::api::fresh(), &change).await?;
    Ok(back(&place, "#terraform"))
}

/// Removes a webhook.
pub(super) async fn remove_webhook(Change { place, fields }: Change) -> Result<Redirect, Problem> {
    place.session.delete_webhook(fields.text("id")).await?;
    Ok(back(&place, "#webhooks"))
}
