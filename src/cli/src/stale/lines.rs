//! What is shown while a family is built, and after that.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use ingot_family::{FamilyEvent, Member, MemberOutcome, OutputStream};
use ingot_sdk::Ui;
use ingot_ui::{Redactor, Renderer};
use parking_lot::Mutex;

use crate::interrupts::say_in_time;

/// What begins the change of a colour. The parameters and an `m` follow.
const SEQUENCE: &str = "\u{1b}[";
/// What ends all colours.
const RESET: &str = "\u{1b}[0m";

/// Shows what happens while a family is built.
pub(super) struct Lines {
    renderer: Arc<Renderer>,
    redactor: Arc<Redactor>,
    ui: Ui,
    machine_readable: bool,
    /// The colours that the last lines left on, by bucket and whether they came from standard error.
    colors: Mutex<HashMap<(String, bool), String>>,
}

impl Lines {
    /// Those of `renderer`, to which `ui` speaks.
    pub(super) fn new(renderer: Arc<Renderer>, ui: Ui, machine_readable: bool) -> Self {
        let redactor = renderer.redactor();
        Lines { renderer, redactor, ui, machine_readable, colors: Mutex::default() }
    }

    /// Shows an event.
    pub(super) fn show(&self, event: FamilyEvent<'_>) {
        match event {
            FamilyEvent::OutOfDate { member, reason } => {
                self.ui.say(format!("==> {}: {reason}", member.bucket));
            }
            FamilyEvent::VersionOfAnotherRun { member, begun, new } => self.ui.say(format!(
                "==> {}: another run began the version {begun} and did not complete it: what is \
                 built now goes to the version {new}",
                member.bucket
            )),
            FamilyEvent::Failed { member, reason } => {
                self.ui.error(format!("{}: {reason}", member.bucket));
            }
            // Each line that is to be hidden comes by itself.
            FamilyEvent::Secret(secret) => self.redactor.add_whole(secret),
            FamilyEvent::Output { member, stream, line } => self.output(member, stream, line),
            FamilyEvent::Cancelling { signal } => {
                let ui = self.ui.clone();
                say_in_time(move || {
                    ui.error(format!("Cancelling builds after receiving {signal}"));
                    ui.error(
                        "Interrupt again to stop at once, without cleaning up. Where an \
                         error-cleanup-provisioner may run, that stops it, and the next interrupt stops at once.",
                    );
                });
            }
        }
    }

    /// Shows a line that the build of a member has written.
    fn output(&self, member: &Member, stream: OutputStream, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let text = self.redactor.apply(line.trim_end_matches(['\n', '\r']));
        let text = match (stream, self.machine_readable) {
            (OutputStream::Stdout, true) => of_member(&text, &member.bucket),
            (OutputStream::Stderr, true) => text,
            (_, false) => {
                let text = self.with_own_color(member, stream, text.trim_end());
                format!("[{}] {text}", member.bucket)
            }
        };
        let text = text.trim_end().to_owned() + "\n";
        match (stream, self.machine_readable) {
            (OutputStream::Stdout, false) => self.renderer.raw(&text),
            (OutputStream::Stdout, true) => {
                drop(std::io::stdout().lock().write_all(text.as_bytes()));
            }
            (OutputStream::Stderr, _) => drop(std::io::stderr().lock().write_all(text.as_bytes())),
        }
    }

    /// A line with all that colours it and nothing else. A message of several lines is coloured as one,
    /// and here the name of the bucket and lines of other builds stand between them.
    fn with_own_color(&self, member: &Member, stream: OutputStream, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let key = (member.bucket.clone(), stream == OutputStream::Stderr);
        let mut colors = self.colors.lock();
        let mut text = colors.remove(&key).unwrap_or_default() + text;
        if let Some(color) = color_left_on(&text).map(str::to_owned) {
            colors.insert(key, color);
            text.push_str(RESET);
        }
        text
    }
}

/// The last change of a colour in a text, unless it is the end of all.
fn color_left_on(text: &str) -> Option<&str> {
    let sequence = |(start, _): (usize, &str)| {
        let parameters = &text[start + SEQUENCE.len()..];
        let length = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
        let end = start + SEQUENCE.len() + length + 1;
        parameters[length..].starts_with('m').then(|| &text[start..end])
    };
    let last = text.rmatch_indices(SEQUENCE).find_map(sequence)?;
    (last != RESET && last != "\u{1b}[m").then_some(last)
}

/// A line for programs (`TIME,TARGET,TYPE,DATA…`) of the build of a bucket: its target, a build, is only
/// one with the bucket, as others of the family may be called the same.
fn of_member(line: &str, bucket: &str) -> String {
    match line.split_once(',') {
        Some((time, rest)) if !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit()) => {
            let slash = if rest.starts_with(',') { "" } else { "/" };
            format!("{time},{bucket}{slash}{rest}")
        }
        _ => line.to_owned(),
    }
}

/// Tells what became of all members; the exit code.
pub(super) fn summary(members: &[Member], outcomes: &[MemberOutcome], ui: &Ui) -> ExitCode {
    use MemberOutcome::{Built, Failed, NotReached, Promoted, Stopped, Unchanged};
    let count = |wanted: fn(&MemberOutcome) -> bool| {
        outcomes.iter().filter(|outcome| wanted(outcome)).count()
    };
    let built = count(|outcome| matches!(outcome, Built { .. }));
    let promoted = count(|outcome| matches!(outcome, Promoted { .. }));
    let unchanged = count(|outcome| matches!(outcome, Unchanged));
    let failed = count(|outcome| matches!(outcome, Failed(_)));
    let not_reached = count(|outcome| matches!(outcome, NotReached(_) | Stopped));
    let mut parts = vec![format!("{built} built"), format!("{unchanged} unchanged")];
    let rest = [(promoted, "promoted"), (failed, "failed"), (not_reached, "not reached")];
    let rest = rest.iter().filter(|(count, _)| *count > 0);
    parts.extend(rest.map(|(count, what)| format!("{count} {what}")));
    let bad = failed + not_reached > 0;
    ui.verdict(bad, format!("\n==> Family: {}.", parts.join(", ")));
    for (member, outcome) in members.iter().zip(outcomes) {
        let text = match outcome {
            Unchanged => continue,
            Built { version, promoted: Some(channel) } => {
                format!("built {version}, promoted to {channel}")
            }
            Built { version, promoted: None } => format!("built {version}"),
            Promoted { version, channel } => {
                format!("promoted {version}, built before, to {channel}")
            }
            Failed(why) => format!("failed: {}", ui.masked(why)),
            NotReached(parent) => format!("not reached, because of {parent}"),
            Stopped => "stopped".into(),
        };
        ui.verdict(outcome.blocks(), format!("--> {}: {text}", member.bucket));
    }
    match bad {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::color_left_on;

    #[test]
    fn the_colour_that_a_line_leaves_on_is_its_last() {
        assert_eq!(color_left_on("plain"), None);
        assert_eq!(color_left_on("\u{1b}[1;32mwhole\u{1b}[0m"), None);
        assert_eq!(color_left_on("\u{1b}[1;32mwhole\u{1b}[m"), None);
        assert_eq!(color_left_on("\u{1b}[1;32mfirst line"), Some("\u{1b}[1;32m"));
        assert_eq!(color_left_on("\u{1b}[0m\u{1b}[31mred\u{1b}[0K"), Some("\u{1b}[31m"));
        assert_eq!(color_left_on("cut\u{1b}[1;"), None);
    }
}
