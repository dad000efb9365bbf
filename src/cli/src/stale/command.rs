//! The command and its flags.

use std::process::ExitCode;
use std::sync::Arc;

use ingot_family::{Family, FamilyEvent, FamilyRunOptions, MemberBuild, build_outdated};
use ingot_hcl::Diagnostic;
use ingot_registry::connect;
use ingot_sdk::file_work::gives_once;
use ingot_sdk::{PluginSet, Result, Ui};
use ingot_template::variables::VariableFlag;
use ingot_ui::{Renderer, UiOptions, View};

use super::arguments::MemberArguments;
use super::dry_run::dry_run;
use super::lines::{Lines, summary};
use crate::args::{BuildArgs, OnErrorFlag, ProgressFlag};
use crate::asynchronous::{Threads, to_end};
use crate::{family, run_report};

/// Builds what is out of date: 0 if all that is was built, or nothing is; 1 if not.
pub(crate) fn run(args: &BuildArgs, plugins: PluginSet) -> ExitCode {
    let color = !args.machine_readable && crate::may_color(&std::io::stdout());
    let renderer = Renderer::new(UiOptions {
        machine_readable: args.machine_readable,
        color,
        view: View::Nothing,
        ..UiOptions::default()
    });
    crate::logging::start_with(&renderer);
    let ui = Ui::new(Arc::clone(&renderer) as Arc<dyn ingot_sdk::EventSink>);
    if let Err(diagnostic) = check_flags(args) {
        run_report::show(diagnostic);
        return ExitCode::FAILURE;
    }
    let paths: Vec<_> = std::iter::once(&args.template).chain(&args.family).cloned().collect();
    let releases_only = args.installed.ignore_prerelease_plugins;
    let redactor = renderer.redactor();
    let (variables, selection) = (&args.variables, &args.selection);
    let family = family::read(&paths, plugins, variables, selection, releases_only, &redactor);
    let Some(family) = family else { return ExitCode::FAILURE };
    match to_end(Threads::Processors, build_family(args, family, &renderer, ui)) {
        Ok(code) => code,
        Err(error) => {
            run_report::show(crate::diagnostic_of(&error));
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
    if let Some((_, why)) = flags.into_iter().find(|(given, _)| *given) {
        let help = "build that template by itself, or leave the flag out";
        return Err(Diagnostic::error(why).help(help));
    }
    let files = args.variables.0.iter().filter_map(|flag| match flag {
        VariableFlag::File(path) => Some(path),
        VariableFlag::Value(_) => None,
    });
    match files.into_iter().find(|path| gives_once(path)) {
        Some(path) => Err(Diagnostic::error(format!(
            "{} is no regular file: the builds of the templates cannot each read it",
            path.display()
        ))
        .help("write what it gives to a file, and name that with -var-file")),
        None => Ok(()),
    }
}

async fn build_family(
    args: &BuildArgs,
    family: Family,
    renderer: &Arc<Renderer>,
    ui: Ui,
) -> Result<ExitCode> {
    if args.dry_run {
        return dry_run(&family, &ui, args.changed_only).await;
    }
    let masking = ui.clone();
    let connected = connect(Arc::new(move |secret: &str| masking.mask(secret))).await?;
    let lines = Lines::new(Arc::clone(renderer), ui.clone(), args.machine_readable);
    let arguments = MemberArguments::of(args);
    let options = FamilyRunOptions {
        changed_only: args.changed_only,
        limit: usize::try_from(args.parallel_builds).ok().filter(|&count| count > 0),
        arguments: Box::new(move |build: &MemberBuild<'_>| arguments.of_build(build)),
        report: Arc::new(move |event: FamilyEvent<'_>| lines.show(event)),
    };
    let family = Arc::new(family);
    let outcomes = build_outdated(Arc::clone(&family), connected, options).await?;
    Ok(summary(&family.members, &outcomes, &ui))
}
