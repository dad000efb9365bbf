//! `ingot build`

mod checked;
mod ready;
mod reporting;
mod runs;
mod summary;

use std::iter;
use std::process::ExitCode;
use std::sync::Arc;

use ingot_hcl::SourceMap;
use ingot_hcl::diagnostic::Diagnostic;
use ingot_sdk::{EventSink, PluginSet, Ui, environment};
use ingot_ui::ci::CiSystem;
use ingot_ui::{Renderer, UiOptions, View};

use self::checked::check_template;
use self::ready::make_ready;
use self::reporting::{Reporting, RunOutcome};
use self::runs::run_builds;
use super::args::{BuildArgs, ProgressFlag};
use super::asynchronous::for_builds;
use super::output::diagnostic_of;
use super::run_report::{self, RunReport};
use super::{stale, usage};
use crate::build_logs::{self, Slot};

/// Builds a template: 0 if every build succeeded, 1 if not.
pub(super) fn run(args: &BuildArgs, plugins: PluginSet) -> ExitCode {
    if args.stale {
        return stale::run(args, plugins);
    }
    if !args.family.is_empty() && !args.dry_run {
        let templates = iter::once(&args.template).chain(&args.family);
        if let Some(why) = usage::no_template("ingot build", templates) {
            usage::show(why);
            return ExitCode::FAILURE;
        }
    }
    if !args.family.is_empty() || args.dry_run {
        let what = if args.dry_run { "-dry-run" } else { "more than one template" };
        let why = format!("{what} is for families: -stale is missing");
        let templates = iter::once(&args.template).chain(&args.family);
        let help = usage::several_templates("ingot build", "-stale", templates);
        run_report::show(Diagnostic::error(why).help(help));
        return ExitCode::FAILURE;
    }
    let color = !args.machine_readable && super::may_color(&std::io::stdout());
    let ci = CiSystem::detect().filter(|_| !args.machine_readable);
    let renderer = Renderer::new(UiOptions {
        machine_readable: args.machine_readable,
        color,
        view_color: !super::plain(),
        timestamps: args.timestamp_ui,
        view: view(args.progress),
        ci,
        ..UiOptions::default()
    });
    if args.progress == ProgressFlag::Live && !renderer.can_show_view() {
        let why = match args.machine_readable {
            true => "-progress=live and -machine-readable exclude each other",
            false => "-progress=live needs a terminal whose cursor can be moved",
        };
        run_report::show(Diagnostic::error(why).help("-progress=auto shows what can be shown"));
        return ExitCode::FAILURE;
    }
    ingot_family::attach(&renderer.redactor());
    let logs: Option<Slot> = (!build_logs::turned_off()).then(Slot::default);
    super::logging::start_for_builds(&renderer, logs.clone());
    let report = match RunReport::open(args, &renderer, ci) {
        Ok(report) => report,
        Err(diagnostic) => {
            run_report::show(diagnostic);
            return ExitCode::FAILURE;
        }
    };
    let ui = Ui::new(Arc::clone(&renderer) as Arc<dyn EventSink>);
    warn_of_switches(&ui);
    let reporting = Reporting { renderer, ui, color, report, logs };
    let RunOutcome { code, status } = build(args, plugins, &reporting);
    match reporting.report.write(status) {
        true => code,
        false => ExitCode::FAILURE,
    }
}

/// Warns of variables that are to turn something on or off, and say neither.
fn warn_of_switches(ui: &Ui) {
    for name in ["INGOT_BUILD_LOG", "INGOT_CI"] {
        if let Err(value) = environment::switch(name) {
            ui.error(format!(
                "Warning: {name} is {value:?}, neither on nor off: it does not count"
            ));
        }
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

fn build(args: &BuildArgs, plugins: PluginSet, reporting: &Reporting) -> RunOutcome {
    let checked = match check_template(args, plugins, reporting) {
        Ok(checked) => checked,
        Err(outcome) => return outcome,
    };
    let runtime = match for_builds() {
        Ok(runtime) => runtime,
        Err(error) => {
            let found = diagnostic_of(&error).into();
            reporting.report_diagnostics(&found, &SourceMap::default());
            return RunOutcome::FAILED;
        }
    };
    match make_ready(checked, reporting, &runtime) {
        Ok(ready) => run_builds(args, ready, reporting, runtime),
        Err(outcome) => outcome,
    }
}
