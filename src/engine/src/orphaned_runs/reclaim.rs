//! What a build does about what other runs left.

use std::collections::BTreeSet;
use std::time::Duration;

use ingot_sdk::{Error, PluginSet, Ui};
use tokio::time::{Instant, timeout};

use super::{
    OrphanedResource, OrphanedRun, OrphanedRuns, may_be_local, orphaned_runs, reclaimer, remark,
};

/// How long a build waits for the removal of what other runs left.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it waits for each thing when that is over: what takes little time is removed all the same.
const AT_LEAST: Duration = Duration::from_secs(1);
/// How many things a build names that it leaves to `ingot cleanup`.
const NAMED: usize = 5;

/// What a build does about the leftovers of other runs: it removes those on this machine, and
/// names the others. Those cost credentials, calls and time that are not this build's to spend,
/// and what it may not remove would fail again and again: `ingot cleanup` is for them.
pub async fn reclaim_orphaned_runs(plugins: &PluginSet, ui: &Ui) {
    reclaim(orphaned_runs(), PATIENCE, plugins, ui).await;
}

async fn reclaim(listing: OrphanedRuns, patience: Duration, plugins: &PluginSet, ui: &Ui) {
    let OrphanedRuns { runs, unreadable } = listing;
    if !unreadable.is_empty() {
        let told = unreadable.iter().map(|one| format!("{}: {}", one.path.display(), one.error));
        ui.error(format!(
            "Warning: what interrupted runs left is not all known: {}. `ingot cleanup -list` says what \
             to do.",
            told.collect::<Vec<_>>().join("; ")
        ));
    }
    let deadline = Instant::now() + patience;
    // The kinds whose removal took too long: what has to answer for them, such as the Docker Engine,
    // hangs.
    let mut slow: BTreeSet<String> = BTreeSet::new();
    let mut begun = false;
    for mut run in runs {
        let all = run.in_turn(plugins);
        if let Some(error) = run.read_only() {
            let advice = error.advice().unwrap_or_default();
            let then = format!("It is not removed: {error}; {advice}.");
            mention(&run, &all, &then, plugins, ui);
            continue;
        }
        let (local, remote): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|orphan| may_be_local(plugins, &orphan.resource));
        mention(&run, &remote, "`ingot cleanup` removes that.", plugins, ui);
        let (there, local): (Vec<_>, Vec<_>) = local
            .into_iter()
            .partition(|orphan| run.elsewhere(&orphan.resource, plugins).is_some());
        if let Some(machine) = &run.elsewhere {
            let then = format!("`ingot cleanup` on {machine} removes that{}.", forget(&run));
            mention(&run, &there, &then, plugins, ui);
        }
        let mut late = Vec::new();
        for orphan in local {
            if slow.contains(&orphan.resource.kind) {
                late.push(orphan);
                continue;
            }
            if !std::mem::replace(&mut begun, true) {
                ui.say("Removing what interrupted runs left...");
            }
            let what = format!("{} {}", orphan.resource.kind, orphan.resource.id);
            let limit = deadline.saturating_duration_since(Instant::now()).max(AT_LEAST);
            let removed = timeout(limit, run.remove(&orphan, plugins)).await;
            let removed = removed.unwrap_or_else(|_| {
                slow.insert(orphan.resource.kind.clone());
                Err(Error::new("it takes too long"))
            });
            match removed {
                Ok(()) => {
                    ui.say(format!("Removed {what}, which an interrupted run left behind."));
                    if let Some(remark) = remark(plugins, &orphan.resource) {
                        ui.error(format!("Warning: {remark}"));
                    }
                }
                Err(error) => {
                    // What fails now may be removed later: that is not to be given up.
                    let then = match reclaimer(plugins, &orphan.resource) {
                        Some(_) => "`ingot cleanup` tries again".to_owned(),
                        None => format!(
                            "A newer Ingot, or one with its builder, can remove it{}",
                            forget(&run)
                        ),
                    };
                    ui.error(format!(
                        "Could not remove {what}, left by an interrupted run: {error}\n{then}."
                    ));
                }
            }
        }
        let then = "Removing that takes too long; `ingot cleanup` tries again.";
        mention(&run, &late, then, plugins, ui);
        run.close();
    }
}

