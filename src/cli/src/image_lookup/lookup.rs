//! The look-up.

use ingot_compare::{Image, Part, packages_of};
use ingot_registry::http::Mask;
use ingot_sdk::file_work::read_small;
use ingot_sdk::{Error, Result, RunContext};

use super::subject::{self, Subject};
use super::{DockerImages, docker, registry};

/// The largest SBOM that is read, in bytes.
const LARGEST_SBOM: u64 = 256 << 20;

/// What is known of what a user calls `name`, which `docker` may have. `mask` is given what must never be
/// shown.
///
/// # Errors
/// There is no such image, or what knows it does not answer.
pub async fn look_up(
    ctx: &RunContext,
    docker: &dyn DockerImages,
    name: &str,
    parts: &[Part],
    mask: &Mask,
) -> Result<Image> {
    let subject = subject::of(name)?;
    if matches!(subject, Subject::Docker(_) | Subject::DockerOrChannel { .. }) {
        // The container that files are read from is recorded. It is short-lived: no warning for that.
        let _ = ingot_engine::journal::choose_directory();
    }
    let image = match subject {
        Subject::Sbom(path) => {
            let document = read_small(&path, "SBOM", LARGEST_SBOM)?;
            let packages = packages_of(&document).map_err(Error::new)?;
            Image { packages: Some(packages), ..Image::default() }
        }
        Subject::Docker(image) => {
            docker.image(ctx, &image, parts).await?.ok_or_else(|| docker::missing(&image))?
        }
        Subject::Registry { bucket, version } => {
            registry::version(&bucket, &version, parts, mask).await?
        }
        Subject::DockerOrChannel { image, bucket, channel } => {
            match docker.image(ctx, &image, parts).await {
                Ok(Some(found)) => found,
                found if !registry::is_named() => match found {
                    Ok(_) => return Err(docker::missing(&image)),
                    Err(error) => return Err(error),
                },
                _ => registry::version(&bucket, &channel, parts, mask).await?,
            }
        }
    };
    let wanted = |part: Part| parts.contains(&part);
    Ok(Image {
        name: name.to_owned(),
        size: image.size.filter(|_| wanted(Part::Size)),
        config: image.config.filter(|_| wanted(Part::Config)),
        packages: image.packages.filter(|_| wanted(Part::Packages)),
        files: image.files.filter(|_| wanted(Part::Files)),
        notes: image.notes,
    })
}
