//! What became of the members of a family.

use std::process::ExitCode;

use ingot_sdk::Ui;

use crate::family::Member;

/// What became of a member.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It was built; the version, and the channel that was assigned it.
    Built { version: String, promoted: Option<String> },
    /// What an earlier run built was assigned to this channel.
    Promoted { version: String, channel: String },
    /// There was nothing to do.
    Unchanged,
    /// It failed, for this reason.
    Failed(String),
    /// It was not tried, because of this bucket.
    NotReached(String),
    /// The run was stopped before it.
    Stopped,
}

impl Fate {
    /// Whether what builds on it cannot be built.
    pub(super) fn blocks(&self) -> bool {
        matches!(self, Fate::Failed(_) | Fate::NotReached(_) | Fate::Stopped)
    }
}

/// Tells what became of all members; the exit code.
pub(super) fn summary(members: &[Member], fates: &[Fate], ui: &Ui) -> ExitCode {
    let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
    let built = count(|fate| matches!(fate, Fate::Built { .. }));
    let promoted = count(|fate| matches!(fate, Fate::Promoted { .. }));
    let unchanged = count(|fate| matches!(fate, Fate::Unchanged));
    let failed = count(|fate| matches!(fate, Fate::Failed(_)));
    let not_reached = count(|fate| matches!(fate, Fate::NotReached(_) | Fate::Stopped));
    let mut parts = vec![format!("{built} built"), format!("{unchanged} unchanged")];
    let rest = [(promoted, "promoted"), (failed, "failed"), (not_reached, "not reached")];
    let rest = rest.iter().filter(|(count, _)| *count > 0);
    parts.extend(rest.map(|(count, what)| format!("{count} {what}")));
    let bad = failed + not_reached > 0;
    ui.verdict(bad, format!("\n==> Family: {}.", parts.join(", ")));
    for (member, fate) in members.iter().zip(fates) {
        let text = match fate {
            Fate::Unchanged => continue,
            Fate::Built { version, promoted: Some(channel) } => {
                format!("built {version}, promoted to {channel}")
            }
            Fate::Built { version, promoted: None } => format!("built {version}"),
            Fate::Promoted { version, channel } => {
                format!("promoted {version}, built before, to {channel}")
            }
            Fate::Failed(why) => format!("failed: {}", ui.masked(why)),
            Fate::NotReached(parent) => format!("not reached, because of {parent}"),
            Fate::Stopped => "stopped".into(),
        };
        ui.verdict(fate.blocks(), format!("--> {}: {text}", member.bucket));
    }
    match bad {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
