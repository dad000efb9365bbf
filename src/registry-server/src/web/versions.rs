//! The versions of a bucket.

use std::collections::BTreeMap;

use axum::extract::Query;
use maud::{Markup, html};

use super::bucket;
use super::page::Page;
use super::parts::{
    Tab, ancestry_status, cell, chips, head_cell, pager, part, short, status, table, tabs,
    version_link_to,
};
use super::problem::Problem;
use super::visit::Place;
use super::when::ago;
use ingot_registry::api::{AncestryStatus, Version};
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
    let count = &bucket.version_count;
    let caption = match (versions.versions.len().to_string() == *count, count.as_str()) {
        (_, "1") => "1 version".to_owned(),
        (true, count) => format!("{count} versions, newest first"),
        (false, count) => format!("{} of {count} versions, newest first", versions.versions.len()),
    };
    let path = place.bucket_path(&name, "/versions");
    let way = [(name.as_str(), place.bucket_path(&name, "")), ("Versions", path.clone())];
    Ok(Page::new(format!("Versions of {name}")).place(&place, &way).body(html! {
        (bucket::head(&bucket))
        (tabs(&place, &name, Some(Tab::Versions)))
        h2.hidden { "Versions" }
        @if versions.versions.is_empty() {
            div.card.empty { h3 { "There are no versions yet" } }
        } @else {
            (table(&caption, &columns, &rows))
            (pager("versions", &path, &[], versions.pagination.as_ref()))
        }
    }))
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
