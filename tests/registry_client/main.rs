//! Publishing to a registry, and all that `ingot registry` does with one, through the binary. What
//! is tested of a registry is tested of both: the one in a file, and a server over HTTPS.

mod ancestry;
mod commands;
mod data_sources;
mod fingerprint;
#[expect(dead_code, reason = "the end-to-end tests use more of it")]
#[path = "../e2e/harness.rs"]
mod harness;
mod interrupted;
mod late;
mod login;
mod lost_answers;
mod peer;
mod publish;
mod queue;
mod refused;
mod silent;
mod template;
mod world;
