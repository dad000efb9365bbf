//! What a build does about what other runs left.

use std::time::Duration;

use ingot_sdk::{Error, PluginSet, Ui};

use super::{OrphanedResource, OrphanedRun, orphaned_runs, reclaimer};

/// How long a build waits for the removal of one thing that another run left.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many things a build names that it leaves to `ingot cleanup`.
const NAMED: usize = 5;

/// What a build does about the leftovers of other runs: it removes those on this machine, and
/// names the others. Those cost credentials, calls and time that are not this build's to spend,
/// and what it may not remove would fail again and again: `ingot cleanup` is for them.
pub async fn reclaim_orphaned_runs(plugins: &PluginSet, ui: &Ui) {
    for mut run in orphaned_runs() {
        let (local, elsewhere): (Vec<_>, Vec<_>) =
            run.in_turn(plugins).into_iter().partition(|orphan| {
                reclaimer(plugins, &orphan.resource)
                    .is_none_or(|one| one.is_local(&orphan.resource))
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
        mention(&run, &elsewhere, plugins, ui);
        run.close();
    }
}

fn mention(run: &OrphanedRun, left: &[OrphanedResource], plugins: &PluginSet, ui: &Ui) {
    if left.is_empty() {
        return;
    }
    let things: Vec<_> = left.iter().take(NAMED).map(|orphan| orphan.describe(plugins)).collect();
    let more = match left.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    ui.error(format!(
        "Warning: {} was interrupted and left {}{more}. `ingot cleanup` removes that.",
        run.describe(),
        things.join(", ")
    ));
}