/// How to give up the records of a run, after other advice.
fn forget(run: &OrphanedRun) -> String {
    run.how_to_forget().map_or_else(String::new, |how| format!("; {how}"))
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
    use serde_json::{Value, json};

    use super::*;
    use crate::host_machine::HostMachine;
    use crate::test_plugins::plugins;

    fn machine(name: &str) -> HostMachine {
        serde_json::from_value(json!({ "id": name, "name": name })).unwrap()
    }

    /// Puts the journal of a run on the machine `far` into a directory, which left `resources`.
    fn write_journal(dir: &Path, resources: &[Value]) {
        let run = json!({ "run": "r", "template": "/t", "started": 1, "host": machine("far") });
        let mut text = format!("{run}\n");
        for (index, resource) in resources.iter().enumerate() {
            text += &format!("{}\n", json!({ "record": index + 1, "resource": resource }));
        }
        std::fs::write(dir.join("0-1-x.journal"), text).unwrap();
    }

    fn file(path: &Path) -> Value {
        std::fs::write(path, "").unwrap();
        json!({ "kind": UNFINISHED_FILE, "id": path })
    }

    /// What a build on `here` says of the journals in a directory.
    async fn reclaimed(dir: &Path, here: &HostMachine, patience: Duration) -> String {
        let mut listing = OrphanedRuns::default();
        listing.look_into(dir, Some(here));
        let said = Arc::new(RecordedOutput::default());
        reclaim(listing, patience, &plugins(), &context(Default::default(), &said).ui).await;
        said.text()
    }

    #[tokio::test]
    async fn what_is_on_another_machine_is_left_to_it() {
        let dir = tempfile::tempdir().unwrap();
        write_journal(dir.path(), &["a", "b"].map(|name| file(&dir.path().join(name))));
        let there = |name: &str| dir.path().join(name).exists();
        let said = reclaimed(dir.path(), &machine("near"), PATIENCE).await;
        assert!(said.contains("was interrupted and left unfinished-file "), "{said}");
        let then = "`ingot cleanup` on the machine far removes that; `ingot cleanup -forget -run=r` \
                    gives up the 2 things of that run.";
        assert!(said.contains(then), "{said}");
        assert!(there("a") && there("b") && there("0-1-x.journal"), "{said}");
        let said = reclaimed(dir.path(), &machine("far"), PATIENCE).await;
        assert_eq!(said.matches("Removed unfinished-file ").count(), 2, "{said}");
        assert!(!there("a") && !there("b") && !there("0-1-x.journal"), "{said}");
    }

    #[tokio::test]
    async fn what_nothing_here_knows_may_be_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir.path().join("a"));
        write_journal(dir.path(), &[file, json!({ "kind": "new-thing", "id": "n" })]);
        let said = reclaimed(dir.path(), &machine("near"), PATIENCE).await;
        let told = "Could not remove new-thing n, left by an interrupted run: nothing here can remove \
                    things of this kind\nA newer Ingot, or one with its builder, can remove it";
        assert!(said.contains(told), "{said}");
        assert!(dir.path().join("a").exists() && said.contains("on the machine far"), "{said}");
    }

    #[tokio::test]
    async fn an_engine_that_hangs_is_waited_for_once() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        // It takes connections and never answers.
        let _hanging = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let endpoint = format!("unix://{}", socket.display());
        let container = |id: &str| {
            let attributes = json!({ "endpoint": &endpoint });
            json!({ "kind": "docker-container", "id": id, "attributes": attributes })
        };
        let kept = dir.path().join("file");
        let resources = [file(&kept), container("one"), container("two"), container("three")];
        write_journal(dir.path(), &resources);
        let patience = Duration::from_millis(500);
        let said = reclaimed(dir.path(), &machine("far"), patience).await;
        assert!(said.starts_with("Removing what interrupted runs left...\n"), "{said}");
        assert_eq!(said.matches("it takes too long").count(), 1, "{said}");
        let rest =
            format!("left docker-container two ({endpoint}), docker-container one ({endpoint}). ");
        assert!(said.contains(&rest), "{said}");
        // What does not hang goes.
        assert!(!kept.exists() && dir.path().join("0-1-x.journal").exists(), "{said}");
    }
}
