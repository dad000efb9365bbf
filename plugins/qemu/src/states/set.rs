//! A set: disks with states in them, the disc that was made for the machine, and the key to log in
//! with. It is a directory with a `set.json`, which says what is in it, with checksums.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::file_work::blocking;
use ingot_sdk::hash::{Sha256, sha256};
use ingot_sdk::{Context, Error, Result, RunContext, StateKey};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub(super) const MANIFEST: &str = "set.json";
const KEY: &str = "private-key";
const CD: &str = "cd";
pub(super) const UNFINISHED: &str = ".new-";
/// How many bytes are read at once.
const PART: usize = 1 << 20;
/// The largest key that is read, in bytes.
const LARGEST_KEY: u64 = 1 << 20;
/// The form of `set.json`.
const FORMAT: u32 = 2;

/// What is kept of a machine besides its disks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Set {
    /// The disks, in order.
    pub disks: Vec<PathBuf>,
    /// The disc that was made of `cd_files` and `cd_content`.
    pub cd: Option<PathBuf>,
    /// The key to log in with, if it was made for the build.
    pub private_key: Option<String>,
    /// The port of the build's HTTP server; 0 for none.
    pub http_port: u16,
    /// The states in the disks.
    pub states: Vec<StateKey>,
    /// Those of them that were in the cache when the build began. Somebody may have removed them since.
    pub found: Vec<StateKey>,
}

/// What `set.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    states: Vec<String>,
    disks: Vec<String>,
    http_port: u16,
    files: BTreeMap<String, FileFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileFacts {
    bytes: u64,
    sha256: String,
}

/// What keeps something in the cache from being used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is not there.
    Absent,
    /// It is not what was kept.
    Damaged(Error),
    /// Something else went wrong: it may be as good as ever.
    Failed(Error),
}

impl Fault {
    /// It is not what was kept, for this reason.
    pub(super) fn damaged(what: impl Into<String>) -> Fault {
        Fault::Damaged(Error::new(what))
    }

    /// Of an error of reading a file of a set.
    pub(super) fn of_reading(error: Error) -> Fault {
        match error.is_io(std::io::ErrorKind::NotFound) {
            true => Fault::Absent,
            false => Fault::Failed(error),
        }
    }
}

/// A set to start from. Its files are open, so that it is whole to the end, whatever becomes of its
/// directory.
#[derive(Debug, Clone)]
pub(super) struct OpenSet {
    /// The states in it.
    pub(super) states: Vec<StateKey>,
    /// See [`Set::private_key`].
    pub(super) private_key: Option<String>,
    /// See [`Set::http_port`].
    pub(super) http_port: u16,
    manifest: Manifest,
    files: BTreeMap<String, Arc<File>>,
}

impl OpenSet {
    /// Opens the set in `directory`, whose `set.json` is `manifest`.
    pub(super) fn open(directory: &Path, manifest: &[u8]) -> Result<OpenSet, Fault> {
        let manifest: Manifest = serde_json::from_slice(manifest)
            .map_err(|error| Fault::damaged(format!("{MANIFEST}: {error}")))?;
        let plain = manifest.files.keys().all(|name| !name.contains('/') && !name.starts_with('.'));
        if manifest.format != FORMAT || !plain {
            return Err(Fault::damaged(format!("{MANIFEST} has another format")));
        }
        let mut files = BTreeMap::new();
        for (name, facts) in &manifest.files {
            let path = directory.join(name);
            let opening = || format!("opening {}", path.display());
            let file = File::open(&path).with_context(opening).map_err(Fault::of_reading)?;
            let found = file.metadata().with_context(opening).map_err(Fault::Failed)?;
            if found.len() != facts.bytes {
                return Err(Fault::damaged(format!("{name} is not as large as it was")));
            }
            files.insert(name.clone(), Arc::new(file));
        }
        let states = manifest.states.iter().filter_map(|key| key.parse().ok()).collect();
        let http_port = manifest.http_port;
        let set = OpenSet { states, private_key: None, http_port, manifest, files };
        let private_key = set.read_key()?;
        Ok(OpenSet { private_key, ..set })
    }

    fn read_key(&self) -> Result<Option<String>, Fault> {
        let Some((file, facts)) = self.file(KEY) else { return Ok(None) };
        if facts.bytes > LARGEST_KEY {
            return Err(Fault::damaged(format!("{KEY} is not a key")));
        }
        let mut bytes = vec![0; usize::try_from(facts.bytes).unwrap_or_default()];
        let read = file.read_exact_at(&mut bytes, 0);
        read.context("reading the key").map_err(Fault::Failed)?;
        let text = String::from_utf8(bytes).ok();
        match text.filter(|text| FileFacts::of(text.as_bytes()) == *facts) {
            Some(text) => Ok(Some(text)),
            None => Err(not_what_it_was(KEY)),
        }
    }

    fn file(&self, name: &str) -> Option<(&Arc<File>, &FileFacts)> {
        self.files.get(name).zip(self.manifest.files.get(name))
    }

