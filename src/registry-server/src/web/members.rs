//! Members: the service principals that may use a project, on its settings page.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::parts::{cell, head_cell, table, token_field};
use super::problem::{Problem, sentence};
use super::settings::{Entered, Shown, back, path, refused, show_with};
use super::web_session::{Change, PageContext};
use super::when::moment;
use crate::Shared;
use ingot_registry::api::Code;
use ingot_registry::service::Credentials;
use ingot_registry::store::{Principal, Role};

const ROLES: [(Role, &str); 3] = [
    (Role::Viewer, "viewer: reads all but restricted channels"),
    (Role::Contributor, "contributor: publishes, promotes, revokes"),
    (Role::Admin, "admin: also deletes buckets and changes settings"),
];

/// The members, and the forms that add and remove them.
pub(super) fn section(context: &PageContext, members: &[Principal], entered: &Entered) -> Markup {
    let columns = ["Name", "Role", "Client id", "Covers", "Created", "Action"];
    let everywhere = context.visit.principal.project_id.is_none();
    let may_remove = |member: &Principal| {
        member.id != context.visit.principal.id && (everywhere || member.project_id.is_some())
    };
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
                (cell("Action", &html! {
                    @if may_remove(member) { (remove_form(context, member)) } @else { span.none { "–" } }
                }))
            }
        }
    };
    html! {
        section aria-labelledby="members" {
            h2 #members { "Members" }
            (table("Service principals that may use this project", &columns, &rows))
            (add_form(context, entered, everywhere))
        }
    }
}

fn remove_form(context: &PageContext, member: &Principal) -> Markup {
    html! {
        details {
            summary { "Remove…" span.hidden { " " (member.name) } }
            form method="post" action=(path(context, "/members/remove")) {
                (token_field(&context.visit.form_token))
                input type="hidden" name="id" value=(member.id);
                p.hint { "Its tokens and sessions are refused from then on." }
                button.danger type="submit" { "Remove " (member.name) }
            }
        }
    }
}

fn add_form(context: &PageContext, entered: &Entered, everywhere: bool) -> Markup {
    let role = entered.fields.text("role");
    let wrong = entered.why("name");
    html! {
        section.card aria-labelledby="add-member" {
            h3 #add-member { "Add a member" }
            form.line method="post" action=(path(context, "/members")) novalidate {
                (token_field(&context.visit.form_token))
                div.field {
                    label for="member-name" { "Name" }
                    input #member-name name="name" value=(entered.fields.text("name")) required
                        maxlength="64" autocomplete="off" spellcheck="false" placeholder="ci"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby="member-hint";
                }
                div.field {
                    label for="member-role" { "Role" }
                    select #member-role name="role" {
                        @for (value, text) in ROLES {
                            option value=(value.as_str()) selected[value.as_str() == role] { (text) }
                        }
                    }
                }
                @if everywhere {
                    label.choice {
                        input type="checkbox" name="all" value="yes" checked[entered.fields.ticked("all")];
                        span { "For all projects" }
                    }
                }
                button.main type="submit" { "Add member" }
            }
            p.hint #member-hint {
                @match wrong {
                    Some(text) => span.wrong role="alert" { (text) },
                    None => "Its client id and secret are shown once it is added, and only then.",
                }
            }
        }
    }
}

/// What a new member signs in with.
fn created(credentials: &Credentials) -> Markup {
    html! {
        p { "The member " strong { bdi { (credentials.principal.name) } } " was added. "
            "Keep its secret now: it is not shown again." }
        dl.facts {
            div.wide { dt { "HCP_CLIENT_ID" } dd { code.id { (credentials.principal.id) } } }
            div.wide { dt { "HCP_CLIENT_SECRET" } dd { code.id #secret { (credentials.secret) } } }
        }
    }
}

/// Adds a member.
pub(super) async fn add(
    State(app): State<Shared>,
    Change { context, fields }: Change,
) -> Result<Response, Problem> {
    let name = fields.text("name").trim().to_owned();
    let role = ROLES.iter().find(|(role, _)| role.as_str() == fields.text("role"));
    let refuse = |fields, why: String| Shown {
        member: Entered::refused(fields, "name", why),
        ..Shown::default()
    };
    let Some((role, _)) = role else {
        return refused(&app, &context, refuse(fields, "Choose one of the roles.".into())).await;
    };
    match context.session.create_member(&name, *role, fields.ticked("all")).await {
        Ok(credentials) => {
            let shown = Shown { created: Some(created(&credentials)), ..Shown::default() };
            Ok(show_with(&app, &context, shown).await?.into_response())
        }
        Err(error) if matches!(error.code, Code::InvalidArgument | Code::AlreadyExists) => {
            refused(&app, &context, refuse(fields, sentence(&error.message))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes a member.
pub(super) async fn remove(Change { context, fields }: Change) -> Result<Redirect, Problem> {
    context.session.delete_member(fields.text("id")).await?;
    Ok(back(&context, "#members"))
}
