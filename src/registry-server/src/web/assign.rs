//! Assigning a version to a channel: the question before an unexpected assignment, the message when
//! somebody else was faster, and undoing it.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::assign_form::{Move, form, in_short, number};
use super::channels;
use super::notice;
use super::page::Page;
use super::parts::{own_path, shown_version, status, version_link_to};
use super::problem::{Problem, sentence};
use super::web_session::{Change, Fields, PageContext};
use super::when::{ago, moment};
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::store::Role;

/// What is to be known before a channel is pointed at a version, if there is anything.
fn cautions(channel: &Channel, to: &Version) -> Vec<Markup> {
    let mut cautions = Vec::new();
    let name = shown_version(&to.name, &to.fingerprint);
    if let Some(from) = &channel.version
        && number(&to.name) < number(&from.name)
    {
        cautions.push(html! {
            strong { "It goes back." } " " (name) " is older than " (from.name) ", which "
            (channel.name) " points at now. " (name) " was created " (ago(to.created_at))
            ", " (from.name) " " (ago(from.created_at)) "."
        });
    }
    if to.parents.as_ref().is_some_and(|parents| parents.status == AncestryStatus::OutOfDate) {
        cautions.push(html! {
            strong { (name) " is out of date." } " The channel by which its parent was found points at "
            "another version by now."
        });
    }
    if to.status == VersionStatus::RevocationScheduled {
        cautions.push(html! {
            strong { (name) " is scheduled for revocation" } " at " (moment(to.revoke_at))
            @if !to.revocation_message.is_empty() { ": “" (to.revocation_message) "”" }
            "."
        });
    }
    cautions
}

/// Asks whether a move is meant.
pub(super) async fn confirm(
    context: PageContext,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    if context.visit.principal.role < Role::Contributor {
        let text = "assigning a channel needs the role contributor";
        return Err(Error::new(Code::PermissionDenied, text).into());
    }
    let fields = Fields::new(query);
    let (bucket, name) = (context.names.bucket.clone(), context.names.channel.clone());
    let channel = context.session.get_channel(&bucket, &name).await?;
    let to = context.session.get_version(&bucket, fields.text("version")).await?;
    let own = context.channel_path(&bucket, &name, "");
    let back = own_path(fields.text("back")).unwrap_or(&own);
    let shown = shown_version(&to.name, &to.fingerprint);
    let title = format!("Assign {shown} to {name}");
    let breadcrumbs = [
        (bucket.as_str(), context.bucket_path(&bucket, "")),
        ("Channels", context.bucket_path(&bucket, "/channels")),
        (name.as_str(), own.clone()),
        ("Assign", context.visit.path.clone()),
    ];
    let it =
        Move { bucket: &bucket, channel: &name, from: fields.text("from"), to: &to.fingerprint };
    let buttons = html! {
        div.buttons {
            button.main type="submit" { "Assign " (shown) " to " (name) }
            a.button href=(back) { "Cancel" }
        }
    };
    Ok(Page::new(title.clone()).context(&context, &breadcrumbs).body(html! {
        div.dialogue.card {
            h1 { (title) "?" }
            p.lead { strong { (name) } ": " (in_short(channel.version.as_ref(), &to)) " " (status(to.status)) }
            @let cautions = cautions(&channel, &to);
            @if !cautions.is_empty() {
                div.alert.warn {
                    ul { @for caution in &cautions { li { (caution) } } }
                }
            }
            p.hint { "Nothing has been changed so far." }
            (form(&context, it, back, true, &buttons))
        }
    }))
}

/// Points a channel at a version, and goes back to where that was asked for. Asks first whether it
/// is meant, where it goes back, or to what is out of date or soon to be revoked.
pub(super) async fn assign(Change { context, fields }: Change) -> Result<Response, Problem> {
    let channel = context.names.channel.clone();
    go(&context, &fields, &channel, fields.text("from"), fields.text("version")).await
}

