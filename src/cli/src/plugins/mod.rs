//! `ingot plugins`: the plugins that are programs of their own.

mod command;
mod describe;
mod install;
mod installed;
mod lines;
mod required;

pub(super) use command::{PluginsArgs, run};
pub(super) use required::install_required;
