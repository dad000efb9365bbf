//! Prepares and runs the nodes of the build graph.

mod build_values;
mod data;
mod hook;
pub mod journal;
mod post_process;
pub mod prepare;
pub mod project;
pub mod reference;
pub mod run;

pub use journal::{FileJournal, reclaim_leftovers};
pub use prepare::{PreparedNode, prepare};
pub use project::{Project, ProjectOptions};
pub use run::{Outcome, RunOptions, run};

use ingot_sdk::PluginSet;

/// The plugins that are part of this binary.
pub fn plugins() -> PluginSet {
    let mut set = PluginSet::default();
    #[cfg(feature = "amazon")]
    ingot_amazon::register(&mut set);
    ingot_data_sources::register(&mut set);
    ingot_docker::register(&mut set);
    ingot_file::register(&mut set);
    ingot_null::register(&mut set);
    ingot_post_processors::register(&mut set);
    ingot_provisioners::register(&mut set);
    ingot_qemu::register(&mut set);
    set
}
