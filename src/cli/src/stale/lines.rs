//! What is shown while a family is built, and after that.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use ingot_family::{FamilyEvent, Member, MemberOutcome, OutputStream};
use ingot_sdk::Ui;
use ingot_ui::{Redactor, Renderer};

use crate::interrupts::say_in_time;

/// Shows what happens while a family is built.
pub(super) struct Lines {
    renderer: Arc<Renderer>,
    redactor: Arc<Redactor>,
    ui: Ui,
    machine_readable: bool,
}

impl Lines {
    /// Those of `renderer`, to which `ui` speaks.
    pub(super) fn new(renderer: Arc<Renderer>, ui: Ui, machine_readable: bool) -> Self {
        let redactor = renderer.redactor();
        Lines { renderer, redactor, ui, machine_readable }
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
            (_, false) => format!("[{}] {text}", member.bucket),
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
