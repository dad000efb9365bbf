//! The errors of command lines.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use ingot_template::load::STANDARD_INPUT;
use ingot_ui::Redactor;

use super::command::{command, with_one_dash};
use super::diff::TROUBLE;
use ingot_hcl::SourceMap;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest};

/// What Packer ends with if there is no such command.
const NO_COMMAND: u8 = 127;

/// Commands of Packer that Ingot does not have, and what it has instead.
const OF_PACKER: &[(&str, &str)] = &[
    // It is there unless it was left out when Ingot was built.
    ("plugins", PLUGINS),
    ("plugin", PLUGINS),
    ("execute", "Packer starts its own plugins with it; Ingot's are built in"),
];
const PLUGINS: &str = "this Ingot was built without support for plugins that are programs of their \
     own; those of docker, qemu and amazon are built in";

/// The flags that make Packer complete commands in a shell.
const AUTOCOMPLETE: [&str; 2] = ["autocomplete-install", "autocomplete-uninstall"];

/// Answers what is only known as Packer's, if the command line is such; `args` are all arguments.
pub(super) fn of_packer(command: &Command, args: &[OsString]) -> Option<ExitCode> {
    let first = args.get(1)?.to_str()?;
    if command.find_subcommand(first).is_some() {
        return None;
    }
    let flag = first.trim_start_matches('-');
    if flag.len() < first.len() && AUTOCOMPLETE.contains(&flag) {
        let error = Diagnostic::error(format!("there is no -{flag}"));
        show(
            error.help(
                "`ingot completions bash > FILE` writes what bash reads; so for other shells",
            ),
        );
        return Some(ExitCode::FAILURE);
    }
    let (name, instead) = OF_PACKER.iter().find(|(name, _)| *name == first)?;
    show(
        Diagnostic::error(format!("Ingot does not have Packer's command `{name}`")).help(*instead),
    );
    Some(ExitCode::FAILURE)
}

/// Shows what is wrong with a command line, or the help that was asked for. `args` are all
/// arguments, in clap's form.
pub(super) fn report(error: &Error, args: &[OsString]) -> ExitCode {
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let text = || with_one_dash(&error.render().to_string());
    if help {
        super::write_answer(text().as_bytes());
        return ExitCode::SUCCESS;
    }
    let (path, current) = current(args);
    open_log(path == "ingot registry serve");
    match (error.kind(), invalid_argument(error)) {
        (ErrorKind::UnknownArgument, Some(argument)) => {
            show(unknown(&argument, error, &path, &current, args));
        }
        _ => {
            let text = text();
            let _ = std::io::stderr().write_all(text.as_bytes());
            super::logging::log_shown(true, &text);
        }
    }
    // Packer says 127 to a command that there is not, and 1 to everything else it does not
    // understand.
    match error.kind() {
        _ if path.starts_with("ingot plugins") => ExitCode::FAILURE,
        // Its 1 says that there are differences.
        _ if path == "ingot diff" => ExitCode::from(TROUBLE),
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => ExitCode::from(NO_COMMAND),
        _ => ExitCode::FAILURE,
    }
}

/// The exit code of a command that fails, whose command line may be wrong.
pub(super) fn failure(args: &[OsString]) -> ExitCode {
    match current(args).0 == "ingot diff" {
        true => ExitCode::from(TROUBLE),
        false => ExitCode::FAILURE,
    }
}

/// Opens the log, if there is one. What is wrong with the command is shown even if it cannot be logged.
fn open_log(serves: bool) {
    let _ = super::logging::open(serves);
}

pub(super) fn show(diagnostic: Diagnostic) {
    let color = super::may_color(&std::io::stderr());
    let diagnostics = Diagnostics::from(diagnostic);
    open_log(false);
    super::show(&diagnostics, &SourceMap::default(), &Redactor::default(), color);
}

