//! What a version was built from and what was built from it, on its page.

use maud::{Markup, html};

use super::parts::{
    ancestry_status, cell, head_cell, shown_version, status, table, version_link_to,
};
use super::web_session::PageContext;
use ingot_registry::api::VersionStatus;
use ingot_registry::service::{Relation, Relations, VersionName};

/// A warning where what it was built from is revoked and it is not.
pub(super) fn revoked_parents(context: &PageContext, relations: &Relations) -> Markup {
    let revoked =
        |status| matches!(status, VersionStatus::Revoked | VersionStatus::RevocationScheduled);
    html! {
        @for parent in relations.parents.iter().filter(|it| revoked(it.version.status)) {
            section.alert.warn aria-label="Parent" {
                p {
                    "It was built from " (named(context, &parent.version)) ", which is "
                    @if parent.version.status == VersionStatus::Revoked { "revoked." }
                    @else { "scheduled for revocation." }
                }
            }
        }
    }
}

/// A link to a version of any bucket.
fn named(context: &PageContext, version: &VersionName) -> Markup {
    let text = format!("{} {}", version.bucket, shown_version(&version.name, &version.fingerprint));
    version_link_to(context, &version.bucket, &text, &version.fingerprint)
}

fn channel_of(context: &PageContext, relation: &Relation, bucket: &str) -> Markup {
    html! {
        @match &relation.channel {
            None => span.none { "–" },
            Some(channel) => {
                a href=(context.channel_path(bucket, channel, "")) { (channel) }
                @if let Some(now) = &relation.channel_version {
                    span.sub { "now at " (shown_version(&now.name, &now.fingerprint)) }
                }
            }
        }
    }
}

/// What it was built from.
pub(super) fn parents(context: &PageContext, relations: &Relations) -> Markup {
    let columns = ["Parent", "Parent’s status", "Channel", "Ancestry status"];
    let rows = html! {
        @for relation in &relations.parents {
            tr role="row" {
                (head_cell(&named(context, &relation.version)))
                (cell("Parent’s status", &status(relation.version.status)))
                (cell("Channel", &channel_of(context, relation, &relation.version.bucket)))
                (cell("Ancestry status", &ancestry_status(relation.status)))
            }
        }
    };
    html! {
        @if !relations.parents.is_empty() {
            section aria-labelledby="parents" {
                h2 #parents { "Built from" }
                (table("What this version was built from", &columns, &rows))
            }
        }
    }
}

/// What was built from it: the newest of them, or `older` ones.
pub(super) fn children(context: &PageContext, relations: &Relations, older: bool) -> Markup {
    let columns = ["Child", "Status", "Found by channel", "Ancestry status"];
    let bucket = &context.names.bucket;
    let rows = html! {
        @for relation in &relations.children {
            tr role="row" {
                (head_cell(&named(context, &relation.version)))
                (cell("Status", &status(relation.version.status)))
                (cell("Found by channel", &channel_of(context, relation, bucket)))
                (cell("Ancestry status", &ancestry_status(relation.status)))
            }
        }
    };
    let path = context.version_path(bucket, &context.names.version, "");
    let next = relations.older_children.as_ref().map(|key| {
        let key: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
        format!("{path}?children={key}#children")
    });
    html! {
        @if !relations.children.is_empty() || older {
            section aria-labelledby="children" {
                h2 #children { "Built from this" }
                (table("Versions that were built from this one", &columns, &rows))
                @if older || next.is_some() {
                    p.dimmed {
                        (relations.child_count) " versions were built from it; these are "
                        @if older { "older ones." } @else { "the newest." }
                    }
                    nav.pager aria-label="What was built from this version" {
                        @if older { a href=(format!("{path}#children")) { "Show the newest" } }
                        @if let Some(next) = &next { a href=(next) { "Show older ones" } }
                    }
                }
            }
        }
    }
}
