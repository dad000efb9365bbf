//! End to end through the binary: what a user sees.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod alpine;
#[cfg(feature = "amazon")]
mod amazon;
mod artifact_tests;
mod behaviour;
mod build;
mod ci;
mod cleanup;
mod cleanup_shared;
mod command_line;
mod companion;
mod data_sources;
mod diff;
mod failures;
mod fmt;
mod interrupts;
mod json;
mod keyless;
mod legacy;
mod live_view;
mod messages;
mod mounts;
mod not_utf8;
mod package_checks;
mod packer_block;
mod parity;
mod post_processors;
mod process_limit;
mod provenance;
mod provenance_parameters;
mod proxies;
mod resume;
mod resume_refused;
mod resume_scripts;
mod run_report;
mod running;
mod sbom;
mod sbom_skipped;
mod secret_stores;
mod secrets;
mod ssh;
mod standard_streams;
mod step_cache;
mod terminal;
mod validate;
mod values;
mod winrm;
