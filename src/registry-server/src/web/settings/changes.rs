//! What the forms of the page do.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::form::{Entered, Shown, back};
use super::page::{refused, show_with};
use super::{members, webhooks};
use crate::web::problem::{Problem, sentence};
use crate::web::web_session::Change;
use crate::{Shared, hosts};
use ingot_registry::api::{Code, Error, RunTaskBehaviour, UpdateRunTaskConfigBody};
use ingot_registry::service::EVENTS;

/// Gives the run task another key.
pub(in crate::web) async fn replace_key(
    Change { context, .. }: Change,
) -> Result<Redirect, Problem> {
    context.session.rotate_run_task().await?;
    Ok(back(&context, "#terraform"))
}

/// Changes what the run task does.
pub(in crate::web) async fn configure(
    Change { context, fields }: Change,
) -> Result<Redirect, Problem> {
    let read = |name: &str| match fields.text(name) {
        "FAIL" => Ok(RunTaskBehaviour::Fail),
        "WARN" => Ok(RunTaskBehaviour::Warn),
        _ => Err(Error::invalid("a run task passes with a warning or fails")),
    };
    let change = UpdateRunTaskConfigBody {
        on_untracked_image: read("untracked")?,
        on_outdated_image: read("outdated")?,
    };
    context.session.configure_run_task(&change).await?;
    Ok(back(&context, "#terraform"))
}

/// Adds a member.
pub(in crate::web) async fn add_member(
    State(app): State<Shared>,
    Change { context, fields }: Change,
) -> Result<Response, Problem> {
    let name = fields.text("name").trim().to_owned();
    let role = members::ROLES.iter().find(|(role, _)| role.as_str() == fields.text("role"));
    let refuse = |fields, why: String| Shown {
        member: Entered::refused(fields, "name", why),
        ..Shown::default()
    };
    let Some((role, _)) = role else {
        return refused(&app, &context, refuse(fields, "Choose one of the roles.".into())).await;
    };
    match context.session.create_member(&name, *role, fields.ticked("all")).await {
        Ok(credentials) => {
            let shown = Shown { created: Some(members::created(&credentials)), ..Shown::default() };
            Ok(show_with(&app, &context, shown).await?.into_response())
        }
        Err(error) if matches!(error.code, Code::InvalidArgument | Code::AlreadyExists) => {
            refused(&app, &context, refuse(fields, sentence(&error.message))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes a member.
pub(in crate::web) async fn remove_member(
    Change { context, fields }: Change,
) -> Result<Redirect, Problem> {
    context.session.delete_member(fields.text("id")).await?;
    Ok(back(&context, "#members"))
}

/// Adds a webhook.
pub(in crate::web) async fn add_webhook(
    State(app): State<Shared>,
    Change { context, fields }: Change,
) -> Result<Response, Problem> {
    let url = fields.text("url").trim().to_owned();
    let refuse = |fields, why: String| Shown {
        webhook: Entered::refused(fields, "url", why),
        ..Shown::default()
    };
    // Before the host is looked up: not for somebody who may not add any.
    context.session.webhooks().await?;
    if let Err(why) = hosts::check_webhook(&app.webhook_hosts, &url).await {
        return refused(&app, &context, refuse(fields, why)).await;
    }
    let events: Vec<String> =
        EVENTS.iter().filter(|event| fields.ticked(event)).map(|it| (*it).to_owned()).collect();
    match context.session.create_webhook(&url, &events).await {
        Ok(created) => {
            let created = webhooks::created(&url, &created.secret);
            let shown = Shown { created: Some(created), ..Shown::default() };
            Ok(show_with(&app, &context, shown).await?.into_response())
        }
        Err(error)
            if matches!(
                error.code,
                Code::InvalidArgument | Code::AlreadyExists | Code::FailedPrecondition
            ) =>
        {
            refused(&app, &context, refuse(fields, sentence(&error.message))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes a webhook.
pub(in crate::web) async fn remove_webhook(
    Change { context, fields }: Change,
) -> Result<Redirect, Problem> {
    context.session.delete_webhook(fields.text("id")).await?;
    Ok(back(&context, "#webhooks"))
}
