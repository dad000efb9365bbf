//! Whether what builders of this program made is still where they left it.

use ingot_sdk::{Resource, Result};

/// Whether `resource` is there; what nothing here can look for counts as there.
///
/// # Errors
/// It cannot be found out.
pub(crate) async fn is_there(resource: &Resource) -> Result<bool> {
    if let Some(there) = ingot_docker::image_is_there(resource).await? {
        return Ok(there);
    }
    #[cfg(feature = "amazon")]
    if let Some(there) = ingot_amazon::artifact_is_there(resource).await? {
        return Ok(there);
    }
    Ok(true)
}
