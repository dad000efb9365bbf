//! The messages at the end of a run.

use std::process::ExitCode;

use ingot_engine::Outcome;
use ingot_publish::queue::KEPT_FOR_LATER;
use ingot_sdk::{ErrorKind, Ui};

/// Tells the end of a run that was interrupted, in Packer's words where nothing is left.
pub(super) fn say_cancelled(ui: &Ui, outcomes: &[Outcome]) {
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

/// Tells how the builds went, and the exit code for it.
pub(super) fn summary(ui: &Ui, outcomes: &[Outcome]) -> ExitCode {
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
