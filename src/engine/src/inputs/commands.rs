//! Files of this machine that steps may read though none of their options says that it names files: scripts
//! in commands, arguments of programs.
//!
//! The step cache has no use for them: it takes only built-in provisioners that read nothing but what their
//! options [say](ingot_sdk::Reads).

use ingot_sdk::{Config, OptionValue};

use super::block::BlockKind;

/// The steps whose commands run on this machine.
const RUNS_HERE: &str = "shell-local";
/// Options that are commands.
const COMMANDS: &[&str] = &["command", "execute_command", "inline"];
/// What stands before the script that a command runs: programs that run it, and words of the shell.
const BEFORE_SCRIPTS: &[&str] = &[
    "!", ".", "ash", "bash", "dash", "do", "elif", "else", "env", "exec", "if", "ksh", "node",
    "nohup", "perl", "python", "python3", "ruby", "sh", "source", "sudo", "then", "time", "while",
    "zsh", "{",
];

/// Texts in the options of a step that may be paths of this machine's files, and the options they are in.
/// Whether something is there, and belongs to the template, is for the caller to find out.
pub(crate) fn possible_files(
    kind: BlockKind,
    step: &str,
    config: &Config,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // The provisioner `file` reads on the machine then.
    if config.get("direction").and_then(OptionValue::as_str) == Some("download") {
        return found;
    }
    let runs_here = step == RUNS_HERE;
    for (option, value) in config.values() {
        let is_command = COMMANDS.contains(&option.as_str());
        let is_local = match kind {
            BlockKind::Source => false,
            BlockKind::Provisioner => !is_remote(option) || (runs_here && is_command),
            // Other options of post-processors name what they write.
            BlockKind::PostProcessor => runs_here && is_command,
        };
        if !is_local {
            continue;
        }
        texts_in(value, &mut |text: &str| {
            found.push((option.clone(), text.to_owned()));
            if is_command {
                let scripts = scripts_in(text).filter(|script| *script != text);
                found.extend(scripts.map(|script| (option.clone(), script.to_owned())));
            }
        });
    }
    found
}

/// The words of a command that name what it runs: one of each simple command.
fn scripts_in(command: &str) -> impl Iterator<Item = &str> {
    command.split(['\n', ';', '&', '|', '(', ')', '`']).filter_map(|simple| {
        let words = simple.split_whitespace();
        words.map(|word| word.trim_matches(['"', '\''])).find(|word| {
            let program = word.rsplit('/').next().unwrap_or(word);
            let is_before = word.is_empty() || word.starts_with('-') || word.contains('=');
            !is_before && !BEFORE_SCRIPTS.contains(&program)
        })
    })
}

/// Hands each text in a value to `read`, but for options of nested blocks that are not of this machine.
fn texts_in(value: &OptionValue, read: &mut dyn FnMut(&str)) {
    match value {
        OptionValue::String(text) | OptionValue::Secret(text) => read(text),
        OptionValue::List(items) => items.iter().for_each(|item| texts_in(item, read)),
        OptionValue::Map(entries) => {
            let local = entries.iter().filter(|(name, _)| !is_remote(name));
            local.for_each(|(_, value)| texts_in(value, read));
        }
        _ => {}
    }
}

/// Whether an option of a provisioner is a path on the machine, or a text that only runs there; either may
/// also be the name of a file of this machine.
fn is_remote(option: &str) -> bool {
    const REMOTE: &[&str] = &[
        "destination",
        "remote_",
        "inline",
        "execute_command",
        "staging_",
        "environment_vars",
        "scan_path",
    ];
    // A map of variables: a change of one shows in the option itself.
    option == "env" || REMOTE.iter().any(|remote| option.starts_with(remote))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> OptionValue {
        OptionValue::String(text.to_owned())
    }

    fn named(kind: BlockKind, step: &str, options: Vec<(&str, OptionValue)>) -> Vec<String> {
        let options = options.into_iter().map(|(name, value)| (name.to_owned(), value));
        let found = possible_files(kind, step, &Config::new(options)).into_iter();
        let mut found: Vec<String> = found.map(|(_, path)| path).collect();
        found.sort();
        found
    }

    #[test]
    fn any_option_of_a_provisioner_may_name_a_file() {
        let nested = [("remote_path".to_owned(), text("/r")), ("path".to_owned(), text("p"))];
        let options = vec![
            ("command", text("./prepare.sh")),
            ("extra_arguments", OptionValue::List(vec![text("-i"), text("hosts.ini")])),
            ("vault_password_file", OptionValue::Secret("v".into())),
            ("destination", text("/d")),
            ("remote_folder", text("/r")),
            ("scan_path", text("/")),
            ("inline", text("./x.sh")),
            ("env", OptionValue::Map([("HOME".to_owned(), text("/root"))].into())),
            ("upload", OptionValue::Map(nested.into())),
            ("direction", text("upload")),
        ];
        let found = named(BlockKind::Provisioner, "any", options);
        assert_eq!(found, ["-i", "./prepare.sh", "hosts.ini", "p", "upload", "v"]);
        let download = vec![("source", text("/etc/motd")), ("direction", text("download"))];
        assert!(named(BlockKind::Provisioner, "file", download).is_empty());
    }

    #[test]
    fn commands_that_run_here_name_scripts() {
        let inline = OptionValue::List(vec![text("./a.sh x.txt")]);
        let wrapper = OptionValue::List(vec![text("./wrap.sh"), text("{{ .Script }}")]);
        let options = vec![("execute_command", wrapper), ("inline", inline), ("output", text("o"))];
        let found = named(BlockKind::PostProcessor, "shell-local", options.clone());
        for script in ["./wrap.sh", "./a.sh"] {
            assert!(found.iter().any(|path| path == script), "{script}: {found:?}");
        }
        assert!(found.iter().all(|path| path != "o"), "{found:?}");
        assert!(named(BlockKind::PostProcessor, "compress", options.clone()).is_empty());
        assert_eq!(named(BlockKind::Provisioner, "shell", options), ["o"]);
    }

    #[test]
    fn scripts_are_found_in_commands() {
        let all = |command| scripts_in(command).collect::<Vec<_>>();
        assert_eq!(all("sh ./check.sh -v"), ["./check.sh"]);
        assert_eq!(all("A=b /usr/bin/env bash -eu 'check.sh'"), ["check.sh"]);
        assert_eq!(
            all("./a.sh | tee log && . ./b.sh; (c.py)"),
            ["./a.sh", "tee", "./b.sh", "c.py"]
        );
        assert_eq!(all("if ! ./a.sh; then sh -c './b.sh x'; fi"), ["./a.sh", "./b.sh", "fi"]);
        assert_eq!(all(" \n sh -c"), [""; 0]);
    }
}
