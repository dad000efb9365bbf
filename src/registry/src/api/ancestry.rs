//! Ancestry: which versions were built from which.

use super::{PaginationResponse, enumeration, message};

enumeration! {
    /// Whether what was built from something was built from what is to be used of it now.
    AncestryStatus {
        /// The channel it was found by is not known, or points nowhere.
        #[default]
        Undetermined = "UNDETERMINED",
        /// It was.
        UpToDate = "UP_TO_DATE",
        /// The channel has moved on.
        OutOfDate = "OUT_OF_DATE",
    }
}

enumeration! {
    /// Which relations are wanted.
    BucketAncestryType {
        /// All.
        #[default]
        Unset = "ANCESTRY_TYPE_UNSET",
        /// Those to what the bucket was built from.
        Parents = "ANCESTRY_TYPE_PARENTS",
        /// Those to what was built from the bucket.
        Children = "ANCESTRY_TYPE_CHILDREN",
    }
}

message! {
    /// What a bucket's newest complete version was built from.
    BucketParents {
        /// The path that lists them.
        href: String,
        /// Out of date if one is.
        status: AncestryStatus,
    }
}

message! {
    /// What was built from a bucket.
    BucketChildren {
        /// The path that lists them.
        href: String,
        /// Out of date if one is.
        status: AncestryStatus,
    }
}

message! {
    /// What a version was built from.
    VersionParents {
        /// The path that lists them.
        href: String,
        /// Out of date if one is.
        status: AncestryStatus,
    }
}

message! {
    /// What a channel points at.
    ChannelVersion {
        /// The version's id.
        id: String,
        /// Its name.
        name: String,
        /// Its fingerprint.
        fingerprint: String,
    }
}

message! {
    /// What was built from.
    Parent {
        /// The bucket.
        bucket_name: String,
        /// The version's id.
        version_id: String,
        /// Its name.
        version_name: String,
        /// Its fingerprint.
        version_fingerprint: String,
        /// The channel it was found by; empty where it was named by its fingerprint.
        channel_name: String,
        /// What this channel points at now.
        channel_version: Option<ChannelVersion>,
    }
}

message! {
    /// What was built.
    Child {
        /// The bucket.
        bucket_name: String,
        /// The version's id.
        version_id: String,
        /// Its name.
        version_name: String,
        /// Its fingerprint.
        version_fingerprint: String,
    }
}

message! {
    /// A relation.
    BucketAncestry {
        /// What was built from.
        parent: Option<Parent>,
        /// What was built.
        child: Option<Child>,
        /// Whether the child is out of date.
        status: AncestryStatus,
    }
}

message! {
    /// Which relations of a bucket are wanted, in a query.
    AncestryQuery {
        /// Those of its children, its parents, or both.
        #[serde(rename = "type")]
        kind: BucketAncestryType,
        /// Only those to children that were found by this channel.
        channel_name: String,
        /// Those of this version; empty for the newest complete one where parents are asked for,
        /// for any where children are.
        version_fingerprint: String,
    }
}

message! {
    /// A bucket's relations.
    ListBucketAncestryResponse {
        /// A page of them.
        relations: Vec<BucketAncestry>,
        /// How many there are.
        total_count: i32,
        /// How to go on.
        pagination: Option<PaginationResponse>,
    }
}
