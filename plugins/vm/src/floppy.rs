//! `floppy_files` and its kin: a floppy disk made for the machine. FAT12, 1.44 MB.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};
use ingot_sdk::{
    ConfigErrors, ConfigWarning, Context, Error, Prepared, Result, RunContext, file_work,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::scratch::{Scratch, ScratchFile};
use crate::tree::{self, Content, Tree};

/// Bytes on a 1.44 MB disk.
const DISK: usize = 1440 * 1024;
/// Bytes that files are stored in units of.
const CLUSTER: u64 = 512;
/// What is left of the disk for files and directories: 2880 sectors less the boot sector, two tables
/// of 9 sectors and a root directory of 14.
const CAPACITY: u64 = (2880 - 1 - 2 * 9 - 14) * CLUSTER;
/// Characters in a label.
const MAX_LABEL: usize = 11;

/// The options, to be flattened into a builder's own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct FloppyOptions {
    /// Files for the root of the disk. Patterns (`*`, `?`, `[…]`) are allowed. All files below a
    /// directory go into the root, too.
    #[serde(default)]
    #[schemars(extend("reads" = "patterns"))]
    pub floppy_files: Vec<String>,
    /// Directories for the disk, with all that is in them and below.
    #[serde(default)]
    #[schemars(extend("reads" = "paths"))]
    pub floppy_dirs: Vec<String>,
    /// Texts for the root of the disk, by name. They win over files. As with Packer, only the
    /// last part of a path counts.
    #[serde(default)]
    #[schemars(extend("rendered_late" = true))]
    pub floppy_content: BTreeMap<String, String>,
    /// The disk's label, of up to 11 characters: `packer`.
    pub floppy_label: Option<String>,
}

impl FloppyOptions {
    /// Whether there will be a disk.
    pub fn is_set(&self) -> bool {
        !self.floppy_files.is_empty()
            || !self.floppy_dirs.is_empty()
            || !self.floppy_content.is_empty()
    }

    /// Judges the options.
    pub fn prepare(&self, prepared: &mut Prepared, errors: &mut ConfigErrors) {
        tree::check("floppy_files", &self.floppy_files, prepared, errors);
        tree::check("floppy_dirs", &self.floppy_dirs, prepared, errors);
        if let Some(label) = self.floppy_label.as_deref()
            && (label.len() > MAX_LABEL || !label.is_ascii())
        {
            let message = format!(
                "floppy_label: {label:?} does not fit into {MAX_LABEL} ASCII characters and is cut"
            );
            prepared.warnings.push(ConfigWarning::on("floppy_label", message));
        }
    }

    /// Makes the disk; none when the options do not ask for one. It is removed when the returned
    /// file is dropped.
    ///
    /// # Errors
    /// A file cannot be read, the disk is too small, or the build was cancelled.
    pub async fn create(&self, ctx: &RunContext) -> Result<Option<ScratchFile>> {
        if !self.is_set() {
            return Ok(None);
        }
        ctx.ui.say("Creating floppy disk...");
        let scratch = Scratch::create(ctx)?;
        let path = scratch.path().join("floppy.img");
        let (options, target) = (self.clone(), path.clone());
        file_work::blocking(ctx, move |stop| {
            let image = options.image(stop)?;
            std::fs::write(&target, image).with_context(|| format!("writing {}", target.display()))
        })
        .await
        .context("creating the floppy disk")?;
        Ok(Some(ScratchFile::new(path, scratch)))
    }

    fn tree(&self) -> Result<Tree> {
        let mut flat = Tree::default();
        for path in tree::expand(&self.floppy_files)? {
            let mut below = Tree::default();
            below.add(&path, &tree::name_of(&path)?)?;
            for (at, content) in below.files {
                let name = at.rsplit('/').next().unwrap_or(&at);
                let other = flat.files.insert(name.to_owned(), content.clone());
                if other.is_some_and(|other| other != content) {
                    return Err(twice(name));
                }
            }
        }
        for path in tree::expand(&self.floppy_dirs)? {
            flat.add(&path, &tree::name_of(&path)?)?;
        }
        let mut names = BTreeSet::new();
        if let Some(name) = flat.files.keys().find(|name| !names.insert(name.to_lowercase())) {
            return Err(twice(name));
        }
        for (path, text) in &self.floppy_content {
            let path = tree::inside(path)?;
            let name = path.rsplit('/').next().unwrap_or(&path);
            flat.files.retain(|other, _| !same_name(other, name));
            flat.add_text(name, text);
        }
        Ok(flat)
    }

