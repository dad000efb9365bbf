//! Prepares and runs the nodes of the build graph.

mod build_values;
mod data;
mod hook;
pub mod journal;
pub mod leftovers;
mod post_process;
pub mod prepare;
pub mod project;
pub mod publish;
pub mod reference;
pub mod run;

pub use journal::{FileJournal, RunInfo};
pub use leftovers::reclaim_leftovers;
pub use prepare::{PreparedNode, prepare};
pub use project::{Project, ProjectOptions};
pub use publish::{Publisher, Start, Unpublished};
pub use run::{Outcome, RunOptions, run};

use std::sync::Arc;

use ingot_sdk::PluginSet;
use ingot_sdk::ecr::EcrLogin;

/// The plugins that are part of this binary.
pub fn plugins() -> PluginSet {
    let mut set = PluginSet::default();
    let ecr: Option<Arc<dyn EcrLogin>>;
    #[cfg(feature = "amazon")]
    {
        ingot_amazon::register(&mut set);
        ecr = Some(Arc::new(ingot_amazon::AmazonEcr::default()));
    }
    #[cfg(not(feature = "amazon"))]
    {
        ecr = None;
    }
    ingot_data_sources::register(&mut set);
    ingot_docker::register(&mut set, ecr);
    ingot_file::register(&mut set);
    ingot_null::register(&mut set);
    ingot_post_processors::register(&mut set);
    ingot_provisioners::register(&mut set);
    ingot_qemu::register(&mut set);
    crate::registry::data_sources::register(&mut set);
    set
}
