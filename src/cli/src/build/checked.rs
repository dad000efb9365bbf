//! A template that `build` has checked.

use ingot_engine::graph::Filter;
use ingot_engine::project::RunFlags;
use ingot_engine::resume::record::Stage;
use ingot_engine::resume::{self, KeptBuild, KeptRecord};
use ingot_engine::{
    PreparedNode, Project, ProjectOptions, ResumeFlags, StepCacheOptions, check, prepare,
};
use ingot_hcl::SourceMap;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_publish::Plan;
use ingot_sdk::{OnError, PluginSet, Ui};

use super::reporting::{Reporting, RunOutcome};
use crate::args::{BuildArgs, OnErrorFlag};
use crate::{publish, step_cache};

/// A template in which nothing is wrong as far as is known before its builds are published, and what
/// the command line says of building it.
pub(super) struct Checked<'a> {
    pub args: &'a BuildArgs,
    pub project: Project,
    /// What `-only` and `-except` select.
    pub filter: Filter,
    pub flags: RunFlags,
    pub cache: StepCacheOptions,
    pub resume: ResumeFlags,
    /// The kept builds that the run goes on with, the oldest first.
    pub records: Vec<KeptRecord>,
    /// How the builds are published, if they are.
    pub plan: Option<Plan>,
    /// What can run. None where the builds are published, as what they are published as is known when
    /// that begins.
    pub prepared: Vec<PreparedNode>,
    /// How many builds are selected.
    pub selected: usize,
}

/// Reads, evaluates and checks the template, and tells what is wrong with it.
///
/// # Errors
/// How the run ends, where something is.
pub(super) fn check_template<'a>(
    args: &'a BuildArgs,
    plugins: PluginSet,
    reporting: &Reporting,
) -> Result<Checked<'a>, RunOutcome> {
    let ui = &reporting.ui;
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
            reporting.report_diagnostics(&diagnostic.into(), &SourceMap::default());
            return Err(RunOutcome::FAILED);
        }
    };
    let mut latest = records.iter().rev().map(|record| &record.build);
    let newest = latest.find(|build| resume.can_use(build));
    let options = ProjectOptions {
        plugins,
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
    reporting.renderer.redactor().keep(project.public_names());
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
    reporting.report.set_run(&project.run_uuid);
    reporting.report_diagnostics(&diagnostics, &project.sources);
    if diagnostics.has_errors() {
        return Err(RunOutcome::FAILED);
    }
    Ok(Checked { args, project, filter, flags, cache, resume, records, plan, prepared, selected })
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
        return Err(Diagnostic::error("-start-at is for resuming a build that was kept")
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
    let resume::record::Listing { records, unreadable } =
        resume::record::of_template(&args.template);
    let told = unreadable.iter().map(|one| format!("{}: {}", one.path.display(), one.error));
    let told: Vec<String> = told.collect();
    if records.is_empty() && !told.is_empty() {
        return Err(Diagnostic::error("what is kept cannot be read, and may be of this template")
            .note(told.join("\n"))
            .help("`ingot cleanup -list` lists it, too; build without -resume"));
    }
    for one in told {
        ui.error(format!("Warning: what is kept cannot be read: {one}"));
    }
    let usable = records.iter().any(|record| flags.can_use(&record.build));
    if usable || flags.start_at.is_some() {
        return Ok(records);
    }
    let mut others = resume::record::under_other_names(&args.template);
    others.retain(|record| flags.can_use(&record.build));
    Err(resume::nothing_kept(flags, &others))
}
