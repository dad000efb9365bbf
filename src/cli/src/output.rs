//! What commands show.

use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use ingot_hcl::{Diagnostic, Diagnostics, SourceMap};
use ingot_sdk::{Error, Ui, environment};
use ingot_ui::ci::CiSystem;
use ingot_ui::{Redactor, standard_output};

use super::{logging, program};

/// Whether the command line says that nothing is to be coloured.
static COLOR_IS_OFF: AtomicBool = AtomicBool::new(false);

/// Whether the command line says that all is to be coloured.
static COLOR_IS_ON: AtomicBool = AtomicBool::new(false);

/// Colours everything from now on: also what goes to a file or a pipe, as a CI system's log.
pub(super) fn turn_color_on() {
    COLOR_IS_ON.store(true, Ordering::Relaxed);
}

/// Colours nothing from now on: standard error neither, which has no flag of its own.
pub(super) fn turn_color_off() {
    COLOR_IS_OFF.store(true, Ordering::Relaxed);
}

/// Whether the environment or the command line says that nothing is to be coloured.
pub(super) fn plain() -> bool {
    COLOR_IS_OFF.load(Ordering::Relaxed)
        || ["NO_COLOR", "PACKER_NO_COLOR"].into_iter().any(|name| environment::set(name).is_some())
}

/// Whether what goes to `stream` may be coloured: on a terminal, if nothing says otherwise.
pub(super) fn may_color(stream: &impl IsTerminal) -> bool {
    !plain() && (COLOR_IS_ON.load(Ordering::Relaxed) || stream.is_terminal())
}

/// Shows diagnostics on standard error.
pub(super) fn show(
    diagnostics: &Diagnostics,
    sources: &SourceMap,
    redactor: &Redactor,
    color: bool,
) {
    if !diagnostics.is_empty() {
        let text = redactor.apply(&rendered(diagnostics, sources, color));
        let _ = std::io::stderr().write_all(text.as_bytes());
        logging::log_shown(diagnostics.has_errors(), &text);
    }
}

/// An error as it is shown.
pub(super) fn diagnostic_of(error: &Error) -> Diagnostic {
    let diagnostic = Diagnostic::error(error.to_string());
    match error.advice() {
        Some(advice) => diagnostic.help(advice),
        None => diagnostic,
    }
}

/// Shows an error on standard error.
pub(super) fn show_error(error: &Error, redactor: &Redactor) {
    let color = may_color(&std::io::stderr());
    show(&diagnostic_of(error).into(), &SourceMap::default(), redactor, color);
}

/// Shows the error that a command ends with.
pub(super) fn failed(error: &Error, redactor: &Redactor) -> ExitCode {
    show_error(error, redactor);
    ExitCode::FAILURE
}

/// Diagnostics as text, which may quote what programs said: none of it is a command of a CI system.
fn rendered(diagnostics: &Diagnostics, sources: &SourceMap, color: bool) -> String {
    let text = diagnostics.render(sources, color && !plain());
    let text = program::in_own_name(&text);
    match CiSystem::detect() {
        Some(ci) => ci.harmless(&text),
        None => text.to_string(),
    }
}

/// Writes what was asked for on standard output. A closed reader is not an error; what else keeps it from
/// being written is the error that the command ends with, see [`unless_lost`].
pub(super) fn write_answer(bytes: &[u8]) {
    standard_output::write(bytes);
}

/// Writes a line of what was asked for, as [`write_answer`] does.
pub(super) fn answer(line: &str) {
    write_answer(format!("{line}\n").as_bytes());
}

/// The exit code `code` of a command, or `failure`, and the error on standard error, where not all that it
/// has written on standard output arrived.
pub(super) fn unless_lost(code: ExitCode, failure: ExitCode, may_change: bool) -> ExitCode {
    let Some(error) = standard_output::take_error() else { return code };
    let mut error = Error::from(error).context("cannot write to standard output");
    if may_change {
        // Who runs it again may be told that it was done before.
        error = error.hint("only the output is lost: if the command changed something, that stays");
    }
    show_error(&error, &Redactor::default());
    failure
}

/// Shows diagnostics where everything else that `ui` says is shown, as Packer does.
pub(super) fn report(ui: &Ui, diagnostics: &Diagnostics, sources: &SourceMap, color: bool) {
    if diagnostics.is_empty() {
        return;
    }
    let text = rendered(diagnostics, sources, color);
    match diagnostics.has_errors() {
        true => ui.error(text.trim_end()),
        false => ui.say(text.trim_end()),
    }
}
