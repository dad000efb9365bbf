//! The `qemu` builder.
//!
//! Knows QEMU and the SDK; knows nothing of templates, of the engine or of other builders.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`options`], [`prepare`], [`settings`] | the options as written, their check, and what it gives |
//! | [`steps`] | what a build does, in order |
//! | [`arguments`], [`processors`], [`accelerator`] | QEMU's command line |
//! | [`machine`], [`qmp`], [`process`] | the running QEMU and the way to talk to it |
//! | [`qemu_img`], [`copy`] | work on disks |
//! | [`network`] | where machine and host find each other |
//! | [`output_directory`] | where what is built goes |
//! | [`states`] | the step cache |
//! | [`reclaim`] | what a killed build leaves, and how it goes |

mod accelerator;
mod arguments;
mod artifact;
mod builder;
mod copy;
mod disk_format;
mod machine;
mod network;
mod options;
mod output_directory;
mod prepare;
mod process;
mod processors;
mod qemu_img;
mod qmp;
mod reclaim;
mod replaced;
mod settings;
mod states;
mod steps;
mod test_machine;

use ingot_sdk::PluginSet;
use ingot_vm::scratch::ReclaimScratch;

pub use builder::QemuBuilder;
pub use reclaim::QemuReclaim;

/// Adds the plugins of this crate to `set`.
pub fn register(set: &mut PluginSet) {
    set.add_builder(QemuBuilder);
    set.add_test_machine("qemu", test_machine::DiskTest);
    set.reclaimer(QemuReclaim);
    set.add_state_store(states::CachedDisks);
    set.reclaimer(ReclaimScratch);
    set.provides("github.com/hashicorp/qemu", "1.1.5");
}
