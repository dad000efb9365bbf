//! Builds: what one source of a template made for a version.

use super::{
    Artifact, ArtifactCreateBody, JsonText, Labels, Location, PaginationResponse, Timestamp,
    enumeration, message,
};

enumeration! {
    /// How far a build is.
    BuildStatus {
        /// It has not begun.
        #[default]
        Unset = "BUILD_UNSET",
        /// It runs.
        Running = "BUILD_RUNNING",
        /// It is done and its artifacts are known.
        Done = "BUILD_DONE",
        /// It was interrupted.
        Cancelled = "BUILD_CANCELLED",
        /// It failed.
        Failed = "BUILD_FAILED",
    }
}

message! {
    /// How a build was made, as the program that made it tells.
    BuildMetadata {
        /// The pipeline.
        cicd: Option<JsonText>,
        /// The program, its plugins, its options and its operating system.
        packer: Option<JsonText>,
        /// The source's version control.
        vcs: Option<JsonText>,
    }
}

message! {
    /// A build.
    Build {
        /// A ULID.
        id: String,
        /// Its version's id.
        version_id: String,
        /// The source, as `docker.web`; unique in its version.
        component_type: String,
        /// How far it is.
        status: BuildStatus,
        /// The run that made it, a UUID.
        packer_run_uuid: String,
        /// The platform, as `aws` or `docker`.
        platform: String,
        /// What it made.
        artifacts: Vec<Artifact>,
        /// Custom metadata.
        labels: Labels,
        /// How it was made; only where one build or one version is asked for.
        metadata: Option<BuildMetadata>,
        /// The image that it was built from, as the platform names it.
        source_external_identifier: String,
        /// When it was made known.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}

message! {
    /// Makes a build known.
    CreateBuildBody {
        /// The source.
        component_type: String,
        /// The run, a UUID.
        packer_run_uuid: String,
        /// How far it is.
        status: BuildStatus,
        /// The platform.
        platform: String,
        /// What it made.
        artifacts: Vec<ArtifactCreateBody>,
        /// Custom metadata.
        labels: Labels,
        /// The image that it was built from.
        source_external_identifier: String,
        /// The version that this image belongs to.
        parent_version_id: String,
        /// The channel that the version was found by.
        parent_channel_id: String,
    }
}

message! {
    /// Changes a build: what is given. With nothing but the status running, it is a heartbeat.
    UpdateBuildBody {
        /// The run, a UUID.
        packer_run_uuid: String,
        /// How far it is.
        status: BuildStatus,
        /// The platform.
        platform: String,
        /// What it made.
        artifacts: Vec<ArtifactCreateBody>,
        /// Custom metadata.
        labels: Labels,
        /// How it was made.
        metadata: Option<BuildMetadata>,
        /// The image that it was built from.
        source_external_identifier: String,
        /// The version that this image belongs to.
        parent_version_id: String,
        /// The channel that the version was found by.
        parent_channel_id: String,
    }
}

message! {
    /// A build.
    BuildResponse {
        /// It.
        build: Option<Build>,
    }
}

message! {
    /// A version's builds.
    ListBuildsResponse {
        /// A page of them.
        builds: Vec<Build>,
        /// Where they are.
        location: Option<Location>,
        /// How to go on.
        pagination: Option<PaginationResponse>,
    }
}
