//! The one runner of local processes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{ExitStatus, OutputSink, Result, RunContext};

/// A program to run on this machine.
#[derive(Debug, Clone, Default)]
pub struct LocalCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables added to this process's environment.
    pub env: BTreeMap<String, String>,
    /// The folder to run in; this process's own when none.
    pub dir: Option<PathBuf>,
}

impl LocalCommand {
    /// Runs the command in a process group of its own and feeds its output to `output` as it
    /// comes. When `ctx.cancel` fires, or this future is dropped, the whole group is ended:
    /// SIGTERM first, SIGKILL soon after.
    ///
    /// # Errors
    /// The program could not be started, or the build was cancelled.
    pub async fn run(&self, ctx: &RunContext, output: &dyn OutputSink) -> Result<ExitStatus> {
        let _ = (ctx, output);
        todo!()
    }
}
