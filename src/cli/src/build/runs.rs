//! Runs builds, and tells how they went.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ingot_engine::run::human;
use ingot_engine::{
    FileJournal, KeepOptions, Publisher, RunInfo, RunOptions, Tests, reclaim_orphaned_runs,
};
use ingot_hcl::diagnostic::Diagnostic;
use ingot_report::Status;
use ingot_ui::Renderer;
use tokio::runtime::Runtime;

use super::ready::Ready;
use super::reporting::{Reporting, RunOutcome};
use super::summary::{say_cancelled, summary};
use crate::args::BuildArgs;
use crate::build_logs::{BuildLogs, Slot};
use crate::{failures, step_cache, suspend, test};

/// Runs the builds to their end.
pub(super) fn run_builds(
    args: &BuildArgs,
    ready: Ready,
    reporting: &Reporting,
    runtime: Runtime,
) -> RunOutcome {
    let Reporting { renderer, ui, report, logs, .. } = reporting;
    let Ready { project, prepared, plans, open, cache } = ready;
    let (publication, listening) = match open {
        Some(open) => (Some(open.publication), Some(open.listening)),
        None => (None, None),
    };
    if args.skip_enforcement {
        // Packer's words.
        ui.say("Skipping HCP Packer enforced provisioners (--skip-enforcement flag set)");
    }
    if args.debug {
        ui.say("Debug mode enabled. Builds will not be parallelized.");
    }
    let limit = match args.debug {
        true => Some(1),
        false => usize::try_from(args.parallel_builds).ok().filter(|&count| count > 0),
    };
    let parallel = prepared.len() > 1 && limit != Some(1);
    let names: Vec<String> = prepared.iter().map(|node| node.node.name.clone()).collect();
    renderer.register_builds(names.iter().map(String::as_str), parallel);
    if prepared.is_empty() {
        let why = "There is nothing to build: no build has a source that -only and -except let \
                   through.";
        ui.error(why);
        report.add(&Diagnostic::error(why).into(), &project.sources);
        if let Some(publication) = &publication {
            publication.report_known_missing(ui);
        }
        return RunOutcome::FAILED;
    }
    let tests = match (&args.artifact, args.skip_tests) {
        (Some(artifact), _) => Tests::Only(artifact.clone()),
        (None, true) => Tests::Skipped,
        (None, false) => Tests::Built,
    };
    report.recorder().expect(names.iter().map(String::as_str));
    if let Some(warning) = ingot_engine::journal::choose_directory() {
        ui.error(warning);
    }
    let logs = open_logs(logs.as_ref(), &names, renderer);
    let journal = FileJournal::new(RunInfo::new(project.run_uuid.clone(), &args.template));
    let fingerprint = publication.as_ref().map(|opened| opened.fingerprint().to_owned());
    let started = Instant::now();
    let project = Arc::new(project);
    let listening = listening.unwrap_or_else(|| reporting.listen());
    listening.builds_begin();
    let interrupts = listening.interrupts.clone();
    let outcomes = runtime.block_on(async {
        tokio::spawn(suspend::without_view(Arc::clone(renderer)));
        tokio::select! {
            biased;
            () = interrupts.cancel.cancelled() => {}
            () = reclaim_orphaned_runs(&project.plugins, ui) => {}
        }
        let options = RunOptions {
            parallel: limit,
            ui: ui.clone(),
            journal,
            interrupts: interrupts.clone(),
            publisher: publication.clone().map(|publication| publication as Arc<dyn Publisher>),
            step_cache: Arc::new(step_cache::open(cache, ui).await),
            keep: KeepOptions::new(args.template.clone(), fingerprint, plans),
            tests: tests.clone(),
        };
        ingot_engine::run(Arc::clone(&project), prepared, &options).await
    });
    let interrupted = interrupts.cancel.is_cancelled();
    listening.wait_until_reported();
    renderer.end_view();
    let told = report.report();
    if parallel {
        report.fold_failed(&told, renderer);
    }
    let took = human(started.elapsed());
    ui.verdict(false, format!("\n==> Wait completed after {took}"));
    if interrupted {
        say_cancelled(ui, &outcomes);
    }
    let code = match interrupted {
        true => ExitCode::FAILURE,
        false if args.artifact.is_some() => test::summary(ui, &outcomes),
        false => summary(ui, &outcomes),
    };
    match &publication {
        None => {}
        // It is not waited for a registry that may not answer.
        Some(publication) if interrupted => publication.report_known_missing(ui),
        Some(publication) => runtime.block_on(publication.report_missing(ui)),
    }
    let kept = failures::keep_logs(logs.as_deref(), &told);
    for log in &kept {
        report.recorder().log_file(&log.build, log.path.display().to_string());
    }
    if !args.machine_readable {
        failures::show(&told, &kept, &project.sources, &renderer.redactor());
    }
    // A question on standard input may still be waiting on a thread of its own.
    runtime.shutdown_background();
    RunOutcome { code, status: interrupted.then_some(Status::Cancelled) }
}

/// Begins the logs of the builds `names`, if there are to be any.
fn open_logs(slot: Option<&Slot>, names: &[String], renderer: &Renderer) -> Option<Arc<BuildLogs>> {
    let slot = slot?;
    let logs = match BuildLogs::open(names.iter().map(String::as_str), renderer.redactor()) {
        Ok(logs) => logs,
        Err(error) => {
            tracing::warn!(%error, "the builds keep no logs");
            return None;
        }
    };
    let _ = slot.set(Arc::clone(&logs));
    let listening = Arc::clone(&logs);
    renderer.listen(Arc::new(move |event| listening.record(event)));
    Some(logs)
}
