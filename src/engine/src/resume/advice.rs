//! What a person does next with a build that is kept, or should have been.

use super::record::{KeptBuild, Stage};

/// What is left of a build, and what removes it, where it could not be written down because of `lost`.
/// `build` is what should have been written, `before` the record that is there, and `is_left` says
/// whether the journal has something of it.
pub(super) fn not_recorded(
    lost: &str,
    build: Option<&KeptBuild>,
    before: Option<&KeptBuild>,
    is_left: bool,
) -> String {
    let known = before.is_some_and(|before| before.artifact.is_some());
    let made = build.filter(|build| build.stage == Stage::PostProcessing && !known);
    let made = made.and_then(|build| build.artifact.as_ref());
    let mut lines = Vec::new();
    lines.push(match (before, is_left || made.is_some()) {
        (Some(_), _) => format!("What is new could not be written down for -resume: {lost}"),
        (None, true) => format!("What is left could not be written down for -resume: {lost}"),
        (None, false) => format!("Nothing could be written down for -resume: {lost}"),
    });
    if before.is_some() {
        lines.push(
            "The record of what was kept before is still there: `ingot cleanup -kept` removes it \
             and what is left."
                .to_owned(),
        );
    }
    if let Some(made) = made {
        // It is not in the journal any more.
        lines.push(format!(
            "The builder made this, which `ingot cleanup` does not know of; remove it by hand when it \
             is not needed: {}",
            made.description().trim()
        ));
    }
    if build.is_some_and(|build| build.hosted && build.stage == Stage::Building) {
        lines.push(
            "The plugin left its machine, if it had one; it has to be removed by hand.".to_owned(),
        );
    }
    match (before, made) {
        (None, None) if is_left => lines.push("`ingot cleanup` removes it.".to_owned()),
        (None, Some(_)) if is_left => {
            lines.push("`ingot cleanup` removes what else is left.".to_owned());
        }
        _ => {}
    }
    lines.join("\n")
}

/// How the build goes on, and what removes it instead. A `hosted` one is built by a plugin's program; what
/// is made of a `tested` one is tested.
pub(super) fn how_to_go_on(
    build: &KeptBuild,
    template: &str,
    hosted: bool,
    tested: bool,
) -> String {
    let removes = match build.holds_something() {
        true => "\n`ingot cleanup -kept` removes what is kept instead.",
        false => "",
    };
    if build.stage == Stage::PostProcessing {
        let what = if tested { "tests and post-processors" } else { "post-processors" };
        return format!(
            "What the builder made is kept: `ingot build -resume {template}` runs the {what} \
             again.{removes}"
        );
    }
    if hosted {
        return "The plugin left its machine, if it had one. Packer's plugin protocol has no way \
                back to it: -resume cannot go on with it, and it has to be removed by hand."
            .to_owned();
    }
    if build.machine.is_none() && !build.left.is_empty() {
        return "What is left can be looked at, but not resumed: there was no machine to \
                provision. `ingot cleanup -kept` removes it."
            .to_owned();
    }
    let steps = &build.inputs.provisioners;
    let where_ = match steps.get(build.done) {
        Some(step) => format!(
            "goes on at provisioner {} of {}, {}",
            build.done + 1,
            steps.len(),
            step.describe()
        ),
        None if steps.is_empty() => "goes on".to_owned(),
        None => "goes on after the provisioners".to_owned(),
    };
    let what = match build.machine {
        Some(_) => "The machine is kept",
        None => "The progress of this build is kept",
    };
    format!("{what}: `ingot build -resume {template}` {where_}.{removes}")
}
