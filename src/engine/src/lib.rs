//! Prepares and runs the nodes of the build graph.
//!
//! - [`Project`] is a template with its values, and [`graph`] makes nodes of it, one for every source of
//!   every build;
//! - [`check`] checks the nodes, [`prepare()`] makes what can run of them, and [`run()`] runs it;
//! - [`journal`] keeps what a run creates, and [`orphaned_runs`] removes what a killed one left;
//! - [`inputs`] is what a build is made from, for plans, for [`resume`] and for the [`step_cache`].
//!
//! Knows templates, and plugins only as the SDK's [`PluginSet`](ingot_sdk::PluginSet) holds them: no
//! plugin by its name. Knows no registry, which whoever publishes reaches through [`Publisher`], no
//! terminal and no command line.

mod artifact_tests;
mod blocks;
mod build_values;
mod data;
mod deletion;
pub mod graph;
mod hook;
mod host_machine;
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
mod state_directory;
pub mod state_file;
pub mod step_cache;
mod stores;
mod unreadable;

pub use host_machine::HostMachine;
#[cfg(feature = "plugin-host")]
pub use installed::{is_for_other_builders, started_programs};
pub use interrupts::Interrupts;
pub use journal::{FileJournal, RunInfo};
pub use orphaned_runs::reclaim_orphaned_runs;
pub use prepare::{CheckedNode, PreparedNode, check, prepare};
pub use project::{Project, ProjectOptions};
pub use publish::{Publisher, Start, Unpublished};
pub use resume::{KeepOptions, ResumeFlags};
pub use run::{Outcome, RunOptions, Tests, run};
pub use step_cache::{StepCache, StepCacheOptions};
pub use unreadable::Unreadable;

#[cfg(test)]
mod test_plugins;
#[cfg(test)]
mod unknown_tests;
