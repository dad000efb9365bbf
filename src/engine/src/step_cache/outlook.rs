//! What is known of the step cache without starting a machine. Which states are found is not: that
//! depends on the image that the machine starts from, which only its builder knows.

use std::path::Path;

use ingot_sdk::recorded_path::shown_path;
use time::OffsetDateTime;

use super::build::AFTER;
use super::index::CacheDirectory;
use super::inputs::{BuildContext, Reason, describe};
use super::run::{shared_directory, unasked};
use crate::CheckedNode;
use crate::project::Project;

/// What is known of the state after a provisioner before the build runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// Why it is not kept; none if it can be.
    pub reason: Option<Reason>,
    /// When the last one was kept that is still known of.
    pub kept: Option<OffsetDateTime>,
}

/// What is known of the states after the provisioners of a build, in order; nothing where its builder
/// keeps none. `template` is the template's path, `shared` the directory that the command line names for
/// the cache. Nothing is written.
pub fn outlook<B>(
    project: &Project,
    checked: &CheckedNode<B>,
    template: &Path,
    shared: Option<&Path>,
) -> Option<Vec<Outlook>> {
    let node = &*checked.node;
    let states = project.builder_facts(&node.ty).states?;
    let shared = shared_directory(shared, &project.companion, &project.template.dir);
    let directory = CacheDirectory::existing(shared.as_deref());
    let index = directory.map(|directory| directory.index()).unwrap_or_default();
    let template = shown_path(template);
    let mut broken = false;
    let block = project.companion.cache.as_ref();
    let unasked = unasked(states, block.and_then(|block| block.amazon).unwrap_or(false));
    let outlooks = node.provisioners.iter().enumerate().map(|(position, step)| {
        let build =
            BuildContext { project, node, values: &checked.values, prepare: &checked.context };
        let is_last = position + 1 == node.provisioners.len();
        let own = match project.companion.may_cache(step) {
            _ if let Some(why) = unasked => Some(why.to_owned()),
            true if is_last && let Some(why) = states.last_unkept => Some(why.to_owned()),
            false => Some("its `cache` is false".to_owned()),
            true => describe(&build, step).err(),
        };
        let reason = own.or_else(|| broken.then(|| AFTER.to_owned()));
        broken |= reason.is_some();
        let name = step.shown_name();
        let states = index.states.values().filter(|state| {
            state.template == template
                && state.build == node.name
                && state.number == position + 1
                && state.step.contains(name)
        });
        Outlook { reason, kept: states.map(|state| state.created).max() }
    });
    Some(outlooks.collect())
}
