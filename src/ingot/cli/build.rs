//! `ingot build`

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ingot_report::Status;
use ingot_sdk::{ErrorKind, EventSink, OnError, Ui};

use super::args::{BuildArgs, OnErrorFlag, ProgressFlag};
use super::interrupts::Interrupted;
use super::run_report::{self, RunReport};
use super::{changed_only, failures, family_member, publish, stale, step_cache, suspend};
use crate::build_logs::{self, BuildLogs, Slot};
use crate::builtin::plugins;
use crate::engine::kept::record::Stage;
use crate::engine::kept::{KeptBuild, KeptRecord};
use crate::engine::project::RunFlags;
use crate::engine::run::human;
use crate::engine::{
    self, FileJournal, Interrupts, KeepOptions, Outcome, Project, ProjectOptions, Publisher,
    ResumeFlags, RunInfo, RunOptions, Tests, check, kept, prepare, reclaim_orphaned_runs,
};
use crate::publish::changes;
use crate::ui::ci::CiSystem;
use crate::ui::{Renderer, UiOptions, View};
use ingot_hcl::SourceMap;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::parse::STACK_SIZE;

/// How a run ended.
struct Ending {
    code: ExitCode,
    /// How it went, where its builds do not say.
    status: Option<Status>,
}

impl Ending {
    /// A run that failed before anything was built.
    const FAILED: Ending = Ending { code: ExitCode::FAILURE, status: Some(Status::Failed) };
}

/// What shows and reports a run.
struct Reporting {
    renderer: Arc<Renderer>,
    ui: Ui,
    /// Whether text may be coloured.
    color: bool,
    report: Arc<RunReport>,
    /// The logs of the builds, once there are some.
    logs: Option<Slot>,
}

/// Builds a template: 0 if every build succeeded, 1 if not.
pub(super) fn run(args: &BuildArgs) -> ExitCode {
    if args.stale {
        return stale::run(args);
    }
    if !args.family.is_empty() || args.dry_run {
        let what = if args.dry_run { "-dry-run" } else { "more than one template" };
        let why = format!("{what} is for families: -stale is missing");
        run_report::show(Diagnostic::error(why).help("ingot build -stale TEMPLATE…"));
        return ExitCode::FAILURE;
    }
    let may_color = args.color && !super::plain();
    let color = may_color && std::io::stdout().is_terminal();
    let ci = CiSystem::detect().filter(|_| !args.machine_readable);
    let renderer = Renderer::new(UiOptions {
        machine_readable: args.machine_readable,
        color,
        view_color: may_color,
        timestamps: args.timestamp_ui,
        view: view(args.progress),
        ci,
    });
    if args.progress == ProgressFlag::Live && !renderer.can_show_view() {
        let why = match args.machine_readable {
            true => "-progress=live and -machine-readable exclude each other",
            false => "-progress=live needs a terminal whose cursor can be moved",
        };
        run_report::show(Diagnostic::error(why).help("-progress=auto shows what can be shown"));
        return ExitCode::FAILURE;
    }
    family_member::attach(&renderer.redactor());
    let logs: Option<Slot> = (!build_logs::turned_off()).then(Slot::default);
    super::logging::start_for_builds(renderer.redactor(), renderer.log_writer(), logs.clone());
    let report = match RunReport::open(args, &renderer, ci) {
        Ok(report) => report,
        Err(diagnostic) => {
            run_report::show(diagnostic);
            return ExitCode::FAILURE;
        }
    };
    let ui = Ui::new(Arc::clone(&renderer) as Arc<dyn EventSink>);
    let reporting = Reporting { renderer, ui, color, report, logs };
    let Ending { code, status } = build(args, &reporting);
    match reporting.report.write(status) {
        true => code,
        false => ExitCode::FAILURE,
    }
}

/// What is drawn while builds run.
fn view(flag: ProgressFlag) -> View {
    let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(&*value, "" | "0" | "false"));
    match flag {
        ProgressFlag::Plain => View::Nothing,
        ProgressFlag::Live => View::Always,
        ProgressFlag::Auto if in_ci => View::Transfers,
        ProgressFlag::Auto => View::Several,
    }
}

