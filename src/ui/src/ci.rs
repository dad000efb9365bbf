//! What CI systems read in the output of a job: groups of lines, and annotations of files.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ingot_sdk::environment;

/// A CI system that folds and annotates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiSystem {
    /// GitHub Actions, and what takes its workflow commands.
    GitHub,
    /// GitLab CI.
    GitLab,
}

/// How bad an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `::error`
    Error,
    /// `::warning`
    Warning,
}

impl CiSystem {
    /// The system that this process runs in, unless `INGOT_CI=off` says that nothing is written
    /// for it.
    pub fn detect() -> Option<CiSystem> {
        let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
        if environment::switch("INGOT_CI") == Ok(Some(false)) {
            return None;
        }
        if is("GITHUB_ACTIONS", "true") {
            return Some(CiSystem::GitHub);
        }
        is("GITLAB_CI", "true").then_some(CiSystem::GitLab)
    }

    /// What begins a group of lines, and what ends it. Groups cannot be inside of each other.
    pub fn group(self, title: &str, collapsed: bool) -> (String, String) {
        let title = one_line(title);
        match self {
            CiSystem::GitHub => {
                (format!("::group::{}\n", escape_data(&title)), "::endgroup::\n".to_owned())
            }
            CiSystem::GitLab => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.map_or(0, |since| since.as_secs());
                // Names of sections hold letters, digits and these.
                let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
                let name: String = title.chars().take(60).map(plain).collect();
                let option = if collapsed { "[collapsed=true]" } else { "" };
                (
                    format!("\u{1b}[0Ksection_start:{now}:{name}{option}\r\u{1b}[0K{title}\n"),
                    format!("\u{1b}[0Ksection_end:{now}:{name}\r\u{1b}[0K\n"),
                )
            }
        }
    }

    /// `text` so that no line of it is taken for a command.
    pub fn harmless(self, text: &str) -> String {
        if self != CiSystem::GitHub {
            return text.to_owned();
        }
        // This form is looked for in the middle of lines, too.
        let text = text.replace("##[", "# #[");
        let mut harmless = String::with_capacity(text.len());
        // What reads the output takes a carriage return for the end of a line.
        for line in text.split_inclusive(['\n', '\r']) {
            let command = line.trim_start();
            if command.starts_with("::") {
                harmless.push_str(&line[..line.len() - command.len()]);
                harmless.push_str("| ");
                harmless.push_str(command);
            } else {
                harmless.push_str(line);
            }
        }
        harmless
    }

    /// The line that annotates a place of a file, on systems that take one.
    pub fn annotation(
        self,
        level: Level,
        place: Option<(&str, usize, usize)>,
        title: &str,
        message: &str,
    ) -> Option<String> {
        if self != CiSystem::GitHub {
            return None;
        }
        let command = match level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let mut line = format!("::{command} ");
        if let Some((file, row, column)) = place {
            let file = in_workspace(Path::new(file));
            let _ = write!(
                line,
                "file={},line={row},col={column},",
                escape_property(&file.to_string_lossy())
            );
        }
        let _ = writeln!(line, "title={}::{}", escape_property(title), escape_data(message));
        Some(line)
    }
}

/// A path as it is below the root of the repository, where GitHub looks for it.
fn in_workspace(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Without `..`, which no annotation may have.
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    match std::env::var_os("GITHUB_WORKSPACE") {
        Some(root) => plain.strip_prefix(&root).map_or_else(|_| plain.clone(), Path::to_owned),
        None => path.to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text after the second `::` of a workflow command.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property of a workflow command.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_programs_are_no_commands() {
        let text = "::a::\nb ::c\r  ::stop-commands::x\n| ##[set-output name=a]";
        assert_eq!(
            CiSystem::GitHub.harmless(text),
            "| ::a::\nb ::c\r  | ::stop-commands::x\n| # #[set-output name=a]"
        );
        assert_eq!(CiSystem::GitLab.harmless(text), text);
    }

    #[test]
    fn texts_cannot_leave_their_command() {
        let line = CiSystem::GitHub
            .annotation(Level::Error, Some(("a,b:c.hcl", 3, 4)), "t: x, y", "100%\r\n::error::no")
            .unwrap();
        assert_eq!(
            line,
            "::error file=a%2Cb%3Ac.hcl,line=3,col=4,title=t%3A x%2C y::100%25%0D%0A::error::no\n"
        );
        let (begin, end) = CiSystem::GitHub.group("a\n::error::b", false);
        assert_eq!((begin.as_str(), end.as_str()), ("::group::a ::error::b\n", "::endgroup::\n"));
        let (begin, end) = CiSystem::GitLab.group("Build 'docker.a'", true);
        assert!(begin.starts_with("\u{1b}[0Ksection_start:"), "{begin}");
        assert!(begin.ends_with(":Build__docker_a_[collapsed=true]\r\u{1b}[0KBuild 'docker.a'\n"));
        assert!(end.ends_with(":Build__docker_a_\r\u{1b}[0K\n"), "{end}");
        assert_eq!(CiSystem::GitLab.annotation(Level::Error, None, "t", "m"), None);
    }
}
