//! What a bucket was built from and what was built from it: a picture, the same by generations for a
//! phone, and the same as a table.

use std::collections::BTreeMap;

use axum::extract::Query;
use maud::{Markup, html};

use super::bucket;
use super::graph;
use super::page::Page;
use super::parts::{Tab, ancestry_status, cell, head_cell, status, table, tabs, version_link};
use super::problem::Problem;
use super::sibling_groups::{HiddenSiblings, hide_siblings};
use super::web_session::{Fields, PageContext};
use ingot_registry::api::AncestryStatus;
use ingot_registry::client::Registry as _;
use ingot_registry::service::{AncestryEdge, Lineage, LineageQuery, Member, VersionName};

/// How many generations can be chosen, up and down: what a query says and what a person reads.
const DEPTHS: &[(&str, &str, u32)] = &[
    ("1", "Direct relatives", 1),
    ("2", "2 generations", 2),
    ("3", "3 generations", 3),
    ("all", "All", 0),
];

/// In which direction.
const DIRECTIONS: &[(&str, &str)] =
    &[("both", "Parents and children"), ("parents", "Parents"), ("children", "Children")];

/// What the query of the page selects.
#[derive(Debug)]
struct AncestryPageQuery {
    depth: &'static (&'static str, &'static str, u32),
    direction: &'static str,
    outdated: bool,
    unfolded: bool,
}

impl AncestryPageQuery {
    fn of(fields: &Fields) -> Self {
        let depth = DEPTHS.iter().find(|it| it.0 == fields.text("depth"));
        let direction = DIRECTIONS.iter().find(|it| it.0 == fields.text("direction"));
        AncestryPageQuery {
            depth: depth.unwrap_or(&DEPTHS[0]),
            direction: direction.map_or(DIRECTIONS[0].0, |it| it.0),
            outdated: fields.ticked("outdated"),
            unfolded: fields.ticked("unfolded"),
        }
    }

    fn query(&self) -> LineageQuery {
        LineageQuery {
            depth: self.depth.2,
            parents: self.direction != "children",
            children: self.direction != "parents",
            out_of_date: self.outdated,
        }
    }

    /// The page with something changed.
    fn path(&self, path: &str, depth: &str, unfolded: bool) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("depth", depth).append_pair("direction", self.direction);
        for (name, ticked) in [("outdated", self.outdated), ("unfolded", unfolded)] {
            if ticked {
                pairs.append_pair(name, "yes");
            }
        }
        format!("{path}?{}", pairs.finish())
    }
}

pub(super) async fn show(
    context: PageContext,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let name = context.names.bucket.clone();
    let selection = AncestryPageQuery::of(&Fields::new(query));
    let bucket = context.session.get_bucket(&name).await?;
    let lineage = context.session.lineage(&name, selection.query()).await?;
    let path = context.bucket_path(&name, "/ancestry");
    let breadcrumbs = [(name.as_str(), context.bucket_path(&name, "")), ("Ancestry", path.clone())];
    let (shown, hidden) = match selection.unfolded {
        true => (lineage.clone(), Vec::new()),
        false => hide_siblings(&lineage),
    };
    let all = selection.path(&path, selection.depth.0, true);
    Ok(Page::new(format!("Ancestry of {name}")).context(&context, &breadcrumbs).body(html! {
        (bucket::head(&bucket))
        (tabs(&context, &name, Some(Tab::Ancestry)))
        h2.hidden { "Ancestry" }
        (choices(&path, &selection))
        @if lineage.kin.is_empty() {
            div.card.empty {
                @if selection.outdated || selection.direction != "both" {
                    h3 { "There are no such relations" }
                    p { a href=(path) { "Show all direct relatives" } }
                    @if lineage.more { (not_all(&name, &selection)) }
                } @else {
                    h3 { "No valid version has relations" }
                    p { "Relations are recorded when a template reads a version of one bucket, by the "
                        "data sources " code { "hcp-packer-version" } " and "
                        code { "hcp-packer-artifact" } ", and publishes to another. What was built from "
                        "a revoked version stands on the page of that version." }
                }
            }
        } @else {
            (graph::picture(&context, &shown, &hidden, &all, &format!("Ancestry of {name}")))
            (generations(&context, &shown, &hidden, &all))
            (legend())
            @if lineage.deeper {
                p { "There are more generations. " a href=(selection.path(&path, "all", selection.unfolded)) { "Show all" } }
            }
            @if lineage.more { (not_all(&name, &selection)) }
            (relations(&context, &lineage))
        }
    }))
}

