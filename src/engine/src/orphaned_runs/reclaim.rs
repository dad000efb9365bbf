//! What a build does about what other runs left.

use std::time::Duration;

use ingot_sdk::{Error, PluginSet, Ui};

use super::{Listing, OrphanedResource, OrphanedRun, orphaned_runs, reclaimer};

/// How long a build waits for the removal of one thing that another run left.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many things a build names that it leaves to `ingot cleanup`.
const NAMED: usize = 5;

/// What a build does about the leftovers of other runs: it removes those on this machine, and
/// names the others. Those cost credentials, calls and time that are not this build's to spend,
/// and what it may not remove would fail again and again: `ingot cleanup` is for them.
pub async fn reclaim_orphaned_runs(plugins: &PluginSet, ui: &Ui) {
    let Listing { runs, unreadable } = orphaned_runs();
    if !unreadable.is_empty() {
        let told = unreadable.iter().map(|one| format!("{}: {}", one.path.display(), one.error));
        ui.error(format!(
            "Warning: what interrupted runs left is not all known: {}. `ingot cleanup -list` says what \
             to do.",
            told.collect::<Vec<_>>().join("; ")
        ));
    }
    for mut run in runs {
        let removable = run.read_only().is_none();
        let (local, elsewhere): (Vec<_>, Vec<_>) =
            run.in_turn(plugins).into_iter().partition(|orphan| {
                let local = reclaimer(plugins, &orphan.resource)
                    .is_none_or(|one| one.is_local(&orphan.resource));
                removable && local
            });
        for orphan in local {
            let what = format!("{} {}", orphan.resource.kind, orphan.resource.id);
            let removed = tokio::time::timeout(PATIENCE, run.remove(&orphan, plugins)).await;
            match removed.unwrap_or_else(|_| Err(Error::new("it takes too long"))) {
                Ok(()) => ui.say(format!("Removed {what}, which an interrupted run left behind.")),
                Err(error) => ui.error(format!(
                    "Could not remove {what}, left by an interrupted run: {error}\n\
                     `ingot cleanup` tries again."
                )),
            }
        }
        let then = match run.read_only() {
            None => "`ingot cleanup` removes that.".to_owned(),
            Some(error) => {
                format!("It is not removed: {error}; {}.", error.advice().unwrap_or_default())
            }
        };
        mention(&run, &elsewhere, &then, plugins, ui);
        run.close();
    }
}

/// Names what a run left. `then` says what becomes of it.
fn mention(run: &OrphanedRun, left: &[OrphanedResource], then: &str, plugins: &PluginSet, ui: &Ui) {
    if left.is_empty() {
        return;
    }
    let things: Vec<_> = left.iter().take(NAMED).map(|orphan| orphan.describe(plugins)).collect();
    let more = match left.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    ui.error(format!(
        "Warning: {} was interrupted and left {}{more}. {then}",
        run.describe(),
        things.join(", ")
    ));
}
