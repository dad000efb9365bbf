//! What `ingot cleanup` does and says about each thing.

use ingot_engine::orphaned_runs::{OrphanedResource, OrphanedRun, place, remark, shown_time};
use ingot_engine::resume::record::Stage;
use ingot_engine::resume::{KeptBuild, KeptRecord};
use ingot_engine::{HostMachine, Unreadable};
use ingot_sdk::file_lock::FileLock;
use ingot_sdk::{Error, PluginSet, Result, Ui};
use serde_json::{Value as Json, json};

use super::{CleanupArgs, Run, is_chosen};

/// What is done with each thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    List,
    Remove,
    /// Nothing is removed, and records are given up.
    Forget,
}

/// What has become of a thing.
enum Status {
    /// It was left by a run that is dead, and stays.
    Left,
    /// It stays for `-resume`.
    Kept,
    Removed,
    Forgotten,
    /// It could not be removed.
    Failed(Error),
}

impl Status {
    /// As programs read it.
    fn as_str(&self) -> &'static str {
        match self {
            Status::Left => "left",
            Status::Kept => "kept",
            Status::Removed => "removed",
            Status::Forgotten => "forgotten",
            Status::Failed(_) => "failed",
        }
    }

    fn error(&self) -> Option<&Error> {
        match self {
            Status::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Result<()>> for Status {
    /// What has become of what was to be removed.
    fn from(removed: Result<()>) -> Self {
        removed.map_or_else(Status::Failed, |()| Status::Removed)
    }
}

/// The report of a cleanup, in lines or as JSON.
pub(super) struct Report<'a> {
    ui: &'a Ui,
    args: &'a CleanupArgs,
    action: Action,
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
    /// Builds that were only remembered, of which nothing was kept.
    remembered: usize,
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
            action: match (args.dry_run, args.forget) {
                (true, _) => Action::List,
                (false, true) => Action::Forget,
                (false, false) => Action::Remove,
            },
            plugins,
            runs: Vec::new(),
            kept: Vec::new(),
            unreadable: Vec::new(),
            removed: 0,
            failed: 0,
            forgotten: 0,
            remembered: 0,
            elsewhere: 0,
            kept_elsewhere: 0,
        }
    }

    fn say(&self, text: impl Into<String>) {
        if !self.args.json {
            self.ui.say(text);
        }
    }

    /// The same for what failed, beside the document where that is asked for.
    fn say_error(&self, text: impl Into<String>) {
        if !self.args.json {
            self.ui.error(text);
        }
    }

    /// Lists what a run left, and removes it.
    pub(super) async fn clean_up(&mut self, mut run: Run) {
        if !run.dead.left.is_empty() {
            self.say(format!("{}:", run.describe()));
        }
        let mut things = Vec::new();
        let forgotten = (self.action == Action::Forget).then(|| run.dead.forget());
        if let Some(Err(error)) = &forgotten {
            self.failed += 1;
            self.say_error(format!("  could not forget it: {error}"));
        }
        for orphan in run.dead.in_turn(self.plugins) {
            let status = match &forgotten {
                Some(Ok(())) => Status::Forgotten,
                Some(Err(_)) => Status::Left,
                None => {
                    let elsewhere = run.dead.elsewhere(&orphan.resource, self.plugins).is_some();
                    self.elsewhere += usize::from(elsewhere);
                    match self.action == Action::Remove && !elsewhere {
                        true => run.dead.remove(&orphan, self.plugins).await.into(),
                        false => Status::Left,
                    }
                }
            };
            let how_to_forget = run.dead.how_to_forget();
            things.push(self.thing(&run, &orphan, &status, how_to_forget.as_deref()));
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

    /// Lists what is kept of a build, and removes or forgets it with `-kept`.
    pub(super) async fn kept(&mut self, record: KeptRecord) {
        let action = if self.args.kept { self.action } else { Action::List };
        let lists = action == Action::List;
        // Nothing is left of what was built that is not the user's.
        let is_remembered =
            |build: &KeptBuild| build.stage == Stage::Built && !build.holds_something();
        // Post-processors can run on an artifact as long as it is remembered, which keeps nothing.
        let forgets = self.args.forget && self.args.kept;
        let stays = |build: &KeptBuild| {
            let is_for_later = if build.artifact.is_some() { !forgets } else { lists };
            is_remembered(build) && is_for_later
        };
        if stays(&record.build) {
            return;
        }
        let Some((record, _lock)) = self.claim(record, lists) else { return };
        let build = &record.build;
        // What a run kept meanwhile may be too new, or another's.
        if !is_chosen(self.args, Some(&build.run), Some(build.kept_at)) {
            return;
        }
        if stays(build) {
            return;
        }
        if is_remembered(build) {
            self.forget_remembered(&record, lists);
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
        let action = match action {
            Action::Remove if elsewhere.is_some() => Action::List,
            action => action,
        };
        if elsewhere.is_some() && action != Action::Forget {
            self.kept_elsewhere += 1;
        }
        let mut run = Run {
            id: Some(build.run.clone()),
            started: build.started(),
            dead: OrphanedRun::kept(build),
        };
        let how_to_forget =
            format!("`ingot cleanup -forget -kept -run={}` gives up all of that run", build.run);
        let mut things = Vec::new();
        let failed = self.failed;
        for orphan in run.dead.in_turn(self.plugins) {
            let status = match action {
                Action::List => Status::Kept,
                Action::Forget => Status::Forgotten,
                Action::Remove => run.dead.remove(&orphan, self.plugins).await.into(),
            };
            things.push(self.thing(&run, &orphan, &status, Some(&how_to_forget)));
        }
        let mut error = None;
        let artifact = build.artifact.as_ref().filter(|_| build.owns_artifact);
        if let Some(artifact) = artifact {
            let status = match action {
                Action::List => Status::Kept,
                Action::Forget => Status::Forgotten,
                Action::Remove => artifact.destroy(&self.plugins.reclaimers).await.into(),
            };
            self.report(artifact.description(), &status, Some(&how_to_forget));
            error = status.error().map(Error::to_string);
        }
        if things.is_empty() && artifact.is_none() {
            self.say("  its progress");
        }
        if action != Action::List
            && failed == self.failed
            && let Err(why) = record.remove()
        {
            self.failed += 1;
            self.say_error(format!("  could not remove the record of it: {why}"));
            error = Some(why.to_string());
        }
        let mut document = document(build, json!(things));
        if let Some(error) = error {
            document["error"] = json!(error);
        }
        self.kept.push(document);
    }

    /// Removes the record of a finished build, or lists it.
    fn forget_remembered(&mut self, record: &KeptRecord, lists: bool) {
        let build = &record.build;
        if !lists && let Err(error) = record.remove() {
            return self.not_removed(record, &error.to_string());
        }
        let Some(artifact) = &build.artifact else { return };
        self.say(format!(
            "{} of {}, remembered for `ingot build -only-post-processors`:",
            build.build, build.template
        ));
        // The artifact is the user's, and stays.
        self.remembered += 1;
        let (status, done) = match lists {
            true => (Status::Kept, ""),
            false => (Status::Forgotten, "forgot "),
        };
        self.say(format!("  {done}{}", artifact.description()));
        let mut document = document(build, json!([]));
        document["status"] = json!(status.as_str());
        self.kept.push(document);
    }

    /// Keeps other runs from a record, and reads it again. To look at it, nobody has to be kept out. None
    /// if another run has it, or has finished it.
    fn claim(&mut self, record: KeptRecord, lists: bool) -> Option<(KeptRecord, Option<FileLock>)> {
        let lock = match (record.lock(), lists) {
            (Ok(Some(lock)), _) => lock,
            (Ok(None), true) => {
                self.say(format!("A run goes on with '{}'.", record.build.build));
                return None;
            }
            (Err(_), true) => return Some((record, None)),
            (Ok(None), false) => {
                self.not_removed(&record, "a run goes on with it");
                return None;
            }
            (Err(error), false) => {
                self.not_removed(&record, &error.to_string());
                return None;
            }
        };
        let name = record.build.build.clone();
        // A run may have gone on with it since it was read, and kept more.
        let reread = record.reread();
        if reread.is_none() {
            self.say(format!("Another run has just finished '{name}'."));
        }
        reread.map(|record| (record, Some(lock)))
    }

    /// Reports that what is kept of a build could not be removed.
    fn not_removed(&mut self, record: &KeptRecord, why: &str) {
        let build = &record.build;
        self.failed += 1;
        self.say_error(format!(
            "Could not remove what is kept of '{}' of {}: {why}",
            build.build, build.template
        ));
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

    /// Reports what has become of a thing that a run left.
    fn thing(
        &mut self,
        run: &Run,
        orphan: &OrphanedResource,
        status: &Status,
        how_to_forget: Option<&str>,
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
        self.report(&what, status, how_to_forget);
        let remark = remark(self.plugins, &orphan.resource);
        if let Some(remark) = &remark {
            self.say(format!("    {remark}"));
        }
        let error = status.error().map(Error::to_string);
        let place = place(self.plugins, &orphan.resource);
        let since = orphan.since.map(shown_time);
        let template = run.dead.info.as_ref().map(|info| info.template.clone());
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        self.ui.for_build(&text(&orphan.build)).machine(
            "leftover",
            &[
                status.as_str(),
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
            "status": status.as_str(),
            "error": error,
            "remark": remark,
        })
    }

    /// Counts `what`, and says what has become of it.
    fn report(&mut self, what: &str, status: &Status, how_to_forget: Option<&str>) {
        match status {
            Status::Left | Status::Kept => self.say(format!("  {what}")),
            Status::Removed => {
                self.removed += 1;
                self.say(format!("  removed {what}"));
            }
            Status::Forgotten => {
                self.forgotten += 1;
                self.say(format!("  forgot {what}"));
            }
            Status::Failed(error) => {
                self.failed += 1;
                let advice: Vec<&str> = error.advice().into_iter().chain(how_to_forget).collect();
                let advice = match advice.is_empty() {
                    true => String::new(),
                    false => format!("\n    help: {}", advice.join("; ")),
                };
                self.say_error(format!("  could not remove {what}: {error}{advice}"));
            }
        }
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
            match self.kept.len() - self.kept_elsewhere - self.remembered {
                1 if removes => self.ui.say("Removed what was kept of a build."),
                kept @ 2.. if removes => {
                    self.ui.say(format!("Removed what was kept of {kept} builds."));
                }
                _ if self.unreadable.is_empty() => {
                    self.ui.say("Nothing is left of interrupted runs.");
                }
                _ => {}
            }
        } else if self.args.dry_run && (self.args.forget || self.elsewhere < left) {
            let without = match self.args.forget {
                true => "what is recorded of it is forgotten",
                false => "they are removed",
            };
            self.ui.say(format!("Left: {}. Without -list {without}.", count(left)));
        } else if self.args.dry_run || (self.removed + self.failed == 0 && self.elsewhere > 0) {
            self.ui.say(format!("Left: {}.", count(left)));
        } else if self.failed == 0 {
            self.ui.say(format!("Removed {}.", count(self.removed)));
        } else {
            let failed = count(self.failed);
            self.ui.error(match self.action {
                Action::Forget => "Not all of it could be forgotten.".to_owned(),
                Action::List | Action::Remove => format!(
                    "Removed {}; could not remove {failed}, of which the record stays.",
                    count(self.removed)
                ),
            });
        }
        if !self.args.json && self.elsewhere + self.kept_elsewhere > 0 {
            self.ui.say("`ingot cleanup` removes what is on another machine only there.");
        }
        let asked = self.args.kept && (self.args.forget || !self.args.dry_run);
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
