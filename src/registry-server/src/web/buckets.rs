//! The list of buckets, and where an image comes from.

use axum::extract::Query;
use maud::{Markup, html};

use super::notice;
use super::page::Page;
use super::parts::{cell, chips, choice, head_cell, pager, part, shown_version, status, table};
use super::parts::{version_link, version_link_to};
use super::problem::Problem;
use super::web_session::{Fields, PageContext};
use super::when::ago;
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::service::{BucketSummary, Overview, Relatives, words};
use ingot_registry::store::{BucketFilter, BucketOrder, BucketStatus};

/// How many buckets a page has.
const SIZE: u32 = 50;

/// What buckets can be filtered by: what a query says, what a person reads, what it is.
const STATUSES: &[(&str, &str, BucketStatus)] = &[
    ("active", "Active", BucketStatus::Active),
    ("scheduled", "Scheduled revocation", BucketStatus::Scheduled),
    ("revoked", "Revoked", BucketStatus::Revoked),
    ("building", "Building", BucketStatus::Running),
    ("failed", "Failed", BucketStatus::Failed),
    ("empty", "Empty", BucketStatus::Empty),
];

/// The orders a list can have.
const ORDERS: &[(&str, &str, BucketOrder)] = &[
    ("", "Name", BucketOrder::Name),
    ("updated", "Last updated", BucketOrder::Updated),
    ("created", "Last created", BucketOrder::Created),
];

/// What the query of the page selects.
#[derive(Debug)]
struct BucketsPageQuery {
    text: String,
    status: String,
    platform: String,
    label: String,
    outdated: bool,
    sort: String,
}

impl BucketsPageQuery {
    fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).trim().to_owned();
        BucketsPageQuery {
            text: text("q"),
            status: text("status"),
            platform: text("platform"),
            label: text("label"),
            outdated: fields.ticked("outdated"),
            sort: text("sort"),
        }
    }

    fn filter(&self) -> BucketFilter {
        let (name, value) = self.label.split_once('=').unwrap_or((&self.label, ""));
        BucketFilter {
            words: words(&self.text),
            status: STATUSES.iter().find(|it| it.0 == self.status).map(|it| it.2),
            platform: self.platform.clone(),
            label: (name.trim().to_owned(), value.trim().to_owned()),
            out_of_date: self.outdated,
            all: false,
        }
    }

    fn order(&self) -> BucketOrder {
        ORDERS.iter().find(|it| it.0 == self.sort).map_or_else(BucketOrder::default, |it| it.2)
    }

    /// Whether anything but the text narrows the list.
    fn is_filtered(&self) -> bool {
        let texts = [&self.status, &self.platform, &self.label];
        self.outdated || texts.iter().any(|it| !it.is_empty())
    }

    /// As a query, for the list's other parts.
    fn query(&self) -> [(&str, &str); 6] {
        [
            ("q", &self.text),
            ("status", &self.status),
            ("platform", &self.platform),
            ("label", &self.label),
            ("outdated", if self.outdated { "yes" } else { "" }),
            ("sort", &self.sort),
        ]
    }

    /// What the buckets have in common, in words.
    fn message(&self) -> String {
        let mut message = Vec::new();
        if !self.text.is_empty() {
            message.push(format!("with “{}”", self.text));
        }
        if let Some(status) = STATUSES.iter().find(|it| it.0 == self.status) {
            message.push(format!("status {}", status.1));
        }
        if !self.platform.is_empty() {
            message.push(format!("platform {}", self.platform));
        }
        if !self.label.is_empty() {
            message.push(format!("label {}", self.label));
        }
        if self.outdated {
            message.push("out of date".to_owned());
        }
        message.join(", ")
    }
}

pub(super) async fn show(
    context: PageContext,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let page = part(&query, SIZE);
    let selection = BucketsPageQuery::of(&Fields::new(query));
    let overview = context.session.overview(&selection.filter(), selection.order(), &page).await?;
    let platforms = context.session.platforms().await?;
    let images = match selection.text.as_str() {
        "" => Vec::new(),
        id => {
            let request = SearchExternalArtifactRequestBody {
                external_identifier: id.to_owned(),
                ..SearchExternalArtifactRequestBody::default()
            };
            let page = ingot_registry::api::Page { size: 10, ..Default::default() };
            context.session.search_artifact(&request, &page).await?.artifacts
        }
    };
    let path = context.buckets_path();
    let columns =
        ["Bucket", "Latest version", "Status", "Platforms", "Parents", "Children", "Updated"];
    let rows = html! { @for bucket in &overview.buckets { (row(&context, bucket)) } };
    let title = format!("Buckets of {}", context.project.name);
    let notice = notice::signed_in(&context.visit);
    Ok(Page::new(title).context(&context, &[]).notice(notice).body(html! {
        h1 { "Buckets" }
        (search(&path, &selection, &platforms))
        (found_images(&context, &images))
        @if !overview.buckets.is_empty() {
            (table(&caption(&overview, &selection), &columns, &rows))
            (pager("buckets", &path, &selection.query(), Some(&overview.pagination)))
        } @else if images.is_empty() {
            (empty(&selection, &path))
        }
    }))
}

