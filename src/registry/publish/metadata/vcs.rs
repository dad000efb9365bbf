//! The repository that a build is started in.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// What `git` says in a folder; none if it is in no repository, or there is no `git`.
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
pub(super) fn sha(dir: &Path) -> Option<String> {
    git(dir, &["rev-parse", "--verify", "--quiet", "HEAD"])
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
