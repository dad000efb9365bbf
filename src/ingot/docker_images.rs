//! Images of Docker, for `diff`: joins the plugin that knows them and the one that lists packages,
//! neither of which knows the other.

use std::path::Path;

use async_trait::async_trait;
use globset::GlobSet;
use ingot_cli::image_lookup::DockerImages;
use ingot_compare::{Device, FileEntry, FileType, Image, Part, attribute_text, packages_of};
use ingot_docker::{ImageFile, ImageFileKind, image_contents};
use ingot_sdk::{Context as _, Error, Result, RunContext, SbomFormat};

/// The largest SBOM that is made of an image, in bytes.
const LARGEST_SBOM: usize = 256 << 20;

/// The images of the Engine that the environment names.
pub(crate) struct EngineImages;

#[async_trait(?Send)]
impl DockerImages for EngineImages {
    async fn image(&self, ctx: &RunContext, name: &str, parts: &[Part]) -> Result<Option<Image>> {
        image(ctx, name, parts).await
    }
}

async fn image(ctx: &RunContext, name: &str, parts: &[Part]) -> Result<Option<Image>> {
    let directory = tempfile::Builder::new().prefix("ingot-diff-").tempdir();
    let directory = directory.context("creating a directory for package databases")?;
    let packages = parts.contains(&Part::Packages);
    let keep = move |path: &str| packages && is_database(path);
    let Some(contents) = image_contents(ctx, name, &keep, directory.path()).await? else {
        return Ok(None);
    };
    let mut notes = Vec::new();
    let packages = match packages {
        false => None,
        true => {
            let inventory =
                ingot_sbom::scan::scan(ctx, directory.path(), &GlobSet::empty()).await?;
            notes = notes_below(directory.path(), &inventory.notes);
            let format = SbomFormat::CycloneDx;
            let sbom = ingot_sbom::write(inventory, format, name, LARGEST_SBOM).await?;
            Some(packages_of(&sbom).map_err(Error::new)?)
        }
    };
    let files = contents.files.into_iter().map(|(path, file)| (path, entry(file))).collect();
    Ok(Some(Image {
        name: name.to_owned(),
        size: contents.size,
        config: Some(contents.config),
        packages,
        files: Some(files),
        notes,
    }))
}

/// Notes on what is below a directory, with the paths that it has in the image.
fn notes_below(root: &Path, notes: &[String]) -> Vec<String> {
    let real = root.canonicalize();
    let root = format!("{}/", real.as_deref().unwrap_or(root).display());
    notes.iter().map(|note| note.replace(&root, "/")).collect()
}

/// Whether a file of an image is one that packages are read from.
fn is_database(path: &str) -> bool {
    const FILES: &[&str] = &[
        "/usr/lib/os-release",
        "/etc/os-release",
        "/var/lib/dpkg/status",
        "/lib/apk/db/installed",
        "/usr/lib/apk/db/installed",
    ];
    const DIRECTORIES: &[&str] =
        &["/var/lib/dpkg/status.d/", "/var/lib/rpm/", "/usr/lib/sysimage/rpm/"];
    const ENDINGS: &[&str] = &[
        ".dist-info/METADATA",
        ".egg-info/PKG-INFO",
        ".egg-info",
        "/package-lock.json",
        "/go.mod",
        "/Cargo.lock",
        "/.crates2.json",
    ];
    FILES.contains(&path)
        || DIRECTORIES.iter().any(|directory| path.starts_with(directory))
        || ENDINGS.iter().any(|ending| path.ends_with(ending))
        || path.contains("/node_modules/") && path.ends_with("/package.json")
}

fn entry(file: ImageFile) -> FileEntry {
    let ImageFile { kind, mode, uid, gid, xattrs } = file;
    let file_type = match kind {
        ImageFileKind::File(..) => FileType::File,
        ImageFileKind::Directory => FileType::Directory,
        ImageFileKind::Symlink(_) => FileType::Symlink,
        ImageFileKind::CharacterDevice(..) => FileType::CharacterDevice,
        ImageFileKind::BlockDevice(..) => FileType::BlockDevice,
        ImageFileKind::Pipe => FileType::Pipe,
    };
    let xattrs = xattrs.into_iter().map(|(name, value)| {
        let text = attribute_text(&name, &value);
        (name, text)
    });
    let xattrs = xattrs.collect();
    let mut entry = FileEntry {
        file_type,
        mode,
        uid,
        gid,
        size: None,
        link: None,
        sha256: None,
        device: None,
        xattrs,
    };
    match kind {
        ImageFileKind::File(size, sum) => (entry.size, entry.sha256) = (Some(size), Some(sum)),
        ImageFileKind::Symlink(target) => entry.link = Some(target),
        ImageFileKind::CharacterDevice(major, minor) | ImageFileKind::BlockDevice(major, minor) => {
            entry.device = Some(Device { major, minor });
        }
        ImageFileKind::Directory | ImageFileKind::Pipe => {}
    }
    entry
}
