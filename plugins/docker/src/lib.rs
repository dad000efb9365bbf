//! The docker builder and its post-processors.
//!
//! Knows the Engine and the SDK; knows nothing of templates, of the engine that runs builds or of other
//! builders.
//!
//! Everything goes over the Docker Engine API; the `docker` command is not run. That saves the
//! start of one process per step and gives structured errors and progress.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`config`], [`run_command`] | the options, and the arguments of `docker run` among them |
//! | [`builder`], [`steps`], [`state`] | what a build does, in order, and what its steps share |
//! | [`find_image`], [`dockerfile`], [`platform`] | the image that a container starts from |
//! | [`run_container`], [`container_command`], [`proxy`] | starting the container, and what it is created with |
//! | [`communicator`], [`exec`], [`first_line`], [`piece`] | commands in the container, and their output |
//! | [`archive`], [`download`], [`mounts`], [`by_command`] | files into the container and out of it |
//! | [`commit`], [`save`], [`artifact`] | the image or the file that a build creates |
//! | [`unfinished`], [`unfinished_name`] | images that are not yet anybody's, and their names |
//! | [`engine`], [`transport`], [`progress`] | the way to the Engine, and what it reports |
//! | [`patience`], [`liveness`] | how long the Engine is waited for; a pull has no limit while the Engine answers |
//! | [`credentials`], [`ecr`] | logging in to registries |
//! | [`post_processors`] | `docker-import`, `docker-push`, `docker-save`, `docker-tag` |
//! | [`states`] | the step cache |
//! | [`resume`], [`resume_container`] | `-resume` |
//! | [`test_machine`] | `test` blocks |
//! | [`contents`] | what is in an image, for `diff` |
//! | [`reclaim`] | what a killed build leaves, and how it goes |

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
