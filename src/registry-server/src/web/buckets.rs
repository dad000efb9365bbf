//! The list of buckets, and where an image comes from.

use axum::extract::Query;
use maud::{Markup, html};

use super::notice;
use super::page::Page;
use super::parts::{cell, chips, head_cell, pager, part, shown_version, status, table};
use super::parts::{version_link, version_link_to};
use super::problem::Problem;
use super::visit::Place;
use super::when::ago;
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::service::{BucketSummary, Relatives};

/// How many buckets a page has.
const SIZE: u32 = 50;

pub(super) async fn show(
    place: Place,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let word = query.iter().find(|(key, _)| key == "q").map_or("", |(_, value)| value).trim();
    let overview = place.session.overview(word, &part(&query, SIZE)).await?;
    let images = match word {
        "" => Vec::new(),
        word => {
            let asked = SearchExternalArtifactRequestBody {
                external_identifier: word.to_owned(),
                ..SearchExternalArtifactRequestBody::default()
            };
            let page = ingot_registry::api::Page { size: 10, ..Default::default() };
            place.session.search_artifact(&asked, &page).await?.artifacts
        }
    };
    let path = place.buckets_path();
    let total = overview.total;
    let plural = if total == 1 { "" } else { "s" };
    let caption = match word {
        "" => format!("{total} bucket{plural}"),
        word => format!("{total} bucket{plural} with “{word}” in name or description"),
    };
    let columns =
        ["Bucket", "Latest version", "Status", "Platforms", "Parents", "Children", "Updated"];
    let rows = html! { @for bucket in &overview.buckets { (row(&place, bucket)) } };
    let title = format!("Buckets of {}", place.project.name);
    let notice = notice::signed_in(&place.visit);
    Ok(Page::new(title).place(&place, &[]).notice(notice).body(html! {
        div.title {
            h1 { "Buckets" }
            form.search role="search" method="get" action=(path) {
                label for="q" { "Search buckets and image ids" }
                div.field {
                    input #q type="search" name="q" value=(word) maxlength="200"
                        placeholder="web-server or ami-0123…" autocomplete="off" spellcheck="false";
                    button type="submit" { "Search" }
                }
            }
        }
        (found_images(&place, &images))
        @if overview.buckets.is_empty() {
            (empty(word, &path))
        } @else {
            (table(&caption, &columns, &rows))
            (pager("buckets", &path, &[("q", word)], Some(&overview.pagination)))
        }
    }))
}

fn empty(word: &str, path: &str) -> Markup {
    html! {
        div.card.empty {
            @if word.is_empty() {
                h2 { "There are no buckets yet" }
                p {
                    "Add an " code { "hcp_packer_registry" } " block to a template’s "
                    code { "build" } " block and build it: its images are published here."
                }
            } @else {
                h2 { "No bucket was found" }
                p { "No bucket has “" (word) "” in its name or description. "
                    a href=(path) { "Show all buckets" } }
            }
        }
    }
}

fn row(place: &Place, bucket: &BucketSummary) -> Markup {
    let latest = bucket.latest.as_ref();
    let newest = bucket.newest.as_ref();
    html! {
        tr role="row" {
            (head_cell(&html! {
                a href=(place.bucket_path(&bucket.name, "")) { (bucket.name) }
                @if !bucket.description.is_empty() { span.sub { (bucket.description) } }
            }))
            (cell("Latest version", &html! {
                @match latest {
                    Some(version) => {
                        (version_link(place, version))
                        @if bucket.version_count > 1 {
                            span.sub { "of " (bucket.version_count) }
                        }
                    }
                    None => span.dimmed { "None valid" },
                }
            }))
            (cell("Status", &html! {
                @if let Some(version) = latest { (status(version.status)) }
                @if let Some(version) = newest {
                    @if latest.is_some() { span.sub { "then " (status(version.status)) } }
                    @else { (status(version.status)) }
                }
                @if latest.is_none() && newest.is_none() { span.badge.dim { "Empty" } }
            }))
            (cell("Platforms", &chips(&bucket.platforms)))
            (cell("Parents", &relatives(place, bucket, bucket.parents, "parent")))
            (cell("Children", &relatives(place, bucket, bucket.children, "child")))
            (cell("Updated", &ago(bucket.updated_at)))
        }
    }
}

fn relatives(place: &Place, bucket: &BucketSummary, of: Relatives, kind: &str) -> Markup {
    let kinds = match (of.count, kind) {
        (1, kind) => kind,
        (_, "child") => "children",
        _ => "parents",
    };
    html! {
        @if of.count == 0 {
            span.none { "–" }
        } @else {
            a href=(place.bucket_path(&bucket.name, "/ancestry"))
                aria-label=(format!("{} {kinds} of {}", of.count, bucket.name)) { (of.count) }
            @if of.out_of_date > 0 {
                " " span.badge.warn { (of.out_of_date) " out of date" }
            }
        }
    }
}

/// Where the image comes from whose id was searched for.
fn found_images(place: &Place, images: &[ExternalArtifact]) -> Markup {
    html! {
        @if !images.is_empty() {
            section.card aria-labelledby="images" {
                h2 #images { "Images with this id" }
                ul.plain {
                    @for image in images {
                        @if let (Some(bucket), Some(version), Some(build)) =
                            (&image.bucket, &image.version, &image.build) {
                            li {
                                a href=(place.bucket_path(&bucket.name, "")) { (bucket.name) }
                                " "
                                (version_link_to(
                                    place, &bucket.name, &version.name, &version.fingerprint
                                ))
                                " " (status(version.status)) " "
                                span.dimmed {
                                    (build.component_type) ", " (build.platform)
                                    @for artifact in &build.artifacts {
                                        @if !artifact.region.is_empty() { " " (artifact.region) }
                                    }
                                    ", " (shown_version("", &version.fingerprint))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
