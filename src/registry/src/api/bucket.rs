//! Buckets: one for each image that is built again and again.

use super::{
    BucketChildren, BucketParents, Labels, Location, PaginationResponse, Timestamp, Version,
    message,
};

message! {
    /// A bucket.
    Bucket {
        /// A ULID.
        id: String,
        /// Its name, unique in a project.
        name: String,
        /// Where it is.
        location: Option<Location>,
        /// `packer/project/PROJECT/bucket/NAME`.
        resource_name: String,
        /// What it is for.
        description: String,
        /// Custom metadata.
        labels: Labels,
        /// The platforms of its newest complete version.
        platforms: Vec<String>,
        /// What the channel `latest` points at.
        latest_version: Option<Version>,
        /// How many versions it has, complete or not.
        version_count: String,
        /// The buckets that its newest complete version was built from.
        parents: Option<BucketParents>,
        /// The buckets whose newest complete version was built from one of this.
        children: Option<BucketChildren>,
        /// When it was made.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}

message! {
    /// Asks for a new bucket.
    CreateBucketBody {
        /// Its name: 1 to 64 letters, digits, `-`, `_` and `.`.
        name: String,
        /// What it is for.
        description: String,
        /// Custom metadata.
        labels: Labels,
    }
}

message! {
    /// Sets a bucket's description and labels: both, whether they are given or not.
    UpdateBucketBody {
        /// What it is for.
        description: String,
        /// Custom metadata.
        labels: Labels,
        /// Not used: the platforms are those of the newest complete version.
        platforms: Vec<String>,
    }
}

message! {
    /// A bucket.
    BucketResponse {
        /// It.
        bucket: Option<Bucket>,
    }
}

message! {
    /// A project's buckets.
    ListBucketsResponse {
        /// A page of them.
        buckets: Vec<Bucket>,
        /// How to go on.
        pagination: Option<PaginationResponse>,
    }
}
