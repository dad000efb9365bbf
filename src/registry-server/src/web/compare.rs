//! Two versions of a bucket beside each other: what they were published with, and their packages by
//! the SBOMs of their builds.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use ingot_compare::{Changes, PackageList, Packages};
use maud::{Markup, html};

use super::page::Page;
use super::parts::{Tab, cell, head_cell, shown_version, table, tabs, version_link_to};
use super::problem::Problem;
use super::web_session::{Fields, PageContext};
use crate::Shared;
use ingot_registry::api::{Code, Error, Version};
use ingot_registry::client::Registry as _;
use ingot_registry::service::sbom_document_in_turn;
use ingot_registry::store::{SbomRow, VersionFilter};

/// How many versions can be chosen from, the newest complete ones.
const CHOICES: u32 = 50;
/// How many SBOMs of a version are read.
const SBOMS: usize = 10;
/// How many rows a table has at most.
const ROWS: usize = 500;
/// How long a value in a table may be, in characters; more is cut off.
const VALUE: usize = 1000;

/// One of the two versions that are compared, with notes about what is not.
struct ComparedVersion {
    version: Version,
    packages: Option<Packages>,
    notes: Vec<String>,
}

pub(super) async fn show(
    State(app): State<Shared>,
    context: PageContext,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Page, Problem> {
    let (bucket, print) = (context.names.bucket.clone(), context.names.version.clone());
    let after = context.session.get_version(&bucket, &print).await?;
    let wanted = Fields::new(query).text("with").trim().to_owned();
    let with = match wanted.is_empty() {
        false => Some(wanted),
        true => context.session.relations_of(&bucket, &print, None).await?.previous,
    };
    let before = match &with {
        None => None,
        Some(with) => {
            Some(context.session.get_version(&bucket, with).await.map_err(
                |error| match error.code {
                    Code::NotFound => Error::not_found("there is no such version to compare with"),
                    _ => error,
                },
            )?)
        }
    };
    let filter = VersionFilter { complete: true, ..VersionFilter::default() };
    let list = context.session.version_choices(&bucket, &filter, CHOICES).await?;
    let name = shown_version(&after.name, &after.fingerprint);
    let breadcrumbs = [
        (bucket.as_str(), context.bucket_path(&bucket, "")),
        ("Versions", context.bucket_path(&bucket, "/versions")),
        (name.as_str(), context.version_path(&bucket, &after.fingerprint, "")),
        ("Compare", context.version_path(&bucket, &after.fingerprint, "/compare")),
    ];
    let choose = choose(&context, &after, before.as_ref(), &list);
    let body = match before {
        None => html! { p.dimmed { "Choose a version to compare it with." } },
        Some(before) => {
            // Packages take memory until they are compared.
            let turn = Arc::new(app.store.comparison_turn().await?);
            let before = compared_version(&app, &context, before, &turn).await?;
            let after = compared_version(&app, &context, after, &turn).await?;
            differences(&context, &before, &after)
        }
    };
    Ok(Page::new(format!("Compare {bucket} {name}")).context(&context, &breadcrumbs).body(html! {
        div.title { h1 { (bucket) " " span.version { (name) } " compared" } }
        (tabs(&context, &bucket, Some(Tab::Versions)))
        (choose)
        (body)
    }))
}

/// The form that chooses what to compare with.
fn choose(
    context: &PageContext,
    after: &Version,
    before: Option<&Version>,
    list: &[Version],
) -> Markup {
    let path = context.version_path(&after.bucket_name, &after.fingerprint, "/compare");
    let mut others: Vec<&Version> = list.iter().filter(|one| one.id != after.id).collect();
    // The one it is compared with is among them, however old it is.
    let missing = |it: &&Version| it.id != after.id && others.iter().all(|one| one.id != it.id);
    let missing = before.filter(missing);
    others.extend(missing);
    html! {
        @if others.is_empty() {
            p.dimmed { "The bucket has no other complete version." }
        } @else {
            form.search method="get" action=(path) {
                div.line {
                    div.field {
                        label for="with" { "Compare with" }
                        select #with name="with" {
                            @for one in others {
                                option value=(one.fingerprint)
                                    selected[before.is_some_and(|it| it.id == one.id)] {
                                    (shown_version(&one.name, &one.fingerprint))
                                }
                            }
                        }
                    }
                    button type="submit" { "Compare" }
                }
            }
        }
    }
}

