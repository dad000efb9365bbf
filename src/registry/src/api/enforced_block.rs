//! Enforced blocks: provisioners that a registry wants to be run in each build of the buckets that
//! they are linked to. A block has versions, whose content does not change; a bucket is linked to one
//! version of it.

use super::{Bucket, Labels, Location, TemplateType, Timestamp, message};

message! {
    /// A version of an enforced block.
    EnforcedBlockVersion {
        /// A ULID.
        id: String,
        /// The block.
        enforced_block_id: String,
        /// What it is called, as `1.0.0`; unique in its block.
        version: String,
        /// `provisioner` blocks as a template has them.
        block_content: String,
        /// The syntax of the content.
        template_type: TemplateType,
        /// Its description.
        additional_description: String,
        /// When it was created.
        created_at: Timestamp,
        /// When its description last changed.
        updated_at: Timestamp,
    }
}

message! {
    /// An enforced block.
    EnforcedBlock {
        /// A ULID.
        id: String,
        /// Its name; unique in its project.
        name: String,
        /// Custom metadata.
        labels: Labels,
        /// Where it is.
        location: Option<Location>,
        /// `packer/project/PROJECT/enforced-block/NAME`.
        resource_name: String,
        /// The version that was created last.
        latest_version: Option<EnforcedBlockVersion>,
        /// When it was created.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    }
}

message! {
    /// Creates an enforced block with its first version.
    CreateEnforcedBlockBody {
        /// Its name.
        name: String,
        /// What the first version is called; `1` unless it is given.
        version: String,
        /// `provisioner` blocks.
        block_content: String,
        /// The syntax of the content.
        template_type: TemplateType,
        /// The description of the version.
        additional_description: String,
        /// Custom metadata.
        labels: Labels,
    }
}

message! {
    /// Changes an enforced block.
    UpdateEnforcedBlockBody {
        /// Its name.
        name: String,
        /// Custom metadata.
        labels: Labels,
        /// What to change: `name`, `labels`, with commas between.
        update_mask: String,
    }
}

message! {
    /// An enforced block.
    EnforcedBlockResponse {
        /// It.
        enforced_block: Option<EnforcedBlock>,
    }
}

message! {
    /// A project's enforced blocks.
    ListEnforcedBlocksResponse {
        /// All of them, by name.
        enforced_blocks: Vec<EnforcedBlock>,
    }
}

message! {
    /// Adds a version to an enforced block.
    CreateEnforcedBlockVersionBody {
        /// What it is called; the next number unless it is given.
        version: String,
        /// `provisioner` blocks.
        block_content: String,
        /// The syntax of the content.
        template_type: TemplateType,
        /// Its description.
        additional_description: String,
    }
}

message! {
    /// Changes the description of a version of an enforced block.
    UpdateEnforcedBlockVersionBody {
        /// It.
        additional_description: String,
        /// `additional_description`.
        update_mask: String,
    }
}

message! {
    /// A version of an enforced block.
    EnforcedBlockVersionResponse {
        /// It.
        enforced_block_version: Option<EnforcedBlockVersion>,
    }
}

message! {
    /// An enforced block in one version.
    EnforcedBlockDetail {
        /// The block.
        id: String,
        /// Its name.
        name: String,
        /// The version.
        version: Option<EnforcedBlockVersion>,
    }
}

message! {
    /// The versions of an enforced block, newest first; or the blocks that are linked to a bucket, in
    /// the order in which they were linked.
    EnforcedBlockDetails {
        /// All of them.
        enforced_block_detail: Vec<EnforcedBlockDetail>,
    }
}

message! {
    /// A bucket that a version of an enforced block is linked to.
    EnforcedBlockLinkedBucket {
        /// The link: a ULID.
        id: String,
        /// The bucket.
        bucket: Option<Bucket>,
        /// The block.
        enforced_block_id: String,
        /// The version.
        enforced_block_version_id: String,
        /// When it was linked.
        created_at: Timestamp,
    }
}

message! {
    /// The buckets that a version of an enforced block is linked to.
    LinkedBucketsResponse {
        /// All of them, in the order in which they were linked.
        linked_buckets: Vec<EnforcedBlockLinkedBucket>,
    }
}

message! {
    /// Links a version of an enforced block to these buckets and to no others. A bucket that is linked
    /// to another version of the block is linked to this one instead.
    ///
    /// Whoever reads the names, changes them and writes all of them unlinks what another has linked
    /// meanwhile. So Ingot's registries also take what is to change. HCP Packer's knows of names only,
    /// and skips the other fields.
    LinkBucketsBody {
        /// Their names; skipped where one of the others is given.
        bucket_names: Vec<String>,
        /// Buckets to link besides those that are linked; Ingot's own.
        add_bucket_names: Vec<String>,
        /// Buckets to unlink from the version; Ingot's own.
        remove_bucket_names: Vec<String>,
    }
}

message! {
    /// That a version of an enforced block is linked to a bucket.
    EnforcedBlockBucket {
        /// The link: a ULID.
        id: String,
        /// The bucket.
        bucket_id: String,
        /// The block.
        enforced_block_id: String,
        /// The version.
        enforced_block_version_id: String,
        /// When it was linked.
        created_at: Timestamp,
    }
}

message! {
    /// What a version of an enforced block is linked to now.
    LinkBucketsResponse {
        /// All links.
        enforced_block_buckets: Vec<EnforcedBlockBucket>,
    }
}
