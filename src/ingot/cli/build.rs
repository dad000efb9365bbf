//! `ingot build`

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ingot_sdk::{OnError, Ui};
use tokio_util::sync::CancellationToken;

use super::args::{BuildArgs, OnErrorFlag};
use super::publish;
use crate::builtin::plugins;
use crate::engine::project::RunFlags;
use crate::engine::run::human;
use crate::engine::signals::Signals;
use crate::engine::{
    self, FileJournal, Outcome, Project, ProjectOptions, Publisher, RunInfo, RunOptions, check,
    prepare, reclaim_orphaned_runs,
};
use crate::ui::{Renderer, UiOptions};
use ingot_hcl::Diagnostics;
use ingot_hcl::parse::STACK_SIZE;

/// Builds a template: 0 if every build succeeded, 1 if not.
pub(super) fn run(args: &BuildArgs) -> ExitCode {
    let color = args.color && !super::plain() && std::io::stdout().is_terminal();
    let renderer = Renderer::new(UiOptions {
        machine_readable: args.machine_readable,
        color,
        timestamps: args.timestamp_ui,
    });
    super::logging::start(renderer.redactor());
    let ui = Ui::new(renderer.clone());

    let mut diagnostics = Diagnostics::default();
    let options = ProjectOptions {
        plugins: plugins(),
        variables: args.variables.0.clone(),
        warn_undeclared: args.warn_on_undeclared_var,
        syntax_only: false,
        fetch_data: Some(ui.clone()),
        lenient: false,
        releases_only: args.installed.ignore_prerelease_plugins,
    };
    let mut project = Project::load(&args.template, &options, &mut diagnostics);
    project.evaluate(&options, &mut diagnostics);
    let filter = project.filter(&args.selection.only, &args.selection.except);
    let filter = diagnostics.keep(filter).unwrap_or_default();
    let flags = RunFlags {
        force: args.force,
        debug: args.debug,
        on_error: match args.on_error {
            OnErrorFlag::Cleanup => OnError::Cleanup,
            OnErrorFlag::Abort => OnError::Abort,
            OnErrorFlag::Ask => OnError::Ask,
            OnErrorFlag::RunCleanupProvisioner => OnError::RunCleanupProvisioner,
        },
    };
    project.secrets().hide_in(&ui);
    renderer.redactor().keep(project.public_names());
    let plan = match diagnostics.has_errors() {
        true => None,
        false => publish::plan(&project, &mut diagnostics),
    };
    if plan.is_none() && !diagnostics.has_errors() {
        project.unpublished(&mut diagnostics);
    }
    // What the builds are published as is known when that begins, which may fail: until then they
    // can only be checked. So it is where nothing will run: what an error left unknown is not one
    // more error.
    let mut prepared = Vec::new();
    let selected = match plan.is_some() || diagnostics.has_errors() {
        true => {
            let checked = check(&project, &filter, &flags, &mut diagnostics);
            publish::check_artifacts(&project, &checked, &mut diagnostics);
            checked.len()
        }
        false => {
            prepared = prepare(&project, &filter, &flags, &mut diagnostics);
            publish::check_artifacts(&project, &prepared, &mut diagnostics);
            prepared.len()
        }
    };
    super::report(&ui, &diagnostics, &project.sources, color);
    if diagnostics.has_errors() {
        return ExitCode::FAILURE;
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.enable_all().thread_stack_size(STACK_SIZE).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ui.error(format!("cannot start the threads that builds run on: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let mut publication = None;
    if let Some(plan) = plan.filter(|_| selected > 0) {
        let opened = publish::open(plan, args, &project, &runtime, &ui);
        let Ok(opened) = opened else { return ExitCode::FAILURE };
        let Some(opened) = opened else { return ExitCode::SUCCESS };
        // What there is to warn of has been said.
        let mut found = Diagnostics::default();
        project.published_as(opened.version_id(), opened.fingerprint(), &mut found);
        let enforced = project.enforce(opened.enforced(), &mut found);
        for loaded in enforced.loaded {
            ui.say(loaded);
        }
        for block in enforced.without {
            ui.error(format!(
                "Warning: the enforced block {block:?} holds no provisioner: nothing of it is run"
            ));
        }
        publication = Some(Arc::new(opened));
        prepared = prepare(&project, &filter, &flags, &mut found);
        if found.has_errors() {
            super::report(&ui, &found, &project.sources, color);
            return ExitCode::FAILURE;
        }
    }
    if args.skip_enforcement {
        // Packer's words.
        ui.say("Skipping HCP Packer enforced provisioners (--skip-enforcement flag set)");
    }
    if args.debug {
        ui.say("Debug mode enabled. Builds will not be parallelized.");
    }
    renderer.register_builds(prepared.iter().map(|node| &*node.node.name));
    if prepared.is_empty() {
        ui.error(
            "There is nothing to build: no build has a source that -only and -except let through.",
        );
        return ExitCode::FAILURE;
    }
    let journal = FileJournal::new(RunInfo {
        run: project.run_uuid.clone(),
        template: std::path::absolute(&args.template).unwrap_or_else(|_| args.template.clone()),
        started: time::OffsetDateTime::now_utc(),
    });
    let started = Instant::now();
    let mut interrupted = false;
    let outcomes = runtime.block_on(async {
        let cancel = CancellationToken::new();
        match Signals::new() {
            Ok(signals) => drop(tokio::spawn(stop_on_signal(signals, cancel.clone(), ui.clone()))),
            Err(error) => tracing::warn!(%error, "signals cannot be listened for"),
        }
        reclaim_orphaned_runs(&project.plugins, &ui).await;
        let options = RunOptions {
            parallel: match args.debug {
                true => Some(1),
                false => usize::try_from(args.parallel_builds).ok().filter(|&count| count > 0),
            },
            ui: ui.clone(),
            journal,
            cancel: cancel.clone(),
            publisher: publication.clone().map(|publication| publication as Arc<dyn Publisher>),
        };
        let outcomes = engine::run(Arc::new(project), prepared, &options).await;
        interrupted = cancel.is_cancelled();
        outcomes
    });
    let took = human(started.elapsed());
    ui.verdict(false, format!("\n==> Wait completed after {took}"));
    if interrupted {
        ui.say("Cleanly cancelled builds after being interrupted.");
    }
    let code = match interrupted {
        true => ExitCode::FAILURE,
        false => summary(&ui, &outcomes),
    };
    if let Some(publication) = &publication {
        runtime.block_on(publication.report_missing(&ui));
    }
    // A question on standard input may still be waiting on a thread of its own.
    runtime.shutdown_background();
    code
}

/// The first signal asks the builds to stop and clean up, the second ends the process; what is then
/// left is in the journal.
async fn stop_on_signal(mut signals: Signals, cancel: CancellationToken, ui: Ui) {
    let signal = signals.next().await;
    ui.error(format!("Cancelling build after receiving {signal}"));
    ui.error("Interrupt again to stop at once, without cleaning up.");
    cancel.cancel();
    signals.next().await;
    ui.error("Stopping at once. `ingot cleanup` removes what is left.");
    std::process::exit(1);
}

/// The exit code of a run whose builds all succeeded, and of which something is kept to be
/// published later: `EX_TEMPFAIL` of sysexits.h.
const KEPT_FOR_LATER: u8 = 75;

fn summary(ui: &Ui, outcomes: &[Outcome]) -> ExitCode {
    let errors = outcomes.iter().filter_map(|outcome| {
        let unpublished = outcome.unpublished.as_ref().map(|unpublished| &unpublished.error);
        Some((&outcome.name, outcome.result.as_ref().err().or(unpublished)?))
    });
    let errors: Vec<_> = errors.collect();
    if !errors.is_empty() {
        ui.machine("error-count", &[&errors.len().to_string()]);
        ui.verdict(true, "\n==> Some builds didn't complete successfully and had errors:");
        for (name, error) in &errors {
            ui.for_build(name).machine("error", &[&error.to_string()]);
            ui.verdict(true, format!("--> {name}: {}", ui.masked(&error.to_string())));
        }
    }
    let created: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| Some((&outcome.name, outcome.result.as_ref().ok()?)))
        .filter(|(_, artifacts)| !artifacts.is_empty())
        .collect();
    if created.is_empty() {
        ui.verdict(false, "\n==> Builds finished but no artifacts were created.");
    } else {
        ui.verdict(false, "\n==> Builds finished. The artifacts of successful builds are:");
    }
    for (name, artifacts) in created {
        let speaker = ui.for_build(name);
        speaker.machine("artifact-count", &[&artifacts.len().to_string()]);
        for (index, artifact) in artifacts.iter().enumerate() {
            let index = index.to_string();
            speaker.machine("artifact", &[&index, "builder-id", artifact.builder_id()]);
            speaker.machine("artifact", &[&index, "id", &artifact.id()]);
            speaker.machine("artifact", &[&index, "string", &artifact.description()]);
            let files = artifact.files();
            speaker.machine("artifact", &[&index, "files-count", &files.len().to_string()]);
            for (number, file) in files.iter().enumerate() {
                let number = number.to_string();
                let file = file.display().to_string();
                speaker.machine("artifact", &[&index, "file", &number, &file]);
            }
            speaker.machine("artifact", &[&index, "end"]);
            ui.verdict(false, format!("--> {name}: {}", ui.masked(&artifact.description())));
        }
    }
    let kept = |outcome: &Outcome| outcome.unpublished.as_ref().is_some_and(|one| one.kept);
    let failed =
        outcomes.iter().any(|one| one.result.is_err() || (one.unpublished.is_some() && !kept(one)));
    match (failed, outcomes.iter().any(kept)) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => KEPT_FOR_LATER.into(),
        (false, false) => ExitCode::SUCCESS,
    }
}
