//! Publishing to a registry, and all that `ingot registry` does with one, through the binary. What
//! is tested of a registry is tested of both: the one in a file, and a server over HTTPS.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

mod altered;
mod ancestry;
mod browser_login;
mod changed_only;
mod commands;
mod data_sources;
mod database_files;
mod families;
mod fingerprint;
mod interrupted;
mod late;
mod login;
mod lost_answers;
mod peer;
mod plan;
mod plan_files;
mod publish;
mod queue;
mod refused;
mod resume;
mod sboms;
mod silent;
mod template;
mod transfer;
mod transfer_revocations;
mod world;
