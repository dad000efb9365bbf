//! `ingot cleanup`

mod report;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use ingot_engine::orphaned_runs::{
    OrphanedResource, OrphanedRun, living_runs, orphaned_runs, shown_time,
};
use ingot_engine::resume::record as kept;
use ingot_sdk::{DiscoveryScope, Error, PluginSet, Result, Ui};
use ingot_ui::{Renderer, UiOptions};
use time::OffsetDateTime;

use super::args::duration;
use super::asynchronous::{Threads, to_end};
use report::Report;

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
    /// Remove nothing, and forget what is recorded of the runs of -run or -older-than
    #[arg(long)]
    pub forget: bool,
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
    super::logging::start_with(&renderer);
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
    if args.forget && args.run.is_empty() && args.older_than.is_none() {
        return Err(Error::new("-forget needs the runs of which the records are given up")
            .hint("look with -list, then choose runs with -run=ID or -older-than=24h"));
    }
    if args.forget && !args.aws_region.is_empty() {
        return Err(Error::new("-forget gives up records, and what -aws-region finds has none")
            .hint("leave out one of the two"));
    }
    // These stay locked until the end, so that no build removes the same things meanwhile.
    let dead = orphaned_runs();
    let mut runs: Vec<Run> = dead.runs.into_iter().map(Run::recorded).collect();
    for region in &args.aws_region {
        let found =
            discover(plugins, DiscoveryScope::Aws { region: region.clone() }, &runs).await?;
        runs.extend(found);
    }
    let mut report = Report::new(ui, args, plugins);
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
    let unreadable = dead.unreadable.iter().filter(|one| one.path.symlink_metadata().is_ok());
    unreadable.for_each(|one| report.unreadable(one));
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
                format!("{} (run {id}{})", info.template, since.unwrap_or_default())
            }
            None if self.id.is_none() => "A run of which no more is known".to_owned(),
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
