//! `ingot cleanup`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use ingot_engine::orphaned_runs::{
    OrphanedResource, OrphanedRun, living_runs, orphaned_runs, place, shown_time,
};
use ingot_engine::resume::record::{self as kept, Stage, UnreadableRecord};
use ingot_engine::resume::{KeptBuild, KeptRecord};
use ingot_sdk::{DiscoveryScope, Error, PluginSet, Result, Ui};
use ingot_ui::{Renderer, UiOptions};
use serde_json::{Value as Json, json};
use time::OffsetDateTime;

use super::args::duration;
use super::asynchronous::{Threads, to_end};

#[derive(Debug, Args)]
pub(super) struct CleanupArgs {
    /// Only list what is left
    #[arg(long, alias = "list")]
    pub dry_run: bool,
    /// Also remove what is kept for `ingot build -resume`
    #[arg(long)]
    pub kept: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Print machine-readable output
    #[arg(long)]
    pub machine_readable: bool,
    /// Only resources of this run
    #[arg(long, value_name = "ID")]
    pub run: Vec<String>,
    /// Only resources of runs that started longer ago than this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub older_than: Option<Duration>,
    /// Also find resources in this AWS region by the tag of their run, for when the journal is lost
    #[arg(long, value_name = "REGION")]
    pub aws_region: Vec<String>,
}

/// Lists and removes what killed runs left: 1 if something could not be removed.
pub(super) fn run(args: &CleanupArgs, plugins: &PluginSet) -> ExitCode {
    let renderer =
        Renderer::new(UiOptions { machine_readable: args.machine_readable, ..Default::default() });
    super::logging::start(renderer.redactor());
    let ui = Ui::new(renderer);
    match to_end(Threads::Processors, clean_up(args, plugins, &ui)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            ui.failure(format!("Error: {error}"), &error);
            ExitCode::FAILURE
        }
    }
}

/// Whether all that was to be removed is.
async fn clean_up(args: &CleanupArgs, plugins: &PluginSet, ui: &Ui) -> Result<bool> {
    let chosen = args.dry_run || !args.run.is_empty() || args.older_than.is_some();
    if !args.aws_region.is_empty() && !chosen {
        return Err(Error::new(
            "what carries the tag of a run may belong to one that is alive on another machine",
        )
        .hint("look with -list, then choose runs with -run=ID or -older-than=24h"));
    }
    // These stay locked until the end, so that no build removes the same things meanwhile.
    let mut runs: Vec<Run> = orphaned_runs().into_iter().map(Run::recorded).collect();
    for region in &args.aws_region {
        let found =
            discover(plugins, DiscoveryScope::Aws { region: region.clone() }, &runs).await?;
        runs.extend(found);
    }
    let mut report = Report {
        ui,
        args,
        plugins,
        runs: Vec::new(),
        kept: Vec::new(),
        unreadable: Vec::new(),
        removed: 0,
        failed: 0,
    };
    for run in runs {
        if run.is_chosen(args) {
            report.clean_up(run).await;
        } else {
            run.dead.close();
        }
    }
    let listing = kept::look();
    for record in listing.records {
        let (run, since) = (Some(&record.build.run), Some(record.build.kept_at));
        if is_chosen(args, run, since) {
            report.kept(record).await;
        }
    }
    // Nobody can say which run they belong to, or from when they are.
    listing.unreadable.iter().for_each(|one| report.unreadable(one));
    Ok(report.finish())
}

/// Whether the flags select what the run `run` left at `since`.
fn is_chosen(args: &CleanupArgs, run: Option<&String>, since: Option<OffsetDateTime>) -> bool {
    let old = |limit| {
        let age = since.map(|since| OffsetDateTime::now_utc() - since);
        age.is_some_and(|age| age >= limit)
    };
    (args.run.is_empty() || run.is_some_and(|id| args.run.contains(id)))
        && args.older_than.is_none_or(old)
}

