//! The dialogue that revokes a version.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::page::Page;
use super::parts::{no_enter, shown_version, status, token_field, version_link};
use super::problem::{Problem, sentence};
use super::web_session::{Change, Fields, PageContext};
use super::when::{field, moment, read_field};
use crate::secret;
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::service::{Rollback, VersionName};
use ingot_registry::store::Role;

/// How many descendants are listed.
const LISTED: u32 = 100;

/// What is in the fields, and what is wrong with them.
#[derive(Debug)]
struct Draft {
    now: bool,
    at: String,
    reason: String,
    rollback: bool,
    descendants: bool,
    wrong_time: Option<String>,
    /// Why the registry did not do it.
    refused: Option<String>,
}

impl Draft {
    /// What to begin with: that of the revocation there is, if there is one. `choices` are its own
    /// of channels and of descendants.
    fn of(version: &Version, choices: Option<(bool, bool)>) -> Self {
        let (rollback, descendants) = choices.unwrap_or((true, true));
        Draft {
            now: !version.revoke_at.is_set(),
            at: field(version.revoke_at),
            reason: version.revocation_message.clone(),
            rollback,
            descendants,
            wrong_time: None,
            refused: None,
        }
    }

    fn read(fields: &Fields) -> Self {
        Draft {
            now: fields.text("when") != "at",
            at: fields.text("at").to_owned(),
            reason: fields.text("reason").trim().to_owned(),
            rollback: fields.ticked("rollback"),
            descendants: fields.ticked("descendants"),
            wrong_time: None,
            refused: None,
        }
    }

    /// The time it says; none if there is something wrong, which is written down.
    fn check(&mut self, version: &Version) -> Option<Timestamp> {
        let now = Timestamp::now();
        // That of the revocation there is, which the field had from the start.
        let kept = version.revoke_at;
        let dated = !self.at.is_empty() && self.at != field(kept);
        let at = match self.now {
            true if dated => {
                self.wrong_time = Some(format!(
                    "“Now” is chosen, and there is a date, {}. Choose “At a future date” to revoke \
                     it then, or empty the date to revoke it now.",
                    self.at.replace('T', " ")
                ));
                None
            }
            true => Some(now),
            false => {
                let at = read_field(&self.at);
                if at.is_none() {
                    self.wrong_time = Some("Give a date and a time, in UTC.".into());
                }
                at
            }
        };
        if at.is_some_and(|at| at < now) {
            self.wrong_time = Some("This time has passed. Choose a later one, or now.".into());
        }
        // The earliest revocation of a version holds.
        let later = at.is_some_and(|at| at >= kept) || self.at == field(kept);
        if let Some(ancestor) = &version.revocation_inherited_from
            && !self.now
            && later
        {
            self.wrong_time = Some(format!(
                "It is revoked with {} {} at {} UTC already. Choose an earlier time, or change that \
                 revocation.",
                ancestor.bucket_name,
                ancestor.version_name,
                field(kept).replace('T', " ")
            ));
        }
        at.filter(|_| self.wrong_time.is_none())
    }

    fn wrong(&self) -> Vec<(&str, &str)> {
        let wrong = [("at", self.wrong_time.as_deref()), ("revoke", self.refused.as_deref())];
        wrong.into_iter().filter_map(|(field, text)| Some((field, text?))).collect()
    }
}

/// What revoking a version would do.
#[derive(Debug)]
struct Effect {
    /// What was built from it: the first of them, and how many there are.
    descendants: (Vec<VersionName>, i64),
    /// Its own channels.
    own: Vec<Rollback>,
    /// The first of the channels of what was built from it.
    others: Vec<Rollback>,
    /// How many more of these there are.
    hidden: i64,
}

impl Effect {
    async fn of(context: &PageContext, version: &Version) -> Result<Self> {
        let (bucket, print) = (&version.bucket_name, &version.fingerprint);
        let descendants = context.session.descendants(bucket, print, LISTED).await?;
        let (rollbacks, channels) = context.session.rollbacks_of(bucket, print, LISTED).await?;
        let (own, others): (Vec<_>, Vec<_>) = rollbacks.into_iter().partition(|it| it.own);
        let hidden = channels - (own.len() + others.len()) as i64;
        Ok(Effect { descendants, own, others, hidden })
    }

