//! What pages are made of: states, tables that become cards on a phone, ways through long lists.

use maud::{Markup, html};

use super::web_session::{FORM_TOKEN, PageContext};
use ingot_registry::api::*;
use ingot_registry::service::VersionName;

/// The field without which a form is not taken.
pub(super) fn token_field(token: &str) -> Markup {
    html! { input type="hidden" name=(FORM_TOKEN) value=(token); }
}

/// How far a version is, in words.
pub(super) fn status_name(status: VersionStatus) -> &'static str {
    match status {
        VersionStatus::Active => "Active",
        VersionStatus::Revoked => "Revoked",
        VersionStatus::RevocationScheduled => "Scheduled revocation",
        VersionStatus::Running => "Building",
        VersionStatus::Failed => "Failed",
        VersionStatus::Cancelled => "Cancelled",
        VersionStatus::Incomplete => "Incomplete",
        VersionStatus::Unset => "Unknown",
    }
}

/// The class that gives a state its colour.
pub(super) fn status_class(status: VersionStatus) -> &'static str {
    match status {
        VersionStatus::Active => "good",
        VersionStatus::Revoked | VersionStatus::Failed => "bad",
        VersionStatus::RevocationScheduled => "warn",
        VersionStatus::Running => "busy",
        VersionStatus::Cancelled | VersionStatus::Incomplete | VersionStatus::Unset => "dim",
    }
}

/// How far a version is.
pub(super) fn status(status: VersionStatus) -> Markup {
    html! { span.badge.(status_class(status)) { (status_name(status)) } }
}

/// How far a build is.
pub(super) fn build_status(status: BuildStatus) -> Markup {
    let (class, name) = match status {
        BuildStatus::Done => ("good", "Done"),
        BuildStatus::Running => ("busy", "Running"),
        BuildStatus::Failed => ("bad", "Failed"),
        BuildStatus::Cancelled => ("dim", "Cancelled"),
        BuildStatus::Unset => ("dim", "Not begun"),
    };
    html! { span.badge.(class) { (name) } }
}

/// Whether something was built from what is to be used now.
pub(super) fn ancestry_status(status: AncestryStatus) -> Markup {
    let (class, name) = match status {
        AncestryStatus::UpToDate => ("good", "Up to date"),
        AncestryStatus::OutOfDate => ("warn", "Out of date"),
        AncestryStatus::Undetermined => ("dim", "Undetermined"),
    };
    html! { span.badge.(class) { (name) } }
}

/// Labels; nothing if there are none.
pub(super) fn labels(labels: &Labels) -> Markup {
    html! {
        @if !labels.is_empty() {
            ul.labels aria-label="Labels" {
                @for (key, value) in labels {
                    li { span.key dir="auto" { (key) } span.value dir="auto" { (value) } }
                }
            }
        }
    }
}

/// Short words, as platforms.
pub(super) fn chips<'a>(words: impl IntoIterator<Item = &'a String>) -> Markup {
    let mut words = words.into_iter().peekable();
    html! {
        @if words.peek().is_none() {
            span.none { "–" }
        } @else {
            span.chips { @for word in words { span.chip { (word) } " " } }
        }
    }
}

/// A link to a version.
pub(super) fn version_link(context: &PageContext, version: &VersionName) -> Markup {
    version_link_to(context, &version.bucket, &version.name, &version.fingerprint)
}

/// A link to a version, by its parts. One that is not complete goes by its fingerprint.
pub(super) fn version_link_to(
    context: &PageContext,
    bucket: &str,
    name: &str,
    fingerprint: &str,
) -> Markup {
    let path = context.version_path(bucket, fingerprint, "");
    html! { a href=(path) { (shown_version(name, fingerprint)) } }
}

/// What a version is called on pages.
pub(super) fn shown_version(name: &str, fingerprint: &str) -> String {
    match name {
        INCOMPLETE_VERSION_NAME | "" => short(fingerprint),
        name => name.to_owned(),
    }
}

/// A fingerprint as far as people read it.
pub(super) fn short(fingerprint: &str) -> String {
    match fingerprint.char_indices().nth(12) {
        Some((end, _)) if fingerprint.len() > 16 => format!("{}…", &fingerprint[..end]),
        _ => fingerprint.to_owned(),
    }
}

