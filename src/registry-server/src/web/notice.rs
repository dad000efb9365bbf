//! What was done, told on the page that follows. The query says what to tell, and anybody can write
//! a query; so the registry is asked whether it is so.

use maud::{Markup, html};

use super::assign;
use super::parts::shown_version;
use super::web_session::{Place, WebSession};
use super::when::{is_recent, moment};
use ingot_registry::api::{Channel, Page, RevocationType, Version, VersionStatus};
use ingot_registry::client::Registry as _;

/// The query that asks for the notice of a channel's assignment.
pub(super) fn assigned(channel: &str) -> String {
    let pairs = [("done", "assigned"), ("channel", channel)];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// That somebody has signed in.
pub(super) fn signed_in(visit: &WebSession) -> Option<Markup> {
    let text = format!("You are signed in as {}.", visit.principal.name);
    (visit.asked("done") == "signed-in").then(|| html! { p { (text) } })
}

/// That the visitor moved a channel just now, from where to where, and the way back.
pub(super) async fn moved(place: &Place, bucket: &str) -> Option<Markup> {
    if place.visit.asked("done") != "assigned" {
        return None;
    }
    let name = place.visit.asked("channel");
    let page = Page { size: 2, ..Page::default() };
    // A notice that cannot be had is none; the page itself tells of failures.
    let history = place.session.channel_history(bucket, &name, &page).await.ok()?.history;
    let last = history.first()?;
    if last.author_id != place.visit.principal.name || !is_recent(last.assigned_at) {
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
            (assign::undo(place, bucket, &name, to, before))
        }
    })
}

/// That a channel was created just now.
pub(super) fn created(place: &Place, channel: &Channel) -> Option<Markup> {
    let so = place.visit.asked("done") == "created" && is_recent(channel.created_at);
    so.then(|| html! { p { "The channel " strong { (channel.name) } " was created." } })
}

/// What was done to a version: that it is revoked, will be, or is valid again.
pub(super) fn revocation(place: &Place, version: &Version) -> Option<Markup> {
    let name = shown_version(&version.name, &version.fingerprint);
    let own = version.revocation_type == RevocationType::Manual
        && version.revocation_author == place.visit.principal.name;
    let (status, at) = (version.status, version.revoke_at);
    match place.visit.asked("done").as_str() {
        "revoked" if own && status == VersionStatus::Revoked && is_recent(at) => {
            Some(html! { p { strong { (name) } " is revoked." } })
        }
        "scheduled" if own && status == VersionStatus::RevocationScheduled => {
            Some(html! { p { strong { (name) } " will be revoked at " (moment(at)) "." } })
        }
        "restored" if status == VersionStatus::Active && is_recent(version.updated_at) => {
            Some(html! { p { strong { (name) } " is valid again." } })
        }
        "cancelled" if status == VersionStatus::Active && is_recent(version.updated_at) => {
            Some(html! { p { "The scheduled revocation of " strong { (name) } " is cancelled." } })
        }
        "still-revoked" if version.revocation_inherited_from.is_some() => Some(html! {
            p {
                "The revocation of " strong { (name) } " itself is taken back. What it was built "
                "from is revoked as well, so it is not valid again yet."
            }
        }),
        _ => None,
    }
}
