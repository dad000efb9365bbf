//! The command line: one file per command. Each command has `run(args) -> ExitCode`; what users
//! see goes through the ui, or to standard output where it is the command's answer.
//!
//! [`run`] runs a program with the arguments of its process. [`build_plan`] is what a run would do,
//! [`build_logs`] keeps what a build says while it runs, and [`image_lookup`] finds what is known of an
//! image. [`mod@reference`] and [`console`] are also for tests.
//!
//! Knows all that commands are about, and nothing of how builders work: which plugins there are, the
//! program says in [`BuiltIn`].

mod args;
mod argv;
mod asynchronous;
mod build;
pub mod build_logs;
pub mod build_plan;
mod built_in;
mod cache;
mod changed_only;
mod cleanup;
mod command;
mod completions;
pub mod console;
mod diff;
mod entry;
mod examples;
mod failures;
mod family;
mod family_plan;
mod fix;
mod fmt;
mod hcl2_upgrade;
pub mod image_lookup;
mod init;
mod inspect;
mod interrupts;
mod logging;
mod man_pages;
mod masked_json;
mod output;
mod packer_config;
mod plan;
#[cfg(feature = "plugin-host")]
mod plugins;
mod program;
mod publish;
pub mod reference;
mod registry;
mod requirements;
mod run_report;
mod sbom_generate;
mod stale;
mod step_cache;
mod subcommands;
mod suspend;
mod test;
mod usage;
mod validate;
mod verify_attestation;
mod version;

pub use built_in::BuiltIn;
pub use entry::run;

use output::{answer, diagnostic_of, may_color, plain, report, show, show_error, write_answer};
