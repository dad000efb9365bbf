//! The post-processors that need no plugin: manifest, checksum, compress, shell-local, artifice.

mod artifice;
mod checksum;
mod compress;
mod manifest;
mod shell_local;
mod work;

use ingot_sdk::PluginSet;
use ingot_sdk::output_file::ReclaimUnfinishedFiles;

pub use artifice::Artifice;
pub use checksum::Checksum;
pub use compress::Compress;
pub use manifest::Manifest;
pub use shell_local::ShellLocalPostProcessor;

/// Adds the plugins of this crate to `set`.
pub fn register(set: &mut PluginSet) {
    set.post_processor::<Artifice>("artifice");
    set.post_processor::<Checksum>("checksum");
    set.post_processor::<Compress>("compress");
    set.post_processor::<Manifest>("manifest");
    set.post_processor::<ShellLocalPostProcessor>("shell-local");
    set.reclaimer(ReclaimUnfinishedFiles);
}
