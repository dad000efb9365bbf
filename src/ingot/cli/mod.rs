//! The command line: one file per command. Each command has `run(args) -> ExitCode`; what users
//! see goes through the ui, or to standard output where it is the command's answer.

mod args;
mod argv;
mod asynchronous;
mod build;
mod cache;
mod changed_only;
mod cleanup;
mod command;
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
mod whole_file;

pub use entry::main;

use output::{answer, diagnostic_of, plain, report, show, show_error};
