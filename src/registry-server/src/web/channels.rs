//! Channels: what they point at, what they pointed at, and how they are moved.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::assign_form::{self, Move};
use super::bucket;
use super::notice;
use super::page::Page;
use super::parts::{
    Tab, cell, head_cell, pager, part, shown_version, status, table, tabs, token_field,
    version_link_to,
};
use super::problem::{Problem, sentence};
use super::removal;
use super::web_session::{Change, PageContext};
use super::when::{ago, moment};
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::service::VersionName;
use ingot_registry::store::VersionFilter;

/// How many assignments a page has.
const SIZE: u32 = 25;
/// How many versions there are to choose from.
const CHOICES: u32 = 100;

pub(super) async fn list(context: PageContext) -> Result<Page, Problem> {
    list_with(&context, "", None).await
}

async fn list_with(
    context: &PageContext,
    name: &str,
    wrong: Option<&str>,
) -> Result<Page, Problem> {
    let bucket_name = context.names.bucket.clone();
    let bucket = context.session.get_bucket(&bucket_name).await?;
    let channels = context.session.list_channels(&bucket_name).await?.channels;
    // Only who may move channels is shown where they would go.
    let previous = match context.visit.may_write() {
        true => context.session.previous_of_all(&bucket_name).await?,
        false => BTreeMap::new(),
    };
    let latest = bucket.latest_version.as_ref();
    let cards = channels.iter().map(|it| card(context, it, latest, previous.get(&it.name)));
    let path = [
        (bucket_name.as_str(), context.bucket_path(&bucket_name, "")),
        ("Channels", context.bucket_path(&bucket_name, "/channels")),
    ];
    let notice = notice::moved(context, &bucket_name).await;
    Ok(Page::new(format!("Channels of {bucket_name}")).context(context, &path).notice(notice).body(
        html! {
            (bucket::head(&bucket))
            (tabs(context, &bucket_name, Some(Tab::Channels)))
            h2.hidden { "Channels" }
            ul.cards {
                @for card in cards { li { (card) } }
            }
            @if context.visit.may_write() { (new_channel(context, name, wrong)) }
        },
    ))
}

fn card(
    context: &PageContext,
    channel: &Channel,
    latest: Option<&Version>,
    previous: Option<&VersionName>,
) -> Markup {
    let (bucket, name) = (&channel.bucket_name, &channel.name);
    let path = context.channel_path(bucket, name, "");
    html! {
        article.card.channel {
            div.title {
                h3 { a href=(path) { (name) } }
                (kind(channel))
            }
            p.points {
                @match &channel.version {
                    Some(version) => {
                        (version_link_to(context, bucket, &version.name, &version.fingerprint)) " "
                        (status(version.status))
                    },
                    None => span.none { "Unassigned" },
                }
            }
            p.dimmed {
                "Changed " (ago(channel.updated_at))
                @if !channel.author_id.is_empty() { " by " bdi { (channel.author_id) } }
            }
            @if context.visit.may_write() && !channel.managed {
                (moves(context, channel, latest, previous))
            }
            p { a href=(path) aria-label=(format!("History of {name}")) { "History" } }
        }
    }
}

/// What kind of channel it is, where that is to be known.
fn kind(channel: &Channel) -> Markup {
    html! {
        @if channel.managed { span.badge.dim { "Managed" } }
        @if channel.restricted { span.badge.dim { "Restricted" } }
    }
}

