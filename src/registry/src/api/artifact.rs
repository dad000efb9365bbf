//! Artifacts: images on a platform, one for each region.

use super::{Build, Labels, PaginationResponse, RevocationType, Timestamp, VersionStatus, message};

message! {
    /// An artifact.
    Artifact {
        /// A ULID.
        id: String,
        /// What the platform calls it, as `ami-12345`.
        external_identifier: String,
        /// The platform's region, or what stands for one.
        region: String,
        /// When it was made known.
        created_at: Timestamp,
    }
}

message! {
    /// Makes an artifact known.
    ArtifactCreateBody {
        /// What the platform calls it.
        external_identifier: String,
        /// The platform's region.
        region: String,
    }
}

message! {
    /// Asks where an image comes from.
    SearchExternalArtifactRequestBody {
        /// What the platform calls it.
        external_identifier: String,
        /// The platform; empty for any.
        platform: String,
        /// The region; empty for any.
        region: String,
    }
}

message! {
    /// The bucket of an artifact.
    ExternalArtifactBucket {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Its labels.
        labels: Labels,
    }
}

message! {
    /// The version of an artifact.
    ExternalArtifactVersion {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Its fingerprint.
        fingerprint: String,
        /// How far it is.
        status: VersionStatus,
        /// Who made it.
        author_id: String,
        /// Since when it is revoked, or will be.
        revoke_at: Timestamp,
        /// Why.
        revocation_message: String,
        /// Who did it.
        revocation_author: String,
        /// How.
        revocation_type: RevocationType,
    }
}

message! {
    /// Where an artifact comes from.
    ExternalArtifact {
        /// Its bucket.
        bucket: Option<ExternalArtifactBucket>,
        /// Its version.
        version: Option<ExternalArtifactVersion>,
        /// Its build, with this artifact only.
        build: Option<Build>,
    }
}

message! {
    /// All that is known of an image.
    SearchExternalArtifactResponse {
        /// Every place it is known from.
        artifacts: Vec<ExternalArtifact>,
        /// How to go on.
        pagination: Option<PaginationResponse>,
    }
}
