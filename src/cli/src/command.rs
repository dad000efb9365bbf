//! The command line as clap knows it, with Go's ways: a switch may be given a value after `=`, a
//! flag that is repeated counts as it is given last, and long flags are shown with one dash.

use std::any::TypeId;
use std::sync::LazyLock;

use clap::{Arg, ArgAction, Command, CommandFactory};
use regex::Regex;

use super::args::go_bool;
use super::examples;
use super::subcommands::Cli;

/// All commands and their flags.
pub(super) fn command() -> Command {
    adapt(Cli::command(), "")
}

/// How wide help is taken to be, in columns: it is not wrapped, but where names of flags take more
/// than four tenths of it all descriptions would go to lines of their own.
const WIDTH: usize = 120;

/// `path` are the names of the commands around this one.
fn adapt(command: Command, path: &str) -> Command {
    let examples = examples::of(path);
    let command =
        command.term_width(WIDTH).args_override_self(true).mut_args(|arg| match is_switch(&arg) {
            true => switch(arg),
            false => arg,
        });
    let command = match examples.is_empty() {
        true => command,
        false => command.after_help(format!("Examples:\n{examples}")),
    };
    let names: Vec<String> =
        command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        let inner = format!("{path} {name}");
        command.mut_subcommand(name, |subcommand| adapt(subcommand, inner.trim_start()))
    })
}

/// Whether an argument is a flag that is on or off: its field is a `bool`, or an `Option<bool>` where it
/// matters whether the flag was given.
pub(super) fn is_switch(arg: &Arg) -> bool {
    arg.get_long().is_some() && arg.get_value_parser().type_id() == TypeId::of::<bool>()
}

/// Stands where a switch's value would be shown.
const VALUE: &str = "B";
/// The same for a switch that is on unless it is turned off.
const OFF: &str = "OFF";

fn switch(arg: Arg) -> Arg {
    // clap takes a `bool` for a flag without a value, off unless it has another default.
    let is_bool = matches!(arg.get_action(), ArgAction::SetTrue);
    let arg = match is_bool && arg.get_default_values().is_empty() {
        true => arg.default_value("false"),
        false => arg,
    };
    let on = arg.get_default_values().iter().any(|value| value == "true");
    arg.action(ArgAction::Set)
        .value_parser(go_bool)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .hide_default_value(true)
        .value_name(if on { OFF } else { VALUE })
}

/// A flag in a list of flags: what is before it on its line, its name and value, and the start of
/// its description.
static LISTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^( +(?:-h, )?)--(.*?)(  +\S|$)").ok());
/// A flag elsewhere.
static INLINE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(^|[\s'`\[(<|])--([a-z][a-z0-9-]*)").ok());

/// Help or an error of clap's as users of Packer write flags.
pub(super) fn with_one_dash(text: &str) -> String {
    let (Some(listed), Some(inline)) = (&*LISTED, &*INLINE) else { return text.to_owned() };
    let text = listed.replace_all(text, |found: &regex::Captures| {
        let (before, flag, after) = (&found[1], &found[2], &found[3]);
        let shown = without_values(flag);
        // What follows stays in its column.
        let gap = if after.is_empty() { 0 } else { flag.len() + 1 - shown.len() };
        format!("{before}-{shown}{}{after}", " ".repeat(gap))
    });
    without_values(&inline.replace_all(&text, "$1-$2"))
}

/// The text with `-force` and `-color=false` for clap's `-force[=<B>]` and `-color[=<OFF>]`.
fn without_values(text: &str) -> String {
    text.replace(&format!("[=<{VALUE}>]"), "").replace(&format!("[=<{OFF}>]"), "=false")
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::command;
    use crate::args::FmtArgs;

    fn fmt(flags: &[&str]) -> Option<FmtArgs> {
        let line = ["ingot", "fmt", "."].iter().chain(flags);
        let matches = command().try_get_matches_from(line).ok()?;
        FmtArgs::from_arg_matches(matches.subcommand()?.1).ok()
    }

    #[test]
    fn a_switch_has_a_default_and_takes_a_value_after_an_equals_sign() {
        let args = fmt(&[]).unwrap();
        assert!(args.write && !args.check && !args.diff);
        let args = fmt(&["--check", "--diff=T", "--write=0"]).unwrap();
        assert!(!args.write && args.check && args.diff);
        let args = fmt(&["--check", "--check=false"]).unwrap();
        assert!(!args.check, "the last one counts");
        assert!(fmt(&["--check=perhaps"]).is_none());
    }
}