    fn image(&self, stop: &CancellationToken) -> Result<Vec<u8>> {
        let tree = self.tree()?;
        check_fit(&tree)?;
        let label = self.floppy_label.as_deref().filter(|label| !label.is_empty());
        let mut padded = [b' '; MAX_LABEL];
        for (slot, byte) in padded.iter_mut().zip(label.unwrap_or("packer").bytes()) {
            *slot = if byte.is_ascii() { byte } else { b'_' };
        }
        // The geometry that every 1.44 MB disk has.
        let format = FormatVolumeOptions::new()
            .fat_type(FatType::Fat12)
            .bytes_per_sector(512)
            .bytes_per_cluster(512)
            .total_sectors(2880)
            .max_root_dir_entries(224)
            .media(0xf0)
            .sectors_per_track(18)
            .heads(2)
            .drive_num(0)
            .volume_label(padded);
        let mut disk = Cursor::new(vec![0; DISK]);
        fatfs::format_volume(&mut disk, format).context("formatting")?;
        disk.rewind().context("formatting")?;
        {
            let files = FileSystem::new(&mut disk, FsOptions::new().time_provider(&NOW))
                .context("formatting")?;
            let root = files.root_dir();
            for directory in &tree.directories {
                root.create_dir(directory)
                    .with_context(|| format!("creating the directory {directory}"))?;
            }
            for (at, content) in &tree.files {
                if stop.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                let bytes = match content {
                    Content::Text(text) => text.clone().into_bytes(),
                    Content::File(path) => read(path)?,
                };
                root.create_file(at)
                    .and_then(|mut file| file.write_all(&bytes))
                    .map_err(|error| explained(error, at))?;
            }
        }
        Ok(disk.into_inner())
    }
}

fn twice(name: &str) -> Error {
    Error::new(format!("two files would be called {name}"))
        .hint("floppy_files puts all files into one directory; floppy_dirs keeps directories apart")
}

/// Reads a file, though no more than what certainly does not fit.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reading = || format!("reading {}", path.display());
    std::fs::File::open(path)
        .and_then(|file| file.take(CAPACITY + 1).read_to_end(&mut bytes))
        .with_context(reading)?;
    Ok(bytes)
}

/// An error if `tree` needs more room than the disk has.
fn check_fit(tree: &Tree) -> Result<()> {
    let mut need = tree.directories.len() as u64 * CLUSTER;
    let mut largest = (0, String::new());
    for (at, content) in &tree.files {
        let size = match content {
            Content::Text(text) => text.len() as u64,
            Content::File(path) => std::fs::metadata(path)
                .with_context(|| format!("reading {}", path.display()))?
                .len(),
        };
        need += size.div_ceil(CLUSTER) * CLUSTER;
        if size > largest.0 {
            largest = (size, at.clone());
        }
    }
    if need <= CAPACITY {
        return Ok(());
    }
    Err(Error::new(format!(
        "the files need {need} bytes and the disk has {CAPACITY}; the largest is {}, of {} bytes",
        largest.1, largest.0
    ))
    .hint("leave files out, or use cd_files or http_directory for large ones"))
}

/// Whether two paths are the same on the disk, which does not tell upper from lower case.
fn same_name(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

fn explained(error: std::io::Error, at: &str) -> Error {
    let full =
        matches!(error.kind(), std::io::ErrorKind::WriteZero | std::io::ErrorKind::StorageFull);
    // Of a full directory the library tells by words only.
    if full || error.to_string().contains("No space") {
        return Error::new(format!("there is no room left for {at}"))
            .hint("the root of a floppy disk has 224 entries, of which long names take several");
    }
    Error::from(error).context(format!("writing {at}"))
}

/// The time that files on the disk are from.
#[derive(Debug)]
struct Now;

static NOW: Now = Now;

impl fatfs::TimeProvider for Now {
    fn get_current_date(&self) -> fatfs::Date {
        self.get_current_date_time().date
    }

    fn get_current_date_time(&self) -> fatfs::DateTime {
        let now = time::OffsetDateTime::now_utc();
        let year = u16::try_from(now.year().clamp(1980, 2107)).unwrap_or(1980);
        fatfs::DateTime {
            date: fatfs::Date { year, month: u8::from(now.month()).into(), day: now.day().into() },
            time: fatfs::Time {
                hour: now.hour().into(),
                min: now.minute().into(),
                sec: now.second().into(),
                millis: 0,
            },
        }
    }
}
