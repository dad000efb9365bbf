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
/// Programs that run the script that is named behind them.
const INTERPRETERS: &[&str] =
    &["ash", "bash", "dash", "ksh", "node", "perl", "python", "python3", "ruby", "sh", "zsh"];
/// What the shell reads the file with that is named behind it.
const SOURCING: &[&str] = &[".", "source"];
/// What else may stand before a script: words of the shell, and programs that run others.
const BEFORE_SCRIPTS: &[&str] = &[
    "!", "do", "elif", "else", "env", "exec", "if", "nohup", "sudo", "then", "time", "while", "{",
];

/// A text in the options of a step that may be the path of a file of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PossibleFile {
    /// The option that it is in.
    pub option: String,
    /// The text.
    pub path: String,
    /// Whether a command runs it. Then it is no directory.
    pub is_script: bool,
    /// Whether what is in the file may be a secret, of which no digest may be published.
    pub may_be_secret: bool,
}

/// Texts in the options of a step that may be paths of this machine's files. Whether something is there, and
/// belongs to the template, is for the caller to find out.
pub(crate) fn possible_files(kind: BlockKind, step: &str, config: &Config) -> Vec<PossibleFile> {
    let (mut found, mut commands) = (Vec::new(), Vec::new());
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
        texts_in(value, tells_secret(option), &mut |text: &str, may_be_secret: bool| {
            if is_command {
                commands.push((option.clone(), text.to_owned()));
                return;
            }
            let may_be_secret = may_be_secret || is_secret_file(text);
            let (option, path) = (option.clone(), text.to_owned());
            found.push(PossibleFile { option, path, is_script: false, may_be_secret });
        });
    }
    found.extend(scripts_of(&commands));
    found
}

/// The scripts that the commands of a step run, which are given with their options.
fn scripts_of(commands: &[(String, String)]) -> Vec<PossibleFile> {
    let run: Vec<(&str, &str, bool)> = commands
        .iter()
        .flat_map(|(option, command)| {
            scripts_in(command).map(move |(path, is_sourced)| (option.as_str(), path, is_sourced))
        })
        .collect();
    // One that is named elsewhere, too, may be written there: `echo A=1 > a.env; . ./a.env`.
    let is_only_run = |path: &str| {
        let name = path.trim_start_matches("./");
        let named = commands.iter().map(|(_, command)| command.matches(name).count());
        let of_scripts = run.iter().map(|(_, script, _)| script.matches(name).count());
        named.sum::<usize>() <= of_scripts.sum::<usize>()
    };
    let scripts = run.iter().filter(|(_, path, _)| is_only_run(path));
    let scripts = scripts.map(|&(option, path, is_sourced)| PossibleFile {
        option: option.to_owned(),
        path: path.to_owned(),
        is_script: true,
        // What a shell reads are mostly settings.
        may_be_secret: is_sourced || is_secret_file(path),
    });
    scripts.collect()
}

/// What a command runs that is a script by its look, and whether the shell reads it itself: up to one of each
/// simple command.
fn scripts_in(command: &str) -> impl Iterator<Item = (&str, bool)> {
    command.split(['\n', ';', '&', '|', '(', ')', '`']).filter_map(script_in)
}

/// The script that a simple command runs. A shell looks up other programs by their names, so that only what
/// has a `/`, or stands behind what reads it, is a path.
fn script_in(simple: &str) -> Option<(&str, bool)> {
    let (mut is_read, mut is_sourced) = (false, false);
    for word in simple.split_whitespace() {
        let word = word.trim_matches(['"', '\'']);
        let program = word.rsplit('/').next().unwrap_or(word);
        let is_option = word.starts_with('-');
        if INTERPRETERS.contains(&program) {
            is_read = true;
        } else if SOURCING.contains(&word) {
            (is_read, is_sourced) = (true, true);
        } else if is_option && word.ends_with('c') && !word.starts_with("--") {
            // As in `sh -c`: what follows is a command itself.
            is_read = false;
        } else {
            let is_before = is_option || word.is_empty() || word.contains('=');
            if !is_before && !BEFORE_SCRIPTS.contains(&program) {
                return (is_read || word.contains('/')).then_some((word, is_sourced));
            }
        }
    }
    None
}