/// As [`assign`], where the form names the channel and what it points at, as `production=c3b85f60`.
pub(super) async fn promote(Change { context, fields }: Change) -> Result<Response, Problem> {
    let (channel, from) = fields.text("channel").split_once('=').unwrap_or_default();
    if channel.is_empty() {
        return Err(Error::invalid("choose a channel").into());
    }
    go(&context, &fields, channel, from, &context.names.version).await
}

async fn go(
    context: &PageContext,
    fields: &Fields,
    channel: &str,
    from: &str,
    to: &str,
) -> Result<Response, Problem> {
    let bucket = &context.names.bucket;
    if to.is_empty() && !fields.ticked("unassign") {
        return Err(Error::invalid("choose a version").into());
    }
    let own = context.channel_path(bucket, channel, "");
    let back = own_path(fields.text("back")).unwrap_or(&own);
    if context.visit.may_write() && !to.is_empty() && !fields.ticked("confirmed") {
        let now = context.session.get_channel(bucket, channel).await?;
        let version = context.session.get_version(bucket, to).await?;
        let same = now.version.as_ref().map_or("", |it| &it.fingerprint) == from;
        let valid =
            matches!(version.status, VersionStatus::Active | VersionStatus::RevocationScheduled);
        if same && valid && !cautions(&now, &version).is_empty() {
            let pairs = [("version", to), ("from", from), ("back", back)];
            let query =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let path = context.channel_path(bucket, channel, &format!("/assign?{query}"));
            return Ok(Redirect::to(&path).into_response());
        }
    }
    match context.session.move_channel(bucket, channel, from, to).await {
        Ok(_) => {
            let path = format!("{back}?{}", notice::assigned(channel));
            Ok(Redirect::to(&path).into_response())
        }
        Err(error) if matches!(error.code, Code::Aborted | Code::FailedPrecondition) => {
            let alert = not_done(context, channel, from, to, &error).await?;
            let page = channels::show_with(context, channel, &[], Some(&alert)).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Why a channel was not moved: what has changed since the page was loaded.
async fn not_done(
    context: &PageContext,
    name: &str,
    from: &str,
    to: &str,
    error: &Error,
) -> Result<Markup> {
    let bucket = &context.names.bucket;
    let channel = context.session.get_channel(bucket, name).await?;
    let now = channel.version.as_ref();
    let now_print = now.map_or("", |version| &version.fingerprint);
    // Versions may have been removed in the meantime.
    let (seen, wanted) = match error.code {
        Code::Aborted => (
            context.session.get_version(bucket, from).await.ok(),
            context.session.get_version(bucket, to).await.ok(),
        ),
        _ => (None, None),
    };
    let shown =
        |version: &Version| version_link_to(context, bucket, &version.name, &version.fingerprint);
    Ok(html! {
        section.alert.bad role="alert" aria-label="Not done" {
            p { strong { "Nothing was changed." } }
            @if error.code == Code::Aborted {
                p {
                    "When you loaded the page, " strong { (name) }
                    @match &seen {
                        Some(seen) => { " pointed at " (shown(seen)) },
                        None if from.is_empty() => " was unassigned",
                        None => { " pointed at a version that is gone" },
                    }
                    ". Since then, " (channel.author_id)
                    @match now {
                        Some(now) => { " assigned " (shown(now)) " to it " },
                        None => " unassigned it ",
                    }
                    (ago(channel.updated_at)) "."
                }
            } @else {
                p { (sentence(&error.message)) }
            }
        }
        @if let Some(wanted) = wanted.filter(|it| it.fingerprint != now_print) {
            section.actions aria-label="Try again" {
                @let it = Move { bucket, channel: name, from: now_print, to: &wanted.fingerprint };
                @let text = format!("Assign {} to {name} all the same", wanted.name);
                @let back = context.channel_path(bucket, name, "");
                (form(context, it, &back, false, &html! { button type="submit" { (text) } }))
            }
        }
    })
}
