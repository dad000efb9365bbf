//! Post-processors for docker images and exported containers.

mod image;
mod import;
mod push;
mod save;
mod tag;

pub use import::DockerImport;
pub use push::DockerPush;
pub use save::DockerSave;
pub use tag::DockerTag;

use image::{check_image, data_of, split_name, tags_of};
