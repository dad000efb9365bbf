//! Versions of a registry: what they were published with, and the packages in their SBOMs.

use ingot_compare::{Image, PackageList, Part};
use ingot_registry::http::Mask;
use ingot_registry::{connect_to_existing, find_version, settings};
use ingot_sdk::{Error, Result};

/// Whether the environment names a registry.
pub(super) fn is_named() -> bool {
    settings::is_configured() && settings::from_environment().is_ok()
}

/// What is known of a version, which `name` is the fingerprint or name of, or the channel that points
/// at it.
pub(super) async fn version(
    bucket: &str,
    name: &str,
    parts: &[Part],
    mask: &Mask,
) -> Result<Image> {
    let connected = connect_to_existing(mask.clone()).await?;
    let registry = &*connected.registry;
    let channel = registry.get_channel(bucket, name).await;
    let fingerprint = match channel {
        Ok(channel) => match channel.version {
            Some(version) => version.fingerprint,
            None => {
                let message = format!("the channel {name} of the bucket {bucket} has no version");
                return Err(Error::new(message));
            }
        },
        Err(error) if error.is_absent() => name.to_owned(),
        Err(error) => return Err(Error::from(error)),
    };
    let version = find_version(registry, bucket, &fingerprint).await?;
    let mut packages = None;
    if parts.contains(&Part::Packages) {
        let (mut list, mut count) = (PackageList::default(), 0);
        for build in &version.builds {
            let print = &version.fingerprint;
            let sboms = registry.list_sboms(bucket, print, &build.id).await;
            for sbom in sboms?.sboms {
                let document = registry.get_sbom(bucket, print, &build.id, &sbom.name).await;
                let document = document?;
                let named = |why| Error::new(format!("the SBOM {}: {why}", sbom.name));
                list.add_document(&document).map_err(named)?;
                count += 1;
            }
        }
        packages = (count > 0).then(|| list.into_packages());
    }
    Ok(Image { config: Some(version.facts()), packages, ..Image::default() })
}
