//! A bucket and its versions.

use std::collections::BTreeMap;

use axum::extract::Query;
use maud::{Markup, html};

use super::page::Page;
use super::parts::{
    Tab, ancestry_status, cell, chips, head_cell, labels, pager, part, short, status, table, tabs,
    version_link_to,
};
use super::problem::Problem;
use super::visit::Place;
use super::when::{ago, moment};
use ingot_registry::api::{AncestryStatus, Bucket, Version};
use ingot_registry::client::Registry as _;

/// How many versions a page has.
const SIZE: u32 = 25;

pub(super) async fn show(
    place: Place,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let name = place.names.bucket.clone();
    let bucket = place.session.get_bucket(&name).await?;
    let versions = place.session.list_versions(&name, &part(&query, SIZE)).await?;
    let channels = place.session.list_channels(&name).await?.channels;
    let mut pointing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for channel in &channels {
        if let Some(version) = &channel.version {
            pointing.entry(&version.id).or_default().push(&channel.name);
        }
    }
    let columns =
        ["Version", "Status", "Channels", "Platforms", "Parents", "Created by", "Created"];
    let rows = html! {
        @for version in &versions.versions {
            @let channels = pointing.get(version.id.as_str()).map_or(&[][..], |it| it);
            (row(&place, version, channels))
        }
    };
    let caption = format!("Versions of {name}, newest first");
    let path = place.bucket_path(&name, "");
    Ok(Page::new(name.clone()).place(&place, &[(&name, path.clone())]).body(html! {
        (head(&place, &bucket))
        (tabs(&place, &name, Some(Tab::Versions)))
        @if versions.versions.is_empty() {
            div.card.empty { h2 { "There are no versions yet" } }
        } @else {
            (table(&caption, &columns, &rows))
            (pager("versions", &path, &[], versions.pagination.as_ref()))
        }
    }))
}

/// What is known of a bucket.
pub(super) fn head(place: &Place, bucket: &Bucket) -> Markup {
    html! {
        div.title {
            h1 { (bucket.name) }
            @if let Some(latest) = &bucket.latest_version { (status(latest.status)) }
        }
        @if !bucket.description.is_empty() { p.lead { (bucket.description) } }
        dl.facts {
            div { dt { "Latest version" } dd {
                @match &bucket.latest_version {
                    Some(version) => (version_link_to(
                        place, &bucket.name, &version.name, &version.fingerprint
                    )),
                    None => span.dimmed { "None valid" },
                }
            } }
            div { dt { "Versions" } dd { (bucket.version_count) } }
            div { dt { "Platforms" } dd { (chips(&bucket.platforms)) } }
            div { dt { "Created" } dd { (moment(bucket.created_at)) } }
            div { dt { "Updated" } dd { (ago(bucket.updated_at)) } }
        }
        (labels(&bucket.labels))
    }
}

fn row(place: &Place, version: &Version, channels: &[&str]) -> Markup {
    let platforms: std::collections::BTreeSet<&String> =
        version.builds.iter().map(|build| &build.platform).filter(|it| !it.is_empty()).collect();
    html! {
        tr role="row" {
            (head_cell(&html! {
                (version_link_to(place, &version.bucket_name, &version.name, &version.fingerprint))
                code.sub { (short(&version.fingerprint)) }
            }))
            (cell("Status", &status(version.status)))
            (cell("Channels", &html! {
                @if channels.is_empty() {
                    span.none { "–" }
                } @else {
                    span.chips {
                        @for channel in channels {
                            a.chip href=(place.channel_path(&version.bucket_name, channel, "")) {
                                (channel)
                            }
                            " "
                        }
                    }
                }
            }))
            (cell("Platforms", &chips(platforms)))
            (cell("Parents", &html! {
                @match version.parents.as_ref().map(|parents| parents.status) {
                    None | Some(AncestryStatus::Undetermined) => span.none { "–" },
                    Some(status) => (ancestry_status(status)),
                }
            }))
            (cell("Created by", &html! { (version.author_id) }))
            (cell("Created", &ago(version.created_at)))
        }
    }
}