    /// Tells this from another, to know whether what somebody saw is still so.
    fn digest(&self) -> String {
        let (versions, count) = &self.descendants;
        let name = |it: &VersionName| format!("{}/{}", it.bucket, it.fingerprint);
        let versions: Vec<String> = versions.iter().map(name).collect();
        let channel = |it: &Rollback| {
            format!("{}/{}>{}", it.bucket, it.channel, it.to.as_ref().map(name).unwrap_or_default())
        };
        let channels: Vec<String> = self.own.iter().chain(&self.others).map(channel).collect();
        let text = format!("{count} {versions:?} {} {channels:?}", self.hidden);
        secret::hash(&text)[..16].to_owned()
    }
}

pub(super) async fn show(context: PageContext) -> Result<Page, Problem> {
    let (bucket, print) = (&context.names.bucket, &context.names.version);
    let version = context.session.get_version(bucket, print).await?;
    let choices = context.session.revocation_choices(bucket, print).await?;
    let draft = Draft::of(&version, choices);
    page(&context, &version, &draft).await
}

/// Revokes it; the dialogue again if something is wrong.
pub(super) async fn revoke(Change { context, fields }: Change) -> Result<Response, Problem> {
    let (bucket, print) = (context.names.bucket.clone(), context.names.version.clone());
    let version = context.session.get_version(&bucket, &print).await?;
    let mut draft = Draft::read(&fields);
    let at = draft.check(&version);
    let seen = fields.text("seen");
    if at.is_some()
        && context.visit.may_write()
        && !seen.is_empty()
        && Effect::of(&context, &version).await?.digest() != seen
    {
        let text = "Channels or descendants have changed since the page was loaded. They are shown \
                    below as they are now: look at them, and revoke it once more.";
        draft.refused = Some(text.into());
    }
    if let Some(at) = at.filter(|_| draft.refused.is_none()) {
        let body = UpdateVersionBody {
            revoke_at: at,
            revocation_message: draft.reason.clone(),
            disable_rollback_channels: !draft.rollback,
            skip_descendants_revocation: !draft.descendants,
            ..UpdateVersionBody::default()
        };
        match context.session.update_version(&bucket, &print, &body).await {
            Ok(revoked) => {
                // An earlier one of an ancestor holds, also where its own was earlier until now.
                let done = match (&revoked.revocation_inherited_from, draft.now) {
                    (Some(_), _) => "inherited",
                    (None, true) => "revoked",
                    (None, false) => "scheduled",
                };
                let path = context.version_path(&bucket, &print, &format!("?done={done}"));
                return Ok(Redirect::to(&path).into_response());
            }
            Err(error)
                if matches!(error.code, Code::FailedPrecondition | Code::InvalidArgument) =>
            {
                draft.refused = Some(sentence(&error.message));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let page = page(&context, &version, &draft).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

async fn page(context: &PageContext, version: &Version, draft: &Draft) -> Result<Page, Problem> {
    if context.visit.principal.role < Role::Contributor {
        return Err(Error::new(
            Code::PermissionDenied,
            "revoking a version needs the role contributor",
        )
        .into());
    }
    let bucket = &version.bucket_name;
    let name = shown_version(&version.name, &version.fingerprint);
    let effect = Effect::of(context, version).await?;
    let back = context.version_path(bucket, &version.fingerprint, "");
    let action = context.version_path(bucket, &version.fingerprint, "/revoke");
    let path = [
        (bucket.as_str(), context.bucket_path(bucket, "")),
        (name.as_str(), back.clone()),
        ("Revoke", action.clone()),
    ];
    let title = format!("Revoke {bucket} {name}");
    let wrong = draft.wrong();
    Ok(Page::new(title.clone()).context(context, &path).body(html! {
        form.dialogue.card method="post" action=(action) aria-labelledby="title" novalidate {
            h1 #title { (title) "?" }
            p.lead {
                "A revoked version can no longer be used: templates and plans that ask for it fail. "
                "It can be restored later."
            }
            @if !wrong.is_empty() {
                div.alert.bad role="alert" {
                    p { strong { "It was not revoked." } }
                    ul {
                        @for (field, text) in &wrong {
                            li { a href=(format!("#{field}")) { (text) } }
                        }
                    }
                }
            }
            (token_field(&context.visit.form_token))
            (no_enter())
            (time_fields(draft))
            (reason(draft))
            input type="hidden" name="seen" value=(effect.digest());
            (rollback(context, draft, &effect.own))
            (family(context, draft, &effect))
            div.buttons {
                button.danger #revoke type="submit" {
                    "Revoke " (name)
                    span.at-once { " now" }
                    span.later { " at this date" }
                }
                a.button href=(back) { "Cancel" }
            }
        }
    }))
}

fn time_fields(draft: &Draft) -> Markup {
    let wrong = draft.wrong_time.as_deref();
    html! {
        fieldset {
            legend { "When" }
            label.choice {
                input type="radio" name="when" value="now" checked[draft.now];
                span { "Now" }
            }
            label.choice {
                input type="radio" name="when" value="at" checked[!draft.now];
                span { "At a future date" }
            }
            div.field.inset.later.stays[wrong.is_some()] {
                label for="at" { "Date and time, in UTC" }
                input #at type="datetime-local" name="at" value=(draft.at)
                    min=(field(Timestamp::now()))
                    aria-invalid=[wrong.map(|_| "true")] aria-describedby="at-hint";
                p.hint #at-hint {
                    @match wrong {
                        Some(text) => span.wrong { (text) },
                        None => "Until then the version stays valid.",
                    }
                }
            }
            p.hint { "It was " (moment(Timestamp::now())) " when this page was loaded." }
        }
    }
}

fn reason(draft: &Draft) -> Markup {
    html! {
        div.field {
            label for="reason" { "Reason (optional)" }
            textarea #reason name="reason" rows="3" maxlength="1000" dir="auto"
                aria-describedby="reason-hint" { (draft.reason) }
            p.hint #reason-hint {
                "Shown to whoever tries to use the version, as “CVE-2026-1234 in openssl”."
            }
        }
    }
}

fn rollback(context: &PageContext, draft: &Draft, rollbacks: &[Rollback]) -> Markup {
    html! {
        fieldset {
            legend { "Channels" }
            label.choice {
                input type="checkbox" name="rollback" value="yes" checked[draft.rollback]
                    aria-describedby="rollback-hint";
                span { "Roll channels back to their last valid version" }
            }
            div.hint.inset #rollback-hint {
                @if rollbacks.is_empty() {
                    p { "No channel points at this version now." }
                } @else {
                    ul.plain {
                        @for it in rollbacks { li { strong { (it.channel) } " " (goes(context, it)) } }
                    }
                }
            }
        }
    }
}

