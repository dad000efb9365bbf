//! The real parts that Ingot's tests run against, and what runs the program in them.
//!
//! A test names what it needs with [`require!`]: `require!(docker())`, `let moto =
//! require!(Moto::start())`. What is not there is a failure under `CI` and a skipped test
//! elsewhere, which says what was missing. Each part is a process of its own, in a temporary
//! directory and on a free port, and ends with its owner; servers of moto, which are slow to start,
//! forget everything and wait for the next test.
//!
//! Knows the binary `ingot` and Ingot's HTTP client; knows nothing of the engine, of templates
//! or of a plugin. Start with [`ingot`] and [`template`]; wait with [`eventually`].

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests and benchmarks may")]

pub mod disk;
mod docker;
pub mod http;
pub mod moto;
mod pipe;
pub mod postgres;
pub mod registry_server;
mod require;
mod run;
pub mod secret_stores;
pub mod sigstore;
pub mod sshd;
mod state;
mod templates;
pub mod trial_plugin;
mod wait;

pub use docker::{BASE, docker};
pub use pipe::Pipe;
pub use require::{Required, missing};
pub use run::{
    Run, ingot, ingot_command, ingot_program, ingot_with, ingot_without_privileges, output_of,
    program, repository, signal, target_directory, tool,
};
pub use state::left_in_state;
pub use templates::{NULL, docker_template, null_template, template};
pub use wait::{Awaited, PATIENCE, eventually, eventually_async};
