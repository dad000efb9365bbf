//! The post-processors manifest, checksum, compress, shell-local, artifice, and vagrant for qemu.
//!
//! They know the artifacts they are given, and nothing of the builders that made them.

mod artifice;
mod checksum;
mod compress;
mod lock_file;
mod manifest;
mod shell_local;
mod vagrant;
mod work;

use ingot_sdk::PluginSet;
use ingot_sdk::output_file::ReclaimUnfinishedFiles;

pub use artifice::Artifice;
pub use checksum::Checksum;
pub use compress::Compress;
pub use manifest::Manifest;
pub use shell_local::ShellLocalPostProcessor;
pub use vagrant::Vagrant;

/// Adds the plugins of this crate to `set`.
pub fn register(set: &mut PluginSet) {
    set.add_post_processor(Artifice);
    set.add_post_processor(Checksum);
    set.add_post_processor(Compress);
    set.add_post_processor(Manifest);
    set.add_post_processor(ShellLocalPostProcessor);
    set.add_post_processor(Vagrant);
    set.provides("github.com/hashicorp/vagrant", "1.1.7");
    set.reclaimer(ReclaimUnfinishedFiles);
}
