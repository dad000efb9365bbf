//! Channels: names for the version of a bucket that is to be used.

use super::{PaginationResponse, Timestamp, Version, message};

/// The channel that every bucket has and the registry manages: its newest valid version.
pub const LATEST_CHANNEL: &str = "latest";

message! {
    /// A channel.
    Channel {
        /// A ULID.
        id: String,
        /// Its name, unique in its bucket.
        name: String,
        /// Its bucket.
        bucket_name: String,
        /// Whether the registry sets it.
        managed: bool,
        /// Whether only those who may write may read it.
        restricted: bool,
        /// The version it points at.
        version: Option<Version>,
        /// Who changed it last.
        author_id: String,
        /// When it was made.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}

message! {
    /// Asks for a new channel.
    CreateChannelBody {
        /// Its name: 1 to 64 letters, digits, `-`, `_` and `.`.
        name: String,
        /// Whether only those who may write may read it.
        restricted: bool,
        /// The version it points at; empty for none.
        version_fingerprint: String,
    }
}

message! {
    /// Changes a channel.
    UpdateChannelBody {
        /// What to change: `versionFingerprint`, `restricted`, or both with a comma between.
        update_mask: String,
        /// Whether only those who may write may read it.
        restricted: bool,
        /// The version it points at; empty for none.
        version_fingerprint: String,
    }
}

message! {
    /// Assigns to one channel what another points at.
    AssignChannelVersionBody {
        /// The channel to read.
        source_channel: String,
        /// The channel to set.
        target_channel: String,
    }
}

message! {
    /// What was assigned.
    AssignChannelVersionResponse {
        /// The version's fingerprint.
        fingerprint: String,
        /// The channel that was read.
        source_channel: Option<Channel>,
        /// The channel that was set.
        target_channel: Option<Channel>,
        /// The version.
        version: Option<Version>,
    }
}

message! {
    /// A channel.
    ChannelResponse {
        /// It.
        channel: Option<Channel>,
    }
}

message! {
    /// A bucket's channels.
    ListChannelsResponse {
        /// All of them.
        channels: Vec<Channel>,
    }
}

message! {
    /// One assignment of a channel.
    ChannelAssignment {
        /// When.
        assigned_at: Timestamp,
        /// By whom.
        author_id: String,
        /// What; none where the channel was cleared.
        version: Option<Version>,
    }
}

message! {
    /// What a channel pointed at, newest first.
    ListChannelAssignmentHistoryResponse {
        /// A page of it.
        history: Vec<ChannelAssignment>,
        /// How many assignments there are.
        count: i32,
        /// How to go on.
        pagination: Option<PaginationResponse>,
    }
}
