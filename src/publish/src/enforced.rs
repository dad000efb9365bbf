//! The blocks that a registry enforces in a bucket.

use ingot_registry::{Connected, api};
use ingot_sdk::{Error, Result};
use ingot_template::EnforcedBlock;

/// The blocks that a registry enforces in a bucket.
///
/// # Errors
/// The registry does not say, or does not answer.
pub(super) async fn enforced_blocks(
    registry: &Connected,
    bucket: &str,
) -> Result<Vec<EnforcedBlock>> {
    let found = registry.registry.enforced_blocks(bucket).await.map_err(|error| {
        Error::from(error)
            .context(format_args!("fetching the enforced provisioners of the bucket {bucket}"))
            .further_hint("-skip-enforcement builds without them")
    })?;
    let block = |detail: api::EnforcedBlockDetail| {
        // As for Packer, what has no content has nothing to run; it is warned of later. A block whose
        // version is not said would be one that is not enforced.
        let Some(version) = detail.version else {
            let what = format!(
                "the registry enforces the block {} in the bucket {bucket}, and does not say in which \
                 version",
                detail.name
            );
            return Err(Error::new(what).hint("-skip-enforcement builds without it"));
        };
        Ok(EnforcedBlock {
            name: detail.name,
            template_type: version.template_type.to_string(),
            content: version.block_content,
        })
    };
    found.enforced_block_detail.into_iter().map(block).collect()
}
