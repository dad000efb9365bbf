//! `ingot plan`

use std::iter;
use std::process::ExitCode;

use ingot_engine::project::RunFlags;
use ingot_engine::signals::or_cancelled;
use ingot_engine::{Project, ProjectOptions, check};
use ingot_hcl::Diagnostics;
use ingot_publish::Plan;
use ingot_publish::changes::{Published, is_there, last_published};
use ingot_registry::{only_reading, only_reading_here, settings};
use ingot_sdk::{Error, PluginSet, Result, Ui};
use ingot_ui::{Redactor, Renderer, UiOptions};

use super::args::{PlanArgs, PlanFormat};
use super::asynchronous::{Threads, to_end};
use super::family_plan;
use super::masked_json::masked_json;
use super::output::failed;
use super::usage;
use crate::build_plan::{self, BuildPlan};

/// Shows what `build` would do: 0 if that can be said, 1 if not.
pub(super) fn run(args: &PlanArgs, plugins: PluginSet) -> ExitCode {
    let is_document = args.format != PlanFormat::Tree;
    let renderer = Renderer::new(UiOptions { to_stderr: is_document, ..UiOptions::default() });
    super::logging::start_with(&renderer);
    if args.family {
        return family_plan::run(args, plugins, renderer);
    }
    if !args.more.is_empty() {
        let templates = iter::once(&args.template).chain(&args.more);
        if let Some(why) = usage::no_template("ingot plan", templates) {
            usage::show(why);
            return ExitCode::FAILURE;
        }
        let error = Error::new("more than one template is for families: -family is missing");
        let templates = iter::once(&args.template).chain(&args.more);
        let hint = usage::several_templates("ingot plan", "-family", templates);
        return failed(&error.hint(hint), &renderer.redactor());
    }
    let redactor = renderer.redactor();
    let ui = Ui::new(renderer);
    let mut diagnostics = Diagnostics::default();
    let asks = !args.offline && settings::is_configured();
    // A registry's file that is not there must not be created by looking into it.
    let there = match asks {
        true => match is_there() {
            Ok(there) => there,
            Err(error) => return failed(&error, &redactor),
        },
        false => false,
    };
    let options = ProjectOptions {
        plugins,
        variables: args.variables.0.clone(),
        warn_undeclared: true,
        releases_only: args.installed.ignore_prerelease_plugins,
        fetch_data: args.evaluate_datasources.then(|| ui.clone()),
        registry_data: there.then(|| ui.clone()),
        ..ProjectOptions::default()
    };
    let mut project = Project::load(&args.template, &options, &mut diagnostics);
    match args.evaluate_datasources {
        true => project.evaluate(&options, &mut diagnostics),
        // Where only the registry is asked, nothing is built.
        false => only_reading_here(|| project.evaluate(&options, &mut diagnostics)),
    }
    let filter = project.filter(&args.selection.only, &args.selection.except);
    let filter = diagnostics.keep(filter).unwrap_or_default();
    project.secrets().hide_in(&ui);
    redactor.keep(project.public_names());
    let publish = match diagnostics.has_errors() {
        true => None,
        false => ingot_publish::plan(&project, None, &mut diagnostics),
    };
    let mut registry = None;
    if let Some(plan) = publish.as_ref().filter(|_| asks && !diagnostics.has_errors()) {
        let found = match ask(plan, args.skip_enforcement, &ui) {
            Ok(found) => found,
            Err(error) => return failed(&error, &redactor),
        };
        project.enforce(&found.enforced, &mut diagnostics);
        registry = Some(found);
    }
    let nodes = check(&project, &filter, &RunFlags::default(), &mut diagnostics);
    ingot_publish::check_artifacts(&project, &nodes, &mut diagnostics);
    let color = super::may_color(&std::io::stderr());
    super::show(&diagnostics, &project.sources, &redactor, color);
    if diagnostics.has_errors() {
        return ExitCode::FAILURE;
    }
    let template = args.template.display().to_string();
    let (publish, registry) = (publish.as_ref(), registry.as_ref());
    let cache = args.cache_dir.as_deref();
    let plan = build_plan::gather(template, &project, &nodes, publish, registry, cache);
    show(&plan, args, &redactor)
}

/// What the registry says of the bucket.
fn ask(plan: &Plan, skip_enforcement: bool, ui: &Ui) -> Result<Published> {
    let asking = only_reading(last_published(plan, skip_enforcement, ui));
    let asked = to_end(Threads::Current, or_cancelled(asking));
    asked.map_err(|error| error.further_hint("-offline plans without the registry"))
}

fn show(plan: &BuildPlan, args: &PlanArgs, redactor: &Redactor) -> ExitCode {
    let color = super::may_color(&std::io::stdout());
    let text = match args.format {
        PlanFormat::Tree => build_plan::tree(plan).render(color),
        PlanFormat::Dot => build_plan::dot(plan),
        PlanFormat::Json => match masked_json(plan, redactor) {
            Ok(json) => json + "\n",
            Err(error) => return failed(&Error::new(error.to_string()), redactor),
        },
    };
    let text = match args.format {
        // Masked already: the text as a whole would not stay JSON.
        PlanFormat::Json => text,
        PlanFormat::Tree | PlanFormat::Dot => redactor.apply(&text),
    };
    super::write_answer(text.as_bytes());
    ExitCode::SUCCESS
}