/// Reads the packages of a version. `turn` is what allows them to take memory.
async fn compared_version(
    app: &Shared,
    context: &PageContext,
    version: Version,
    turn: &Arc<impl Send + Sync + 'static>,
) -> Result<ComparedVersion, Problem> {
    let name = shown_version(&version.name, &version.fingerprint);
    let all: Vec<SbomRow> =
        context.session.sboms_of(&version.bucket_name, &version.fingerprint).await?;
    let mut notes = Vec::new();
    if all.is_empty() {
        notes.push(format!("{name} has no SBOM."));
    }
    if all.len() > SBOMS {
        notes.push(format!("Of {name}, {SBOMS} of {} SBOMs are compared.", all.len()));
    }
    let (mut list, mut count) = (PackageList::default(), 0);
    for row in all.iter().take(SBOMS) {
        let document = sbom_document_in_turn(&app.store, &row.id, Arc::clone(turn)).await?;
        // A large one takes a while, also after the request is given up.
        let turn = Arc::clone(turn);
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let added = list.add_document(&document);
            (list, added)
        });
        let failed = |_| Error::new(Code::Internal, "an SBOM could not be read");
        let added;
        (list, added) = read.await.map_err(failed)?;
        match added {
            Ok(()) => count += 1,
            Err(why) => {
                notes.push(format!("The SBOM {} of {name} is not compared: {why}.", row.name))
            }
        }
    }
    let packages = (count > 0).then(|| list.into_packages());
    Ok(ComparedVersion { version, packages, notes })
}

fn differences(context: &PageContext, before: &ComparedVersion, after: &ComparedVersion) -> Markup {
    let name = |one: &ComparedVersion| shown_version(&one.version.name, &one.version.fingerprint);
    let names = [name(before), name(after)];
    let facts = Changes::between(&before.version.facts(), &after.version.facts());
    let packages = before.packages.as_ref().zip(after.packages.as_ref());
    let packages = packages.map(|(before, after)| Changes::between(before, after));
    let notes: Vec<&String> = before.notes.iter().chain(&after.notes).collect();
    html! {
        p {
            (version_link(context, &before.version)) " → " (version_link(context, &after.version))
        }
        section aria-labelledby="published" {
            h2 #published { "Builds, images and labels" }
            (changes("What differs in builds, images and labels", "What", &names, &facts))
        }
        section aria-labelledby="packages" {
            h2 #packages { "Packages" }
            @for note in notes { p.dimmed { (note) } }
            @if let Some(packages) = &packages {
                (changes("Packages that differ", "Package", &names, packages))
            }
        }
    }
}

fn version_link(context: &PageContext, version: &Version) -> Markup {
    version_link_to(context, &version.bucket_name, &version.name, &version.fingerprint)
}

/// A row for each difference, by name.
fn changes(
    caption: &str,
    what: &str,
    [before, after]: &[String; 2],
    changes: &Changes<String>,
) -> Markup {
    let mut rows: BTreeMap<&str, (&str, &str, &str, &str)> = BTreeMap::new();
    for (key, value) in &changes.added {
        rows.insert(key, ("good", "Added", "", value));
    }
    for (key, value) in &changes.removed {
        rows.insert(key, ("bad", "Removed", value, ""));
    }
    for (key, change) in &changes.changed {
        rows.insert(key, ("warn", "Changed", &change.before, &change.after));
    }
    let more = rows.len().saturating_sub(ROWS);
    let value = |text: &str| {
        let end = text.char_indices().nth(VALUE).map(|(end, _)| end);
        html! {
            @if text.is_empty() {
                span.none { "–" }
            } @else {
                code.id dir="auto" { (&text[..end.unwrap_or(text.len())]) }
                @if end.is_some() { "…" }
            }
        }
    };
    let body = html! {
        @for (key, (class, kind, old, new)) in rows.iter().take(ROWS) {
            tr role="row" {
                (head_cell(&html! { bdi { (key) } }))
                (cell("Change", &html! { span.badge.(class) { (kind) } }))
                (cell(before, &value(old)))
                (cell(after, &value(new)))
            }
        }
    };
    html! {
        @if rows.is_empty() {
            p.dimmed { "Nothing differs." }
        } @else {
            (table(&format!("{caption}: {}", changes.counts()), &[what, "Change", before, after], &body))
            @if more > 0 { p.dimmed { "There are " (more) " more than are shown here." } }
        }
    }
}
