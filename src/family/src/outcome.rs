//! What became of the members of a family.

/// What became of a member.
#[derive(Debug, Clone)]
pub enum MemberOutcome {
    /// It was built.
    Built {
        /// The name of the version.
        version: String,
        /// The channel that was assigned the version, if one was.
        promoted: Option<String>,
    },
    /// What an earlier run built was assigned to a channel.
    Promoted {
        /// The name of the version.
        version: String,
        /// The channel.
        channel: String,
    },
    /// There was nothing to do.
    Unchanged,
    /// It failed, for this reason.
    Failed(String),
    /// It was not tried, because of this bucket.
    NotReached(String),
    /// The run was stopped before it.
    Stopped,
}

impl MemberOutcome {
    /// Whether what builds on it cannot be built.
    pub fn blocks(&self) -> bool {
        use MemberOutcome::{Failed, NotReached, Stopped};
        matches!(self, Failed(_) | NotReached(_) | Stopped)
    }
}
