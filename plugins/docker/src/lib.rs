//! The docker builder and its post-processors.
//!
//! Everything goes over the Docker Engine API; the `docker` command is not run. That saves the
//! start of one process per step and gives structured errors and progress.

mod archive;
mod artifact;
mod builder;
mod communicator;
mod config;
mod credentials;
mod dockerfile;
mod engine;
mod post_processors;
mod progress;
mod reclaim;
mod run_command;
mod save;
mod steps;

use ingot_sdk::PluginSet;

pub use builder::DockerBuilder;
pub use post_processors::{DockerImport, DockerPush, DockerSave, DockerTag};
pub use reclaim::DockerReclaim;

/// Adds the plugins of this crate to `set`.
pub fn register(set: &mut PluginSet) {
    set.builder::<DockerBuilder>("docker");
    set.post_processor::<DockerTag>("docker-tag");
    set.post_processor::<DockerSave>("docker-save");
    set.post_processor::<DockerPush>("docker-push");
    set.post_processor::<DockerImport>("docker-import");
    set.reclaimer(DockerReclaim);
    set.provides("github.com/hashicorp/docker", "1.1.5");
}
