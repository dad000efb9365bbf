//! Webhooks: where events of a project are posted to.

use maud::{Markup, html};

use super::form::{Entered, path};
use crate::web::parts::{cell, head_cell, table, token_field};
use crate::web::web_session::PageContext;
use crate::web::when::moment;
use ingot_base::http::shown;
use ingot_registry::service::EVENTS;
use ingot_registry::store::{WaitingDeliveries, Webhook};

/// The webhooks, and the forms that add and remove them.
pub(super) fn section(
    context: &PageContext,
    hooks: &[Webhook],
    waiting: &[WaitingDeliveries],
    entered: &Entered,
) -> Markup {
    let columns = ["URL", "Events", "Deliveries", "Created", "Action"];
    let rows = html! {
        @for hook in hooks {
            tr role="row" {
                (head_cell(&html! { code { (shown(&hook.url)) } }))
                (cell("Events", &html! {
                    @if hook.events.is_empty() { "All" } @else { (hook.events.replace(',', ", ")) }
                }))
                (cell("Deliveries", &html! { (WaitingDeliveries::in_words(waiting, &hook.id)) }))
                (cell("Created", &moment(hook.created_at)))
                (cell("Action", &html! {
                    form method="post" action=(path(context, "/webhooks/remove")) {
                        (token_field(&context.visit.form_token))
                        input type="hidden" name="id" value=(hook.id);
                        button.danger type="submit" aria-label=(format!("Remove {}", shown(&hook.url))) {
                            "Remove"
                        }
                    }
                }))
            }
        }
    };
    html! {
        section aria-labelledby="webhooks" {
            h2 #webhooks { "Webhooks" }
            @if hooks.is_empty() {
                p.dimmed { "No events of this project are posted anywhere." }
            } @else {
                (table("Where events of this project are posted to", &columns, &rows))
            }
            (add_form(context, entered))
        }
    }
}

fn add_form(context: &PageContext, entered: &Entered) -> Markup {
    let wrong = entered.why("url");
    html! {
        section.card aria-labelledby="add-webhook" {
            h3 #add-webhook { "Add a webhook" }
            form method="post" action=(path(context, "/webhooks")) novalidate {
                (token_field(&context.visit.form_token))
                div.field {
                    label for="webhook-url" { "URL" }
                    input #webhook-url name="url" type="url" value=(entered.fields.text("url")) required
                        maxlength="2048" autocomplete="off" spellcheck="false"
                        placeholder="https://ci.example.com/hook"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby="webhook-hint";
                    p.hint #webhook-hint {
                        @match wrong {
                            Some(text) => span.wrong role="alert" { (text) },
                            None => { "What its deliveries are signed with is shown once it is "
                                "added, and only then." }
                        }
                    }
                }
                fieldset {
                    legend { "Events" }
                    @for event in EVENTS {
                        label.choice {
                            input type="checkbox" name=(event) value="yes"
                                checked[entered.fields.ticked(event)];
                            span { (event) }
                        }
                    }
                    p.hint { "All of them if none is chosen." }
                }
                div.buttons { button.main type="submit" { "Add webhook" } }
            }
        }
    }
}

/// What the deliveries of a new webhook are signed with.
pub(super) fn created(url: &str, secret: &str) -> Markup {
    html! {
        p { "The webhook to " code { (shown(url)) } " was added. "
            "Keep its secret now: it is not shown again." }
        dl.facts { div.wide { dt { "Secret" } dd { code.id #secret { (secret) } } } }
    }
}
