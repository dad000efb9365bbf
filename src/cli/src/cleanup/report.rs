//! What `ingot cleanup` does and says about each thing.

use ingot_engine::orphaned_runs::{OrphanedResource, OrphanedRun, place, shown_time};
use ingot_engine::resume::record::Stage;
use ingot_engine::resume::{KeptBuild, KeptRecord};
use ingot_engine::{HostMachine, Unreadable};
use ingot_sdk::{PluginSet, Result, Ui};
use serde_json::{Value as Json, json};

use super::{CleanupArgs, Run, is_chosen};

/// The report of a cleanup, in lines or as JSON.
pub(super) struct Report<'a> {
    ui: &'a Ui,
    args: &'a CleanupArgs,
    plugins: &'a PluginSet,
    runs: Vec<Json>,
    /// What is kept for `-resume`.
    kept: Vec<Json>,
    /// Journals and records of kept builds that cannot be read.
    unreadable: Vec<Json>,
    removed: usize,
    failed: usize,
    /// How much was given up.
    forgotten: usize,
    /// How much is left to `ingot cleanup` on another machine.
    elsewhere: usize,
    /// How many kept builds are left to it.
    kept_elsewhere: usize,
}

impl<'a> Report<'a> {
    /// A report in which nothing is yet.
    pub(super) fn new(ui: &'a Ui, args: &'a CleanupArgs, plugins: &'a PluginSet) -> Self {
        Report {
            ui,
            args,
            plugins,
            runs: Vec::new(),
            kept: Vec::new(),
            unreadable: Vec::new(),
            removed: 0,
            failed: 0,
            forgotten: 0,
            elsewhere: 0,
            kept_elsewhere: 0,
        }
    }

    fn say(&self, text: impl Into<String>) {
        if !self.args.json {
            self.ui.say(text);
        }
    }

    /// Whether nothing is removed, and records are given up.
    fn forgets(&self) -> bool {
        self.args.forget && !self.args.dry_run
    }

    /// Lists what a run left, and removes it.
    pub(super) async fn clean_up(&mut self, mut run: Run) {
        if !run.dead.left.is_empty() {
            self.say(format!("{}:", run.describe()));
        }
        let mut things = Vec::new();
        let forgotten = self.forgets().then(|| run.dead.forget());
        if let Some(Err(error)) = &forgotten {
            self.failed += 1;
            if !self.args.json {
                self.ui.error(format!("  could not forget it: {error}"));
            }
        }
        for orphan in run.dead.in_turn(self.plugins) {
            if let Some(forgotten) = &forgotten {
                let status = if forgotten.is_ok() { "forgotten" } else { "left" };
                things.push(self.report(&run, &orphan, status, None));
                continue;
            }
            let elsewhere = run.dead.elsewhere(&orphan.resource, self.plugins).is_some();
            self.elsewhere += usize::from(elsewhere);
            let result = match self.args.dry_run || elsewhere {
                true => None,
                false => Some(run.dead.remove(&orphan, self.plugins).await),
            };
            things.push(self.report(&run, &orphan, "left", result));
        }
        if !things.is_empty() {
            self.runs.push(json!({
                "run": run.id,
                "template": run.dead.info.as_ref().map(|info| &info.template),
                "started": run.started.map(shown_time),
                "things": things,
            }));
        }
        run.dead.close();
    }

