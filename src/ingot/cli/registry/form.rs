//! The option that says how to answer.

use clap::Args;

use crate::cli::args::go_bool;

/// How to answer.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Form {
    /// Print JSON
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, value_parser = go_bool)]
    pub(super) json: bool,
}
