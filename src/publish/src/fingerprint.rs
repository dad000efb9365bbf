//! Fingerprints: what makes several runs fill one version.

use std::path::Path;

use super::environment::{Environment, FINGERPRINT, FINGERPRINT_FROM};
use super::metadata::vcs;
use ingot_hcl::Diagnostic;
use ingot_registry::new_id;

/// The fingerprint of a run of the template in `dir`: the one that is given, or the commit's, or a
/// new one.
///
/// # Errors
/// What is given cannot be one, or the commit does not say what is built.
pub(super) fn of(environment: &Environment, dir: &Path) -> Result<String, Diagnostic> {
    match (&environment.fingerprint, environment.fingerprint_from.as_deref()) {
        (Some(given), _) if is_valid(given) => Ok(given.clone()),
        (Some(_), _) => Err(Diagnostic::error(format!("{FINGERPRINT} is not a fingerprint")).help(
            "it is 1 to 40 ASCII letters, digits, `-`, `.` and `_`, with a letter or digit at \
             both ends",
        )),
        (None, Some("git")) => of_commit(dir),
        (None, Some(other)) => Err(Diagnostic::error(format!("{FINGERPRINT_FROM} is {other:?}"))
            .help(format!("it can be `git`; to give a fingerprint itself, set {FINGERPRINT}"))),
        (None, None) => Ok(generate()),
    }
}

/// What to do where the version of a commit is complete.
pub(super) const COMMIT_IS_BUILT: &str =
    "with INGOT_BUILD_FINGERPRINT=git, -changed-only builds what changed without a commit";

/// A fingerprint for another version of a commit: the commit's beginning, and what is new each time.
pub fn beside_commit(commit: &str) -> String {
    let commit: String = commit.chars().take(12).collect();
    format!("{commit}-{}", new_id())
}

/// The commit that a template is at, if that says what is built.
fn of_commit(dir: &Path) -> Result<String, Diagnostic> {
    let error = |what: String| Diagnostic::error(format!("{FINGERPRINT_FROM} is git, and {what}"));
    let shown = dir.display();
    let unreadable = |why: &str| {
        error(format!("the repository of {shown} cannot be read")).note(why).help(format!(
            "make `git status` work there, which for a checkout that another user owns takes `git \
             config --global --add safe.directory DIRECTORY`, or set {FINGERPRINT}"
        ))
    };
    let sha = vcs::sha(dir).map_err(|unknown| match unknown.reason() {
        Some(why) => unreadable(why),
        None => error(format!("{shown} is in no git repository with a commit"))
            .help(format!("commit the template, or set {FINGERPRINT}")),
    })?;
    if !is_valid(&sha) {
        return Err(error(format!("the commit {sha} cannot be a fingerprint: it is too long"))
            .help(format!("set {FINGERPRINT}, which has 40 characters at the most")));
    }
    let changed = vcs::changed_since_commit(dir)
        .map_err(|unknown| unreadable(unknown.reason().unwrap_or("`git status` fails")))?;
    let Some(first) = changed.first() else { return Ok(sha) };
    let others = match changed.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(error(format!("{shown} has changes that are not committed"))
        .note(format!("changed: {first}{others}"))
        .help(format!("commit them, or set {FINGERPRINT}")))
}

/// A new fingerprint: a ULID, as Packer makes.
fn generate() -> String {
    new_id()
}

/// Whether a text can be a fingerprint: HCP Packer's rule.
fn is_valid(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    let ends = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 40 && bytes.iter().all(|&c| fits(c)) && ends(bytes.first()) && ends(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shas_are_fingerprints_and_spaces_are_not() {
        assert!(is_valid(&"a1".repeat(20)) && is_valid("v1.2-3_x"));
        assert!(!is_valid("") && !is_valid("-a") && !is_valid("a b") && !is_valid(&"a".repeat(41)));
        let (one, other) = (generate(), generate());
        assert!(one != other && is_valid(&one) && one.len() == 26);
    }
}
