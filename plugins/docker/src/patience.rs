//! How long the Engine is waited for that says nothing.

use std::time::Duration;

/// How long the Engine is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How long it may say nothing before it is asked whether it is there.
    pub silence: Duration,
    /// How long it may take to answer that, and whatever else it need not work for.
    pub answer: Duration,
    /// How long the rest of a command's output may take to come once the command has ended.
    pub rest: Duration,
    /// How long tidying up may wait for it.
    pub cleanup: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            silence: Duration::from_secs(60),
            answer: Duration::from_secs(60),
            rest: Duration::from_secs(5),
            cleanup: Duration::from_secs(60),
        }
    }
}
