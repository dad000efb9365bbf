//! `ingot build -changed-only`: whether there is anything to build.

use ingot_engine::graph::Filter;
use ingot_engine::inputs::InputReader;
use ingot_engine::project::RunFlags;
use ingot_engine::signals::or_cancelled;
use ingot_engine::{Project, check};
use ingot_hcl::Diagnostics;
use ingot_publish::changes::{Change, Published, compare, last_published, parent_records, removed};
use ingot_publish::data_sources::parent_references;
use ingot_publish::{Plan, beside_commit};
use ingot_sdk::{Result, Ui};
use tokio::runtime::Runtime;

use super::args::BuildArgs;

/// Whether a selected build differs from the last complete version of its bucket, or none is selected;
/// reports the former for each build. Adds the provisioners that the registry enforces to `project`,
/// which must be evaluated again afterwards, and gives `plan` another fingerprint where the version of
/// the commit is complete.
///
/// # Errors
/// The registry does not answer.
pub(super) fn anything(
    args: &BuildArgs,
    project: &mut Project,
    plan: &mut Plan,
    (filter, flags): (&Filter, &RunFlags),
    runtime: &Runtime,
    ui: &Ui,
) -> Result<bool> {
    let asking = last_published(plan, args.skip_enforcement, ui);
    let Published { last, enforced, commit_is_built, .. } =
        runtime.block_on(or_cancelled(asking))?;
    // Diagnostics of the template were already reported.
    let ignored = &mut Diagnostics::default();
    project.enforce(&enforced, ignored);
    let nodes = check(project, filter, flags, ignored);
    if nodes.is_empty() {
        // Not that nothing changed, but that nothing is selected: an error, as without the flag.
        return Ok(true);
    }
    let parents = parent_records(&parent_references(&project.template, &project.scope()));
    let reader = InputReader::new(project).skipping_tests(args.skip_tests);
    let since = last.as_ref().map(|last| format!(" since {}", last.name)).unwrap_or_default();
    let mut any = false;
    for checked in &nodes {
        let inputs = reader.read(checked);
        let name = &checked.node.name;
        match compare(last.as_ref(), &checked.node.component, &inputs, &parents) {
            Change::Unchanged => ui.say(format!("{name}: unchanged{since}")),
            Change::New(why) => {
                any = true;
                ui.say(format!("{name}: new: {why}"));
            }
            Change::Changed(what) | Change::Undecided(what) => {
                any = true;
                ui.say(format!("{name}: changed{since}: {}", what.join("; ")));
            }
        }
    }
    for component in last.iter().flat_map(|last| removed(project, last)) {
        any = true;
        ui.say(format!("{component}: removed{since}"));
    }
    match (any, nodes.len()) {
        (false, _) => ui.say("Nothing has changed: nothing is built."),
        (true, 1) => {}
        // A version has all builds of its template.
        (true, _) => ui.say("A version holds all builds: those that are unchanged are built too."),
    }
    if any && commit_is_built {
        let new = beside_commit(&plan.fingerprint);
        ui.say(format!(
            "The version of the commit {} is complete: what is built goes to the version {new}",
            plan.fingerprint
        ));
        plan.fingerprint = new;
    }
    Ok(any)
}
