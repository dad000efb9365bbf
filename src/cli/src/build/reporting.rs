//! What shows and reports a run, and how it can end.

use std::process::ExitCode;
use std::sync::Arc;

use ingot_hcl::SourceMap;
use ingot_hcl::diagnostic::Diagnostics;
use ingot_report::Status;
use ingot_sdk::{Error, Ui};
use ingot_ui::Renderer;

use crate::build_logs::Slot;
use crate::interrupts::{Interrupted, Listening};
use crate::report;
use crate::run_report::RunReport;

/// The outcome of a run.
pub(super) struct RunOutcome {
    pub code: ExitCode,
    /// How it went, where its builds do not say.
    pub status: Option<Status>,
}

impl RunOutcome {
    /// A run that failed before anything was built.
    pub(super) const FAILED: RunOutcome =
        RunOutcome { code: ExitCode::FAILURE, status: Some(Status::Failed) };
    /// A run in which nothing was to be built.
    pub(super) const NOTHING_TO_DO: RunOutcome =
        RunOutcome { code: ExitCode::SUCCESS, status: None };

    /// A run in which `error` came before anything was built.
    pub(super) fn of(error: &Error) -> RunOutcome {
        let cancelled = error.is_cancelled().then_some(Status::Cancelled);
        RunOutcome { status: cancelled.or(RunOutcome::FAILED.status), ..RunOutcome::FAILED }
    }
}

/// What shows and reports a run.
pub(super) struct Reporting {
    pub renderer: Arc<Renderer>,
    pub ui: Ui,
    /// Whether text may be coloured.
    pub color: bool,
    pub report: Arc<RunReport>,
    /// The logs of the builds, once there are some.
    pub logs: Option<Slot>,
}

impl Reporting {
    /// Shows what was found in a template, and puts it into the report.
    pub(super) fn report_diagnostics(&self, found: &Diagnostics, sources: &SourceMap) {
        report(&self.ui, found, sources, self.color);
        self.report.add(found, sources);
    }

    /// Listens for what interrupts the run from now on.
    pub(super) fn listen(&self) -> Listening {
        let interrupted = Interrupted {
            ui: self.ui.clone(),
            renderer: Arc::clone(&self.renderer),
            report: Arc::clone(&self.report),
            logs: self.logs.clone(),
        };
        interrupted.listen()
    }
}
