//! A version: its images and builds, what it was built from, and what can be done with it.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use ingot_base::byte_size;
use maud::{Markup, html};

use super::assign_form::{in_short, number};
use super::build_origin::{BuildOrigin, laid_out};
use super::notice;
use super::page::Page;
use super::parts::{
    Tab, build_status, cell, head_cell, labels, shown_version, status, table, tabs, token_field,
    version_link_to,
};
use super::problem::Problem;
use super::relations;
use super::web_session::{PageContext, segment};
use super::when::{duration, moment};
use crate::{Shared, sboms};
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::service::{Relations, sbom_document};
use ingot_registry::store::SbomRow;

pub(super) async fn show(context: PageContext) -> Result<Response, Problem> {
    let (bucket, print) = (context.names.bucket.clone(), context.names.version.clone());
    let version = match context.session.get_version(&bucket, &print).await {
        Err(error) if error.code == Code::NotFound => {
            // People know versions by their numbers.
            let Some(number) = number(&print).and_then(|it| i64::try_from(it).ok()) else {
                return Err(error.into());
            };
            let print = context.session.fingerprint_of(&bucket, number).await?;
            let path = context.version_path(&bucket, &print, "");
            return Ok(Redirect::to(&path).into_response());
        }
        found => found?,
    };
    let channels = context.session.list_channels(&bucket).await?.channels;
    let older_than = context.visit.query_value("children");
    let before = Some(older_than.as_str()).filter(|it| !it.is_empty());
    let relations = context.session.relations_of(&bucket, &print, before).await?;
    let sboms = context.session.sboms_of(&bucket, &print).await?;
    let name = shown_version(&version.name, &print);
    let path = [
        (bucket.as_str(), context.bucket_path(&bucket, "")),
        ("Versions", context.bucket_path(&bucket, "/versions")),
        (name.as_str(), path_of(&context)),
    ];
    let title = format!("{bucket} {name}");
    let notice = match notice::revocation(&context, &version).await {
        Some(notice) => Some(notice),
        None => notice::moved(&context, &bucket).await,
    };
    let page = Page::new(title).context(&context, &path).notice(notice).body(html! {
        div.title {
            h1 { (bucket) " " span.version { (name) } }
            (status(version.status))
            (neighbours(&context, &bucket, &relations))
        }
        (tabs(&context, &bucket, Some(Tab::Versions)))
        (revocation(&context, &version))
        (relations::revoked_parents(&context, &relations))
        dl.facts {
            div.wide { dt { "Fingerprint" } dd { code.id { (version.fingerprint) } } }
            div { dt { "Channels" } dd { (pointing(&context, &version, &channels)) } }
            div { dt { "Created by" } dd { bdi { (version.author_id) } } }
            div { dt { "Created" } dd { (moment(version.created_at)) } }
            div { dt { "Template" } dd { (template(version.template_type)) } }
        }
        @if context.visit.may_write() { (actions(&context, &version, &channels)) }
        (images(&version))
        (relations::parents(&context, &relations))
        (relations::children(&context, &relations, before.is_some()))
        (builds(&context, &version, &sboms))
    });
    Ok(page.into_response())
}

/// The ways to the versions before and after.
fn neighbours(context: &PageContext, bucket: &str, relations: &Relations) -> Markup {
    html! {
        @if relations.previous.is_some() || relations.next.is_some() {
            nav.pager.aside aria-label="Versions before and after" {
                @if let Some(print) = &relations.previous {
                    a href=(context.version_path(bucket, print, "")) rel="prev" { "Previous version" }
                }
                @if let Some(print) = &relations.next {
                    a href=(context.version_path(bucket, print, "")) rel="next" { "Next version" }
                }
                a href=(context.version_path(bucket, &context.names.version, "/compare")) {
                    "Compare…"
                }
            }
        }
    }
}

fn path_of(context: &PageContext) -> String {
    context.version_path(&context.names.bucket, &context.names.version, "")
}

fn template(kind: TemplateType) -> &'static str {
    match kind {
        TemplateType::Hcl2 => "HCL2",
        TemplateType::Json => "JSON",
        TemplateType::Unset => "–",
    }
}

