//! Channels: what they point at, what they pointed at, and how they are moved.

use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::assign::{self, Move};
use super::bucket;
use super::notice;
use super::page::Page;
use super::parts::{
    Tab, cell, head_cell, pager, part, shown_version, status, table, tabs, token_field,
    version_link_to,
};
use super::problem::{Problem, sentence};
use super::removal;
use super::web_session::{Change, Place};
use super::when::{ago, moment};
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::service::VersionName;

/// How many assignments a page has.
const SIZE: u32 = 25;
/// How many versions there are to choose from.
const CHOICES: u32 = 100;

pub(super) async fn list(place: Place) -> Result<Page, Problem> {
    list_with(&place, "", None).await
}

async fn list_with(place: &Place, name: &str, wrong: Option<&str>) -> Result<Page, Problem> {
    let bucket_name = place.names.bucket.clone();
    let bucket = place.session.get_bucket(&bucket_name).await?;
    let channels = place.session.list_channels(&bucket_name).await?.channels;
    let mut cards = Vec::new();
    for channel in &channels {
        let previous = place.session.previous_of(&bucket_name, &channel.name).await?;
        cards.push(card(place, channel, bucket.latest_version.as_ref(), previous.as_ref()));
    }
    let path = [
        (bucket_name.as_str(), place.bucket_path(&bucket_name, "")),
        ("Channels", place.bucket_path(&bucket_name, "/channels")),
    ];
    let notice = notice::moved(place, &bucket_name).await;
    Ok(Page::new(format!("Channels of {bucket_name}")).place(place, &path).notice(notice).body(
        html! {
            (bucket::head(&bucket))
            (tabs(place, &bucket_name, Some(Tab::Channels)))
            h2.hidden { "Channels" }
            ul.cards {
                @for card in cards { li { (card) } }
            }
            @if place.visit.may_write() { (new_channel(place, name, wrong)) }
        },
    ))
}

fn card(
    place: &Place,
    channel: &Channel,
    latest: Option<&Version>,
    previous: Option<&VersionName>,
) -> Markup {
    let (bucket, name) = (&channel.bucket_name, &channel.name);
    let path = place.channel_path(bucket, name, "");
    html! {
        article.card.channel {
            div.title {
                h3 { a href=(path) { (name) } }
                (kind(channel))
            }
            p.points {
                @match &channel.version {
                    Some(version) => {
                        (version_link_to(place, bucket, &version.name, &version.fingerprint)) " "
                        (status(version.status))
                    },
                    None => span.none { "Unassigned" },
                }
            }
            p.dimmed {
                "Changed " (ago(channel.updated_at))
                @if !channel.author_id.is_empty() { " by " bdi { (channel.author_id) } }
            }
            @if place.visit.may_write() && !channel.managed {
                (moves(place, channel, latest, previous))
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
    place: &Place,
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
                    (assign::button(place, Move { bucket, channel: name, from, to: &to.fingerprint }, &text, "main"))
                }
                @if let Some(to) = previous {
                    @let text = format!("Roll {name} back to {}", to.name);
                    (assign::button(place, Move { bucket, channel: name, from, to: &to.fingerprint }, &text, "back"))
                }
            }
        }
    }
}

fn new_channel(place: &Place, name: &str, wrong: Option<&str>) -> Markup {
    let action = place.bucket_path(&place.names.bucket, "/channels");
    html! {
        section.card aria-labelledby="new" {
            h2 #new { "Create channel" }
            form.line method="post" action=(action) {
                (token_field(&place.visit.form_token))
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
                    None => "Letters, digits, “-”, “_” and “.”, 64 at most.",
                }
            }
        }
    }
}

/// Makes a channel that points nowhere.
pub(super) async fn create(Change { place, fields }: Change) -> Result<Response, Problem> {
    let bucket = &place.names.bucket;
    let name = fields.text("name").trim();
    let body = CreateChannelBody {
        name: name.to_owned(),
        restricted: fields.ticked("restricted"),
        ..CreateChannelBody::default()
    };
    match place.session.create_channel(bucket, &body).await {
        Ok(_) => {
            let path = place.channel_path(bucket, name, "?done=created");
            Ok(Redirect::to(&path).into_response())
        }
        Err(error) if matches!(error.code, Code::InvalidArgument | Code::AlreadyExists) => {
            let page = list_with(&place, name, Some(&sentence(&error.message))).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn show(
    place: Place,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let name = place.names.channel.clone();
    show_with(&place, &name, &query, None).await
}

/// The page of a channel, with something on top that has gone wrong.
pub(super) async fn show_with(
    place: &Place,
    name: &str,
    query: &[(String, String)],
    alert: Option<&Markup>,
) -> Result<Page, Problem> {
    let bucket = place.names.bucket.clone();
    let channel = place.session.get_channel(&bucket, name).await?;
    let history = place.session.channel_history(&bucket, name, &part(query, SIZE)).await?;
    let moves = match place.visit.may_write() && !channel.managed {
        true => {
            let latest = place.session.get_bucket(&bucket).await?.latest_version;
            let previous = place.session.previous_of(&bucket, name).await?;
            let choices = place.session.assignable(&bucket, CHOICES).await?;
            html! {
                section.actions aria-label="Actions" {
                    (moves(place, &channel, latest.as_ref(), previous.as_ref()))
                    (choose(place, &channel, &choices))
                }
            }
        }
        false => html! {},
    };
    let path = place.channel_path(&bucket, name, "");
    let way = [
        (bucket.as_str(), place.bucket_path(&bucket, "")),
        ("Channels", place.bucket_path(&bucket, "/channels")),
        (name, path.clone()),
    ];
    let count = history.count;
    let caption = format!("{count} assignment{}", if count == 1 { "" } else { "s" });
    let columns: &[&str] = match place.visit.may_write() && !channel.managed {
        true => &["Version", "Status", "When", "By", "Action"],
        false => &["Version", "Status", "When", "By"],
    };
    let rows = html! {
        @for (number, entry) in history.history.iter().enumerate() {
            @let newest = number == 0 && query.iter().all(|(key, _)| !matches!(key.as_str(), "after" | "before"));
            (assignment(place, &channel, entry, newest, columns.len() > 4))
        }
    };
    let notice = match notice::created(place, &channel).await {
        Some(notice) => Some(notice),
        None => notice::moved(place, &bucket).await,
    };
    Ok(Page::new(format!("Channel {name} of {bucket}")).place(place, &way).notice(notice).body(
        html! {
            @if let Some(alert) = alert { (alert) }
            div.title {
                h1 { (name) }
                (kind(&channel))
            }
            p.points.large {
                @match &channel.version {
                    Some(version) => {
                        span.dimmed { "Points at " }
                        (version_link_to(place, &bucket, &version.name, &version.fingerprint)) " "
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
            @if place.visit.may_write() && !channel.managed { (removal::channel_settings(place, &channel)) }
        },
    ))
}

fn choose(place: &Place, channel: &Channel, choices: &[Version]) -> Markup {
    let from = channel.version.as_ref().map_or("", |version| &version.fingerprint);
    let action = place.channel_path(&channel.bucket_name, &channel.name, "/assign");
    html! {
        @if choices.iter().any(|version| version.fingerprint != from) {
            form.line method="post" action=(action) {
                (token_field(&place.visit.form_token))
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
    place: &Place,
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
                        (version_link_to(place, bucket, &version.name, &version.fingerprint)),
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
                            (assign::button(place, it, &text, "back"))
                        },
                        None => span.none { "–" },
                    }
                }))
            }
        }
    }
}
