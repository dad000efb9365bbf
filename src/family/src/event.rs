//! What is reported while a family is built.

use std::sync::Arc;

use super::member::Member;

/// Something that happens while a family is built. It has no `Debug`, as some are secrets.
pub enum FamilyEvent<'a> {
    /// A member is built, for this reason. There may be several.
    OutOfDate {
        /// The member.
        member: &'a Member,
        /// The reason.
        reason: &'a str,
    },
    /// Another run began the version of a member's commit and did not complete it.
    VersionOfAnotherRun {
        /// The member.
        member: &'a Member,
        /// The fingerprint of that version.
        begun: &'a str,
        /// The fingerprint of the version that is built instead.
        new: &'a str,
    },
    /// A member could not be built.
    Failed {
        /// The member.
        member: &'a Member,
        /// Why.
        reason: &'a str,
    },
    /// The process that builds a member has found this to be secret.
    Secret(&'a str),
    /// The process that builds a member has written a line, or a part of a long one.
    Output {
        /// The member.
        member: &'a Member,
        /// Where to.
        stream: OutputStream,
        /// The line, with its end.
        line: &'a [u8],
    },
    /// A signal has asked the processes to end, for the first time.
    Cancelling {
        /// The signal's name.
        signal: &'static str,
    },
}

/// Where a process writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Gets each event, also of several members at once.
pub type Report = Arc<dyn Fn(FamilyEvent<'_>) + Send + Sync>;
