//! A version: its builds by cloud and region, and what can be done with it.

use std::collections::BTreeMap;

use axum::response::Redirect;
use maud::{Markup, html};

use super::assign::in_short;
use super::notice;
use super::page::Page;
use super::parts::{
    ancestry_status, build_status, cell, head_cell, labels, shown_version, status, table,
    token_field, version_link_to,
};
use super::problem::Problem;
use super::visit::{Change, Place};
use super::when::moment;
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;

pub(super) async fn show(place: Place) -> Result<Page, Problem> {
    let (bucket, print) = (place.names.bucket.clone(), place.names.version.clone());
    let version = place.session.get_version(&bucket, &print).await?;
    let channels = place.session.list_channels(&bucket).await?.channels;
    let parents = place.session.parents_of(&bucket, &print).await?;
    let name = shown_version(&version.name, &print);
    let path =
        [(bucket.as_str(), place.bucket_path(&bucket, "")), (name.as_str(), path_of(&place))];
    let title = format!("{bucket} {name}");
    let notice = match notice::revocation(&place, &version) {
        Some(notice) => Some(notice),
        None => notice::moved(&place, &bucket).await,
    };
    Ok(Page::new(title).place(&place, &path).notice(notice).body(html! {
        div.title {
            h1 { (bucket) " " span.version { (name) } }
            (status(version.status))
        }
        (revocation(&place, &version))
        dl.facts {
            div.wide { dt { "Fingerprint" } dd { code { (version.fingerprint) } } }
            div { dt { "Channels" } dd { (pointing(&place, &version, &channels)) } }
            div { dt { "Built by" } dd { (version.author_id) } }
            div { dt { "Created" } dd { (moment(version.created_at)) } }
            div { dt { "Template" } dd { (template(version.template_type)) } }
        }
        @if place.visit.may_write() { (actions(&place, &version, &channels)) }
        (parents_of(&place, &parents))
        (builds(&version))
    }))
}

fn path_of(place: &Place) -> String {
    place.version_path(&place.names.bucket, &place.names.version, "")
}

fn template(kind: TemplateType) -> &'static str {
    match kind {
        TemplateType::Hcl2 => "HCL2",
        TemplateType::Json => "JSON",
        TemplateType::Unset => "–",
    }
}

fn pointing(place: &Place, version: &Version, channels: &[Channel]) -> Markup {
    let mut here = channels
        .iter()
        .filter(|channel| channel.version.as_ref().is_some_and(|it| it.id == version.id))
        .peekable();
    html! {
        @if here.peek().is_none() { span.none { "None" } }
        span.chips {
            @for channel in here {
                a.chip href=(place.channel_path(&version.bucket_name, &channel.name, "")) {
                    (channel.name)
                }
                " "
            }
        }
    }
}

/// What is to be known of a revocation.
fn revocation(place: &Place, version: &Version) -> Markup {
    let scheduled = version.status == VersionStatus::RevocationScheduled;
    html! {
        @if version.revoke_at.is_set() {
            section.alert.(if scheduled { "warn" } else { "bad" }) aria-label="Revocation" {
                p {
                    strong { @if scheduled { "Scheduled revocation " } @else { "Revoked " } }
                    @if scheduled { "at " } @else { "since " }
                    (moment(version.revoke_at))
                    @if !version.revocation_author.is_empty() { ", by " (version.revocation_author) }
                    @if let Some(ancestor) = &version.revocation_inherited_from {
                        ". Inherited from "
                        (version_link_to(
                            place,
                            &ancestor.bucket_name,
                            &format!("{} {}", ancestor.bucket_name, ancestor.version_name),
                            &ancestor.version_fingerprint,
                        ))
                        ", which it was built from"
                    }
                    "."
                }
                @if !version.revocation_message.is_empty() {
                    p.reason { (version.revocation_message) }
                }
            }
        }
    }
}

/// One-click promotion, revocation and restoring: what the version's state allows.
fn actions(place: &Place, version: &Version, channels: &[Channel]) -> Markup {
    let bucket = &version.bucket_name;
    let valid =
        matches!(version.status, VersionStatus::Active | VersionStatus::RevocationScheduled);
    let mut targets = channels
        .iter()
        .filter(|it| !it.managed && it.version.as_ref().is_none_or(|it| it.id != version.id))
        .peekable();
    let revocable = version.is_complete() && version.status != VersionStatus::Revoked;
    html! {
        @if valid || version.revoke_at.is_set() {
            section.actions aria-label="Actions" {
                @if valid && !channels.iter().any(|it| !it.managed) {
                    p.dimmed {
                        "There is no channel to promote it to. "
                        a href=(place.bucket_path(bucket, "/channels")) { "Create one" }
                    }
                } @else if valid && targets.peek().is_some() {
                    form.line method="post"
                        action=(place.version_path(bucket, &version.fingerprint, "/promote")) {
                        (token_field(&place.visit.form_token))
                        input type="hidden" name="back"
                            value=(place.version_path(bucket, &version.fingerprint, ""));
                        div.field {
                            label for="channel" { "Promote to channel" }
                            select #channel name="channel" {
                                @for channel in targets {
                                    @let from = channel.version.as_ref();
                                    @let print = from.map_or("", |it| &it.fingerprint);
                                    option value=(format!("{}={print}", channel.name)) {
                                        (channel.name) ": " (in_short(from, version))
                                    }
                                }
                            }
                        }
                        button.main type="submit" { "Promote" }
                    }
                }
                @if version.revoke_at.is_set() {
                    form method="post"
                        action=(place.version_path(bucket, &version.fingerprint, "/restore")) {
                        (token_field(&place.visit.form_token))
                        button type="submit" {
                            @if version.status == VersionStatus::Revoked { "Restore" }
                            @else { "Cancel scheduled revocation" }
                        }
                    }
                }
                @if revocable {
                    a.button.danger
                        href=(place.version_path(bucket, &version.fingerprint, "/revoke")) {
                        @if version.revoke_at.is_set() { "Change scheduled revocation…" }
                        @else { "Revoke…" }
                    }
                }
            }
        }
    }
}

