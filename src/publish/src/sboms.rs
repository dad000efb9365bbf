//! SBOMs of builds on their way to the registry.

use bytes::Bytes;
use ingot_registry::api::{self, SbomFormat, limits};
use ingot_registry::client::Registry;

// The engine reads SBOMs of kept builds up to this, and knows no registry.
const _: () = assert!(ingot_sdk::Sbom::LARGEST == limits::SBOM);

/// An SBOM that is to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SbomUpload {
    /// Its name; the registry finds one where this is empty.
    pub name: String,
    /// Its format.
    pub format: SbomFormat,
    /// The document, which is JSON.
    pub document: Bytes,
}

impl From<&ingot_sdk::Sbom> for SbomUpload {
    fn from(sbom: &ingot_sdk::Sbom) -> Self {
        SbomUpload {
            name: sbom.name.clone().unwrap_or_default(),
            format: match sbom.format {
                ingot_sdk::SbomFormat::CycloneDx => SbomFormat::CycloneDx,
                ingot_sdk::SbomFormat::Spdx => SbomFormat::Spdx,
            },
            document: sbom.document.clone(),
        }
    }
}

/// Uploads the SBOMs of a build, which must not be done yet. One that is there is replaced.
///
/// # Errors
/// The registry does not answer, or does not take one.
pub(super) async fn upload(
    registry: &dyn Registry,
    bucket: &str,
    fingerprint: &str,
    build: &str,
    sboms: &[SbomUpload],
) -> api::Result<()> {
    for SbomUpload { name, format, document } in sboms {
        registry.upload_sbom(bucket, fingerprint, build, name, *format, document).await?;
    }
    Ok(())
}