/// The moves of one click: on to the newest version, back to the one before.
fn moves(
    context: &PageContext,
    channel: &Channel,
    latest: Option<&Version>,
    previous: Option<&VersionName>,
) -> Markup {
    let (bucket, name) = (&channel.bucket_name, &channel.name);
    let from = channel.version.as_ref().map_or("", |version| &version.fingerprint);
    let latest = latest.filter(|version| version.fingerprint != from);
    let previous = previous
        .filter(|version| latest.is_none_or(|latest| latest.fingerprint != version.fingerprint));
    html! {
        @if latest.is_some() || previous.is_some() {
            div.moves {
                @if let Some(to) = latest {
                    @let text = format!("Promote {} to {name}", to.name);
                    (assign_form::button(context, Move { bucket, channel: name, from, to: &to.fingerprint }, &text, "main"))
                }
                @if let Some(to) = previous {
                    @let text = format!("Roll {name} back to {}", to.name);
                    (assign_form::button(context, Move { bucket, channel: name, from, to: &to.fingerprint }, &text, "back"))
                }
            }
        }
    }
}

fn new_channel(context: &PageContext, name: &str, wrong: Option<&str>) -> Markup {
    let action = context.bucket_path(&context.names.bucket, "/channels");
    html! {
        section.card aria-labelledby="new" {
            h2 #new { "Create channel" }
            form.line method="post" action=(action) {
                (token_field(&context.visit.form_token))
                div.field {
                    label for="name" { "Name" }
                    input #name name="name" value=(name) required maxlength="64" autocomplete="off"
                        spellcheck="false" placeholder="production"
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby="name-hint";
                }
                label.choice {
                    input type="checkbox" name="restricted" value="yes";
                    span { "Restricted: viewers cannot read it" }
                }
                button.main type="submit" { "Create channel" }
            }
            p.hint #name-hint {
                @match wrong {
                    Some(text) => span.wrong role="alert" { (text) },
                    None => {
                        "Letters, digits, “-”, “_” and “.”, 64 at most. Terraform’s provider takes only 3 to \
                         36 letters, digits and hyphens."
                    }
                }
            }
        }
    }
}