    /// Lists what is kept of a build, and removes it with `-kept`.
    pub(super) async fn kept(&mut self, record: KeptRecord) {
        let removes = self.args.kept && !self.args.dry_run;
        // Nothing is left of what was built that is not the user's.
        let is_remembered =
            |build: &KeptBuild| build.stage == Stage::Built && !build.holds_something();
        if is_remembered(&record.build) && !removes {
            return;
        }
        let lock = match (record.lock(), removes) {
            (Ok(Some(lock)), _) => Some(lock),
            (Ok(None), false) => {
                return self.say(format!("A run goes on with '{}'.", record.build.build));
            }
            (Ok(None), true) => {
                self.not_removed(&record, "a run goes on with it");
                return;
            }
            (Err(error), true) => {
                self.not_removed(&record, &error.to_string());
                return;
            }
            // To look at it, nobody has to be kept out.
            (Err(_), false) => None,
        };
        let name = record.build.build.clone();
        let record = match &lock {
            // A run may have gone on with it since it was read, and kept more.
            Some(_) => record.reread(),
            None => Some(record),
        };
        let Some(record) = record else {
            return self.say(format!("Another run has just finished '{name}'."));
        };
        let build = &record.build;
        // What a run kept meanwhile may be too new, or another's.
        if !is_chosen(self.args, Some(&build.run), Some(build.kept_at)) {
            return;
        }
        if is_remembered(build) {
            if removes && let Err(error) = record.remove() {
                self.not_removed(&record, &error.to_string());
            }
            return;
        }
        let elsewhere = build.elsewhere().filter(|_| build.is_bound(self.plugins));
        let machine = elsewhere.as_ref().map(|machine| format!(" on {machine}"));
        self.say(format!(
            "{} of {}, kept at {}{} for `ingot build -resume`:",
            build.build,
            build.template,
            shown_time(build.kept_at),
            machine.unwrap_or_default()
        ));
        let forgets = removes && self.forgets();
        if elsewhere.is_some() && !forgets {
            self.kept_elsewhere += 1;
        }
        let removes = removes && elsewhere.is_none();
        let mut run = Run {
            id: Some(build.run.clone()),
            started: build.started(),
            dead: OrphanedRun::kept(build),
        };
        let mut things = Vec::new();
        let failed = self.failed;
        for orphan in run.dead.in_turn(self.plugins) {
            let result = match removes && !forgets {
                false => None,
                true => Some(run.dead.remove(&orphan, self.plugins).await),
            };
            let untouched = if forgets { "forgotten" } else { "kept" };
            things.push(self.report(&run, &orphan, untouched, result));
        }
        let artifact = build.artifact.as_ref().filter(|_| build.owns_artifact);
        if let Some(artifact) = artifact {
            let what = artifact.description();
            match removes {
                _ if forgets => {
                    self.forgotten += 1;
                    self.say(format!("  forgot {what}"));
                }
                false => self.say(format!("  {what}")),
                true => match artifact.destroy(&self.plugins.reclaimers).await {
                    Ok(()) => {
                        self.removed += 1;
                        self.say(format!("  removed {what}"));
                    }
                    Err(error) => {
                        self.failed += 1;
                        self.ui.error(format!("  could not remove {what}: {error}"));
                    }
                },
            }
        }
        if things.is_empty() && artifact.is_none() {
            self.say("  its progress");
        }
        if (removes || forgets)
            && failed == self.failed
            && let Err(error) = record.remove()
        {
            self.failed += 1;
            self.ui.error(format!("  could not remove the record of it: {error}"));
        }
        self.kept.push(document(build, json!(things)));
    }

    /// Reports that what is kept of a build could not be removed.
    fn not_removed(&mut self, record: &KeptRecord, why: &str) {
        let build = &record.build;
        self.failed += 1;
        if !self.args.json {
            self.ui.error(format!(
                "Could not remove what is kept of '{}' of {}: {why}",
                build.build, build.template
            ));
        }
        let mut document = document(build, json!([]));
        document["error"] = json!(why);
        self.kept.push(document);
    }

    /// Reports a record that cannot be read.
    pub(super) fn unreadable(&mut self, record: &Unreadable) {
        let Unreadable { path, error, .. } = record;
        if !self.args.json {
            let help = error.advice().unwrap_or_default();
            self.ui.error(format!("{}\nhelp: {help}", record.describe()));
        }
        let path = path.display().to_string();
        self.unreadable.push(json!({ "path": path, "error": error.to_string() }));
    }

