//! `ingot completions`: what shells read to complete commands and flags.

use std::process::ExitCode;
use std::sync::LazyLock;

use clap_complete::Shell;
use regex::{Captures, Regex};

use super::command::command;
use super::output::answer;
use super::program;

/// Prints the script of a shell.
pub(super) fn run(shell: Shell) -> ExitCode {
    let name = if program::is_packer() { "packer" } else { "ingot" };
    answer(script(shell, name).trim_end());
    ExitCode::SUCCESS
}

/// The script that completes a program of this name. clap knows flags with two dashes only.
fn script(shell: Shell, name: &str) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => bash(&script, name),
        Shell::Zsh => zsh(&script),
        Shell::Fish => fish(&script),
        _ => script,
    }
}

/// Stands before clap's function `_NAME`, which is given what it knows.
const BASH: &str = r#"# Flags have one dash, as with Packer, or two: those with one are completed as those with two are.
_NAME_flags() {
    local cur="$2" prev="$3" one=""
    # A value behind an equals sign is a word of its own.
    if [[ "${prev}" == "=" && "${COMP_CWORD}" -ge 2 ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    if [[ "${cur}" == -* && "${cur}" != --* ]]; then
        one="yes"
        cur="-${cur}"
    fi
    if [[ "${prev}" == -* && "${prev}" != --* ]]; then
        prev="-${prev}"
    fi
    local words=("${COMP_WORDS[@]}")
    words[COMP_CWORD]="${cur}"
    local COMP_WORDS=("${words[@]}")
    _NAME "$1" "${cur}" "${prev}"
    if [[ -n "${one}" ]]; then
        COMPREPLY=("${COMPREPLY[@]/#--/-}")
    fi
}

"#;

fn bash(script: &str, name: &str) -> String {
    let registered = format!("complete -F _{name} ");
    let script = script.replace(&registered, &format!("complete -F _{name}_flags "));
    BASH.replace("NAME", name) + &script
}

/// A flag in a list for zsh's `_arguments`: those that exclude it, whether it can be repeated, and what
/// follows its dashes.
static OF_ZSH: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^'(\([^)]*\))?(\*?)--(.*)$").ok());
/// The name of a flag.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"--([a-z0-9-]+)").ok());

fn zsh(script: &str) -> String {
    let (Some(flag), Some(name)) = (&*OF_ZSH, &*NAME) else { return script.to_owned() };
    let both = flag.replace_all(script, |found: &Captures| {
        let excluding = found.get(1).map_or("", |list| list.as_str());
        let excluding = name.replace_all(excluding, "--$1 -$1");
        let (repeated, rest) = (&found[2], &found[3]);
        format!("'{excluding}{repeated}--{rest}\n'{excluding}{repeated}-{rest}")
    });
    // With `-s`, `-var` would be `-v -a -r`.
    both.replace("(-s -S -C)", "(-S -C)").replace("(-s -C)", "(-C)")
}

/// A flag in fish's list.
static OF_FISH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?m)^(complete -c \S+ -n "[^"]*"(?: -s \S+)?) -l ([a-z0-9-]+)"#).ok()
});

fn fish(script: &str) -> String {
    let Some(flag) = &*OF_FISH else { return script.to_owned() };
    flag.replace_all(script, "$1 -l $2 -o $2").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_one_dash_or_two() {
        let lines = |shell, start: &str| {
            let script = script(shell, "packer");
            script.lines().filter(|line| line.contains(start)).count()
        };
        assert!(
            script(Shell::Zsh, "packer")
                .contains("\n'*-var-file=[Set variables from a file]:PATH:_files' \\\n")
        );
        let two = lines(Shell::Zsh, "--on-error=[");
        assert_eq!((two, lines(Shell::Zsh, "'-on-error=[")), (1, 1));
        assert_eq!(lines(Shell::Zsh, "(-s "), 0);
        assert_eq!(lines(Shell::Fish, " -l on-error -o on-error "), 1);
        assert_eq!(lines(Shell::Fish, " -s h -l help -o help "), lines(Shell::Fish, " -l help "));
        assert_eq!(lines(Shell::Bash, "complete -F _packer_flags "), 2);
        assert_eq!(lines(Shell::Bash, "    _packer \"$1\" "), 1);
    }

    #[test]
    fn flags_exclude_each_other_with_one_dash_or_two() {
        let both = zsh("'(--one --other)*--this=[What]:X:_default' \\\n");
        let excluding = "(--one -one --other -other)";
        let expected = format!(
            "'{excluding}*--this=[What]:X:_default' \\\n'{excluding}*-this=[What]:X:_default' \\\n"
        );
        assert_eq!(both, expected);
    }
}