/// Makes a channel that points nowhere.
pub(super) async fn create(Change { context, fields }: Change) -> Result<Response, Problem> {
    let bucket = &context.names.bucket;
    let name = fields.text("name").trim();
    let body = CreateChannelBody {
        name: name.to_owned(),
        restricted: fields.ticked("restricted"),
        ..CreateChannelBody::default()
    };
    match context.session.create_channel(bucket, &body).await {
        Ok(_) => {
            let path = context.channel_path(bucket, name, "?done=created");
            Ok(Redirect::to(&path).into_response())
        }
        Err(error) if matches!(error.code, Code::InvalidArgument | Code::AlreadyExists) => {
            let page = list_with(&context, name, Some(&sentence(&error.message))).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn show(
    context: PageContext,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let name = context.names.channel.clone();
    show_with(&context, &name, &query, None).await
}

/// The page of a channel, with something on top that has gone wrong.
pub(super) async fn show_with(
    context: &PageContext,
    name: &str,
    query: &[(String, String)],
    alert: Option<&Markup>,
) -> Result<Page, Problem> {
    let bucket = context.names.bucket.clone();
    let channel = context.session.get_channel(&bucket, name).await?;
    let history = context.session.channel_history(&bucket, name, &part(query, SIZE)).await?;
    let moves = match context.visit.may_write() && !channel.managed {
        true => {
            let latest = context.session.get_bucket(&bucket).await?.latest_version;
            let previous = context.session.previous_of(&bucket, name).await?;
            let filter = VersionFilter { assignable: true, ..VersionFilter::default() };
            let choices = context.session.version_choices(&bucket, &filter, CHOICES).await?;
            html! {
                section.actions aria-label="Actions" {
                    (moves(context, &channel, latest.as_ref(), previous.as_ref()))
                    (choose(context, &channel, &choices))
                }
            }
        }
        false => html! {},
    };
    let path = context.channel_path(&bucket, name, "");
    let breadcrumbs = [
        (bucket.as_str(), context.bucket_path(&bucket, "")),
        ("Channels", context.bucket_path(&bucket, "/channels")),
        (name, path.clone()),
    ];
    let count = history.count;
    let caption = format!("{count} assignment{}", if count == 1 { "" } else { "s" });
    let columns: &[&str] = match context.visit.may_write() && !channel.managed {
        true => &["Version", "Status", "When", "By", "Action"],
        false => &["Version", "Status", "When", "By"],
    };
    let rows = html! {
        @for (number, entry) in history.history.iter().enumerate() {
            @let newest = number == 0 && query.iter().all(|(key, _)| !matches!(key.as_str(), "after" | "before"));
            (assignment(context, &channel, entry, newest, columns.len() > 4))
        }
    };
    let notice = match notice::created(context, &channel).await {
        Some(notice) => Some(notice),
        None => notice::moved(context, &bucket).await,
    };
    Ok(Page::new(format!("Channel {name} of {bucket}"))
        .context(context, &breadcrumbs)
        .notice(notice)
        .body(html! {
            @if let Some(alert) = alert { (alert) }
            div.title {
                h1 { (name) }
                (kind(&channel))
            }
            p.points.large {
                @match &channel.version {
                    Some(version) => {
                        span.dimmed { "Points at " }
                        (version_link_to(context, &bucket, &version.name, &version.fingerprint)) " "
                        (status(version.status))
                    },
                    None => span.none { "Unassigned" },
                }
            }
            @if channel.managed {
                p.dimmed { "The registry keeps this channel at the newest valid version." }
            }
            (moves)
            section aria-labelledby="history" {
                h2 #history { "History" }
                @if history.history.is_empty() {
                    p.dimmed { "It has never been assigned a version." }
                } @else {
                    (table(&caption, columns, &rows))
                    (pager("assignments", &path, &[], history.pagination.as_ref()))
                }
            }
            @if context.visit.may_write() { (removal::channel_settings(context, &channel)) }
        }))
}

fn choose(context: &PageContext, channel: &Channel, choices: &[Version]) -> Markup {
    let from = channel.version.as_ref().map_or("", |version| &version.fingerprint);
    let action = context.channel_path(&channel.bucket_name, &channel.name, "/assign");
    html! {
        @if choices.iter().any(|version| version.fingerprint != from) {
            form.line method="post" action=(action) {
                (token_field(&context.visit.form_token))
                input type="hidden" name="from" value=(from);
                div.field {
                    label for="version" { "Another version" }
                    select #version name="version" {
                        @for version in choices.iter().filter(|it| it.fingerprint != from) {
                            option value=(version.fingerprint) {
                                (version.name) " · " (shown_version("", &version.fingerprint))
                            }
                        }
                    }
                }
                button type="submit" { "Assign" }
            }
        }
    }
}

fn assignment(
    context: &PageContext,
    channel: &Channel,
    entry: &ChannelAssignment,
    newest: bool,
    actions: bool,
) -> Markup {
    let (bucket, name) = (&channel.bucket_name, &channel.name);
    let from = channel.version.as_ref().map_or("", |version| &version.fingerprint);
    let version = entry.version.as_ref();
    let valid = |version: &&Version| {
        matches!(version.status, VersionStatus::Active | VersionStatus::RevocationScheduled)
            && version.fingerprint != from
    };
    html! {
        tr role="row" {
            (head_cell(&html! {
                @match version {
                    Some(version) =>
                        (version_link_to(context, bucket, &version.name, &version.fingerprint)),
                    None => span.none { "Unassigned" },
                }
                @if newest { " " span.badge.busy { "Current" } }
            }))
            (cell("Status", &html! {
                @match version {
                    Some(version) => (status(version.status)),
                    None => span.none { "–" },
                }
            }))
            (cell("When", &moment(entry.assigned_at)))
            (cell("By", &html! { bdi { (entry.author_id) } }))
            @if actions {
                (cell("Action", &html! {
                    @match version.filter(valid) {
                        Some(to) => {
                            @let text = format!("Roll back to {}", to.name);
                            @let it = Move { bucket, channel: name, from, to: &to.fingerprint };
                            (assign_form::button(context, it, &text, "back"))
                        },
                        None => span.none { "–" },
                    }
                }))
            }
        }
    }
}
