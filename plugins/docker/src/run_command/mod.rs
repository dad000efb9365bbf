//! Understands the arguments of `docker run`, which templates give as `run_command`, and turns
//! them into what the Engine API takes.

mod body;
mod command;
mod devices;
mod flags;
mod given;
mod mounts;
mod networks;
mod values;

pub(crate) use command::{DEFAULT_COMMAND, Pull, RunCommand};