/// `1–50 of 62 buckets`.
fn caption(overview: &Overview, selection: &BucketsPageQuery) -> String {
    let (total, shown) = (overview.total, overview.buckets.len() as i64);
    let plural = if total == 1 { "" } else { "s" };
    let count = match shown < total {
        true => {
            format!("{}–{} of {total} bucket{plural}", overview.before + 1, overview.before + shown)
        }
        false => format!("{total} bucket{plural}"),
    };
    match selection.message().as_str() {
        "" => count,
        message => format!("{count}: {message}"),
    }
}

fn search(path: &str, selection: &BucketsPageQuery, platforms: &[String]) -> Markup {
    html! {
        form.search role="search" method="get" action=(path) {
            label for="q" { "Search names, labels, fingerprints and image ids" }
            div.field {
                input #q type="search" name="q" value=(selection.text) maxlength="200" dir="auto"
                    placeholder="web-server or ami-0123…" autocomplete="off" spellcheck="false";
                button type="submit" { "Search" }
            }
            details.filters open[selection.is_filtered() || !selection.sort.is_empty()] {
                summary { "Filter and sort" }
                div.line {
                    (choice("status", "Status", &selection.status, STATUSES.iter().map(|it| (it.0, it.1))))
                    (choice("platform", "Platform", &selection.platform, platforms.iter().map(|it| (it.as_str(), it.as_str()))))
                    div.field {
                        label for="label" { "Label" }
                        input #label name="label" value=(selection.label) maxlength="200"
                            placeholder="team or team=web" autocomplete="off" spellcheck="false";
                    }
                    div.field {
                        label for="sort" { "Sort by" }
                        select #sort name="sort" {
                            @for (value, name, _) in ORDERS {
                                option value=(value) selected[*value == selection.sort] { (name) }
                            }
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
    }
}

fn empty(selection: &BucketsPageQuery, path: &str) -> Markup {
    let message = selection.message();
    html! {
        div.card.empty {
            @if message.is_empty() {
                h2 { "There are no buckets yet" }
                p {
                    "Add an " code { "hcp_packer_registry" } " block to a template’s "
                    code { "build" } " block and build it: its images are published here."
                }
            } @else {
                h2 { "No bucket was found" }
                p { "There is none " (message) ". " a href=(path) { "Show all buckets" } }
            }
        }
    }
}

fn row(context: &PageContext, bucket: &BucketSummary) -> Markup {
    let latest = bucket.latest.as_ref();
    let newest = bucket.newest.as_ref();
    html! {
        tr role="row" {
            (head_cell(&html! {
                a href=(context.bucket_path(&bucket.name, "")) { (bucket.name) }
                @if !bucket.description.is_empty() { span.sub dir="auto" { (bucket.description) } }
            }))
            (cell("Latest version", &html! {
                @match latest {
                    Some(version) => {
                        (version_link(context, version))
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
            (cell("Parents", &relatives(context, bucket, bucket.parents, "parent")))
            (cell("Children", &relatives(context, bucket, bucket.children, "child")))
            (cell("Updated", &ago(bucket.updated_at)))
        }
    }
}

fn relatives(context: &PageContext, bucket: &BucketSummary, of: Relatives, kind: &str) -> Markup {
    let kinds = match (of.count, kind) {
        (1, kind) => kind,
        (_, "child") => "children",
        _ => "parents",
    };
    html! {
        @if of.count == 0 {
            span.none { "–" }
        } @else {
            a href=(context.bucket_path(&bucket.name, "/ancestry"))
                aria-label=(format!("{} {kinds} of {}", of.count, bucket.name)) { (of.count) }
            @if of.out_of_date > 0 {
                " " span.badge.warn { (of.out_of_date) " out of date" }
            }
        }
    }
}

/// Where the image comes from whose id was searched for.
fn found_images(context: &PageContext, images: &[ExternalArtifact]) -> Markup {
    html! {
        @if !images.is_empty() {
            section.card aria-labelledby="images" {
                h2 #images { "Images with this id" }
                ul.plain {
                    @for image in images {
                        @if let (Some(bucket), Some(version), Some(build)) =
                            (&image.bucket, &image.version, &image.build) {
                            li {
                                a href=(context.bucket_path(&bucket.name, "")) { (bucket.name) }
                                " "
                                (version_link_to(
                                    context, &bucket.name, &version.name, &version.fingerprint
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