fn choices(path: &str, selection: &AncestryPageQuery) -> Markup {
    html! {
        form.line method="get" action=(path) {
            div.field {
                label for="depth" { "Show" }
                select #depth name="depth" {
                    @for it in DEPTHS { option value=(it.0) selected[it.0 == selection.depth.0] { (it.1) } }
                }
            }
            div.field {
                label for="direction" { "Direction" }
                select #direction name="direction" {
                    @for it in DIRECTIONS { option value=(it.0) selected[it.0 == selection.direction] { (it.1) } }
                }
            }
            label.choice {
                input type="checkbox" name="outdated" value="yes" checked[selection.outdated];
                span { "Only out of date" }
            }
            button type="submit" { "Apply" }
        }
    }
}

/// A family by generations, from top to bottom: on a phone, where the picture would not show the
/// bucket that it is of.
fn generations(
    context: &PageContext,
    lineage: &Lineage,
    hidden: &[HiddenSiblings],
    all: &str,
) -> Markup {
    let mut generations: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (number, member) in lineage.members.iter().enumerate() {
        generations.entry(member.generation).or_default().push(number);
    }
    let title = |generation: i32| match generation {
        0 => "This bucket".to_owned(),
        -1 => "Parents".to_owned(),
        1 => "Children".to_owned(),
        up if up < 0 => format!("{} generations up", -up),
        down => format!("{down} generations down"),
    };
    html! {
        ol.generations {
            @for (generation, members) in &generations {
                li {
                    h3 { (title(*generation)) }
                    ul.plain.rows {
                        @for number in members {
                            (member(context, &lineage.members[*number], lineage, *number))
                        }
                        @for it in hidden.iter().filter(|it| {
                            let step = if it.children { 1 } else { -1 };
                            lineage.members[it.of].generation + step == *generation
                        }) {
                            @let (text, state) = graph::more_text(it);
                            li { a href=(all) { (text) ", " (state) } }
                        }
                    }
                }
            }
        }
    }
}

fn member(context: &PageContext, member: &Member, lineage: &Lineage, number: usize) -> Markup {
    // What it is to its parents; of the bucket's own parents, what the bucket is to them.
    let kin = lineage.kin.iter().filter(|kin| match member.generation {
        0 => false,
        up if up < 0 => kin.parent == number,
        _ => kin.child == number,
    });
    let worst: Option<AncestryStatus> = kin.map(|kin| kin.status).max();
    html! {
        li.here[number == 0] {
            a href=(context.bucket_path(&member.bucket, "")) { (member.bucket) }
            @if let Some(version) = &member.latest {
                span { (version_link(context, version)) " " (status(version.status)) }
            }
            @if let Some(worst) = worst { span { (ancestry_status(worst)) } }
        }
    }
}

/// What a page has no room for. The command lists all descendants, and of the ancestors only parents.
fn not_all(bucket: &str, selection: &AncestryPageQuery) -> Markup {
    html! {
        p.dimmed {
            "There are more relations than are looked at here."
            @if selection.query().children {
                " All that was built from " (bucket) " is listed by "
                code { "ingot registry ancestry " (bucket) } "."
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        p.legend {
            "An arrow leads from a parent to what was built from it: "
            span.line.good { "up to date" } ", "
            span.line.warn { "out of date, its channel has moved on" } ", "
            span.line.dim { "undetermined, as no channel tells" } "."
        }
    }
}

fn relations(context: &PageContext, lineage: &Lineage) -> Markup {
    let columns = ["Parent", "Child", "Channel", "Ancestry status"];
    let rows = html! { @for kin in &lineage.kin { (row(context, kin)) } };
    table("The same as a table", &columns, &rows)
}

fn row(context: &PageContext, kin: &AncestryEdge) -> Markup {
    let named =
        |version: &VersionName| html! { (version.bucket) " " (version_link(context, version)) };
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
            (cell("Ancestry status", &ancestry_status(kin.status)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_named_where_it_lists_what_is_asked_for() {
        for (direction, named) in [("both", true), ("children", true), ("parents", false)] {
            let query = vec![("direction".to_owned(), direction.to_owned())];
            let text = not_all("base", &AncestryPageQuery::of(&Fields::new(query))).into_string();
            assert!(text.contains("There are more relations"), "{direction}: {text}");
            let command = "built from base is listed by <code>ingot registry ancestry base</code>";
            assert_eq!(text.contains(command), named, "{direction}: {text}");
        }
    }
}
