//! The AMIs that are to keep states.

use ingot_sdk::StateKey;
use tokio::time::Instant;

use crate::ebs::steps::ImageCreation;

/// The tag that names the AMI that a state came from.
pub(super) const SOURCE_TAG: &str = "ingot-state-source";

/// An AMI that is to keep a state.
pub(super) struct StateImage {
    pub(super) key: StateKey,
    pub(super) creation: ImageCreation,
    /// Whether EC2 had begun with all of its snapshots before the instance went on: another one is
    /// no state.
    pub(super) exact: bool,
    /// When it was asked for.
    pub(super) begun: Instant,
}
