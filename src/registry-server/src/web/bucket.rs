//! A bucket: how it is, what points where, its newest images, and how to use them.

use axum::extract::Query;
use maud::{Markup, html};

use super::enforced_blocks;
use super::page::Page;
use super::parts::{
    Tab, ancestry_status, cell, chips, head_cell, labels, shown_version, status, table, tabs,
    version_link_to,
};
use super::problem::Problem;
use super::usage::{self, Choice};
use super::web_session::{Fields, PageContext};
use super::when::{ago, moment};
use ingot_registry::api::{
    AncestryQuery, AncestryStatus, Bucket, BucketAncestry, BucketAncestryType, Channel, Version,
};
use ingot_registry::client::Registry as _;
use ingot_registry::store::Role;

/// How many relatives are shown; the ancestry has all.
const RELATIVES: usize = 8;
/// How many images are shown; the version has all.
const IMAGES: usize = 12;

pub(super) async fn show(
    context: PageContext,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let name = context.names.bucket.clone();
    let bucket = context.session.get_bucket(&name).await?;
    let channels = context.session.list_channels(&name).await?.channels;
    let related = async |kind| {
        let query = AncestryQuery { kind, ..AncestryQuery::default() };
        let page = ingot_registry::api::Page { size: RELATIVES as u32, ..Default::default() };
        context.session.list_ancestry(&name, &query, &page).await
    };
    let parents = related(BucketAncestryType::Parents).await?;
    let children = related(BucketAncestryType::Children).await?;
    let enforced = context.session.enforced_links_of(&name).await?;
    let path = context.bucket_path(&name, "");
    let choice = Choice::of(&Fields::new(query), &channels);
    Ok(Page::new(name.clone()).context(&context, &[(&name, path)]).body(html! {
        (head(&bucket))
        (tabs(&context, &name, Some(Tab::Overview)))
        (facts(&context, &bucket))
        div.columns {
            (channel_list(&context, &name, &channels))
            section.card aria-labelledby="family" {
                h2 #family { "Ancestry" }
                (family(&context, "Parents", "No parents are known.", parents.total_count, &parents.relations, bucket.parents.as_ref().map(|it| it.status)))
                (family(&context, "Children", "Nothing was built from it so far.", children.total_count, &children.relations, bucket.children.as_ref().map(|it| it.status)))
            }
        }
        @match &bucket.latest_version {
            Some(version) => (newest(&context, version)),
            None => div.card.empty {
                h2 { "There is no valid version" }
                p { "A version is valid when all its builds are done and it is not revoked." }
            },
        }
        (enforced_blocks::of_bucket(&context, &enforced))
        (usage::show(&context, &name, &channels, &choice))
        @if context.visit.principal.role >= Role::Admin {
            p { a.button.danger href=(context.bucket_path(&name, "/delete")) { "Delete bucket…" } }
        }
    }))
}

/// The name of a bucket, on all its pages.
pub(super) fn head(bucket: &Bucket) -> Markup {
    html! {
        div.title {
            h1 { (bucket.name) }
            @if let Some(latest) = &bucket.latest_version { (status(latest.status)) }
        }
    }
}

fn facts(context: &PageContext, bucket: &Bucket) -> Markup {
    html! {
        @if !bucket.description.is_empty() { p.lead dir="auto" { (bucket.description) } }
        dl.facts {
            div { dt { "Latest version" } dd {
                @match &bucket.latest_version {
                    Some(version) => (version_link_to(
                        context, &bucket.name, &version.name, &version.fingerprint
                    )),
                    None => span.dimmed { "None valid" },
                }
            } }
            div { dt { "Versions" } dd {
                a href=(context.bucket_path(&bucket.name, "/versions")) { (bucket.version_count) }
            } }
            div { dt { "Platforms" } dd { (chips(&bucket.platforms)) } }
            div { dt { "Created" } dd { (moment(bucket.created_at)) } }
            div { dt { "Updated" } dd { (ago(bucket.updated_at)) } }
        }
        (labels(&bucket.labels))
    }
}

fn channel_list(context: &PageContext, bucket: &str, channels: &[Channel]) -> Markup {
    html! {
        section.card aria-labelledby="channels" {
            h2 #channels { "Channels" }
            ul.plain.rows {
                @for channel in channels {
                    li {
                        a href=(context.channel_path(bucket, &channel.name, "")) { (channel.name) }
                        span {
                            @match &channel.version {
                                Some(version) => {
                                    (version_link_to(context, bucket, &version.name, &version.fingerprint))
                                    " " (status(version.status))
                                },
                                None => span.none { "Unassigned" },
                            }
                        }
                        span.dimmed { (ago(channel.updated_at)) }
                    }
                }
            }
        }
    }
}

/// The parents or the children, the first of them.
fn family(
    context: &PageContext,
    title: &str,
    none: &str,
    count: i32,
    relations: &[BucketAncestry],
    overall: Option<AncestryStatus>,
) -> Markup {
    let bucket = &context.names.bucket;
    html! {
        h3 {
            (title) " " span.dimmed { (count) }
            @if let Some(overall) = overall.filter(|_| count > 0) { " " (ancestry_status(overall)) }
        }
        @if relations.is_empty() {
            p.dimmed { (none) }
        } @else {
            ul.plain.rows {
                @for relation in relations {
                    @let relative = match title {
                        "Parents" => relation.parent.as_ref().map(|it| (&it.bucket_name, &it.version_name, &it.version_fingerprint)),
                        _ => relation.child.as_ref().map(|it| (&it.bucket_name, &it.version_name, &it.version_fingerprint)),
                    };
                    @if let Some((name, version, print)) = relative {
                        li {
                            a href=(context.bucket_path(name, "")) { (name) }
                            span {
                                (version_link_to(context, name, &shown_version(version, print), print))
                                " " (ancestry_status(relation.status))
                            }
                        }
                    }
                }
            }
            @if usize::try_from(count).unwrap_or(0) > relations.len() {
                p { a href=(context.bucket_path(bucket, "/ancestry")) { "All " (count) } }
            }
        }
    }
}

/// The newest version's images.
fn newest(context: &PageContext, version: &Version) -> Markup {
    let images: Vec<_> = version
        .builds
        .iter()
        .flat_map(|build| build.artifacts.iter().map(move |artifact| (build, artifact)))
        .collect();
    let rows = html! {
        @for (build, artifact) in images.iter().take(IMAGES) {
            tr role="row" {
                (head_cell(&html! {
                    code.id title="Click to select all of it" { (artifact.external_identifier) }
                }))
                (cell("Platform", &html! { span.chip { (build.platform) } }))
                (cell("Region", &html! {
                    @if artifact.region.is_empty() { span.none { "–" } } @else { (artifact.region) }
                }))
                (cell("Created", &moment(artifact.created_at)))
            }
        }
    };
    let caption = format!("The images of {}", shown_version(&version.name, &version.fingerprint));
    html! {
        section aria-labelledby="images" {
            h2 #images { "Latest images" }
            @if images.is_empty() {
                p.dimmed { "The newest version has no images." }
            } @else {
                (table(&caption, &["Image id", "Platform", "Region", "Created"], &rows))
                @if images.len() > IMAGES {
                    p { a href=(context.version_path(&version.bucket_name, &version.fingerprint, "")) {
                        "All " (images.len()) " images"
                    } }
                }
            }
        }
    }
}
