//! What a bucket was built from and what was built from it: a picture, and the same as a table.

use maud::{Markup, html};

use super::bucket;
use super::graph;
use super::page::Page;
use super::parts::{Tab, ancestry_status, cell, head_cell, table, tabs, version_link};
use super::problem::Problem;
use super::visit::Place;
use ingot_registry::client::Registry as _;
use ingot_registry::service::{Kinship, Lineage, VersionName};

pub(super) async fn show(place: Place) -> Result<Page, Problem> {
    let name = place.names.bucket.clone();
    let bucket = place.session.get_bucket(&name).await?;
    let lineage = place.session.lineage(&name).await?;
    let way = [
        (name.as_str(), place.bucket_path(&name, "")),
        ("Ancestry", place.bucket_path(&name, "/ancestry")),
    ];
    Ok(Page::new(format!("Ancestry of {name}")).place(&place, &way).body(html! {
        (bucket::head(&bucket))
        (tabs(&place, &name, Some(Tab::Ancestry)))
        @if lineage.kin.is_empty() {
            div.card.empty {
                h2 { "No relations are known" }
                p { "Relations are recorded when a template reads a version of one bucket, by the "
                    "data sources " code { "hcp-packer-version" } " and "
                    code { "hcp-packer-artifact" } ", and publishes to another." }
            }
        } @else {
            h2.hidden { "Ancestry" }
            (graph::picture(&place, &lineage, &format!("Ancestry of {name}")))
            (legend())
            @if lineage.more {
                p.dimmed { "There are more relations than are shown here." }
            }
            (relations(&place, &lineage))
        }
    }))
}

fn legend() -> Markup {
    html! {
        p.legend {
            "An arrow leads from a parent to what was built from it: "
            span.line.good { "up to date" } ", "
            span.line.warn { "out of date, its channel has moved on" } ", "
            span.line.dim { "not tracked by a channel" } "."
        }
    }
}

fn relations(place: &Place, lineage: &Lineage) -> Markup {
    let columns = ["Parent", "Child", "Channel", "State"];
    let rows = html! { @for kin in &lineage.kin { (row(place, kin)) } };
    table("The same as a table", &columns, &rows)
}

fn row(place: &Place, kin: &Kinship) -> Markup {
    let named =
        |version: &VersionName| html! { (version.bucket) " " (version_link(place, version)) };
    html! {
        tr role="row" {
            (head_cell(&named(&kin.parent_version)))
            (cell("Child", &named(&kin.child_version)))
            (cell("Channel", &html! {
                @match &kin.channel {
                    Some(channel) => (channel),
                    None => span.none { "–" },
                }
            }))
            (cell("State", &ancestry_status(kin.status)))
        }
    }
}