fn parents_of(place: &Place, parents: &[BucketAncestry]) -> Markup {
    let columns = ["Parent", "Channel", "Channel points at", "State"];
    let rows = html! {
        @for relation in parents {
            @if let Some(parent) = &relation.parent {
                tr role="row" {
                    (head_cell(&html! {
                        (version_link_to(
                            place,
                            &parent.bucket_name,
                            &format!("{} {}", parent.bucket_name, parent.version_name),
                            &parent.version_fingerprint,
                        ))
                    }))
                    (cell("Channel", &html! {
                        @if parent.channel_name.is_empty() { span.none { "–" } }
                        @else { (parent.channel_name) }
                    }))
                    (cell("Channel points at", &html! {
                        @match &parent.channel_version {
                            Some(version) => (version_link_to(
                                place, &parent.bucket_name, &version.name, &version.fingerprint
                            )),
                            None => span.none { "–" },
                        }
                    }))
                    (cell("State", &ancestry_status(relation.status)))
                }
            }
        }
    };
    html! {
        @if !parents.is_empty() {
            section aria-labelledby="parents" {
                h2 #parents { "Built from" }
                (table("What this version was built from", &columns, &rows))
            }
        }
    }
}

/// The builds by platform.
fn builds(version: &Version) -> Markup {
    let mut platforms: BTreeMap<&str, Vec<&Build>> = BTreeMap::new();
    for build in &version.builds {
        platforms.entry(&build.platform).or_default().push(build);
    }
    html! {
        section aria-labelledby="builds" {
            h2 #builds { "Builds" }
            @if version.builds.is_empty() { p.dimmed { "There are no builds yet." } }
            @for (platform, builds) in &platforms {
                section.platform {
                    h3 { @if platform.is_empty() { "Platform not known yet" } @else { (platform) } }
                    @for build in builds { (one_build(build)) }
                }
            }
        }
    }
}

fn one_build(build: &Build) -> Markup {
    let columns = ["Image id", "Region", "Created"];
    let rows = html! {
        @for artifact in &build.artifacts {
            tr role="row" {
                (head_cell(&html! { code.id { (artifact.external_identifier) } }))
                (cell("Region", &html! {
                    @if artifact.region.is_empty() { span.none { "–" } } @else { (artifact.region) }
                }))
                (cell("Created", &moment(artifact.created_at)))
            }
        }
    };
    html! {
        article.card.build {
            div.title {
                h4 { (build.component_type) }
                (build_status(build.status))
            }
            @if build.artifacts.is_empty() {
                p.dimmed { "No images" }
            } @else {
                (table(&format!("Images of {}", build.component_type), &columns, &rows))
            }
            (labels(&build.labels))
            dl.facts.small {
                @if !build.source_external_identifier.is_empty() {
                    div { dt { "Source image" } dd { code.id { (build.source_external_identifier) } } }
                }
                @if !build.packer_run_uuid.is_empty() {
                    div { dt { "Run" } dd { code { (build.packer_run_uuid) } } }
                }
                div { dt { "Updated" } dd { (moment(build.updated_at)) } }
            }
            (metadata(build))
        }
    }
}

/// How it was made, as the program that made it tells.
fn metadata(build: &Build) -> Markup {
    let metadata = build.metadata.as_ref();
    let parts = [
        ("Pipeline", metadata.and_then(|it| it.cicd.as_ref())),
        ("Builder", metadata.and_then(|it| it.packer.as_ref())),
        ("Version control", metadata.and_then(|it| it.vcs.as_ref())),
    ];
    let told = |value: &&serde_json::Value| !value.is_null() && **value != serde_json::json!({});
    let parts: Vec<_> =
        parts.into_iter().filter_map(|(name, value)| Some((name, value.filter(told)?))).collect();
    html! {
        @if !parts.is_empty() {
            details {
                summary { "How it was made" span.hidden { ": " (build.component_type) } }
                @for (name, value) in parts {
                    h5 { (name) }
                    pre tabindex="0" role="region"
                        aria-label=(format!("{name} of {}", build.component_type)) {
                        (serde_json::to_string_pretty(value).unwrap_or_default())
                    }
                }
            }
        }
    }
}

/// Makes a version valid again.
pub(super) async fn restore(Change { place, .. }: Change) -> Result<Redirect, Problem> {
    let (bucket, print) = (&place.names.bucket, &place.names.version);
    let body = UpdateVersionBody { restore: true, ..UpdateVersionBody::default() };
    let now = place.session.update_version(bucket, print, &body).await?;
    let done = if now.revoke_at.is_set() { "still-revoked" } else { "restored" };
    Ok(Redirect::to(&format!("{}?done={done}", path_of(&place))))
}
