//! The command line: one file per command. Each command has `run(args) -> ExitCode`; what users
//! see goes through the ui, or to standard output where it is the command's answer.

mod args;
mod argv;
mod build;
mod cleanup;
mod command;
pub mod console;
mod examples;
mod fmt;
mod init;
mod inspect;
mod logging;
mod packer_config;
#[cfg(feature = "plugin-host")]
mod plugins;
mod program;
mod publish;
pub mod reference;
mod registry;
mod usage;
mod validate;
mod version;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::FromArgMatches;
use ingot_sdk::Ui;

use args::{Cli, Command};

use crate::ui::Redactor;
use ingot_hcl::{Diagnostics, SourceMap};

/// Runs the program with this process's arguments.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let command = command::command();
    if let Some(code) = usage::of_packer(&command, &args) {
        return code;
    }
    let args = argv::normalize(&command, args.into_iter());
    let parsed = command.try_get_matches_from(&args);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error, &args),
    };
    if let Err(error) = packer_config::check() {
        let color = std::io::stderr().is_terminal();
        show(&Diagnostics::from(error), &SourceMap::default(), &Redactor::default(), color);
        return ExitCode::FAILURE;
    }
    match cli.command {
        Command::Build(args) => build::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Init(args) => init::run(&args),
        #[cfg(feature = "plugin-host")]
        Command::Plugins(args) => plugins::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Console(args) => console::run(&args),
        Command::Cleanup(args) => cleanup::run(&args),
        Command::Registry(args) => registry::run(&args),
        Command::Version(args) => version::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let name = if program::is_packer() { "packer" } else { "ingot" };
            clap_complete::generate(shell, &mut command::command(), name, &mut script);
            answer(String::from_utf8_lossy(&script).trim_end());
            ExitCode::SUCCESS
        }
    }
}

/// Whether the environment says that nothing is to be coloured.
fn plain() -> bool {
    ["NO_COLOR", "PACKER_NO_COLOR"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Shows diagnostics on standard error.
fn show(diagnostics: &Diagnostics, sources: &SourceMap, redactor: &Redactor, color: bool) {
    if !diagnostics.is_empty() {
        let text = redactor.apply(&diagnostics.render(sources, color && !plain()));
        let text = program::in_own_name(&text);
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Writes a line of what was asked for on standard output. A reader that went away is no failure.
fn answer(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Shows diagnostics where everything else that `ui` says is shown, as Packer does.
fn tell(ui: &Ui, diagnostics: &Diagnostics, sources: &SourceMap, color: bool) {
    if diagnostics.is_empty() {
        return;
    }
    let text = diagnostics.render(sources, color && !plain());
    let text = program::in_own_name(&text);
    match diagnostics.has_errors() {
        true => ui.error(text.trim_end()),
        false => ui.say(text.trim_end()),
    }
}
