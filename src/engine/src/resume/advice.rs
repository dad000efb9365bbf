//! What a person does next with a build that is kept.

use super::record::{KeptBuild, Stage};

/// How the build goes on, and what removes it instead. A `hosted` one is built by a plugin's program.
pub(super) fn how_to_go_on(build: &KeptBuild, template: &str, hosted: bool) -> String {
    let removes = match build.holds_something() {
        true => "\n`ingot cleanup -kept` removes what is kept instead.",
        false => "",
    };
    if build.stage == Stage::PostProcessing {
        return format!(
            "What the builder made is kept: `ingot build -resume {template}` runs the \
             post-processors again.{removes}"
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
