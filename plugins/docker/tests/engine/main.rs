//! The docker plugins against a real Docker Engine.

mod build;
mod communicator;
mod harness;
mod post_processors;
mod scripts;