/// A run with leftovers, from the journal or from tags.
struct Run {
    id: Option<String>,
    started: Option<OffsetDateTime>,
    dead: OrphanedRun,
}

impl Run {
    fn recorded(dead: OrphanedRun) -> Run {
        let info = dead.info.as_ref();
        Run { id: info.map(|info| info.run.clone()), started: info.map(|info| info.started), dead }
    }

    fn is_chosen(&self, args: &CleanupArgs) -> bool {
        is_chosen(args, self.id.as_ref(), self.started)
    }

    fn describe(&self) -> String {
        let id = self.id.as_deref().unwrap_or("unknown");
        let since = self.started.map(|time| format!(", started {}", shown_time(time)));
        match &self.dead.info {
            Some(info) => {
                format!("{} (run {id}{})", info.template.display(), since.unwrap_or_default())
            }
            None => format!("Run {id}, of which there is no journal{}", since.unwrap_or_default()),
        }
    }
}

/// What carries the tag of a run at `place`, of runs that do not live here; without what is in
/// the journals of `known`.
async fn discover(plugins: &PluginSet, place: DiscoveryScope, known: &[Run]) -> Result<Vec<Run>> {
    let mut able = false;
    let (living, kept) = (living_runs(), kept::resources());
    let mut runs: BTreeMap<String, Vec<OrphanedResource>> = BTreeMap::new();
    for reclaimer in &plugins.reclaimers {
        let Some(found) = reclaimer.discover(&place).await? else { continue };
        able = true;
        for one in found {
            let recorded = known.iter().flat_map(|run| &run.dead.left).any(|left| {
                (&left.resource.kind, &left.resource.id) == (&one.resource.kind, &one.resource.id)
            });
            let is_kept = kept.contains(&(one.resource.kind.clone(), one.resource.id.clone()));
            if !living.contains(&one.run) && !recorded && !is_kept {
                let left = OrphanedResource::unrecorded(one.resource, one.since);
                runs.entry(one.run).or_default().push(left);
            }
        }
    }
    if !able {
        return Err(Error::new("this Ingot was built without the builders for AWS"));
    }
    Ok(runs
        .into_iter()
        .map(|(id, left)| Run {
            id: Some(id),
            started: left.iter().filter_map(|one| one.since).min(),
            dead: OrphanedRun::unrecorded(left),
        })
        .collect())
}

/// The report of a cleanup, in lines or as JSON.
struct Report<'a> {
    ui: &'a Ui,
    args: &'a CleanupArgs,
    plugins: &'a PluginSet,
    runs: Vec<Json>,
    /// What is kept for `-resume`.
    kept: Vec<Json>,
    /// Records of kept builds that cannot be read.
    unreadable: Vec<Json>,
    removed: usize,
    failed: usize,
}