fn goes(context: &PageContext, rollback: &Rollback) -> Markup {
    html! {
        @match &rollback.to {
            Some(version) => { "goes to " (version_link(context, version)) },
            None => "has no valid version to go to and will be unassigned",
        }
    }
}

/// What was built from the version, and the channels that point at that.
fn family(context: &PageContext, draft: &Draft, effect: &Effect) -> Markup {
    let Effect { descendants: (descendants, count), others: channels, hidden, .. } = effect;
    let (count, hidden) = (*count, *hidden);
    let all = channels.len() as i64 + hidden;
    html! {
        fieldset {
            legend { "Descendants" }
            label.choice {
                input type="checkbox" name="descendants" value="yes" checked[draft.descendants]
                    aria-describedby="descendants-hint";
                span { "Also revoke what was built from it" }
            }
            div.hint.inset #descendants-hint {
                @if count == 0 {
                    p { "Nothing was built from this version so far." }
                } @else {
                    details open[count <= 8] {
                        summary {
                            (count) @if count == 1 { " version was" } @else { " versions were" }
                            " built from it"
                        }
                        ul.plain {
                            @for version in descendants {
                                li { (version.bucket) " " (version_link(context, version)) " "
                                    (status(version.status)) }
                            }
                            @let more = count - descendants.len() as i64;
                            @if more > 0 { li { "and " (more) " more" } }
                        }
                    }
                    @if all > 0 {
                        details open[all <= 8] {
                            summary {
                                (all) @if all == 1 { " channel points" } @else { " channels point" }
                                " at them; managed ones move, others if channels are rolled back"
                            }
                            ul.plain {
                                @for it in channels {
                                    li { strong { (it.bucket) " " (it.channel) } " " (goes(context, it)) }
                                }
                                @if hidden > 0 { li { "and " (hidden) " more" } }
                            }
                        }
                    }
                }
            }
        }
    }
}
