//! `ingot diff`: what differs between two images.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use ingot_compare::{Difference, Part, compare, text};
use ingot_engine::signals::or_cancelled;
use ingot_engine::{FileJournal, RunInfo};
use ingot_registry::http::Mask;
use ingot_sdk::{Error, Result, RunContext, Ui, byte_size};
use ingot_ui::{Redactor, Renderer, UiOptions};

use super::asynchronous::{Threads, to_end};
use crate::image_lookup::{DockerImages, look_up};

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// A Docker image, BUCKET@FINGERPRINT or BUCKET:CHANNEL of a registry, or an SBOM file
    pub before: String,
    /// What to compare it with
    pub after: String,
    /// Compare only these parts: size, config, packages, files
    #[arg(long, value_name = "PARTS")]
    pub parts: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What the command ends with where it cannot compare, as `diff` does.
pub(super) const TROUBLE: u8 = 2;
/// What it ends with where there are differences.
const DIFFERENT: u8 = 1;

/// Compares two images: 0 if they are the same, 1 if they differ, 2 if they cannot be compared.
pub(super) fn run(args: &DiffArgs, docker: &dyn DockerImages) -> ExitCode {
    let redactor = Arc::new(Redactor::default());
    super::logging::start(Arc::clone(&redactor));
    let result = to_end(Threads::Workers(2), or_cancelled(differences(args, docker, &redactor)));
    let shown = result.and_then(|difference| {
        match args.json {
            true => {
                let text = serde_json::to_string_pretty(&difference).map_err(Error::caused_by)?;
                super::answer(&text);
            }
            false => super::answer(text::render(&difference, &byte_size).trim_end()),
        }
        Ok(difference.same)
    });
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DIFFERENT),
        Err(error) => {
            super::show_error(&error, &redactor);
            ExitCode::from(TROUBLE)
        }
    }
}

async fn differences(
    args: &DiffArgs,
    docker: &dyn DockerImages,
    redactor: &Arc<Redactor>,
) -> Result<Difference> {
    let parts = parts(&args.parts)?;
    let run = uuid::Uuid::new_v4().to_string();
    let journal = FileJournal::new(RunInfo::new(run, Path::new(".")));
    let ui_options = UiOptions { to_stderr: true, ..UiOptions::default() };
    let ui = Ui::new(Renderer::new(ui_options));
    let ctx = RunContext { journal: journal.of_build("diff"), ..RunContext::detached(ui) };
    let redactor = Arc::clone(redactor);
    let mask: Mask = Arc::new(move |secret: &str| redactor.add(secret));
    let mut images = Vec::with_capacity(2);
    for name in [&args.before, &args.after] {
        let image = look_up(&ctx, docker, name, &parts, &mask).await;
        images.push(image.map_err(|error| error.context(name))?);
    }
    let (before, after) = (&images[0], &images[1]);
    let difference = compare(before, after);
    if difference.compared.is_empty() {
        let message = format!("nothing is known of both {} and {}", before.name, after.name);
        return Err(Error::new(message).hint(
            "an SBOM has packages only, a version of a registry has what it was published with, a \
             Docker image has all",
        ));
    }
    Ok(difference)
}

/// The parts that `-parts` names; all of them if it is not given.
fn parts(given: &[String]) -> Result<Vec<Part>> {
    let names = given.iter().flat_map(|list| list.split(',')).map(str::trim);
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Ok(Part::ALL.to_vec());
    }
    let all = || Part::ALL.iter().map(|part| part.name());
    let find = |name: &&str| Part::ALL.into_iter().find(|part| part.name() == *name);
    if let Some(wrong) = names.iter().find(|name| find(name).is_none()) {
        let error = Error::new(format!("-parts: there is no part `{wrong}`"));
        return Err(match ingot_hcl::diagnostic::closest(wrong, all()) {
            Some(close) => error.hint(format!("did you mean `{close}`?")),
            None => error.hint(format!("parts are {}", all().collect::<Vec<_>>().join(", "))),
        });
    }
    Ok(names.iter().filter_map(find).collect())
}
