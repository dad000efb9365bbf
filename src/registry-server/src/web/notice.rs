//! The notice of what was done, on the page that follows. The query says which notice, and anybody can
//! write a query; so it is shown only if it is true, and if the audit log says that the visitor did
//! it just now.

use maud::{Markup, html};

use super::assign_form;
use super::parts::shown_version;
use super::web_session::{PageContext, WebSession};
use super::when::{RECENT, is_recent, moment};
use ingot_registry::api::{Channel, Page, RevocationType, Version, VersionStatus};
use ingot_registry::client::Registry as _;
use ingot_registry::service::{CANCEL_REVOCATION, CREATE_CHANNEL, RESTORE, REVOKE};

/// The query that asks for the notice of a channel's assignment.
pub(super) fn assigned(channel: &str) -> String {
    let pairs = [("done", "assigned"), ("channel", channel)];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// That somebody has signed in.
pub(super) fn signed_in(visit: &WebSession) -> Option<Markup> {
    let text = format!("You are signed in as {}.", visit.principal.name);
    let so = visit.query_value("done") == "signed-in" && is_recent(visit.since);
    so.then(|| html! { p { (text) } })
}

/// That the visitor moved a channel just now, from where to where, and the way back.
pub(super) async fn moved(context: &PageContext, bucket: &str) -> Option<Markup> {
    if context.visit.query_value("done") != "assigned" {
        return None;
    }
    let name = context.visit.query_value("channel");
    let page = Page { size: 2, ..Page::default() };
    // Without the data there is no notice; the page itself reports failures.
    let history = context.session.channel_history(bucket, &name, &page).await.ok()?.history;
    let last = history.first()?;
    if last.author_id != context.visit.principal.name || !is_recent(last.assigned_at) {
        return None;
    }
    let shown = |version: &Version| shown_version(&version.name, &version.fingerprint);
    let to = last.version.as_ref();
    let before = history.get(1).and_then(|it| it.version.as_ref());
    let valid = |version: &&Version| {
        matches!(version.status, VersionStatus::Active | VersionStatus::RevocationScheduled)
    };
    Some(html! {
        p {
            strong { (name) }
            @match to {
                Some(to) => { " now points at " strong { (shown(to)) } },
                None => " is now unassigned",
            }
            @match before {
                Some(before) => { "; before, it pointed at " (shown(before)) "." },
                None => "; before, it was unassigned.",
            }
        }
        @if before.is_none_or(|it| valid(&it)) {
            (assign_form::undo(context, bucket, &name, to, before))
        }
    })
}

/// Whether the visitor did this just now, as the audit log says. False if that cannot be read; the
/// page itself reports failures.
async fn did(context: &PageContext, action: &str, target: &str) -> bool {
    context.session.did(action, target, RECENT).await.unwrap_or_default()
}

/// That the visitor created a channel just now.
pub(super) async fn created(context: &PageContext, channel: &Channel) -> Option<Markup> {
    let target = format!("{}/{}", context.names.bucket, channel.name);
    let so = context.visit.query_value("done") == "created"
        && is_recent(channel.created_at)
        && did(context, CREATE_CHANNEL, &target).await;
    so.then(|| html! { p { "The channel " strong { (channel.name) } " was created." } })
}

/// What the visitor did to a version just now: that it is revoked, will be, or is valid again.
pub(super) async fn revocation(context: &PageContext, version: &Version) -> Option<Markup> {
    let name = shown_version(&version.name, &version.fingerprint);
    let own = version.revocation_type == RevocationType::Manual
        && version.revocation_author == context.visit.principal.name;
    let ancestor = version.revocation_inherited_from.as_ref();
    let inherited = ancestor.is_some();
    let (status, at) = (version.status, version.revoke_at);
    let target = format!("{}/{}", version.bucket_name, version.fingerprint);
    let done = context.visit.query_value("done");
    let (so, action) = match done.as_str() {
        "revoked" => (own && status == VersionStatus::Revoked && is_recent(at), REVOKE),
        "scheduled" => (own && status == VersionStatus::RevocationScheduled, REVOKE),
        "inherited" => (inherited, REVOKE),
        // Another revocation of it that was hidden by this one may have come to light.
        "restored" => (status == VersionStatus::Active || inherited, RESTORE),
        "cancelled" => (status == VersionStatus::Active || inherited, CANCEL_REVOCATION),
        _ => return None,
    };
    if !so || !did(context, action, &target).await {
        return None;
    }
    Some(html! {
        p {
            @match done.as_str() {
                "revoked" => { strong { (name) } " is revoked." },
                "scheduled" => { strong { (name) } " will be revoked at " (moment(at)) "." },
                "inherited" => {
                    @if let Some(ancestor) = ancestor {
                        strong { (name) } " is revoked with " (ancestor.bucket_name) " "
                        (ancestor.version_name) " at " (moment(at)) " already, which is earlier. Its "
                        "own revocation holds if that one is taken back."
                    }
                },
                "restored" if !inherited => { strong { (name) } " is valid again." },
                _ if !inherited => {
                    "The scheduled revocation of " strong { (name) } " is cancelled."
                },
                _ => {
                    "The revocation of " strong { (name) } " itself is taken back. What it was built "
                    @if status == VersionStatus::Revoked {
                        "from is revoked as well, so it is not valid again yet."
                    } @else {
                        "from will be revoked at " (moment(at)) ", and " (name) " with it."
                    }
                },
            }
        }
    })
}
