//! Prepares and runs the nodes of the build graph.

mod artifact_tests;
mod blocks;
mod build_values;
mod data;
mod hook;
pub mod inputs;
#[cfg(feature = "plugin-host")]
mod installed;
mod interrupts;
pub mod journal;
pub mod orphaned_runs;
mod post_process;
pub mod prepare;
pub mod project;
pub mod publish;
pub mod reference;
pub mod resume;
pub mod run;
pub mod signals;
pub(crate) mod state_file;
pub mod step_cache;
mod stores;

#[cfg(feature = "plugin-host")]
pub(crate) use installed::{is_for_other_builders, started_programs};
pub use interrupts::Interrupts;
pub use journal::{FileJournal, RunInfo};
pub use orphaned_runs::reclaim_orphaned_runs;
pub use prepare::{CheckedNode, PreparedNode, check, prepare};
pub use project::{Project, ProjectOptions};
pub use publish::{Publisher, Start, Unpublished};
pub use resume::{KeepOptions, ResumeFlags};
pub use run::{Outcome, RunOptions, Tests, run};
pub use step_cache::{StepCache, StepCacheOptions};

#[cfg(test)]
mod unknown_tests;
