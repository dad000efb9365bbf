//! Enforced blocks: provisioners that are run in each build of the buckets they are linked to.

use maud::{Markup, html};

use super::page::Page;
use super::parts::{cell, head_cell, labels, table};
use super::problem::Problem;
use super::web_session::{PageContext, segment};
use super::when::{ago, moment};
use ingot_registry::api::{EnforcedBlockVersion, TemplateType};
use ingot_registry::store::EnforcedLinkRow;

/// The path of the list, or of a block in it.
fn path(context: &PageContext, block: Option<&str>) -> String {
    let all = format!("/projects/{}/enforced-blocks", segment(&context.project.name));
    block.map_or_else(|| all.clone(), |block| format!("{all}/{}", segment(block)))
}

pub(super) async fn list(context: PageContext) -> Result<Page, Problem> {
    let blocks = context.session.enforced_summaries().await?;
    let columns = ["Name", "Latest version", "Buckets", "Updated"];
    let rows = html! {
        @for entry in &blocks {
            @let block = &entry.block;
            tr role="row" {
                (head_cell(&html! {
                    a href=(path(&context, Some(&block.name))) { (block.name) }
                    @if let Some(version) = &block.latest_version {
                        span.sub dir="auto" { (version.additional_description) }
                    }
                }))
                (cell("Latest version", &html! {
                    @match &block.latest_version {
                        Some(version) => (version.version),
                        None => span.none { "–" },
                    }
                }))
                (cell("Buckets", &buckets(&context, entry.links.iter())))
                (cell("Updated", &ago(block.updated_at)))
            }
        }
    };
    let title = "Enforced provisioners";
    Ok(Page::new(title).context(&context, &[(title, path(&context, None))]).body(html! {
        h1 { (title) }
        p.lead {
            "Provisioners that Packer and Ingot run at the end of each build of the buckets that they \
             are linked to."
        }
        @if blocks.is_empty() {
            div.card.empty {
                h2 { "There are no enforced blocks" }
                p { "An administrator creates one with "
                    code { "ingot registry enforced-blocks create NAME FILE" } "." }
            }
        } @else {
            (table("Enforced blocks", &columns, &rows))
        }
    }))
}

pub(super) async fn show(context: PageContext) -> Result<Page, Problem> {
    let name = context.names.block.clone();
    let (summary, versions) = context.session.enforced_block_by_name(&name).await?;
    let breadcrumbs = [
        ("Enforced provisioners", path(&context, None)),
        (name.as_str(), path(&context, Some(&name))),
    ];
    Ok(Page::new(format!("Enforced block {name}")).context(&context, &breadcrumbs).body(html! {
        h1 { (name) }
        (labels(&summary.block.labels))
        @for version in &versions { (one_version(&context, version, &summary.links)) }
    }))
}

fn one_version(
    context: &PageContext,
    version: &EnforcedBlockVersion,
    links: &[EnforcedLinkRow],
) -> Markup {
    let linked = links.iter().filter(|link| link.version_id == version.id);
    html! {
        article.card aria-labelledby=(version.id) {
            h2 id=(version.id) { "Version " (version.version) }
            @if !version.additional_description.is_empty() {
                p dir="auto" { (version.additional_description) }
            }
            dl.facts.small {
                div { dt { "Buckets" } dd { (buckets(context, linked)) } }
                div { dt { "Template" } dd {
                    @match version.template_type {
                        TemplateType::Json => "JSON",
                        _ => "HCL2",
                    }
                } }
                div { dt { "Created" } dd { (moment(version.created_at)) } }
            }
            pre tabindex="0" role="region"
                aria-label=(format!("The provisioners of version {}", version.version)) {
                (version.block_content)
            }
        }
    }
}

fn buckets<'a>(context: &PageContext, links: impl Iterator<Item = &'a EnforcedLinkRow>) -> Markup {
    let mut links = links.peekable();
    html! {
        @if links.peek().is_none() { span.none { "None" } }
        span.chips {
            @for link in links {
                a.chip href=(context.bucket_path(&link.bucket_name, "")) { (link.bucket_name) }
                " "
            }
        }
    }
}

/// What is enforced in a bucket, on its page; nothing where nothing is.
pub(super) fn of_bucket(context: &PageContext, links: &[EnforcedLinkRow]) -> Markup {
    html! {
        @if !links.is_empty() {
            section.card aria-labelledby="enforced" {
                h2 #enforced { "Enforced provisioners" }
                p.hint { "They are run at the end of each build of this bucket, in this order." }
                ol.plain.rows {
                    @for link in links {
                        li {
                            a href=(path(context, Some(&link.block_name))) { (link.block_name) }
                            span { "Version " (link.version) }
                            span.dimmed { (ago(link.created_at)) }
                        }
                    }
                }
            }
        }
    }
}

/// The way to the list, on the page of settings.
pub(super) fn section(context: &PageContext) -> Markup {
    html! {
        section.card aria-labelledby="enforced" {
            h2 #enforced { "Enforced provisioners" }
            p {
                "Provisioners that are run in each build of the buckets that they are linked to. "
                a href=(path(context, None)) { "Show enforced blocks" }
            }
        }
    }
}
