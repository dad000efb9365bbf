//! Members: the service principals that may use a project.

use maud::{Markup, html};

use super::form::{Entered, path};
use crate::web::parts::{cell, head_cell, table, token_field};
use crate::web::web_session::PageContext;
use crate::web::when::moment;
use ingot_registry::service::Credentials;
use ingot_registry::store::{Principal, Role};

/// The roles that a member may have, and what each may do.
pub(super) const ROLES: [(Role, &str); 3] = [
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
pub(super) fn created(credentials: &Credentials) -> Markup {
    html! {
        p { "The member " strong { bdi { (credentials.principal.name) } } " was added. "
            "Keep its secret now: it is not shown again." }
        dl.facts {
            div.wide { dt { "HCP_CLIENT_ID" } dd { code.id { (credentials.principal.id) } } }
            div.wide { dt { "HCP_CLIENT_SECRET" } dd { code.id #secret { (credentials.secret) } } }
        }
    }
}