fn invalid_argument(error: &Error) -> Option<String> {
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The command that the arguments name, and how it is written: `ingot registry push`.
fn current(args: &[OsString]) -> (String, Command) {
    let (mut path, mut current) = ("ingot".to_owned(), command());
    for arg in args.iter().skip(1).filter_map(|arg| arg.to_str()) {
        let Some(inner) = current.find_subcommand(arg).cloned() else { break };
        path = format!("{path} {arg}");
        current = inner;
    }
    (path, current)
}

/// The names of the flags of a command that are shown.
fn flags(command: &Command) -> impl Iterator<Item = &str> {
    command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(clap::Arg::get_long)
}

fn has_flag(command: &Command, name: &str) -> bool {
    command.get_arguments().any(|arg| {
        arg.get_long() == Some(name)
            || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    })
}

/// A flag that there is not, or an argument too many.
fn unknown(
    argument: &str,
    error: &Error,
    path: &str,
    current: &Command,
    args: &[OsString],
) -> Diagnostic {
    let Some(flag) = argument.strip_prefix("--") else {
        return one_too_many(argument, path, current, args);
    };
    // What follows `=` may be a secret.
    let name = flag.split('=').next().unwrap_or(flag);
    if current.has_subcommands() {
        let help = format!("flags follow the command: {path} COMMAND -{name}");
        return Diagnostic::error(format!("`{path}` itself has no flag -{name}")).help(help);
    }
    let diagnostic = Diagnostic::error(format!("`{path}` has no flag -{name}"));
    let suggested = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(text)) => text.strip_prefix("--").map(str::to_owned),
        _ => None,
    };
    let close = closest(name, flags(current)).map(str::to_owned).or(suggested);
    let all = command();
    let other = all.get_subcommands().find(|other| has_flag(other, name));
    let diagnostic = match (close, other) {
        (_, Some(other)) => {
            diagnostic.help(format!("-{name} is a flag of `ingot {}`", other.get_name()))
        }
        (Some(close), None) => diagnostic.help(format!("did you mean -{close}?")),
        (None, None) => diagnostic,
    };
    diagnostic.help(format!("`{path} -help` lists its flags"))
}

/// What is wrong with the templates of a command that takes several for some flag which was not given, if
/// one of them is not there: it is an argument that is no template. `path` is how the command is written.
pub(super) fn no_template<'a>(
    path: &str,
    templates: impl Iterator<Item = &'a PathBuf>,
) -> Option<Diagnostic> {
    let templates: Vec<&PathBuf> = templates.collect();
    let is_template = |path: &Path| path == Path::new(STANDARD_INPUT) || path.exists();
    let missing = templates.iter().find(|template| !is_template(template))?;
    let words = path.split(' ').map(OsString::from);
    let args: Vec<OsString> =
        words.chain(templates.iter().map(|it| it.as_os_str().to_owned())).collect();
    let (_, current) = current(&args);
    Some(one_too_many(&missing.to_string_lossy(), path, &current, &args))
}

/// The help for who names several templates to a command that takes those of a family with `flag`.
pub(super) fn several_templates<'a>(
    path: &str,
    flag: &str,
    templates: impl Iterator<Item = &'a PathBuf>,
) -> String {
    let family = format!("{path} {flag} TEMPLATE…");
    // A shell puts them in place of `*.pkr.hcl`.
    let directory = |file: &'a PathBuf| file.parent().filter(|_| file.is_file());
    let directories: Vec<Option<&Path>> = templates.map(directory).collect();
    match directories.as_slice() {
        [Some(first), others @ ..]
            if !others.is_empty() && others.iter().all(|other| *other == Some(*first)) =>
        {
            let directory = if first.as_os_str().is_empty() { Path::new(".") } else { *first };
            format!(
                "for all files of one template name their directory: `{path} {}`; for the templates \
                 of a family: {family}",
                directory.display()
            )
        }
        _ => family,
    }
}

/// An argument that is no flag, where no more are taken.
fn one_too_many(argument: &str, path: &str, current: &Command, args: &[OsString]) -> Diagnostic {
    let words = path.split(' ').count();
    let plain = args.iter().filter_map(|arg| arg.to_str());
    let plain: Vec<&str> = plain.filter(|arg| !arg.starts_with('-')).skip(words).collect();
    // A flag whose dash was forgotten stands before what it took the place of.
    let forgotten = plain.iter().find_map(|arg| {
        let name = arg.split('=').next().unwrap_or(arg);
        has_flag(current, name).then(|| match arg.contains('=') {
            true => (format!("{name}=…"), format!("-{name}=…")),
            false => (name.to_owned(), format!("-{name}")),
        })
    });
    if let Some((written, right)) = forgotten {
        return Diagnostic::error(format!("`{written}` is not a template: its dash is missing"))
            .help(format!("write {right}"));
    }
    let takes_template = current.get_positionals().any(|arg| arg.get_id() == "template");
    // Standard input is the template that is meant, and what stands before it took its place.
    let argument = match plain.last() {
        Some(before) if takes_template && argument == STANDARD_INPUT => *before,
        _ => argument,
    };
    // It may be a value that lost its flag.
    let shown = match argument.split_once('=') {
        Some((name, _)) => format!("{name}=…"),
        None => argument.to_owned(),
    };
    let takes = current.get_positionals().count();
    let diagnostic = Diagnostic::error(match takes {
        0 => format!("`{path}` takes no arguments, so no `{shown}`"),
        _ => format!("`{shown}` is one argument too many"),
    });
    match takes_template {
        true => diagnostic.help(
            "a command reads one template: a file, or a directory for all files in it; a value \
             with spaces stands in quotes: -var 'name=two words'",
        ),
        false => diagnostic.help(format!("`{path} -help` says what it takes")),
    }
}