    /// Copies the disks to where the build's are, and compares them with their checksums.
    pub(super) async fn copy_disks(
        &self,
        ctx: &RunContext,
        disks: &[PathBuf],
    ) -> Result<(), Fault> {
        let names = &self.manifest.disks;
        if names.len() != disks.len() {
            return Err(Fault::damaged("it has another number of disks"));
        }
        for (name, disk) in names.iter().zip(disks) {
            self.copy(ctx, name, disk).await?;
        }
        Ok(())
    }

    /// Copies the disc that was made for the machine, if it had one.
    pub(super) async fn copy_cd(&self, ctx: &RunContext, to: &Path) -> Result<bool, Fault> {
        match self.file(CD) {
            Some(_) => self.copy(ctx, CD, to).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn copy(&self, ctx: &RunContext, name: &str, to: &Path) -> Result<(), Fault> {
        let Some((file, expected)) = self.file(name) else {
            return Err(Fault::damaged(format!("it has no {name}")));
        };
        let (file, to, shown) = (Arc::clone(file), to.to_owned(), name.to_owned());
        let copied = blocking(ctx, move |stop| copy(stop, (&file, &shown), &to, 0o666)).await;
        match copied.map_err(Fault::Failed)? == *expected {
            true => Ok(()),
            false => Err(not_what_it_was(name)),
        }
    }
}

fn not_what_it_was(name: &str) -> Fault {
    Fault::damaged(format!("{name} is not what it was"))
}

impl FileFacts {
    fn of(bytes: &[u8]) -> FileFacts {
        FileFacts { bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

/// How many states a `set.json` names; none if it is no such file.
pub(super) fn count(manifest: &[u8]) -> Option<usize> {
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    Some(manifest.states.len())
}

/// Creates the file `to`, which is not there.
///
/// # Errors
/// It is there, or cannot be created.
pub(super) fn create_new(to: &Path, mode: u32) -> Result<File> {
    let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(to);
    created.with_context(|| format!("writing {}", to.display()))
}

/// Copies a file, which is called `name`, leaving holes for zeroes, and sums it up on the way.
fn copy(
    stop: &CancellationToken,
    (source, name): (&File, &str),
    to: &Path,
    mode: u32,
) -> Result<FileFacts> {
    let (reading, writing) = (|| format!("reading {name}"), || format!("writing {}", to.display()));
    let mut target = create_new(to, mode)?;
    let mut hash = Sha256::new();
    let (mut buffer, zeroes) = (vec![0; PART], vec![0; PART]);
    let mut bytes = 0;
    loop {
        if stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        // Others may copy from the same file.
        let length = match source.read_at(&mut buffer, bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            length => length.with_context(reading)?,
        };
        if length == 0 {
            break;
        }
        let part = &buffer[..length];
        hash.update(part);
        bytes += length as u64;
        match part == &zeroes[..length] {
            true => {
                let hole = i64::try_from(length).unwrap_or(0);
                target.seek(SeekFrom::Current(hole)).with_context(writing)?;
            }
            false => target.write_all(part).with_context(writing)?,
        }
    }
    target.set_len(bytes).with_context(writing)?;
    target.sync_all().with_context(writing)?;
    Ok(FileFacts { bytes, sha256: hash.finish() })
}

/// Writes `set` to the empty directory `new`; the SHA-256 of its `set.json`.
pub(super) fn write(stop: &CancellationToken, new: &Path, set: &Set) -> Result<String> {
    let mut files = BTreeMap::new();
    let mut disks = Vec::new();
    let mut add = |from: &Path, name: &str| {
        let shown = from.display().to_string();
        let file = File::open(from).with_context(|| format!("reading {shown}"))?;
        let facts = copy(stop, (&file, &shown), &new.join(name), 0o600)?;
        files.insert(name.to_owned(), facts);
        Ok::<_, Error>(())
    };
    for (index, disk) in set.disks.iter().enumerate() {
        let name = format!("disk-{index}");
        add(disk, &name)?;
        disks.push(name);
    }
    if let Some(cd) = &set.cd {
        add(cd, CD)?;
    }
    if let Some(key) = &set.private_key {
        write_small(new, KEY, key.as_bytes())?;
        files.insert(KEY.to_owned(), FileFacts::of(key.as_bytes()));
    }
    let manifest = Manifest {
        format: FORMAT,
        states: set.states.iter().map(StateKey::to_string).collect(),
        disks,
        http_port: set.http_port,
        files,
    };
    let manifest = serde_json::to_vec(&manifest).context("describing states")?;
    write_small(new, MANIFEST, &manifest)?;
    sync(new);
    Ok(sha256(&manifest))
}

/// Writes a small file, whole or not at all.
pub(super) fn write_small(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let new = directory.join(format!("{UNFINISHED}{name}"));
    let mut options = OpenOptions::new();
    let written = options.write(true).create(true).truncate(true).mode(0o600).open(&new).and_then(
        |mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&new, directory.join(name))
        },
    );
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written.with_context(|| format!("writing {}", directory.join(name).display()))
}

pub(super) fn sync(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}
