//! The docker builder and its post-processors.
//!
//! Everything goes over the Docker Engine API; the `docker` command is not run. That saves the
//! start of one process per step and gives structured errors and progress.

mod archive;
mod artifact;
mod builder;
mod commit;
mod communicator;
mod config;
mod credentials;
mod dockerfile;
mod ecr;
mod engine;
mod exec;
mod mounts;
mod post_processors;
mod progress;
mod reclaim;
mod run_command;
mod save;
mod steps;
mod unfinished;

use std::sync::Arc;

use ingot_sdk::ecr::EcrLogin;
use ingot_sdk::{Builder, PluginSet, PostProcessor};

pub use builder::DockerBuilder;
pub use post_processors::{DockerImport, DockerPush, DockerSave, DockerTag};
pub use reclaim::DockerReclaim;

/// Adds the plugins of this crate to `set`. `ecr` gets passwords for `ecr_login`, where the program
/// has something that can.
pub fn register(set: &mut PluginSet, ecr: Option<Arc<dyn EcrLogin>>) {
    let ecr = ecr::Ecr(ecr);
    let for_push = ecr.clone();
    let builder = move || Box::new(DockerBuilder::with_ecr(ecr.clone())) as Box<dyn Builder>;
    set.builders.insert("docker".into(), Arc::new(builder));
    let push = move || Box::new(DockerPush::with_ecr(for_push.clone())) as Box<dyn PostProcessor>;
    set.post_processors.insert("docker-push".into(), Arc::new(push));
    set.post_processor::<DockerTag>("docker-tag");
    set.post_processor::<DockerSave>("docker-save");
    set.post_processor::<DockerImport>("docker-import");
    set.reclaimer(DockerReclaim);
    set.provides("github.com/hashicorp/docker", "1.1.5");
}
