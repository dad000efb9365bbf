//! `post-processor "amazon-ami-management"`: removes AMIs of earlier builds. Options, defaults and
//! messages are those of the plugin of that name, github.com/wata727/amazon-ami-management.

mod options;
mod post_processor;
mod used;

pub use post_processor::AmiManagement;