/// What keeps Enter in a field from sending a form that is not to be sent by mistake: the form's
/// first button is the one that Enter presses, and this one cannot be pressed.
pub(super) fn no_enter() -> Markup {
    html! { button type="submit" disabled hidden {} }
}

/// A table. On a narrow screen its rows become cards, so it has explicit ARIA roles, which would be
/// lost with the table's layout.
pub(super) fn table(caption: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        table role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in columns { th scope="col" role="columnheader" { (column) } }
                }
            }
            tbody role="rowgroup" { (rows) }
        }
    }
}

/// The first cell of a row, which names it.
pub(super) fn head_cell(content: &Markup) -> Markup {
    html! { th scope="row" role="rowheader" { (content) } }
}

/// A cell, with its column's name for where there are no columns.
pub(super) fn cell(column: &str, content: &Markup) -> Markup {
    html! { td role="cell" data-label=(column) { span { (content) } } }
}

/// A choice of a filter, or any.
pub(super) fn choice<'a>(
    name: &str,
    label: &str,
    now: &str,
    options: impl Iterator<Item = (&'a str, &'a str)>,
) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { "Any" }
                @for (value, text) in options {
                    option value=(value) selected[value == now] { (text) }
                }
            }
        }
    }
}

/// Which part of a list a query asks for.
pub(super) fn part(query: &[(String, String)], size: u32) -> Page {
    let of = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let next = of("after").unwrap_or_default();
    // Who says both wants one.
    let previous = of("before").filter(|_| next.is_empty()).unwrap_or_default();
    Page { size, next, previous }
}

/// The ways to a list's next and last part. `query` is what else the list was asked for.
pub(super) fn pager(
    what: &str,
    path: &str,
    query: &[(&str, &str)],
    pagination: Option<&PaginationResponse>,
) -> Markup {
    let to = |key: &str, token: &str| {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            pairs.append_pair(key, value);
        }
        if !token.is_empty() {
            pairs.append_pair(key, token);
        }
        match pairs.finish().as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    };
    let (next, previous) = pagination
        .map(|it| (it.next_page_token.as_str(), it.previous_page_token.as_str()))
        .unwrap_or_default();
    html! {
        @if !next.is_empty() || !previous.is_empty() {
            nav.pager aria-label=(format!("Pages of {what}")) {
                @if previous.is_empty() {
                    span.gone { "First page" }
                } @else {
                    a href=(to("", "")) { "First page" }
                    a href=(to("before", previous)) rel="prev" { "Previous page" }
                }
                @if next.is_empty() {
                    span.gone { "Last page" }
                } @else {
                    a href=(to("after", next)) rel="next" { "Next page" }
                }
            }
        }
    }
}

/// The pages of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Versions,
    Channels,
    Ancestry,
}

/// The ways between the pages of a bucket.
pub(super) fn tabs(context: &PageContext, bucket: &str, now: Option<Tab>) -> Markup {
    let tabs = [
        (Tab::Overview, "Overview", ""),
        (Tab::Versions, "Versions", "/versions"),
        (Tab::Channels, "Channels", "/channels"),
        (Tab::Ancestry, "Ancestry", "/ancestry"),
    ];
    html! {
        nav.tabs aria-label=(format!("Bucket {bucket}")) {
            @for (tab, name, rest) in tabs {
                @let current = (now == Some(tab)).then_some("page");
                a href=(context.bucket_path(bucket, rest)) aria-current=[current] { (name) }
            }
        }
    }
}

/// A path of this registry, of what somebody sent: nothing that leads elsewhere.
pub(super) fn own_path(path: &str) -> Option<&str> {
    let plain = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    (plain && !path.contains(char::is_control)).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_are_gone_back_to() {
        assert_eq!(own_path("/projects/a?b=c"), Some("/projects/a?b=c"));
        for path in ["", "//evil.example", "https://evil.example", "/\\evil.example", "a"] {
            assert_eq!(own_path(path), None, "{path}");
        }
        for control in ('\0'..' ').chain('\u{7f}'..='\u{9f}') {
            assert_eq!(own_path(&format!("/{control}/evil.example")), None, "{control:?}");
        }
    }
}
