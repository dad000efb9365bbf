//! Publishing to a registry, and all that `ingot registry` does with one, through the binary. What
//! is tested of a registry is tested of both: the one in a file, and a server over HTTPS.

mod commands;
mod data_sources;
#[expect(dead_code, reason = "the end-to-end tests use more of it")]
#[path = "../e2e/harness.rs"]
mod harness;
mod interrupted;
mod login;
mod peer;
mod publish;
mod queue;
mod template;
mod world;
