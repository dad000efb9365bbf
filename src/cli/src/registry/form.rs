//! The option that says how to answer.

use clap::Args;

/// How to answer.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Form {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}
