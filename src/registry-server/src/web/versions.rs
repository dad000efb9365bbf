//! The versions of a bucket.

use std::collections::BTreeMap;

use axum::extract::Query;
use maud::{Markup, html};

use super::bucket;
use super::page::Page;
use super::parts::{
    Tab, ancestry_status, cell, chips, choice, head_cell, pager, part, short, status, status_name,
    table, tabs, version_link_to,
};
use super::problem::Problem;
use super::web_session::{Fields, PageContext};
use super::when::ago;
use ingot_registry::api::{AncestryStatus, Version, VersionStatus};
use ingot_registry::client::Registry as _;
use ingot_registry::service::VersionList;
use ingot_registry::store::{VersionFilter, VersionOrder};

/// How many versions a page has.
const SIZE: u32 = 25;

/// What versions can be filtered by: what a query says, and what it is.
const STATUSES: &[(&str, VersionStatus)] = &[
    ("active", VersionStatus::Active),
    ("scheduled", VersionStatus::RevocationScheduled),
    ("revoked", VersionStatus::Revoked),
    ("building", VersionStatus::Running),
    ("failed", VersionStatus::Failed),
    ("cancelled", VersionStatus::Cancelled),
    ("incomplete", VersionStatus::Incomplete),
];

/// What the query of the page selects.
#[derive(Debug)]
struct VersionsPageQuery {
    status: String,
    platform: String,
    sort: String,
}

impl VersionsPageQuery {
    fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).trim().to_owned();
        VersionsPageQuery { status: text("status"), platform: text("platform"), sort: text("sort") }
    }

    fn filter(&self) -> VersionFilter {
        VersionFilter {
            status: self.status(),
            platform: self.platform.clone(),
            ..VersionFilter::default()
        }
    }

    fn status(&self) -> Option<VersionStatus> {
        STATUSES.iter().find(|it| it.0 == self.status).map(|it| it.1)
    }

    fn order(&self) -> VersionOrder {
        if self.sort == "oldest" { VersionOrder::Oldest } else { VersionOrder::Newest }
    }

    fn is_filtered(&self) -> bool {
        self.status().is_some() || !self.platform.is_empty()
    }

    /// As a query, for the list's other parts.
    fn query(&self) -> [(&str, &str); 3] {
        [("status", &self.status), ("platform", &self.platform), ("sort", &self.sort)]
    }

    /// What a list has, in words: `1–25 of 62 versions, newest first`.
    fn caption(&self, list: &VersionList) -> String {
        let (total, before, shown) = (list.total, list.before, list.versions.len() as i64);
        let plural = if total == 1 { "" } else { "s" };
        let count = match shown < total {
            true => format!("{}–{} of {total} version{plural}", before + 1, before + shown),
            false => format!("{total} version{plural}"),
        };
        let mut message = vec![count];
        message.extend(self.status().map(|status| format!("status {}", status_name(status))));
        if !self.platform.is_empty() {
            message.push(format!("platform {}", self.platform));
        }
        match (total, self.order()) {
            (..=1, _) => {}
            (_, VersionOrder::Oldest) => message.push("oldest first".into()),
            _ => message.push("newest first".into()),
        }
        message.join(", ")
    }
}

pub(super) async fn show(
    context: PageContext,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let name = context.names.bucket.clone();
    let page = part(&query, SIZE);
    let selection = VersionsPageQuery::of(&Fields::new(query));
    let bucket = context.session.get_bucket(&name).await?;
    let list =
        context.session.version_list(&name, &selection.filter(), selection.order(), &page).await?;
    let channels = context.session.list_channels(&name).await?.channels;
    let mut pointing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for channel in &channels {
        if let Some(version) = &channel.version {
            pointing.entry(&version.id).or_default().push(&channel.name);
        }
    }
    let columns =
        ["Version", "Status", "Channels", "Platforms", "Parents", "Created by", "Created"];
    let rows = html! {
        @for version in &list.versions {
            @let channels = pointing.get(version.id.as_str()).map_or(&[][..], |it| it);
            (row(&context, version, channels))
        }
    };
    let path = context.bucket_path(&name, "/versions");
    let breadcrumbs = [(name.as_str(), context.bucket_path(&name, "")), ("Versions", path.clone())];
    let none = list.total == 0 && !selection.is_filtered();
    Ok(Page::new(format!("Versions of {name}")).context(&context, &breadcrumbs).body(html! {
        (bucket::head(&bucket))
        (tabs(&context, &name, Some(Tab::Versions)))
        h2.hidden { "Versions" }
        @if !none { (filters(&path, &selection, &list.platforms)) }
        @if !list.versions.is_empty() {
            (table(&selection.caption(&list), &columns, &rows))
            (pager("versions", &path, &selection.query(), Some(&list.pagination)))
        } @else if none {
            div.card.empty { h3 { "There are no versions yet" } }
        } @else {
            div.card.empty {
                h3 { "No version was found" }
                p { a href=(path) { "Show all versions" } }
            }
        }
    }))
}

fn filters(path: &str, selection: &VersionsPageQuery, platforms: &[String]) -> Markup {
    let statuses = STATUSES.iter().map(|(value, status)| (*value, status_name(*status)));
    html! {
        form.search method="get" action=(path) {
            details.filters open[selection.is_filtered() || !selection.sort.is_empty()] {
                summary { "Filter and sort" }
                div.line {
                    (choice("status", "Status", &selection.status, statuses))
                    (choice("platform", "Platform", &selection.platform, platforms.iter().map(|it| (it.as_str(), it.as_str()))))
                    div.field {
                        label for="sort" { "Sort by" }
                        select #sort name="sort" {
                            option value="" { "Newest first" }
                            option value="oldest" selected[selection.order() == VersionOrder::Oldest] {
                                "Oldest first"
                            }
                        }
                    }
                    button type="submit" { "Apply" }
                }
            }
        }
    }
}

fn row(context: &PageContext, version: &Version, channels: &[&str]) -> Markup {
    let platforms: std::collections::BTreeSet<&String> =
        version.builds.iter().map(|build| &build.platform).filter(|it| !it.is_empty()).collect();
    html! {
        tr role="row" {
            (head_cell(&html! {
                (version_link_to(context, &version.bucket_name, &version.name, &version.fingerprint))
                code.sub { (short(&version.fingerprint)) }
            }))
            (cell("Status", &status(version.status)))
            (cell("Channels", &html! {
                @if channels.is_empty() {
                    span.none { "–" }
                } @else {
                    span.chips {
                        @for channel in channels {
                            a.chip href=(context.channel_path(&version.bucket_name, channel, "")) {
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
