//! Sets of disks with states in them, in the cache directory.
//!
//! A set is a directory: the disks, the disc that was made for the machine, the key to log in with and
//! `set.json`, which says what is in it, with checksums. It is written aside and gets its name when all
//! is on disk. For each state there is a small file, `KEY.json`, that names its set; a set that no
//! state leads to is removed.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::file_work::{blocking, read_small};
use ingot_sdk::hash::hex;
use ingot_sdk::{Context, Error, Result, RunContext, StateKey};
use ingot_vm::cache;
use ring::digest::{self, SHA256};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// The directory in the cache.
const DIRECTORY: &str = "ingot-qemu-states";
const MANIFEST: &str = "set.json";
const KEY: &str = "private-key";
const CD: &str = "cd";
const UNFINISHED: &str = ".new-";
/// How many bytes are read at once.
const PART: usize = 1 << 20;
/// The largest description that is read, in bytes.
const LARGEST: u64 = 1 << 20;

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
}

/// A state to start from.
#[derive(Debug, Clone)]
pub(crate) struct FoundState {
    /// Its key.
    pub key: StateKey,
    /// How many provisioners have run on it.
    pub done: usize,
    /// The states in its set.
    pub states: Vec<StateKey>,
    /// See [`Set::private_key`].
    pub private_key: Option<String>,
    /// See [`Set::http_port`].
    pub http_port: u16,
    directory: PathBuf,
    manifest: Manifest,
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

/// What `KEY.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pointer {
    set: String,
}

/// A state in the cache.
#[derive(Debug, Clone)]
pub struct KeptMachineState {
    /// Its key.
    pub key: StateKey,
    /// When it was kept, in seconds since 1970.
    pub created: i64,
    /// How many bytes it takes: its part of what is kept together.
    pub bytes: u64,
}

fn root() -> Result<PathBuf> {
    let path = cache::path(&[DIRECTORY, MANIFEST])?;
    let root = path.parent().map(Path::to_owned).unwrap_or_default();
    // Keys are in it.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&root, mode)
        .with_context(|| format!("making {} private", root.display()))?;
    Ok(root)
}

/// Nobody else changes what is in the cache while this is held.
async fn lock(cancel: &CancellationToken, root: &Path) -> Result<FileLock> {
    FileLock::take(cancel, &root.join("lock"), || {}).await
}

fn pointer(root: &Path, key: &StateKey) -> PathBuf {
    root.join(format!("{key}.json"))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = read_small(path, "description of states", LARGEST)?;
    serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
}

/// The last of `keys` whose state is there; `done` counts from 0 for the first of them.
pub(crate) fn find(keys: &[StateKey]) -> Option<FoundState> {
    let root = root().ok()?;
    keys.iter().enumerate().rev().find_map(|(done, key)| {
        let found = look(&root, key, done);
        if let Err(error) = &found
            && !error.is_io(std::io::ErrorKind::NotFound)
        {
            tracing::warn!(%error, %key, "a state in the cache is damaged");
        }
        found.ok()
    })
}

fn look(root: &Path, key: &StateKey, done: usize) -> Result<FoundState> {
    let Pointer { set } = read(&pointer(root, key))?;
    if set.contains(['/', '.']) {
        return Err(Error::new("it leads out of the cache"));
    }
    let directory = root.join(set);
    let manifest: Manifest = read(&directory.join(MANIFEST))?;
    let plain = manifest.files.keys().all(|name| !name.contains('/') && !name.starts_with('.'));
    if manifest.format != 1 || !plain || !manifest.states.iter().any(|one| one == key.as_str()) {
        return Err(Error::new("its description is not of it"));
    }
    for (name, facts) in &manifest.files {
        let path = directory.join(name);
        let found =
            std::fs::metadata(&path).with_context(|| format!("looking at {}", path.display()))?;
        if found.len() != facts.bytes {
            return Err(Error::new(format!("{} is not as large as it was", path.display())));
        }
    }
    let private_key = match manifest.files.contains_key(KEY) {
        true => {
            let bytes = read_small(&directory.join(KEY), "key", LARGEST)?;
            Some(String::from_utf8(bytes).context("reading the key")?)
        }
        false => None,
    };
    let states = manifest.states.iter().filter_map(|key| key.parse().ok()).collect();
    let http_port = manifest.http_port;
    let key = key.clone();
    Ok(FoundState { key, done, states, private_key, http_port, directory, manifest })
}

impl FoundState {
    /// Copies the disks to where the build's are, and compares them with their checksums.
    ///
    /// # Errors
    /// They are damaged or gone, or cannot be written.
    pub(crate) async fn copy_disks(&self, ctx: &RunContext, disks: &[PathBuf]) -> Result<()> {
        let names = &self.manifest.disks;
        if names.len() != disks.len() {
            return Err(Error::new("it has another number of disks"));
        }
        for (name, disk) in names.iter().zip(disks) {
            self.copy(ctx, name, disk).await?;
        }
        Ok(())
    }

