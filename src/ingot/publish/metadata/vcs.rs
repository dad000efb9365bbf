//! The repository that a build is started in.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// What `git` says in a directory; none if it is in no repository, or there is no `git`.
fn git(dir: &Path, args: &[&str]) -> Option<String> {
    // Not the plugins' runner of processes: there is no build yet that could be cancelled. A
    // repository's settings must not make this run anything.
    let output = Command::new("git")
        .args(["-c", "core.fsmonitor=false"])
        .args(args)
        .current_dir(dir)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output();
    let output = output.ok()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        tracing::debug!(why = why.trim(), "git says nothing about the repository");
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// The commit that is checked out.
pub(in crate::publish) fn sha(dir: &Path) -> Option<String> {
    git(dir, &["rev-parse", "--verify", "--quiet", "HEAD"])
}

/// What a template is built from that the commit does not hold, by git's names: changes of files
/// that git knows, and templates and files of variables that it does not. Other files that it does
/// not know are left out: builds leave such.
pub(in crate::publish) fn changed_since_commit(dir: &Path) -> Option<Vec<String>> {
    let said = git(dir, &["status", "--porcelain", "--untracked-files=all", "--no-renames", "-z"])?;
    let ends = [".pkr.hcl", ".pkr.json", ".pkrvars.hcl", ".pkrvars.json"];
    // Each is two letters, a space and a name.
    let counts = |entry: &&str| match entry.strip_prefix("?? ") {
        Some(name) => ends.iter().any(|end| name.ends_with(end)),
        None => true,
    };
    let entries = said.split('\0').filter(|entry| !entry.is_empty()).filter(counts);
    Some(entries.map(|entry| entry.get(3..).unwrap_or(entry).to_owned()).collect())
}

/// Branch, commit, author, and whether something has been changed since.
pub(super) fn about(dir: &Path) -> Option<Value> {
    git(dir, &["rev-parse", "--git-dir"])?;
    let details = || {
        let branch = git(dir, &["rev-parse", "--abbrev-ref", "HEAD"])?;
        let mut details = json!({ "ref": branch });
        if let (Some(commit), Some(author)) =
            (sha(dir), git(dir, &["log", "-1", "--no-show-signature", "--format=%an <%ae>"]))
        {
            details["commit"] = commit.into();
            details["author"] = author.into();
        }
        let changed = git(dir, &["status", "--porcelain"]).is_some_and(|text| !text.is_empty());
        details["has_uncommitted_changes"] = changed.into();
        Some(details)
    };
    Some(json!({ "type": "git", "details": details() }))
}
