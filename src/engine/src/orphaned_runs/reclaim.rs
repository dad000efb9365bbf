//! What a build does about what other runs left.

use std::time::Duration;

use ingot_sdk::{Error, PluginSet, Ui};

use super::{Listing, OrphanedResource, OrphanedRun, is_local, orphaned_runs};

/// How long a build waits for the removal of one thing that another run left.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many things a build names that it leaves to `ingot cleanup`.
const NAMED: usize = 5;

/// What a build does about the leftovers of other runs: it removes those on this machine, and
/// names the others. Those cost credentials, calls and time that are not this build's to spend,
/// and what it may not remove would fail again and again: `ingot cleanup` is for them.
pub async fn reclaim_orphaned_runs(plugins: &PluginSet, ui: &Ui) {
    reclaim(orphaned_runs(), plugins, ui).await;
}

async fn reclaim(Listing { runs, unreadable }: Listing, plugins: &PluginSet, ui: &Ui) {
    if !unreadable.is_empty() {
        let told = unreadable.iter().map(|one| format!("{}: {}", one.path.display(), one.error));
        ui.error(format!(
            "Warning: what interrupted runs left is not all known: {}. `ingot cleanup -list` says what \
             to do.",
            told.collect::<Vec<_>>().join("; ")
        ));
    }
    for mut run in runs {
        let all = run.in_turn(plugins);
        if let Some(error) = run.read_only() {
            let advice = error.advice().unwrap_or_default();
            let then = format!("It is not removed: {error}; {advice}.");
            mention(&run, &all, &then, plugins, ui);
            continue;
        }
        let (mut local, remote): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|orphan| is_local(plugins, &orphan.resource));
        mention(&run, &remote, "`ingot cleanup` removes that.", plugins, ui);
        if let Some(machine) = &run.elsewhere {
            let then = format!("`ingot cleanup` on {machine} removes that.");
            mention(&run, &local, &then, plugins, ui);
            local.clear();
        }
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use ingot_sdk::output_file::UNFINISHED_FILE;
    use ingot_sdk::testing::{RecordedOutput, context};
    use serde_json::json;

    use super::*;
    use crate::host_machine::HostMachine;
    use crate::test_plugins::plugins;

    fn machine(name: &str) -> HostMachine {
        serde_json::from_value(json!({ "id": name, "name": name })).unwrap()
    }

    /// A directory with the journal of a run on the machine `far`, which left the files `files`.
    fn left(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let run = json!({ "run": "r", "template": "/t", "started": 1, "host": machine("far") });
        let mut text = format!("{run}\n");
        for (index, name) in files.iter().enumerate() {
            let path = dir.path().join(name);
            std::fs::write(&path, "").unwrap();
            let resource = json!({ "kind": UNFINISHED_FILE, "id": path });
            text += &format!("{}\n", json!({ "record": index + 1, "resource": resource }));
        }
        std::fs::write(dir.path().join("0-1-x.journal"), text).unwrap();
        dir
    }

    /// What a build on `here` says of the journals in a directory.
    async fn reclaimed(dir: &Path, here: &HostMachine) -> String {
        let mut listing = Listing::default();
        listing.look_into(dir, Some(here));
        let said = Arc::new(RecordedOutput::default());
        reclaim(listing, &plugins(), &context(Default::default(), &said).ui).await;
        said.text()
    }

    #[tokio::test]
    async fn what_is_on_another_machine_is_left_to_it() {
        let dir = left(&["a", "b"]);
        let there = |name: &str| dir.path().join(name).exists();
        let said = reclaimed(dir.path(), &machine("near")).await;
        assert!(said.contains("was interrupted and left unfinished-file "), "{said}");
        assert!(said.contains("`ingot cleanup` on the machine far removes that."), "{said}");
        assert!(there("a") && there("b") && there("0-1-x.journal"), "{said}");
        let said = reclaimed(dir.path(), &machine("far")).await;
        assert_eq!(said.matches("Removed unfinished-file ").count(), 2, "{said}");
        assert!(!there("a") && !there("b") && !there("0-1-x.journal"), "{said}");
    }
}
