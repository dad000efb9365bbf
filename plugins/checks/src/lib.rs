//! Checks of a machine: what must be true of it, and whether it is. They look through a
//! communicator, so they are the same for containers, virtual machines and instances.
//!
//! Knows the SDK's communicator; knows nothing of builders, of the engine or of how a machine was
//! started.
//!
//! A [`Check`] is made of the options of a block of a `test` ([`Check::of_block`]) or of an entry of
//! a goss file ([`goss::checks`]), and [`Check::run`] gives a [`Verdict`].

mod account;
mod check;
mod command;
mod file;
pub mod goss;
mod lines;
mod options;
mod package;
mod pattern;
mod port;
mod process;
mod service;
mod shell;
mod verdict;

pub use check::{Check, Defaults, KINDS, schema};
pub use shell::Shell;
pub use verdict::Verdict;
