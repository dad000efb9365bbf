//! `ingot test`: the tests beside a template on an artifact that is there already.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ingot_engine::{Outcome, PreparedNode, Project};
use ingot_hcl::diagnostic::{Diagnostic, list};
use ingot_sdk::{PluginSet, TestSubject, Ui};

use super::args::{BuildArgs, ProgressFlag, StepCacheArgs, TestArgs};
use super::{build, run_report};

/// Says that a Docker image is meant.
const DOCKER: &str = "docker:";

/// Tests an artifact: 0 if every check passed, 1 if not.
pub(super) fn run(args: TestArgs, plugins: PluginSet) -> ExitCode {
    // Lives until the tests have ended.
    let mut made_up = None;
    let (template, artifact) = match (&args.goss, args.artifact) {
        (None, Some(artifact)) => (args.template, artifact),
        (Some(goss), _) => {
            let image = args.template.to_string_lossy().into_owned();
            match template_of(&image, goss) {
                Ok(directory) => {
                    let path = directory.path().join("image.pkr.hcl");
                    made_up = Some(directory);
                    (path, image)
                }
                Err(diagnostic) => {
                    run_report::show(diagnostic);
                    return ExitCode::FAILURE;
                }
            }
        }
        // Clap does not let this through.
        (None, None) => return ExitCode::FAILURE,
    };
    let build_args = BuildArgs {
        template,
        family: Vec::new(),
        artifact: Some(subject(&artifact)),
        variables: args.variables,
        ignored_flags: args.ignored_flags,
        selection: args.selection,
        installed: args.installed,
        color: args.color,
        debug: false,
        force: false,
        machine_readable: args.machine_readable,
        timestamp_ui: args.timestamp_ui,
        warn_on_undeclared_var: false,
        progress: ProgressFlag::Auto,
        report: args.report,
        on_error: None,
        resume: false,
        start_at: None,
        stop_before: None,
        only_post_processors: false,
        parallel_builds: 1,
        skip_tests: false,
        skip_enforcement: false,
        changed_only: false,
        stale: false,
        dry_run: false,
        step_cache: StepCacheArgs { cache: None, no_cache: true, cache_dir: None, explain: false },
    };
    let code = build::run(&build_args, plugins);
    drop(made_up);
    code
}

/// A template whose only test is a goss file, for a Docker image.
fn template_of(image: &str, goss: &Path) -> Result<tempfile::TempDir, Diagnostic> {
    if !image.starts_with(DOCKER) {
        return Err(Diagnostic::error(format!("-goss does not test `{image}`")).help(
            "without a template, Docker images can be tested: ingot test -goss=goss.yaml \
             docker:IMAGE; for others write a template and a goss block in a companion file",
        ));
    }
    let goss: PathBuf = std::path::absolute(goss).unwrap_or_else(|_| goss.to_owned());
    let quoted = |text: &str| ingot_hcl::quote(text);
    let template = "source \"docker\" \"image\" {\n  image  = \"image\"\n  commit = true\n}\n\
                    build {\n  sources = [\"source.docker.image\"]\n}\n";
    let name = goss.file_name().unwrap_or_default().to_string_lossy();
    let companion = format!(
        "test {} {{\n  goss {{\n    file = {}\n  }}\n}}\n",
        quoted(&name),
        quoted(&goss.to_string_lossy())
    );
    let write = || {
        let directory = tempfile::Builder::new().prefix("ingot-test-").tempdir()?;
        std::fs::write(directory.path().join("image.pkr.hcl"), template)?;
        std::fs::write(directory.path().join("image.ingot.hcl"), companion)?;
        Ok::<_, std::io::Error>(directory)
    };
    write().map_err(|error| Diagnostic::error(format!("cannot write a template: {error}")))
}

/// What the user names: a file is a disk, everything else has an id.
fn subject(artifact: &str) -> TestSubject {
    let path = Path::new(artifact);
    match (artifact.strip_prefix(DOCKER), path.is_file()) {
        (Some(image), _) => TestSubject { id: image.to_owned(), ..TestSubject::default() },
        (None, true) => {
            TestSubject { id: artifact.to_owned(), files: vec![path.to_owned()], run: None }
        }
        (None, false) => TestSubject { id: artifact.to_owned(), ..TestSubject::default() },
    }
}

/// Which builder is likely to have made what is tested.
fn maker(artifact: &TestSubject) -> &'static str {
    let ami = artifact.id.starts_with("ami-") || artifact.id.contains(":ami-");
    match (artifact.files.is_empty(), ami) {
        (false, _) => "qemu",
        (true, true) => "amazon-ebs",
        (true, false) => "docker",
    }
}

/// Leaves the one node whose tests are for `artifact`.
///
/// # Errors
/// There is none, or more than one.
pub(super) fn choose(
    project: &Project,
    nodes: &mut Vec<PreparedNode>,
    artifact: &TestSubject,
) -> Result<(), Diagnostic> {
    nodes.retain(|node| project.companion.tests_of(&node.node.component).next().is_some());
    if nodes.is_empty() {
        return Err(Diagnostic::error("there is no test for what is selected").help(
            "tests stand in a file beside the template: NAME.ingot.hcl for NAME.pkr.hcl, with \
             blocks test \"NAME\" { … }",
        ));
    }
    if nodes.len() > 1 && nodes.iter().any(|node| node.node.ty == maker(artifact)) {
        nodes.retain(|node| node.node.ty == maker(artifact));
    }
    if nodes.len() > 1 {
        let names = list(nodes.iter().map(|node| node.node.name.as_str()));
        return Err(Diagnostic::error("it is not clear which build made the artifact")
            .help("name the one with -only=NAME")
            .note(format!("builds with tests: {names}")));
    }
    Ok(())
}

/// The last line of the output.
pub(super) fn summary(ui: &Ui, outcomes: &[Outcome]) -> ExitCode {
    let mut failed = false;
    for outcome in outcomes {
        if let Err(error) = &outcome.result {
            failed = true;
            ui.for_build(&outcome.name).machine("error", &[&error.to_string()]);
        }
    }
    match failed {
        true => {
            ui.verdict(true, "\n==> Tests failed.");
            ExitCode::FAILURE
        }
        false => {
            ui.verdict(false, "\n==> Tests passed.");
            ExitCode::SUCCESS
        }
    }
}
