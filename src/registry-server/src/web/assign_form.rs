//! The forms that point a channel at a version, and back.

use maud::{Markup, html};

use super::parts::{shown_version, token_field};
use super::web_session::{PageContext, page_of};
use ingot_registry::api::Version;

/// What a move of a channel is on a page: the fingerprints of what it points at there and of where
/// it is to point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move<'a> {
    pub bucket: &'a str,
    pub channel: &'a str,
    /// Empty for nowhere.
    pub from: &'a str,
    /// Empty for nowhere.
    pub to: &'a str,
}

/// A form of one button that moves a channel.
pub(super) fn button(context: &PageContext, it: Move<'_>, text: &str, class: &str) -> Markup {
    form(context, it, &back(context), false, &html! { button.(class) type="submit" { (text) } })
}

/// The button that takes a move back: from `to`, where the channel points now, to `before`.
pub(super) fn undo(
    context: &PageContext,
    bucket: &str,
    channel: &str,
    to: Option<&Version>,
    before: Option<&Version>,
) -> Markup {
    let print = |version: Option<&Version>| version.map(|it| it.fingerprint.clone());
    let (from, to) = (print(to).unwrap_or_default(), print(before).unwrap_or_default());
    let text = match before {
        Some(version) => {
            format!("Undo: back to {}", shown_version(&version.name, &version.fingerprint))
        }
        None => "Undo: leave it unassigned".to_owned(),
    };
    let it = Move { bucket, channel, from: &from, to: &to };
    form(context, it, &back(context), true, &html! { button.quiet type="submit" { (text) } })
}

/// A form that moves a channel. `confirmed` if it is not to be asked whether that is meant.
pub(super) fn form(
    context: &PageContext,
    it: Move<'_>,
    back: &str,
    confirmed: bool,
    rest: &Markup,
) -> Markup {
    let action = context.channel_path(it.bucket, it.channel, "/assign");
    html! {
        form method="post" action=(action) {
            (token_field(&context.visit.form_token))
            input type="hidden" name="from" value=(it.from);
            @if it.to.is_empty() {
                input type="hidden" name="unassign" value="yes";
            } @else {
                input type="hidden" name="version" value=(it.to);
            }
            input type="hidden" name="back" value=(back);
            @if confirmed { input type="hidden" name="confirmed" value="yes"; }
            (rest)
        }
    }
}

/// The page that a form is on, to come back to. It may be the answer to another form, at the path that
/// this was sent to.
fn back(context: &PageContext) -> String {
    let path = context.visit.path.as_str();
    page_of(path.split_once('?').map_or(path, |(path, _)| path)).to_owned()
}

/// The number of a complete version.
pub(super) fn number(name: &str) -> Option<u64> {
    name.strip_prefix('v')?.parse().ok().filter(|number| *number > 0)
}

/// What a move is, in short: `v10 → v1 (older)`.
pub(super) fn in_short(from: Option<&Version>, to: &Version) -> String {
    let shown = |version: &Version| shown_version(&version.name, &version.fingerprint);
    let older = from.is_some_and(|from| number(&to.name) < number(&from.name));
    let from = from.map_or_else(|| "unassigned".to_owned(), shown);
    format!("{from} → {}{}", shown(to), if older { " (older)" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str) -> Version {
        Version { name: name.into(), fingerprint: "f".into(), ..Version::default() }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(in_short(Some(&version("v10")), &version("v9")), "v10 → v9 (older)");
        assert_eq!(in_short(Some(&version("v9")), &version("v10")), "v9 → v10");
        assert_eq!(in_short(None, &version("v1")), "unassigned → v1");
        assert_eq!(number("v0"), None);
    }
}
