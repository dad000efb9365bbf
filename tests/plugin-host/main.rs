//! Templates with plugins that are programs of their own, through the binary.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod builds;
mod commands;
mod init;
mod installed;
mod interrupted;
mod json_templates;
mod locked;
mod machine;
mod pipelines;
mod reboots;
mod release_server;
mod releases;
mod signed;
mod terminal;
mod validate;
