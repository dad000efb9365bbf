//! Versions: what one run of a template, or several with the same fingerprint, built.

use std::collections::BTreeMap;

use super::{
    Build, Operation, PaginationResponse, Timestamp, VersionParents, enumeration, message,
};

enumeration! {
    /// How far a version is.
    VersionStatus {
        /// Not known.
        #[default]
        Unset = "VERSION_UNSET",
        /// A build is running.
        Running = "VERSION_RUNNING",
        /// A build was cancelled, and none runs or failed.
        Cancelled = "VERSION_CANCELLED",
        /// A build failed, and none runs.
        Failed = "VERSION_FAILED",
        /// Not to be used any more.
        Revoked = "VERSION_REVOKED",
        /// To be used until the time it is to be revoked at.
        RevocationScheduled = "VERSION_REVOCATION_SCHEDULED",
        /// Complete.
        Active = "VERSION_ACTIVE",
        /// Not all builds are done.
        Incomplete = "VERSION_INCOMPLETE",
    }
}

enumeration! {
    /// The syntax of a version's template.
    TemplateType {
        /// Not known.
        #[default]
        Unset = "TEMPLATE_TYPE_UNSET",
        /// HCL2.
        Hcl2 = "HCL2",
        /// Packer's older JSON.
        Json = "JSON",
    }
}

enumeration! {
    /// How a version came to be revoked.
    RevocationType {
        /// It is not.
        #[default]
        Unset = "REVOCATION_TYPE_UNSET",
        /// Somebody revoked it.
        Manual = "MANUAL",
        /// Something it was built from was revoked.
        Inherited = "INHERITED",
    }
}

message! {
    /// The version that a revocation is inherited from.
    RevokedAncestor {
        /// Its bucket.
        bucket_name: String,
        /// The path that gets it.
        href: String,
        /// Its fingerprint.
        version_fingerprint: String,
        /// Its id.
        version_id: String,
        /// Its name.
        version_name: String,
    }
}

message! {
    /// A version.
    Version {
        /// A ULID.
        id: String,
        /// Its bucket.
        bucket_name: String,
        /// `v0` until it is complete, then `v1`, `v2`… in the order they were completed.
        name: String,
        /// What identifies it in its bucket, as a commit's hash.
        fingerprint: String,
        /// How far it is.
        status: VersionStatus,
        /// Who made it.
        author_id: String,
        /// The syntax of its template.
        template_type: TemplateType,
        /// Its builds.
        builds: Vec<Build>,
        /// Whether others were built from it.
        has_descendants: bool,
        /// What it was built from.
        parents: Option<VersionParents>,
        /// Since when it is revoked, or will be.
        revoke_at: Timestamp,
        /// Why.
        revocation_message: String,
        /// Who did it.
        revocation_author: String,
        /// How.
        revocation_type: RevocationType,
        /// The ancestor that was revoked.
        revocation_inherited_from: Option<RevokedAncestor>,
        /// When it was made.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}

/// The name of every version that is not complete.
pub const INCOMPLETE_VERSION_NAME: &str = "v0";

impl Version {
    /// Whether all its builds are done.
    pub fn is_complete(&self) -> bool {
        self.name != INCOMPLETE_VERSION_NAME && !self.name.is_empty()
    }

    /// Whether it is revoked by now: the time of a scheduled revocation may have passed since the registry
    /// answered.
    pub fn is_revoked(&self) -> bool {
        let passed = self.revoke_at.is_set() && self.revoke_at <= Timestamp::now();
        self.status == VersionStatus::Revoked || passed
    }

    /// When it was completed: the last build to be done did that, and with it came its artifacts.
    pub fn completed_at(&self) -> Timestamp {
        let artifacts = self.builds.iter().flat_map(|build| &build.artifacts);
        artifacts.map(|artifact| artifact.created_at).max().unwrap_or_default()
    }

    /// What it was published with, in a line each, for comparing it with another version: its
    /// template, and of each build its platform, images, labels and the image it was built from.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        let mut add = |name: String, value: &str| {
            if !value.is_empty() {
                facts.insert(name, value.to_owned());
            }
        };
        if self.template_type != TemplateType::Unset {
            add("template".to_owned(), &self.template_type.to_string());
        }
        for build in &self.builds {
            let of = &build.component_type;
            let status = build.status.to_string();
            add(format!("{of} status"), status.trim_start_matches("BUILD_"));
            add(format!("{of} platform"), &build.platform);
            add(format!("{of} source image"), &build.source_external_identifier);
            for (name, value) in &build.labels {
                add(format!("{of} label {name}"), &format!("{value:?}"));
            }
            for artifact in &build.artifacts {
                let name = match artifact.region.is_empty() {
                    true => format!("{of} image"),
                    false => format!("{of} image in {}", artifact.region),
                };
                add(name, &artifact.external_identifier);
            }
        }
        facts
    }
}

message! {
    /// Opens a version.
    CreateVersionBody {
        /// What identifies it: 1 to 40 letters, digits, `-`, `_` and `.`, the first and the last a
        /// letter or digit.
        fingerprint: String,
        /// The syntax of its template.
        template_type: TemplateType,
    }
}

message! {
    /// Completes, revokes or restores a version.
    UpdateVersionBody {
        /// Whether to complete it. All its builds must be done.
        complete: bool,
        /// When to revoke it; a time that has passed revokes it now.
        revoke_at: Timestamp,
        /// In how long to revoke it, as `30d` or `2h45m`, `0s` for now. Not with `revoke_at`.
        revoke_in: String,
        /// Why it is revoked.
        revocation_message: String,
        /// Whether channels stay on it instead of going back to their last valid version.
        disable_rollback_channels: bool,
        /// Whether those built from it stay valid.
        skip_descendants_revocation: bool,
        /// Whether to make a revoked version valid again, or to call off a scheduled revocation.
        restore: bool,
    }
}

message! {
    /// A version.
    VersionResponse {
        /// It.
        version: Option<Version>,
    }
}

message! {
    /// A changed version.
    UpdateVersionResponse {
        /// The operation, done.
        operation: Option<Operation>,
        /// The version.
        version: Option<Version>,
    }
}

message! {
    /// A bucket's versions, newest first.
    ListVersionsResponse {
        /// A page of them.
        versions: Vec<Version>,
        /// How to go on.
        pagination: Option<PaginationResponse>,
    }
}