    fn report(
        &mut self,
        run: &Run,
        orphan: &OrphanedResource,
        untouched: &'static str,
        result: Option<Result<()>>,
    ) -> Json {
        let mut details = Vec::new();
        details.extend(orphan.since.map(|time| format!("since {}", shown_time(time))));
        details.extend(orphan.build.clone());
        let elsewhere = run.dead.elsewhere(&orphan.resource, self.plugins);
        details.extend(elsewhere.map(|machine| format!("on {machine}")));
        let details = match details.is_empty() {
            true => String::new(),
            false => format!(", {}", details.join(", ")),
        };
        let what = format!("{}{details}", orphan.describe(self.plugins));
        let (status, error) = match result {
            None => {
                self.forgotten += usize::from(untouched == "forgotten");
                (untouched, None)
            }
            Some(Ok(())) => {
                self.removed += 1;
                ("removed", None)
            }
            Some(Err(error)) => {
                self.failed += 1;
                ("failed", Some(error))
            }
        };
        match &error {
            None if status == "removed" => self.say(format!("  removed {what}")),
            None if status == "forgotten" => self.say(format!("  forgot {what}")),
            None => self.say(format!("  {what}")),
            Some(error) if !self.args.json => {
                let forget = match (untouched, &run.id) {
                    ("kept", Some(id)) => Some(format!(
                        "`ingot cleanup -forget -kept -run={id}` gives up all of that run"
                    )),
                    _ => run.dead.how_to_forget(),
                };
                let advice = [error.advice().map(str::to_owned), forget];
                let advice: Vec<String> = advice.into_iter().flatten().collect();
                let advice = match advice.is_empty() {
                    true => String::new(),
                    false => format!("\n    help: {}", advice.join("; ")),
                };
                self.ui.error(format!("  could not remove {what}: {error}{advice}"));
            }
            Some(_) => {}
        }
        let error = error.map(|error| error.to_string());
        let place = place(self.plugins, &orphan.resource);
        let since = orphan.since.map(shown_time);
        let template = run.dead.info.as_ref().map(|info| info.template.clone());
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        self.ui.for_build(&text(&orphan.build)).machine(
            "leftover",
            &[
                status,
                &orphan.resource.kind,
                &orphan.resource.id,
                &text(&place),
                &text(&since),
                &text(&run.id),
                &text(&template),
                &text(&error),
            ],
        );
        json!({
            "kind": orphan.resource.kind,
            "id": orphan.resource.id,
            "where": place,
            "machine": elsewhere.map(HostMachine::name),
            "since": since,
            "build": orphan.build,
            "status": status,
            "error": error,
        })
    }

    /// Ends the report; whether all is well.
    pub(super) fn finish(self) -> bool {
        let count = |number| match number {
            1 => "1 thing".to_owned(),
            number => format!("{number} things"),
        };
        let left: usize =
            self.runs.iter().map(|run| run["things"].as_array().map_or(0, Vec::len)).sum();
        if self.args.json {
            crate::answer(&format!(
                "{:#}",
                json!({
                    "runs": self.runs,
                    "kept": self.kept,
                    "unreadable": self.unreadable,
                })
            ));
        } else if self.forgotten > 0 && self.failed == 0 {
            let what = count(self.forgotten);
            self.ui.say(format!(
                "Forgot {what}. What is still there of it has to be removed by hand."
            ));
        } else if left == 0 && self.removed + self.failed == 0 {
            let removes = self.args.kept && !self.args.dry_run;
            match self.kept.len() - self.kept_elsewhere {
                1 if removes => self.ui.say("Removed what was kept of a build."),
                kept @ 2.. if removes => {
                    self.ui.say(format!("Removed what was kept of {kept} builds."));
                }
                _ if self.unreadable.is_empty() => {
                    self.ui.say("Nothing is left of interrupted runs.");
                }
                _ => {}
            }
        } else if self.args.dry_run && self.elsewhere < left {
            self.ui.say(format!("Left: {}. Without -list they are removed.", count(left)));
        } else if self.args.dry_run || (self.removed + self.failed == 0 && self.elsewhere > 0) {
            self.ui.say(format!("Left: {}.", count(left)));
        } else if self.failed == 0 {
            self.ui.say(format!("Removed {}.", count(self.removed)));
        } else {
            let failed = count(self.failed);
            self.ui.error(match self.forgets() {
                true => "Not all of it could be forgotten.".to_owned(),
                false => format!(
                    "Removed {}; could not remove {failed}, of which the record stays.",
                    count(self.removed)
                ),
            });
        }
        if !self.args.json && self.elsewhere + self.kept_elsewhere > 0 {
            self.ui.say("`ingot cleanup` removes what is on another machine only there.");
        }
        let asked = self.args.kept && !self.args.dry_run;
        if !self.args.json && !self.kept.is_empty() && !asked {
            self.ui.say("What is kept goes with -kept.");
        }
        self.failed == 0 && self.unreadable.is_empty()
    }
}

/// What the JSON says of a kept build.
fn document(build: &KeptBuild, things: Json) -> Json {
    json!({
        "build": build.build,
        "template": build.template,
        "run": build.run,
        "kept_at": shown_time(build.kept_at),
        "reason": build.reason,
        "artifact": build.artifact.as_ref().map(|artifact| artifact.description()),
        "things": things,
    })
}