impl Report<'_> {
    fn say(&self, text: impl Into<String>) {
        if !self.args.json {
            self.ui.say(text);
        }
    }

    async fn clean_up(&mut self, mut run: Run) {
        if !run.dead.left.is_empty() {
            self.say(format!("{}:", run.describe()));
        }
        let mut things = Vec::new();
        for orphan in run.dead.in_turn(self.plugins) {
            let result = match self.args.dry_run {
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
    async fn kept(&mut self, record: KeptRecord) {
        let build = &record.build;
        let removes = self.args.kept && !self.args.dry_run;
        // Nothing is left of what was built that is not the user's.
        let is_remembered = build.stage == Stage::Built && !build.holds_something();
        if is_remembered && !removes {
            return;
        }
        let _lock = match (record.lock(), removes) {
            (Ok(Some(lock)), _) => Some(lock),
            (Ok(None), false) => {
                return self.say(format!("A run goes on with '{}'.", build.build));
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
        if is_remembered {
            if let Err(error) = record.remove() {
                self.not_removed(&record, &error.to_string());
            }
            return;
        }
        self.say(format!(
            "{} of {}, kept at {} for `ingot build -resume`:",
            build.build,
            build.template.display(),
            shown_time(build.kept_at)
        ));
        let mut left = Vec::new();
        for resource in &build.left {
            let mut orphan = OrphanedResource::unrecorded(resource.clone(), None);
            orphan.build = Some(build.build.clone());
            left.push(orphan);
        }
        let mut run = Run {
            id: Some(build.run.clone()),
            started: build.started(),
            dead: OrphanedRun::unrecorded(left),
        };
        let mut things = Vec::new();
        let failed = self.failed;
        for orphan in run.dead.in_turn(self.plugins) {
            let result = match removes {
                false => None,
                true => Some(run.dead.remove(&orphan, self.plugins).await),
            };
            things.push(self.report(&run, &orphan, "kept", result));
        }
        let artifact = build.artifact.as_ref().filter(|_| build.owns_artifact);
        if let Some(artifact) = artifact {
            let what = artifact.description();
            match removes {
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
        if removes
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
                build.build,
                build.template.display()
            ));
        }
        let mut document = document(build, json!([]));
        document["error"] = json!(why);
        self.kept.push(document);
    }

    /// Reports a record that cannot be read.
    fn unreadable(&mut self, record: &UnreadableRecord) {
        let UnreadableRecord { path, error } = record;
        let path = path.display().to_string();
        if !self.args.json {
            self.ui.error(format!(
                "What is kept in {path} cannot be read: {error}\nhelp: what it keeps may still be \
                 there; look for it, remove it by hand, and then this directory"
            ));
        }
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
        let details = match details.is_empty() {
            true => String::new(),
            false => format!(", {}", details.join(", ")),
        };
        let what = format!("{}{details}", orphan.describe(self.plugins));
        let (status, error) = match result {
            None => (untouched, None),
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
            None => self.say(format!("  {what}")),
            Some(error) if !self.args.json => {
                let advice = error.advice().map(|advice| format!("\n    help: {advice}"));
                let advice = advice.unwrap_or_default();
                self.ui.error(format!("  could not remove {what}: {error}{advice}"));
            }
            Some(_) => {}
        }
        let error = error.map(|error| error.to_string());
        let place = place(self.plugins, &orphan.resource);
        let since = orphan.since.map(shown_time);
        let template = run.dead.info.as_ref().map(|info| info.template.display().to_string());
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
            "since": since,
            "build": orphan.build,
            "status": status,
            "error": error,
        })
    }

    /// Ends the report; whether all is well.
    fn finish(self) -> bool {
        let count = |number| match number {
            1 => "1 thing".to_owned(),
            number => format!("{number} things"),
        };
        let left: usize =
            self.runs.iter().map(|run| run["things"].as_array().map_or(0, Vec::len)).sum();
        if self.args.json {
            super::answer(&format!(
                "{:#}",
                json!({
                    "runs": self.runs,
                    "kept": self.kept,
                    "unreadable": self.unreadable,
                })
            ));
        } else if left == 0 && self.removed + self.failed == 0 {
            let removes = self.args.kept && !self.args.dry_run;
            match self.kept.len() {
                1 if removes => self.ui.say("Removed what was kept of a build."),
                2.. if removes => {
                    self.ui.say(format!("Removed what was kept of {} builds.", self.kept.len()));
                }
                _ if self.unreadable.is_empty() => {
                    self.ui.say("Nothing is left of interrupted runs.");
                }
                _ => {}
            }
        } else if self.args.dry_run {
            self.ui.say(format!("Left: {}. Without -list they are removed.", count(left)));
        } else if self.failed == 0 {
            self.ui.say(format!("Removed {}.", count(self.removed)));
        } else {
            self.ui.error(format!(
                "Removed {}; could not remove {}, of which the record stays.",
                count(self.removed),
                count(self.failed)
            ));
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