/// Hands each text in a value to `read`, but for options of nested blocks that are not of this machine, and
/// whether its option, or the flag before it, says that it is about a secret.
fn texts_in(value: &OptionValue, is_secret: bool, read: &mut dyn FnMut(&str, bool)) {
    match value {
        OptionValue::String(text) => read(text, is_secret),
        OptionValue::Secret(text) => read(text, true),
        OptionValue::List(items) => {
            let mut after_flag = false;
            for item in items {
                texts_in(item, is_secret || after_flag, read);
                after_flag = matches!(item, OptionValue::String(flag)
                    if flag.starts_with('-') && tells_secret(flag));
            }
        }
        OptionValue::Map(entries) => {
            for (name, value) in entries.iter().filter(|(name, _)| !is_remote(name)) {
                texts_in(value, is_secret || tells_secret(name), read);
            }
        }
        _ => {}
    }
}

/// Whether the name of an option, of a flag or of a file tells of secrets. Better one too many: it is only
/// that its content does not count in what is published.
fn tells_secret(name: &str) -> bool {
    const PARTS: &[&str] = &["credential", "pass", "private", "secret", "token", "vault"];
    const WORDS: &[&str] = &[
        "auth",
        "dsa",
        "ecdsa",
        "ed25519",
        "env",
        "environment",
        "key",
        "keys",
        "kubeconfig",
        "netrc",
        "p12",
        "pem",
        "pfx",
        "rsa",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
        || name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
}

/// The same of a path, whose directories may have any name.
fn is_secret_file(path: &str) -> bool {
    tells_secret(path.rsplit('/').next().unwrap_or(path))
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
    // Names of users, hosts and builds, and a map of variables: a change of one shows in the option itself.
    const NAMES: &[&str] = &["elevated_user", "env", "groups", "host_alias", "only_on", "user"];
    NAMES.contains(&option) || REMOTE.iter().any(|remote| option.starts_with(remote))
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
        let mut found: Vec<String> = found.map(|file| file.path).collect();
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
            ("only_on", OptionValue::List(vec![text("linux")])),
            ("user", text("vagrant")),
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
        let all = |command| scripts_in(command).map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(all("sh ./check.sh -v"), ["./check.sh"]);
        assert_eq!(all("A=b /usr/bin/env bash -eu 'check.sh'"), ["check.sh"]);
        assert_eq!(all("./a.sh | tee log && . b.sh; (c.py)"), ["./a.sh", "b.sh"]);
        assert_eq!(all("if ! ./a.sh; then sh -c './b.sh x'; fi"), ["./a.sh", "./b.sh"]);
        // What a shell looks up by its name is no file here.
        for command in ["docker push x", "test -d a/b", "cd x && terraform apply", "sh -c 'go x'"] {
            assert_eq!(all(command), [""; 0], "{command}");
        }
        assert_eq!(all(" \n sh -c"), [""; 0]);
    }

    #[test]
    fn what_commands_may_write_is_no_script_of_theirs() {
        let scripts = |commands: &[&str]| {
            let inline = commands.iter().map(|command| text(command)).collect();
            let options = vec![("inline", OptionValue::List(inline))];
            named(BlockKind::Provisioner, "shell-local", options)
        };
        assert_eq!(scripts(&["./a.sh 1", "./a.sh 2; sh ca.sh"]), ["./a.sh", "./a.sh", "ca.sh"]);
        assert_eq!(scripts(&["echo A=1 > a.env", ". ./a.env; sh b.sh"]), ["b.sh"]);
        assert_eq!(scripts(&["chmod +x ./a.sh && ./a.sh"]), [""; 0]);
    }

    #[test]
    fn files_that_may_be_secrets_are_marked() {
        let arguments =
            ["-i", "hosts.ini", "--vault-id", "prod", "--private-key", "id", "dir/id_rsa"];
        let arguments = arguments.map(text).to_vec();
        let options = [
            ("command", text("./key/run.sh && . ./settings; sh deploy-token.sh")),
            ("extra_arguments", OptionValue::List(arguments)),
            ("vault_password_file", text("v")),
            ("sensitive", OptionValue::Secret("s".to_owned())),
        ];
        let config = Config::new(options.map(|(name, value)| (name.to_owned(), value)));
        let found = possible_files(BlockKind::Provisioner, "any", &config);
        let mut open: Vec<&str> = found
            .iter()
            .filter(|file| !file.may_be_secret)
            .map(|file| file.path.as_str())
            .collect();
        open.sort_unstable();
        assert_eq!(open, ["-i", "./key/run.sh", "hosts.ini"]);
    }
}
