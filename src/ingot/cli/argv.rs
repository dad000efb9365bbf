//! Packer's flags are Go's: long names after one dash or two, `-flag=false` for switches. This
//! brings them into the form that clap reads.

use std::ffi::OsString;

/// Switches, which take a value only after `=`.
const SWITCHES: &[&str] = &[
    "color",
    "debug",
    "force",
    "machine-readable",
    "timestamp-ui",
    "warn-on-undeclared-var",
    "no-warn-undeclared-var",
    "syntax-only",
    "evaluate-datasources",
    "skip-enforcement",
    "ignore-prerelease-plugins",
    "use-sequential-evaluation",
    "check",
    "diff",
    "write",
    "recursive",
    "upgrade",
    "json",
    "list",
    "complete",
    "restricted",
    "rollback",
    "descendants",
    "plain-http",
    "dry-run",
    "sarif",
    "run-task-http",
];

/// The arguments with two dashes before every long flag, and `=` between a flag and its value.
pub(super) fn normalize(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args = args;
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
            Some("v" | "version") if result.len() == 1 => result.push("version".into()),
            Some("machine-readable") if result.len() == 1 => {
                early.push("--machine-readable=true".into());
            }
            Some("h") => result.push("--help".into()),
            Some(name) if !name.is_empty() => {
                let switch = SWITCHES.contains(&name);
                if name.contains('=') || name == "help" {
                    result.push(format!("--{name}").into());
                } else if switch {
                    // What follows a switch is never its value.
                    result.push(format!("--{name}=true").into());
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
    let takes = ["build", "validate", "inspect", "version", "cleanup"];
    if result.get(1).is_some_and(|command| takes.iter().any(|name| command == name)) {
        result.splice(2..2, early);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::normalize;

    fn run(line: &str) -> String {
        let args = normalize(line.split(' ').map(Into::into));
        let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        args.join(" ")
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        assert_eq!(run("ingot build -force -var a=b ."), "ingot build --force=true --var=a=b .");
        assert_eq!(
            run("ingot build --only=x.* -color=false ."),
            "ingot build --only=x.* --color=false ."
        );
        assert_eq!(run("ingot -v"), "ingot version");
        assert_eq!(run("ingot -machine-readable build ."), "ingot build --machine-readable=true .");
        assert_eq!(run("ingot fmt -"), "ingot fmt -");
        assert_eq!(run("ingot build -var -x=1 t"), "ingot build --var=-x=1 t");
    }
}