fn pointing(context: &PageContext, version: &Version, channels: &[Channel]) -> Markup {
    let mut here = channels
        .iter()
        .filter(|channel| channel.version.as_ref().is_some_and(|it| it.id == version.id))
        .peekable();
    html! {
        @if here.peek().is_none() { span.none { "None" } }
        span.chips {
            @for channel in here {
                a.chip href=(context.channel_path(&version.bucket_name, &channel.name, "")) {
                    (channel.name)
                }
                " "
            }
        }
    }
}

/// What is to be known of a revocation.
fn revocation(context: &PageContext, version: &Version) -> Markup {
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
                            context,
                            &ancestor.bucket_name,
                            &format!("{} {}", ancestor.bucket_name, ancestor.version_name),
                            &ancestor.version_fingerprint,
                        ))
                        ", which it was built from"
                    }
                    "."
                }
                @if !version.revocation_message.is_empty() {
                    p.reason dir="auto" { (version.revocation_message) }
                }
            }
        }
    }
}

/// One-click promotion, revocation and restoring: what the version's state allows.
fn actions(context: &PageContext, version: &Version, channels: &[Channel]) -> Markup {
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
                        a href=(context.bucket_path(bucket, "/channels")) { "Create one" }
                    }
                } @else if valid && targets.peek().is_some() {
                    form.line method="post"
                        action=(context.version_path(bucket, &version.fingerprint, "/promote")) {
                        (token_field(&context.visit.form_token))
                        input type="hidden" name="back"
                            value=(context.version_path(bucket, &version.fingerprint, ""));
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
                    a.button href=(context.version_path(bucket, &version.fingerprint, "/restore")) {
                        @if version.status == VersionStatus::Revoked { "Restore…" }
                        @else { "Cancel scheduled revocation…" }
                    }
                }
                @if revocable {
                    a.button.danger
                        href=(context.version_path(bucket, &version.fingerprint, "/revoke")) {
                        @if version.revoke_at.is_set() { "Change scheduled revocation…" }
                        @else { "Revoke…" }
                    }
                }
            }
        }
    }
}

/// All images of a version in one table, by platform and region.
fn images(version: &Version) -> Markup {
    let mut images: Vec<(&Build, &Artifact)> = version
        .builds
        .iter()
        .flat_map(|build| build.artifacts.iter().map(move |artifact| (build, artifact)))
        .collect();
    images.sort_by(|(a, x), (b, y)| {
        (&a.platform, &x.region, &a.component_type).cmp(&(
            &b.platform,
            &y.region,
            &b.component_type,
        ))
    });
    let columns = ["Image id", "Platform", "Region", "Source", "Created"];
    let rows = html! {
        @for (build, artifact) in &images {
            tr role="row" {
                (head_cell(&html! {
                    code.id title="Click to select all of it" { (artifact.external_identifier) }
                }))
                (cell("Platform", &html! { span.chip { (build.platform) } }))
                (cell("Region", &html! {
                    @if artifact.region.is_empty() { span.none { "–" } } @else { (artifact.region) }
                }))
                (cell("Source", &html! { bdi { (build.component_type) } }))
                (cell("Created", &moment(artifact.created_at)))
            }
        }
    };
    let count = images.len();
    let caption = format!("{count} image{}", if count == 1 { "" } else { "s" });
    html! {
        section aria-labelledby="images" {
            h2 #images { "Images" }
            @if images.is_empty() { p.dimmed { "There are no images." } }
            @else { (table(&caption, &columns, &rows)) }
        }
    }
}

/// The document of an SBOM, to be saved.
pub(super) async fn sbom(
    State(app): State<Shared>,
    context: PageContext,
) -> Result<Response, Problem> {
    let names = &context.names;
    let found = context.session.find_sbom(&names.bucket, &names.version, &names.build, &names.sbom);
    let sbom = found.await?;
    Ok(sboms::document(&sbom, sbom_document(&app.store, &sbom.id).await?))
}

