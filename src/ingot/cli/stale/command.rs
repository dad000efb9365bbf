//! The command, its flags, and what of them each build gets.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use ingot_hcl::Diagnostic;
use ingot_registry::connect;
use ingot_sdk::{Error, Result, Ui};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::fate::summary;
use super::order::dry_run;
use super::process::stop_on_signal;
use super::run::{Children, Run};
use crate::cli::args::{BuildArgs, OnErrorFlag, ProgressFlag};
use crate::cli::asynchronous::{Threads, to_end};
use crate::cli::{family, run_report};
use crate::engine::signals::Signals;
use crate::family::Family;
use crate::ui::{Renderer, UiOptions, View};

/// Builds what is out of date: 0 if all that is was built, or nothing is; 1 if not.
pub(in crate::cli) fn run(args: &BuildArgs) -> ExitCode {
    let color = args.color && !crate::cli::plain() && std::io::stdout().is_terminal();
    let renderer = Renderer::new(UiOptions {
        machine_readable: args.machine_readable,
        color,
        view: View::Nothing,
        ..UiOptions::default()
    });
    crate::cli::logging::start(renderer.redactor());
    let ui = Ui::new(Arc::clone(&renderer) as Arc<dyn ingot_sdk::EventSink>);
    if let Err(diagnostic) = check_flags(args) {
        run_report::show(diagnostic);
        return ExitCode::FAILURE;
    }
    let paths: Vec<_> = std::iter::once(&args.template).chain(&args.family).cloned().collect();
    let releases_only = args.installed.ignore_prerelease_plugins;
    let redactor = renderer.redactor();
    let (variables, selection) = (&args.variables, &args.selection);
    let family = family::read(&paths, variables, selection, releases_only, &redactor);
    let Some(family) = family else { return ExitCode::FAILURE };
    match to_end(Threads::Processors, build_family(args, family, &renderer, ui)) {
        Ok(code) => code,
        Err(error) => {
            run_report::show(crate::cli::diagnostic_of(&error));
            ExitCode::FAILURE
        }
    }
}

/// Refuses flags that are about the builds of one template.
fn check_flags(args: &BuildArgs) -> Result<(), Diagnostic> {
    let flags = [
        (
            args.progress == ProgressFlag::Live,
            "-progress=live shows the builds of one template; those of a family are shown in lines",
        ),
        (
            args.resume || args.start_at.is_some() || args.stop_before.is_some(),
            "-resume, -start-at and -stop-before are about the builds of one template",
        ),
        (args.skip_tests, "-skip-tests would promote what nobody has tested"),
        (args.only_post_processors, "-only-post-processors is about the builds of one template"),
        (args.debug, "-debug is about the builds of one template"),
        (
            matches!(args.on_error, Some(OnErrorFlag::Ask | OnErrorFlag::Keep)),
            "-on-error=ask and -on-error=keep are about the builds of one template",
        ),
    ];
    match flags.into_iter().find(|(given, _)| *given) {
        Some((_, why)) => {
            Err(Diagnostic::error(why).help("build that template by itself, or leave the flag out"))
        }
        None => Ok(()),
    }
}

async fn build_family(
    args: &BuildArgs,
    family: Family,
    renderer: &Arc<Renderer>,
    ui: Ui,
) -> Result<ExitCode> {
    let masking = ui.clone();
    let connected = connect(Arc::new(move |secret: &str| masking.mask(secret))).await?;
    if args.dry_run {
        return dry_run(&family, &connected, &ui, args.changed_only).await;
    }
    let cancel = CancellationToken::new();
    let children: Children = Arc::default();
    let signals = Signals::new().map_err(Error::from)?;
    tokio::spawn(stop_on_signal(signals, cancel.clone(), Arc::clone(&children), ui.clone()));
    let limit = usize::try_from(args.parallel_builds).ok().filter(|&count| count > 0);
    let run = Arc::new(Run {
        family,
        connected,
        flags: member_flags(args),
        reports: args.report.clone(),
        changed_only: args.changed_only,
        machine_readable: args.machine_readable,
        limit,
        slots: Semaphore::new(limit.unwrap_or(Semaphore::MAX_PERMITS)),
        renderer: Arc::clone(renderer),
        redactor: renderer.redactor(),
        ui,
        cancel,
        children,
    });
    let fates = Arc::clone(&run).all().await;
    Ok(summary(&run.family.members, &fates, &run.ui))
}

/// The flags that all builds get.
fn member_flags(args: &BuildArgs) -> Vec<String> {
    let mut flags = vec!["-color=false".to_owned(), "-progress=plain".to_owned()];
    let switches = [
        ("-force", args.force),
        ("-machine-readable", args.machine_readable),
        ("-timestamp-ui", args.timestamp_ui),
        ("-warn-on-undeclared-var", args.warn_on_undeclared_var),
        ("-ignore-prerelease-plugins", args.installed.ignore_prerelease_plugins),
        ("-skip-enforcement", args.skip_enforcement),
        ("-no-cache", args.step_cache.no_cache),
        ("-explain", args.step_cache.explain),
    ];
    let on = switches.iter().filter(|(_, on)| *on);
    flags.extend(on.map(|(flag, _)| (*flag).to_owned()));
    flags.extend(args.step_cache.cache.map(|on| format!("-cache={on}")));
    let directory = args.step_cache.cache_dir.as_deref();
    let directory = directory.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
    flags.extend(directory.map(|path| format!("-cache-dir={}", path.display())));
    flags.extend(args.selection.only.iter().map(|patterns| format!("-only={patterns}")));
    flags.extend(args.selection.except.iter().map(|patterns| format!("-except={patterns}")));
    match args.on_error {
        Some(OnErrorFlag::Abort) => flags.push("-on-error=abort".into()),
        Some(OnErrorFlag::RunCleanupProvisioner) => {
            flags.push("-on-error=run-cleanup-provisioner".into());
        }
        Some(OnErrorFlag::Cleanup | OnErrorFlag::Ask | OnErrorFlag::Keep) | None => {}
    }
    flags
}