    /// Copies the disc that was made for the machine, if it had one.
    ///
    /// # Errors
    /// As for [`FoundState::copy_disks`].
    pub(crate) async fn copy_cd(&self, ctx: &RunContext, to: &Path) -> Result<bool> {
        match self.manifest.files.contains_key(CD) {
            true => self.copy(ctx, CD, to).await.map(|()| true),
            false => Ok(false),
        }
    }

    async fn copy(&self, ctx: &RunContext, name: &str, to: &Path) -> Result<()> {
        let (from, to) = (self.directory.join(name), to.to_owned());
        let expected = self.manifest.files.get(name).cloned();
        let copied = blocking(ctx, move |stop| copy(stop, &from, &to, 0o666)).await?;
        match Some(copied) == expected {
            true => Ok(()),
            false => Err(Error::new(format!("{name} is not what it was"))),
        }
    }

    /// Forgets the state and all that is kept with it.
    pub(crate) async fn forget(&self) {
        for key in &self.states {
            if let Err(error) = remove_kept_state(key).await {
                tracing::warn!(%error, %key, "a state cannot be removed from the cache");
            }
        }
    }
}

/// Copies a file, leaving holes for zeroes, and sums it up on the way.
fn copy(stop: &CancellationToken, from: &Path, to: &Path, mode: u32) -> Result<FileFacts> {
    let (reading, writing) =
        (|| format!("reading {}", from.display()), || format!("writing {}", to.display()));
    let mut source = File::open(from).with_context(reading)?;
    let mut options = OpenOptions::new();
    let mut target =
        options.write(true).create_new(true).mode(mode).open(to).with_context(writing)?;
    let mut hash = digest::Context::new(&SHA256);
    let (mut buffer, zeroes) = (vec![0; PART], vec![0; PART]);
    let mut bytes = 0;
    loop {
        if stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let length = source.read(&mut buffer).with_context(reading)?;
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
    Ok(FileFacts { bytes, sha256: hex(hash.finish().as_ref()) })
}

/// Keeps `set` in the cache: whole or not at all.
///
/// # Errors
/// It cannot be written.
pub(crate) async fn store(ctx: &RunContext, set: Set) -> Result<()> {
    let root = root()?;
    let _lock = lock(&ctx.cancel, &root).await?;
    blocking(ctx, move |stop| {
        remove_unfinished(&root);
        let name = uuid::Uuid::new_v4().simple().to_string();
        let new = root.join(format!("{UNFINISHED}{name}"));
        let written = write_set(stop, &new, &set).and_then(|()| {
            std::fs::rename(&new, root.join(&name))
                .with_context(|| format!("writing to {}", root.display()))
        });
        if let Err(error) = written {
            let _ = std::fs::remove_dir_all(&new);
            return Err(error);
        }
        sync(&root);
        for key in &set.states {
            let text = serde_json::to_vec(&Pointer { set: name.clone() });
            let text = text.context("describing a state")?;
            write_small(&root, &format!("{key}.json"), &text)?;
        }
        sync(&root);
        remove_unreferenced(&root);
        Ok(())
    })
    .await
}

fn write_set(stop: &CancellationToken, new: &Path, set: &Set) -> Result<()> {
    let writing = || format!("writing to {}", new.display());
    DirBuilder::new().mode(0o700).create(new).with_context(writing)?;
    let mut files = BTreeMap::new();
    let mut disks = Vec::new();
    for (index, disk) in set.disks.iter().enumerate() {
        let name = format!("disk-{index}");
        files.insert(name.clone(), copy(stop, disk, &new.join(&name), 0o600)?);
        disks.push(name);
    }
    if let Some(cd) = &set.cd {
        files.insert(CD.to_owned(), copy(stop, cd, &new.join(CD), 0o600)?);
    }
    if let Some(key) = &set.private_key {
        write_small(new, KEY, key.as_bytes())?;
        let sha256 = hex(digest::digest(&SHA256, key.as_bytes()).as_ref());
        let facts = FileFacts { bytes: key.len() as u64, sha256 };
        files.insert(KEY.to_owned(), facts);
    }
    let manifest = Manifest {
        format: 1,
        states: set.states.iter().map(StateKey::to_string).collect(),
        disks,
        http_port: set.http_port,
        files,
    };
    write_small(new, MANIFEST, &serde_json::to_vec(&manifest).context("describing states")?)?;
    sync(new);
    Ok(())
}

/// Writes a small file, whole or not at all.
fn write_small(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
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

fn sync(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

fn entries(root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Removes what killed processes began to write. The lock is held.
fn remove_unfinished(root: &Path) {
    for path in entries(root).filter(|path| name(path).starts_with(UNFINISHED)) {
        let _ = match path.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
    }
}

/// The states and their sets.
fn pointers(root: &Path) -> Vec<(StateKey, Pointer, PathBuf)> {
    let state = |path: PathBuf| {
        let key = name(&path).strip_suffix(".json")?.parse().ok()?;
        Some((key, read(&path).ok()?, path))
    };
    entries(root).filter_map(state).collect()
}

/// Removes the sets that no state leads to. The lock is held.
fn remove_unreferenced(root: &Path) {
    let used: Vec<String> = pointers(root).into_iter().map(|(_, pointer, _)| pointer.set).collect();
    for path in entries(root).filter(|path| path.is_dir() && !used.contains(&name(path))) {
        let _ = std::fs::remove_dir_all(&path);
    }
}

/// The states in the cache whose keys begin with `owner`.
///
/// # Errors
/// The cache cannot be read.
pub async fn kept_states(owner: &str) -> Result<Vec<KeptMachineState>> {
    let root = root()?;
    let all = pointers(&root);
    let count = |set: &str| all.iter().filter(|(_, other, _)| other.set == set).count().max(1);
    let size = |set: &str| -> u64 {
        let files = entries(&root.join(set));
        let blocks = |path: PathBuf| {
            std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(path).ok()?).into()
        };
        files.filter_map(blocks).map(|blocks: u64| blocks * 512).sum()
    };
    let state = |(key, pointer, path): &(StateKey, Pointer, PathBuf)| {
        let created = std::fs::metadata(path).and_then(|found| found.modified()).ok();
        let created = created.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let created = created.and_then(|since| i64::try_from(since.as_secs()).ok());
        KeptMachineState {
            key: key.clone(),
            created: created.unwrap_or_default(),
            bytes: size(&pointer.set) / count(&pointer.set) as u64,
        }
    };
    Ok(all.iter().filter(|(key, ..)| key.as_str().starts_with(owner)).map(state).collect())
}

/// Removes a state from the cache. Not finding it is success.
///
/// # Errors
/// It may still be there.
pub async fn remove_kept_state(key: &StateKey) -> Result<()> {
    let root = root()?;
    let _lock = lock(&CancellationToken::new(), &root).await?;
    let path = pointer(&root, key);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", path.display()));
        }
        _ => {}
    }
    remove_unreferenced(&root);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_set_is_found_whole_and_not_used_when_it_is_damaged() {
        let ctx = ingot_sdk::testing::context(Default::default(), &Default::default());
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("cache");
        std::fs::create_dir(&root).unwrap();
        let disk = dir.path().join("disk");
        std::fs::write(&disk, [vec![0; 3 << 20], b"data".to_vec(), vec![0; 100]].concat()).unwrap();
        let (key, other) = (StateKey::of("test", ["a"]), StateKey::of("test", ["b"]));
        let set = Set {
            disks: vec![disk.clone()],
            private_key: Some("a key".to_owned()),
            states: vec![key.clone()],
            ..Set::default()
        };
        let stop = CancellationToken::new();
        write_set(&stop, &root.join("one"), &set).unwrap();
        let pointer = serde_json::to_vec(&Pointer { set: "one".to_owned() }).unwrap();
        write_small(&root, &format!("{key}.json"), &pointer).unwrap();
        assert!(look(&root, &other, 0).is_err_and(|e| e.is_io(std::io::ErrorKind::NotFound)));
        let found = look(&root, &key, 2).unwrap();
        assert_eq!((found.done, found.private_key.as_deref()), (2, Some("a key")));
        let copied = dir.path().join("copied");
        found.copy_disks(&ctx, std::slice::from_ref(&copied)).await.unwrap();
        assert_eq!(std::fs::read(&copied).unwrap(), std::fs::read(&disk).unwrap());
        assert!(!found.copy_cd(&ctx, &dir.path().join("cd")).await.unwrap());

        // As large as it was, and other bytes.
        let cached = root.join("one/disk-0");
        let mut bytes = std::fs::read(&cached).unwrap();
        bytes[7] ^= 1;
        std::fs::write(&cached, &bytes).unwrap();
        let again = dir.path().join("again");
        let error = found.copy_disks(&ctx, &[again]).await.unwrap_err().to_string();
        assert_eq!(error, "disk-0 is not what it was");
        std::fs::write(&cached, &bytes[1..]).unwrap();
        assert!(look(&root, &key, 0).unwrap_err().to_string().contains("as large as it was"));
        // What no state leads to goes.
        std::fs::remove_file(super::pointer(&root, &key)).unwrap();
        remove_unreferenced(&root);
        assert!(!root.join("one").exists());
    }
}
