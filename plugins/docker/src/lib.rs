//! The docker builder and its post-processors.
//!
//! Knows the Engine and the SDK; knows nothing of templates, of the engine that runs builds or of other
//! builders.
//!
//! Everything goes over the Docker Engine API; the `docker` command is not run. That saves the
//! start of one process per step and gives structured errors and progress.

mod archive;
mod artifact;
mod builder;
mod by_command;
mod commit;
mod communicator;
mod config;
mod container_command;
mod contents;
mod credentials;
mod dockerfile;
mod download;
mod ecr;
mod engine;
mod exec;
mod find_image;
mod first_line;
mod liveness;
mod mounts;
mod patience;
mod piece;
mod platform;
mod post_processors;
mod progress;
mod proxy;
mod reclaim;
mod resume;
mod resume_container;
mod run_command;
mod run_container;
mod save;
mod state;
mod states;
mod steps;
#[cfg(test)]
mod test_engine;
mod test_machine;
mod transport;
mod unfinished;
mod unfinished_name;

use std::sync::Arc;

use ingot_sdk::PluginSet;
use ingot_sdk::ecr::EcrLogin;

pub use builder::DockerBuilder;
pub use contents::{ImageContents, ImageFile, ImageFileKind, image_contents};
pub use post_processors::{DockerImport, DockerPush, DockerSave, DockerTag};
pub use reclaim::DockerReclaim;

/// Adds the plugins of this crate to `set`. `ecr` gets passwords for `ecr_login`, where the program
/// has something that can.
pub fn register(set: &mut PluginSet, ecr: Option<Arc<dyn EcrLogin>>) {
    let ecr = ecr::Ecr(ecr);
    set.add_builder(DockerBuilder { ecr: ecr.clone() });
    set.add_test_machine("docker", test_machine::ImageTest);
    set.add_post_processor(DockerPush { ecr });
    set.add_post_processor(DockerTag);
    set.add_post_processor(DockerSave);
    set.add_post_processor(DockerImport);
    set.reclaimer(DockerReclaim);
    set.add_state_store(states::CachedImages);
    set.provides("github.com/hashicorp/docker", "1.1.5");
}
