//! The repository that a build is started in.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Why nothing is known of a repository.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// There is none, or it has no commit.
    NoCommit,
    /// `git` cannot be run, or refuses to read it, for this reason.
    Unreadable(String),
}

impl Unknown {
    /// Why a repository that is there cannot be read.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Unknown::NoCommit => None,
            Unknown::Unreadable(why) => Some(why),
        }
    }
}

/// What `git` says in a directory.
fn git(dir: &Path, args: &[&str]) -> Result<String, Unknown> {
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
    let output = match output {
        Ok(output) => output,
        Err(_) if !is_in_repository(dir) => return Err(Unknown::NoCommit),
        Err(error) => return Err(Unknown::Unreadable(format!("`git` cannot be run: {error}"))),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    tracing::debug!(why = said, "git reports nothing about the repository");
    let fatal = said.lines().find_map(|line| line.strip_prefix("fatal: "));
    let why = fatal.or(said.lines().next()).unwrap_or_default();
    // With `--quiet` git does not say that there is no commit. Of a `.git` that leads to no repository
    // it says something else than of a missing one.
    match why.is_empty() || why.starts_with("not a git repository (or any ") {
        true => Err(Unknown::NoCommit),
        false => Err(Unknown::Unreadable(format!("git: {why}"))),
    }
}

/// Whether a directory looks as if it were in a repository.
fn is_in_repository(dir: &Path) -> bool {
    std::path::absolute(dir)
        .is_ok_and(|dir| dir.ancestors().any(|parent| parent.join(".git").exists()))
}

/// The commit that is checked out.
pub(crate) fn sha(dir: &Path) -> Result<String, Unknown> {
    git(dir, &["rev-parse", "--verify", "--quiet", "HEAD"])
}

/// What a template is built from that the commit does not hold, by git's names: changes of files
/// that git knows, and templates and files of variables that it does not. Other files that it does
/// not know are left out: builds leave such.
pub(crate) fn changed_since_commit(dir: &Path) -> Result<Vec<String>, Unknown> {
    let said = git(dir, &["status", "--porcelain", "--untracked-files=all", "--no-renames", "-z"])?;
    let ends = [".pkr.hcl", ".pkr.json", ".pkrvars.hcl", ".pkrvars.json"];
    // Each is two letters, a space and a name.
    let counts = |entry: &&str| match entry.strip_prefix("?? ") {
        Some(name) => ends.iter().any(|end| name.ends_with(end)),
        None => true,
    };
    let entries = said.split('\0').filter(|entry| !entry.is_empty()).filter(counts);
    Ok(entries.map(|entry| entry.get(3..).unwrap_or(entry).to_owned()).collect())
}

/// Branch, commit, author, and whether something has been changed since.
pub(super) fn about(dir: &Path) -> Result<Value, Unknown> {
    git(dir, &["rev-parse", "--git-dir"])?;
    let details = || {
        let branch = git(dir, &["rev-parse", "--abbrev-ref", "HEAD"]).ok()?;
        let mut details = json!({ "ref": branch });
        if let (Ok(commit), Ok(author)) =
            (sha(dir), git(dir, &["log", "-1", "--no-show-signature", "--format=%an <%ae>"]))
        {
            details["commit"] = commit.into();
            details["author"] = author.into();
        }
        let changed = git(dir, &["status", "--porcelain"]).is_ok_and(|text| !text.is_empty());
        details["has_uncommitted_changes"] = changed.into();
        Some(details)
    };
    Ok(json!({ "type": "git", "details": details() }))
}
