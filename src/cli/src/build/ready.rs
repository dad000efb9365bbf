//! Builds that can run.

use std::sync::Arc;

use ingot_engine::resume::{self, Plans};
use ingot_engine::{PreparedNode, Project, StepCacheOptions, prepare};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_publish::{Publication, changes};
use ingot_sdk::Error;
use tokio::runtime::Runtime;

use super::checked::Checked;
use super::reporting::{Reporting, RunOutcome};
use crate::interrupts::Listening;
use crate::{changed_only, publish, test};

/// Builds that can run, prepared as far as is possible before they start.
pub(super) struct Ready {
    pub project: Project,
    pub prepared: Vec<PreparedNode>,
    /// What each goes on with, and what is kept of it.
    pub plans: Plans,
    /// The version that they fill, if they are published.
    pub open: Option<OpenVersion>,
    pub cache: StepCacheOptions,
}

/// A version that builds fill.
pub(super) struct OpenVersion {
    pub publication: Arc<Publication>,
    /// The listener that reports it where the run is interrupted.
    pub listening: Listening,
}

/// Begins to publish the builds, if they are to be, and finds out which run and from where.
///
/// # Errors
/// How the run ends, where nothing runs.
pub(super) fn make_ready(
    checked: Checked,
    reporting: &Reporting,
    runtime: &Runtime,
) -> Result<Ready, RunOutcome> {
    let ui = &reporting.ui;
    let Checked { args, mut project, filter, flags, cache, resume, records, mut plan, .. } =
        checked;
    let (mut prepared, selected) = (checked.prepared, checked.selected);
    if args.changed_only {
        let Some(plan) = &mut plan else {
            let why = "-changed-only compares with what was published, and this publishes nothing";
            let why = Diagnostic::error(why)
                .help("add an hcp_packer_registry block, or build without -changed-only");
            reporting.report_diagnostics(&why.into(), &project.sources);
            return Err(RunOutcome::FAILED);
        };
        let selection = (&filter, &flags);
        match changed_only::anything(args, &mut project, plan, selection, runtime, ui) {
            Ok(true) => {}
            Ok(false) => return Err(RunOutcome::NOTHING_TO_DO),
            Err(error) => {
                ui.failure(format!("Cannot determine what changed: {error}"), &error);
                let why = Diagnostic::error(format!("nothing is built: {error}"));
                reporting.report.add(&why.into(), &project.sources);
                return Err(RunOutcome::of(&error));
            }
        }
    }
    let failed = |found: &Diagnostics, project: &Project, open: Option<&OpenVersion>| {
        if let Some(open) = open {
            open.listening.wait_until_reported();
        }
        reporting.report_diagnostics(found, &project.sources);
        // Who goes on with a version that was opened needs to know how.
        if let Some(open) = open {
            open.publication.report_known_missing(ui);
        }
        RunOutcome::FAILED
    };
    let mut open = None;
    if let Some(plan) = plan.filter(|_| selected > 0) {
        let listening = reporting.listen();
        let opened = match publish::open(plan, args, &project, runtime, &listening, ui) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Err(RunOutcome::NOTHING_TO_DO),
            Err(error) => {
                let why = Diagnostic::error(format!("nothing is built: {error}"));
                reporting.report.add(&why.into(), &project.sources);
                return Err(RunOutcome::of(&error));
            }
        };
        let publication = Arc::new(opened);
        listening.opened(&publication);
        if listening.interrupts.cancel.is_cancelled() {
            // It was interrupted when all was open.
            publication.report_known_missing(ui);
            return Err(RunOutcome::of(&Error::Cancelled));
        }
        let opened = Arc::clone(&publication);
        let open = open.insert(OpenVersion { publication, listening });
        // Warnings were already reported.
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
        prepared = prepare(&project, &filter, &flags, &mut found);
        if found.has_errors() {
            return Err(failed(&found, &project, Some(&*open)));
        }
    }
    if let Some(artifact) = &args.artifact
        && let Err(error) = test::choose(&project, &mut prepared, artifact)
    {
        return Err(failed(&error.into(), &project, open.as_ref()));
    }
    let mut found = Diagnostics::default();
    let means = (ui, runtime.handle());
    let (prepared, plans) = resume::plan(&project, prepared, &resume, records, means, &mut found);
    if found.has_errors() {
        return Err(failed(&found, &project, open.as_ref()));
    }
    if !found.is_empty() {
        reporting.report_diagnostics(&found, &project.sources);
    }
    if let Some(open) = &open {
        let inputs = changes::records(&project, &prepared, &plans, args.skip_tests);
        open.publication.set_inputs(inputs);
    }
    Ok(Ready { project, prepared, plans, open, cache })
}
