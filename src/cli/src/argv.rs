//! Packer's flags are Go's: long names after one dash or two, `-flag=false` for switches. This
//! brings them into the form that clap reads.

use std::ffi::OsString;

use clap::Command;

use super::command;

const MACHINE_READABLE: [&str; 2] = ["-machine-readable", "--machine-readable"];

/// Whether a flag of this name, of any command, takes a value only after `=`.
fn is_switch(command: &Command, name: &str) -> bool {
    let own = command.get_arguments().filter(|arg| command::is_switch(arg)).any(|arg| {
        arg.get_long() == Some(name)
            || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    });
    own || command.get_subcommands().any(|inner| is_switch(inner, name))
}

/// The arguments with two dashes before every long flag, and `=` between a flag and its value.
pub(super) fn normalize(
    command: &Command,
    mut args: impl Iterator<Item = OsString>,
) -> Vec<OsString> {
    let mut result: Vec<OsString> = args.next().into_iter().collect();
    // Packer takes this one before the command, too.
    let mut early = Vec::new();
    while let Some(arg) = args.next() {
        let Some(text) = arg.to_str() else {
            result.push(arg);
            continue;
        };
        if text == "--" {
            result.push(arg);
            result.extend(args);
            return result;
        }
        let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'));
        match name {
            // As in Packer, whatever follows.
            Some("v" | "version") if result.len() == 1 => {
                result.push("version".into());
                let rest = args.any(|arg| MACHINE_READABLE.iter().any(|flag| arg == *flag));
                early.truncate(1);
                if rest && early.is_empty() {
                    early.push(OsString::from("--machine-readable"));
                }
                break;
            }
            Some("machine-readable") if result.len() == 1 => {
                early.push("--machine-readable".into());
            }
            Some("h") => result.push("--help".into()),
            Some(name) if !name.is_empty() => {
                // What follows a switch is never its value.
                if name.contains('=') || name == "help" || is_switch(command, name) {
                    result.push(format!("--{name}").into());
                } else {
                    // The next argument is the value, even if it starts with a dash.
                    match args.next() {
                        Some(value) => {
                            let mut joined = OsString::from(format!("--{name}="));
                            joined.push(value);
                            result.push(joined);
                        }
                        None => result.push(format!("--{name}").into()),
                    }
                }
            }
            _ => result.push(arg),
        }
    }
    let named = result.get(1).and_then(|name| command.find_subcommand(name));
    if named.is_some_and(|named| is_switch(named, "machine-readable")) {
        result.splice(2..2, early);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{command, normalize};

    fn run(line: &str) -> String {
        let args = normalize(&command::command(), line.split(' ').map(Into::into));
        let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        args.join(" ")
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        assert_eq!(run("ingot build -force -var a=b ."), "ingot build --force --var=a=b .");
        assert_eq!(
            run("ingot build --only=x.* -color=false ."),
            "ingot build --only=x.* --color=false ."
        );
        assert_eq!(run("ingot -v"), "ingot version");
        assert_eq!(run("ingot --version build ."), "ingot version");
        assert_eq!(run("ingot -v -machine-readable"), "ingot version --machine-readable");
        assert_eq!(run("ingot -machine-readable -v"), "ingot version --machine-readable");
        assert_eq!(run("ingot -machine-readable build ."), "ingot build --machine-readable .");
        assert_eq!(run("ingot fmt -"), "ingot fmt -");
        assert_eq!(run("ingot build -var -x=1 t"), "ingot build --var=-x=1 t");
    }
}
