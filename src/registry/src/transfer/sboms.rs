//! SBOMs of versions on their way from one registry to the other.

use ingot_base::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::api::{Code, SbomFormat, Version};
use crate::client::Registry;
use crate::{pack_sbom, unpack_sbom};

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
#[derive(Debug, Default)]
pub(super) struct VersionSboms {
    pub(super) found: Vec<ExportedSbom>,
    /// Which cannot be exported, as they are damaged, too large or gone, and why.
    pub(super) unusable: Vec<String>,
    /// Why those of a build are not listed, if the registry does not know of any list of them.
    pub(super) unlisted: Option<String>,
}

/// Reads the SBOMs of a version's builds.
pub(super) async fn of_version(registry: &dyn Registry, version: &Version) -> Result<VersionSboms> {
    let (bucket, fingerprint) = (&version.bucket_name, &version.fingerprint);
    let mut all = VersionSboms::default();
    for build in &version.builds {
        let sboms = match registry.list_sboms(bucket, fingerprint, &build.id).await {
            Err(error) if is_unknown(error.code) => {
                all.unlisted = Some(error.to_string());
                continue;
            }
            listed => {
                let what = format!("{bucket} {} ({fingerprint})", version.name);
                let named = format!("{what}, {}, its SBOMs", build.component_type);
                listed.map_err(|error| Error::from(error).context(named))?.sboms
            }
        };
        for sbom in sboms {
            let component = &build.component_type;
            let document = registry.get_sbom(bucket, fingerprint, &build.id, &sbom.name).await;
            let packed = match document {
                Ok(document) => pack_sbom(document).await,
                Err(error) => Err(error),
            };
            let document = match packed {
                Ok(document) => document,
                Err(error) => {
                    let what = format!("{bucket} {} ({fingerprint}), {component}", version.name);
                    let what = format!("{what}, the SBOM {}", sbom.name);
                    // Whatever is tried, it stays so; the rest need not stay behind.
                    if matches!(error.code, Code::InvalidArgument | Code::NotFound) {
                        all.unusable.push(format!("{what}: {error}"));
                        continue;
                    }
                    return Err(Error::from(error).context(what));
                }
            };
            all.found.push(ExportedSbom {
                component_type: component.clone(),
                name: sbom.name,
                format: sbom.format,
                document,
            });
        }
    }
    Ok(all)
}

/// The SBOMs that were not imported.
#[derive(Debug, Default)]
pub(super) struct SkippedSboms {
    /// How many, as the registry has no SBOMs.
    pub(super) unsupported: usize,
    /// The names of those that it refuses, or a proxy before it, as they are too large, and why.
    pub(super) refused: Vec<String>,
}

/// Uploads SBOMs to a build.
pub(super) async fn upload(
    registry: &dyn Registry,
    version: &Version,
    build: &str,
    sboms: impl Iterator<Item = &ExportedSbom>,
) -> Result<SkippedSboms> {
    let (bucket, fingerprint) = (&version.bucket_name, &version.fingerprint);
    let mut skipped = SkippedSboms::default();
    for sbom in sboms {
        let named = || format!("the SBOM {}", sbom.name);
        let document = unpack_sbom(sbom.document.clone(), ()).await;
        let document = document.map_err(|error| Error::from(error).context(named()))?;
        // One without a name is called as the version, whose fingerprint may be no name.
        let name = if sbom.name == *fingerprint { "" } else { &sbom.name };
        let uploaded =
            registry.upload_sbom(bucket, fingerprint, build, name, sbom.format, &document).await;
        match uploaded {
            Ok(_) => {}
            Err(error) if is_unknown(error.code) => skipped.unsupported += 1,
            // Whatever is tried, it stays refused, also by what stands before the registry; the rest of
            // the version need not stay behind.
            Err(error)
                if matches!(
                    error.code,
                    Code::InvalidArgument | Code::FailedPrecondition | Code::Unknown
                ) =>
            {
                let advice = error.advice.map_or_else(String::new, |advice| format!(" ({advice})"));
                skipped.refused.push(format!("{}: {error}{advice}", named()));
            }
            Err(error) => return Err(Error::from(error).context(named())),
        }
    }
    Ok(skipped)
}