fn build(args: &BuildArgs, reporting: &Reporting) -> Ending {
    let Reporting { renderer, ui, color, report, logs } = reporting;
    let color = *color;
    let mut diagnostics = Diagnostics::default();
    let resume = ResumeFlags {
        resume: args.resume,
        start_at: args.start_at.clone(),
        stop_before: args.stop_before.clone(),
        only_post_processors: args.only_post_processors,
    };
    let records = match kept_builds(args, &resume, ui) {
        Ok(records) => records,
        Err(diagnostic) => {
            let found = Diagnostics::from(diagnostic);
            super::report(ui, &found, &SourceMap::default(), color);
            report.add(&found, &SourceMap::default());
            return Ending::FAILED;
        }
    };
    let mut latest = records.iter().rev().map(|record| &record.build);
    let newest = latest.find(|build| resume.can_use(build));
    let options = ProjectOptions {
        plugins: plugins(),
        variables: args.variables.0.clone(),
        warn_undeclared: args.warn_on_undeclared_var,
        syntax_only: false,
        fetch_data: Some(ui.clone()),
        registry_data: None,
        lenient: false,
        releases_only: args.installed.ignore_prerelease_plugins,
        started: newest.and_then(KeptBuild::started),
    };
    let mut project = Project::load(&args.template, &options, &mut diagnostics);
    project.evaluate(&options, &mut diagnostics);
    let (companion, directory) = (&project.companion, &project.template.dir);
    let cache = step_cache::options(&args.step_cache, &args.template, companion, directory);
    let cache = diagnostics.keep(cache.map_err(Diagnostic::error)).unwrap_or_default();
    let filter = project.filter(&args.selection.only, &args.selection.except);
    let filter = diagnostics.keep(filter).unwrap_or_default();
    let flags = RunFlags {
        // What is there already is what is tested.
        force: args.force || args.artifact.is_some(),
        debug: args.debug,
        on_error: match args.on_error {
            Some(OnErrorFlag::Cleanup) => OnError::Cleanup,
            Some(OnErrorFlag::Abort) => OnError::Abort,
            Some(OnErrorFlag::Keep) => OnError::Keep,
            Some(OnErrorFlag::Ask) => OnError::Ask,
            Some(OnErrorFlag::RunCleanupProvisioner) => OnError::RunCleanupProvisioner,
            // What was kept once is kept again.
            None if resume.resumes() || resume.stop_before.is_some() => OnError::Keep,
            None => OnError::Cleanup,
        },
        resumes: resume.resumes(),
    };
    project.secrets().hide_in(ui);
    renderer.redactor().keep(project.public_names());
    let plan = match diagnostics.has_errors() || args.artifact.is_some() {
        true => None,
        false => {
            // What is published already counts for the version that was begun.
            let begun = newest.filter(|build| build.stage != Stage::Built);
            let begun = begun.and_then(|build| build.fingerprint.as_deref());
            publish::plan(&project, begun, &mut diagnostics)
        }
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
    report.set_run(&project.run_uuid);
    super::report(ui, &diagnostics, &project.sources, color);
    report.add(&diagnostics, &project.sources);
    if diagnostics.has_errors() {
        return Ending::FAILED;
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.enable_all().thread_stack_size(STACK_SIZE).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ui.error(format!("cannot start the threads that builds run on: {error}"));
            return Ending::FAILED;
        }
    };
    if args.changed_only {
        let Some(plan) = &plan else {
            let why = "-changed-only compares with what was published, and this publishes nothing";
            let why = Diagnostic::error(why)
                .help("add an hcp_packer_registry block, or build without -changed-only");
            super::report(ui, &why.clone().into(), &project.sources, color);
            report.add(&why.into(), &project.sources);
            return Ending::FAILED;
        };
        let selection = (&filter, &flags);
        match changed_only::anything(args, &mut project, plan, selection, &runtime, ui) {
            Ok(true) => {}
            Ok(false) => return Ending { code: ExitCode::SUCCESS, status: None },
            Err(error) => {
                ui.error(format!("It cannot be told what changed: {error}"));
                if let Some(advice) = error.advice() {
                    ui.error(format!("help: {advice}"));
                }
                let why = Diagnostic::error(format!("nothing is built: {error}"));
                report.add(&why.into(), &project.sources);
                return Ending::FAILED;
            }
        }
    }
    let mut publication = None;
    if let Some(plan) = plan.filter(|_| selected > 0) {
        let opened = match publish::open(plan, args, &project, &runtime, ui) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ending { code: ExitCode::SUCCESS, status: None },
            Err(error) => {
                let why = Diagnostic::error(format!("nothing is built: {error}"));
                report.add(&why.into(), &project.sources);
                return Ending::FAILED;
            }
        };
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
        let opened = Arc::new(opened);
        publication = Some(Arc::clone(&opened));
        prepared = prepare(&project, &filter, &flags, &mut found);
        if found.has_errors() {
            super::report(ui, &found, &project.sources, color);
            report.add(&found, &project.sources);
            return Ending::FAILED;
        }
    }
    if let Some(artifact) = &args.artifact
        && let Err(error) = super::test::choose(&project, &mut prepared, artifact)
    {
        super::report(ui, &error.clone().into(), &project.sources, color);
        report.add(&error.into(), &project.sources);
        return Ending::FAILED;
    }
    let mut found = Diagnostics::default();
    let means = (ui, runtime.handle());
    let (prepared, plans) = kept::plan(&project, prepared, &resume, records, means, &mut found);
    if !found.is_empty() {
        super::report(ui, &found, &project.sources, color);
        report.add(&found, &project.sources);
    }
    if found.has_errors() {
        return Ending::FAILED;
    }
    if let Some(opened) = &publication {
        opened.set_inputs(changes::records(&project, &prepared, &plans));
    }
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
        return Ending::FAILED;
    }
    let tests = match (&args.artifact, args.skip_tests) {
        (Some(artifact), _) => Tests::Only(artifact.clone()),
        (None, true) => Tests::Skipped,
        (None, false) => Tests::Built,
    };
    report.recorder().expect(names.iter().map(String::as_str));
    let logs = open_logs(logs.as_ref(), &names, renderer);
    let journal = FileJournal::new(RunInfo {
        run: project.run_uuid.clone(),
        template: std::path::absolute(&args.template).unwrap_or_else(|_| args.template.clone()),
        started: time::OffsetDateTime::now_utc(),
    });
    let fingerprint = publication.as_ref().map(|opened| opened.fingerprint().to_owned());
    let started = Instant::now();
    let project = Arc::new(project);
    let (interrupts, telling) = (Interrupts::default(), Arc::default());
    let listening = Interrupted {
        interrupts: interrupts.clone(),
        ui: ui.clone(),
        renderer: Arc::clone(renderer),
        report: Arc::clone(report),
        logs: logs.clone(),
        telling: Arc::clone(&telling),
    };
    if let Err(error) = listening.listen() {
        tracing::warn!(%error, "signals cannot be listened for");
    }
    let outcomes = runtime.block_on(async {
        tokio::spawn(suspend::without_view(Arc::clone(renderer)));
        reclaim_orphaned_runs(&project.plugins, ui).await;
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
        engine::run(Arc::clone(&project), prepared, &options).await
    });
    let interrupted = interrupts.cancel.is_cancelled();
    // What is said of that comes first.
    drop(telling.lock());
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
        false if args.artifact.is_some() => super::test::summary(ui, &outcomes),
        false => summary(ui, &outcomes),
    };
    if let Some(publication) = &publication {
        runtime.block_on(publication.report_missing(ui));
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
    Ending { code, status: interrupted.then_some(Status::Cancelled) }
}

