//! SBOMs of versions on their way from one registry to the other.

use ingot_registry::api::{Code, SbomFormat, Version};
use ingot_registry::client::Registry;
use ingot_registry::{pack_sbom, unpack_sbom};
use ingot_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

/// An SBOM of a build.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExportedSbom {
    /// The build's component.
    pub(super) component_type: String,
    pub(super) name: String,
    pub(super) format: SbomFormat,
    /// The document, compressed with zstd, in base64.
    pub(super) document: String,
}

/// Whether a registry has no such thing at all.
pub(super) fn is_unknown(code: Code) -> bool {
    matches!(code, Code::NotFound | Code::Unimplemented)
}

/// The SBOMs of a version's builds.
pub(super) async fn of_version(
    registry: &dyn Registry,
    version: &Version,
) -> Result<Vec<ExportedSbom>> {
    let (bucket, fingerprint) = (&version.bucket_name, &version.fingerprint);
    let mut found = Vec::new();
    for build in &version.builds {
        let sboms = match registry.list_sboms(bucket, fingerprint, &build.id).await {
            Err(error) if is_unknown(error.code) => continue,
            listed => listed?.sboms,
        };
        for sbom in sboms {
            let document = registry.get_sbom(bucket, fingerprint, &build.id, &sbom.name).await;
            let packed = pack_sbom(document?).await;
            found.push(ExportedSbom {
                component_type: build.component_type.clone(),
                name: sbom.name,
                format: sbom.format,
                document: packed?,
            });
        }
    }
    Ok(found)
}

/// Uploads SBOMs to a build; how many the registry does not take, as it has no such thing.
pub(super) async fn upload(
    registry: &dyn Registry,
    version: &Version,
    build: &str,
    sboms: impl Iterator<Item = &ExportedSbom>,
) -> Result<usize> {
    let (bucket, fingerprint) = (&version.bucket_name, &version.fingerprint);
    let mut left = 0;
    for sbom in sboms {
        let document = unpack_sbom(sbom.document.clone(), ()).await?;
        // One without a name is called as the version, whose fingerprint may be no name.
        let name = if sbom.name == *fingerprint { "" } else { &sbom.name };
        let uploaded =
            registry.upload_sbom(bucket, fingerprint, build, name, sbom.format, &document).await;
        match uploaded {
            Ok(_) => {}
            Err(error) if is_unknown(error.code) => left += 1,
            Err(error) => {
                return Err(Error::from(error).context(format!("the SBOM {}", sbom.name)));
            }
        }
    }
    Ok(left)
}
