//! The commands of a page, run one after the other in one shell, and what they printed.

use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;

use crate::page::Block;

/// How long the commands of a page may take, in seconds.
const LIMIT: &str = "600";

/// A command of a `console` block with the output that the page shows.
pub(crate) struct Step {
    /// The line of its block in the page.
    pub line: usize,
    pub command: String,
    /// What it prints: a line `...` stands for any lines, `…` for any text in a line. Nothing is
    /// compared where the page shows nothing.
    pub shown: Vec<String>,
}

/// The commands of a `console` block: lines after `$ `, gone on after `> `.
pub(crate) fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: block.line, command: command.to_owned(), shown: Vec::new() });
            continue;
        }
        let step = steps.last_mut().unwrap_or_else(|| {
            panic!("line {}: a console block begins with `$ COMMAND`", block.line)
        });
        match line.strip_prefix("> ") {
            Some(more) if step.shown.is_empty() => {
                step.command.push('\n');
                step.command.push_str(more);
            }
            _ => step.shown.push(line.trim_end().to_owned()),
        }
    }
    steps
}

/// What a command did.
pub(crate) struct Outcome {
    pub status: i32,
    pub printed: Vec<String>,
}

/// Stands before and after what each command prints.
const MARK: &str = "\u{1e}";

/// Runs commands in one shell in `directory`, as a reader would: variables and the current directory
/// stay from one to the next. What runs in the background ends with it.
pub(crate) fn run(steps: &[Step], directory: &Path, env: &[(String, String)]) -> Vec<Outcome> {
    let mut script = String::from("trap 'kill $(jobs -p) 2>/dev/null' EXIT\nstatus=0\n");
    for Step { command, .. } in steps {
        // The status of the command before is what `$?` holds.
        script.push_str(&format!(
            "printf '\\n{MARK}\\n'\n(exit $status)\n{command}\nstatus=$?\nprintf '\\n{MARK}%d\\n' $status\n"
        ));
    }
    let file = directory.join(".session.sh");
    std::fs::write(&file, script).unwrap();
    let output = Command::new("timeout")
        .args([LIMIT, "bash", "-c", "exec bash .session.sh 2>&1"])
        .current_dir(directory)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("bash can be run");
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let part = Regex::new(&format!("(?s)\n{MARK}\n(.*?)\n{MARK}([0-9]+)\n")).unwrap();
    let done = part.captures_iter(&output).map(|found| Outcome {
        status: found[2].parse().unwrap(),
        printed: trimmed(found[1].lines().map(|line| line.trim_end().to_owned())),
    });
    let done: Vec<Outcome> = done.collect();
    assert_eq!(done.len(), steps.len(), "the commands did not end within {LIMIT} s:\n{output}");
    done
}

/// Lines without empty ones at both ends.
pub(crate) fn trimmed(lines: impl Iterator<Item = String>) -> Vec<String> {
    let lines: Vec<String> = lines.skip_while(String::is_empty).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines[..end].to_vec()
}

/// Whether what was printed is what the page shows.
pub(crate) fn matches(shown: &[String], printed: &[String]) -> bool {
    let mut pattern = String::from(r"\A");
    for line in shown {
        match line.as_str() {
            "..." => pattern.push_str(r"(?:[^\n]*\n)*?"),
            line => {
                let parts: Vec<String> = line.split('…').map(regex::escape).collect();
                pattern.push_str(&parts.join(r"[^\n]*?"));
                pattern.push_str(r"\n");
            }
        }
    }
    pattern.push_str(r"\z");
    let printed: String = printed.iter().map(|line| format!("{line}\n")).collect();
    Regex::new(&pattern).unwrap().is_match(&printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn dots_stand_for_lines_and_text() {
        for (shown, printed, same) in [
            ("a\nb", "a\nb", true),
            ("a\nb", "a\nb\nc", false),
            ("a\n...", "a\nb\nc", true),
            ("a\n...\nc", "a\nc", true),
            ("a\n...\nd", "a\nb\nc", false),
            ("id: … (…)", "id: 12 (x)", true),
            ("id: …", "ID: 12", false),
            ("a.c", "abc", false),
        ] {
            assert_eq!(matches(&lines(shown), &lines(printed)), same, "{shown:?} {printed:?}");
        }
    }

    #[test]
    fn the_shell_keeps_variables_directory_and_status() {
        let block = Block {
            line: 1,
            language: "console".to_owned(),
            file: None,
            not_run: None,
            text: "$ mkdir a && cd a\n$ x=1\n$ echo \"$x\" \\\n>   \"$(basename $PWD)\"\n1 a\n$ false\n\
                   $ echo $?\n1\n"
                .to_owned(),
        };
        let steps = steps(&block);
        let directory = tempfile::tempdir().unwrap();
        let done = run(&steps, directory.path(), &[]);
        let statuses: Vec<i32> = done.iter().map(|outcome| outcome.status).collect();
        assert_eq!(statuses, [0, 0, 0, 1, 0]);
        assert_eq!(done[2].printed, ["1 a"]);
        assert_eq!(done[4].printed, ["1"]);
    }
}