/// The builds of the template that a run goes on with, the oldest first; none for one that begins.
///
/// # Errors
/// The flags contradict each other, or nothing is kept.
fn kept_builds(
    args: &BuildArgs,
    flags: &ResumeFlags,
    ui: &Ui,
) -> Result<Vec<KeptRecord>, Diagnostic> {
    let exclude = |one: &str, other: &str| {
        Diagnostic::error(format!("{one} and {other} exclude each other")).help("keep one of them")
    };
    if flags.start_at.is_some() && !flags.resume {
        return Err(Diagnostic::error("-start-at is for going on with a build that was kept")
            .help("add -resume; a new machine needs all of its provisioners"));
    }
    if flags.resumes() && args.changed_only {
        let flag = if flags.resume { "-resume" } else { "-only-post-processors" };
        return Err(exclude(flag, "-changed-only"));
    }
    if flags.only_post_processors {
        let steps = [("-start-at", &flags.start_at), ("-stop-before", &flags.stop_before)];
        if let Some((flag, _)) = steps.iter().find(|(_, name)| name.is_some()) {
            return Err(exclude(flag, "-only-post-processors"));
        }
    }
    if flags.stop_before.is_some()
        && args.on_error.is_some_and(|flag| !matches!(flag, OnErrorFlag::Keep))
    {
        return Err(Diagnostic::error("-stop-before keeps the machine").help(
            "leave -on-error out, or set it to keep, which is what -stop-before does for failures",
        ));
    }
    if !flags.resumes() {
        return Ok(Vec::new());
    }
    let kept::record::Listing { records, unreadable } = kept::record::of_template(&args.template);
    let told = unreadable.iter().map(|one| format!("{}: {}", one.path.display(), one.error));
    let told: Vec<String> = told.collect();
    if records.is_empty() && !told.is_empty() {
        return Err(Diagnostic::error("what is kept cannot be read, and may be of this template")
            .note(told.join("\n"))
            .help("`ingot cleanup -list` tells of it, too; build without -resume"));
    }
    for one in told {
        ui.error(format!("Warning: what is kept cannot be read: {one}"));
    }
    let usable = records.iter().any(|record| flags.can_use(&record.build));
    match !usable && flags.start_at.is_none() {
        true => Err(kept::nothing_kept(flags)),
        false => Ok(records),
    }
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

/// Tells the end of a run that was interrupted, in Packer's words where nothing is left.
fn say_cancelled(ui: &Ui, outcomes: &[Outcome]) {
    let left = outcomes.iter().filter_map(|outcome| {
        let error = outcome.result.as_ref().err()?;
        (error.kind() == Some(ErrorKind::Abandoned)).then_some((&outcome.name, error))
    });
    let left: Vec<_> = left.collect();
    if left.is_empty() {
        return ui.say("Cleanly cancelled builds after being interrupted.");
    }
    ui.error("Cancelled builds after being interrupted. Look for what these may have left:");
    for (name, error) in left {
        ui.verdict(true, format!("--> {name}: {}", ui.masked(&error.to_string())));
    }
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