fn builds(context: &PageContext, version: &Version, sboms: &[SbomRow]) -> Markup {
    html! {
        section aria-labelledby="builds" {
            h2 #builds { "Builds" }
            @if version.builds.is_empty() { p.dimmed { "There are no builds yet." } }
            @for build in &version.builds {
                (one_build(build, &sboms_of(context, version, build, sboms)))
            }
        }
    }
}

/// The SBOMs of a build, each a link that downloads it.
fn sboms_of(context: &PageContext, version: &Version, build: &Build, all: &[SbomRow]) -> Markup {
    let sboms: Vec<&SbomRow> = all.iter().filter(|sbom| sbom.build_id == build.id).collect();
    let path = |sbom: &SbomRow| {
        let rest = format!("/builds/{}/sboms/{}", sbom.build_id, segment(&sbom.name));
        context.version_path(&version.bucket_name, &version.fingerprint, &rest)
    };
    html! {
        @if !sboms.is_empty() {
            div { dt { "SBOM" } dd {
                @for sbom in &sboms {
                    @let size = byte_size(u64::try_from(sbom.size).unwrap_or(0));
                    p {
                        a href=(path(sbom)) download { (sbom.name) }
                        " " span.dimmed { (sbom_format(sbom.format)) ", " (size) }
                    }
                }
            } }
        }
    }
}

fn sbom_format(format: SbomFormat) -> &'static str {
    match format {
        SbomFormat::CycloneDx => "CycloneDX",
        SbomFormat::Spdx => "SPDX",
        SbomFormat::Unset => "JSON",
    }
}

fn one_build(build: &Build, sboms: &Markup) -> Markup {
    let origin = BuildOrigin::of(build);
    let ended =
        matches!(build.status, BuildStatus::Done | BuildStatus::Failed | BuildStatus::Cancelled);
    html! {
        article.card.build {
            div.title {
                h3 dir="auto" { (build.component_type) }
                (build_status(build.status))
                @if !build.platform.is_empty() { span.chip { (build.platform) } }
            }
            @if build.status == BuildStatus::Failed {
                p.wrong {
                    "The build failed after " (duration(build.created_at, build.updated_at))
                    @if origin.error.is_empty() {
                        ". Why was not recorded: "
                        @match &origin.pipeline {
                            Some((_, Some(url))) => { "see the log of its " a href=(url) rel="noreferrer" { "pipeline" } "." }
                            _ => "see the log of the run.",
                        }
                    } @else {
                        ":"
                    }
                }
                @if !origin.error.is_empty() {
                    pre.reason tabindex="0" role="region" dir="auto"
                        aria-label=(format!("Why {} failed", build.component_type)) { (origin.error) }
                }
            }
            (labels(&build.labels))
            dl.facts.small {
                (fact("Source image", &build.source_external_identifier, true))
                @if let Some((name, url)) = &origin.pipeline {
                    div { dt { "Pipeline" } dd {
                        @match url {
                            Some(url) => a href=(url) rel="noreferrer" { (name) },
                            None => (name),
                        }
                    } }
                }
                @for (name, value, code) in &origin.facts { (fact(name, value, *code)) }
                div { dt { "Started" } dd { (moment(build.created_at)) } }
                @if ended {
                    div { dt { "Duration" } dd { (duration(build.created_at, build.updated_at)) } }
                }
                (fact("Run", &build.packer_run_uuid, true))
                (sboms)
            }
            (metadata(build))
        }
    }
}

fn fact(name: &str, value: &str, code: bool) -> Markup {
    html! {
        @if !value.is_empty() {
            div {
                dt { (name) }
                dd dir="auto" { @if code { code.id { (value) } } @else { (value) } }
            }
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
    let message = |value: &&JsonText| !matches!(value.as_str(), "null" | "{}");
    let parts: Vec<_> = parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(message)?)))
        .collect();
    html! {
        @if !parts.is_empty() {
            details {
                summary { "All that was recorded" span.hidden { ": " (build.component_type) } }
                @for (name, value) in parts {
                    h4 { (name) }
                    pre tabindex="0" role="region"
                        aria-label=(format!("{name} of {}", build.component_type)) {
                        (laid_out(value))
                    }
                }
            }
        }
    }
}
