//! Sets of disks with states in them, in the cache directory of this machine.
//!
//! A [set] is written aside and gets its name when all of it is on disk. For each state
//! there is a small file, `KEY.json`, that names its set; a set that no state leads to is removed.
//! Processes that write there take turns. Those that read do not wait: they open all files of a set at
//! once, and what is removed meanwhile stays for them.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::file_work::{blocking, read_small};
use ingot_sdk::{Context, Error, JournalEntry, Result, RunContext, StateKey, StoredState, hash};
use ingot_vm::cache;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::set::{self, Fault, MANIFEST, OpenSet, Set, UNFINISHED};
use crate::reclaim::{created_states_resource, states_resource};

/// The directory in the cache.
const DIRECTORY: &str = "ingot-qemu-states";
/// The largest description that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How long another process may take to write there.
const TURN_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How often a set is looked for that others replace meanwhile.
const LOOKS: usize = 5;

/// A set with a state to start from.
#[derive(Debug, Clone)]
pub(super) struct KeptSet {
    /// The name of the set.
    name: String,
    /// What is in it.
    pub(super) set: OpenSet,
}

/// What `KEY.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pointer {
    /// The name of the set.
    set: String,
    /// The SHA-256 of its description.
    sha256: String,
}

/// The directory of the sets, which is there then.
///
/// # Errors
/// It cannot be created.
pub(super) fn root() -> Result<PathBuf> {
    let path = cache::path(&[DIRECTORY, MANIFEST])?;
    let root = path.parent().map(Path::to_owned).unwrap_or_default();
    // Keys are in it.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&root, mode)
        .with_context(|| format!("making {} private", root.display()))?;
    Ok(root)
}

fn lock_file(root: &Path) -> PathBuf {
    root.join("lock")
}

/// Nobody else changes what is in the cache while this is held.
async fn lock(cancel: &CancellationToken, root: &Path, on_wait: impl FnOnce()) -> Result<FileLock> {
    FileLock::take_within(TURN_TIMEOUT, cancel, &lock_file(root), on_wait).await
}

fn pointer(root: &Path, key: &StateKey) -> PathBuf {
    root.join(format!("{key}.json"))
}

fn read_pointer(path: &Path) -> Result<Pointer, Fault> {
    let bytes = read_small(path, "description of a state", LARGEST).map_err(Fault::of_reading)?;
    let damaged = |error: serde_json::Error| Fault::Damaged(Error::new(error.to_string()));
    let pointer: Pointer = serde_json::from_slice(&bytes).map_err(damaged)?;
    match pointer.set.contains(['/', '.']) {
        true => Err(Fault::Damaged(Error::new("it leads out of the cache"))),
        false => Ok(pointer),
    }
}

/// The set below `root` that the state of `key` is in, if there is one.
///
/// # Errors
/// It cannot be used. What is damaged is removed.
pub(super) async fn look_up(
    ctx: &RunContext,
    root: &Path,
    key: &StateKey,
) -> Result<Option<KeptSet>> {
    let error = match look(root, key) {
        Ok(found) => return Ok(Some(found)),
        Err(Fault::Absent) => return Ok(None),
        Err(Fault::Failed(error)) => return Err(error),
        Err(Fault::Damaged(error)) => error,
    };
    let removed = async {
        let _lock = lock(&ctx.cancel, root, || {}).await?;
        // Unless another process has just replaced it.
        if matches!(look(root, key), Err(Fault::Damaged(_))) {
            let path = pointer(root, key);
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            remove_unreferenced(root);
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = removed.await {
        tracing::warn!(%error, %key, "a damaged state cannot be removed");
    }
    Err(error)
}

/// The set that the state of `key` is in.
fn look(root: &Path, key: &StateKey) -> Result<KeptSet, Fault> {
    let mut looks = 0;
    loop {
        looks += 1;
        let Pointer { set: name, sha256 } = read_pointer(&pointer(root, key))?;
        let directory = root.join(&name);
        let path = directory.join(MANIFEST);
        let opened = read_small(&path, "description of states", LARGEST)
            .map_err(Fault::of_reading)
            .and_then(|manifest| match hash::sha256(&manifest) == sha256 {
                true => OpenSet::open(&directory, &manifest),
                false => Err(Fault::Damaged(Error::new(format!("{MANIFEST} is not what it was")))),
            });
        return match opened {
            Ok(mut set) if set.states.contains(key) => {
                // Others were removed, or are in another set by now.
                let is_here = |other: &StateKey| {
                    read_pointer(&pointer(root, other)).is_ok_and(|found| found.set == name)
                };
                set.states.retain(|other| other == key || is_here(other));
                Ok(KeptSet { name, set })
            }
            Ok(_) => Err(Fault::Damaged(Error::new("its description belongs to another state"))),
            // Others may have put a new set in its place since its name was read.
            Err(Fault::Absent) if looks < LOOKS => continue,
            Err(Fault::Absent) => Err(Fault::Damaged(Error::new("a part of it is gone"))),
            Err(fault) => Err(fault),
        };
    }
}

impl KeptSet {
    /// Removes the set with all states in it.
    ///
    /// # Errors
    /// It may still be there.
    pub(super) async fn remove(&self) -> Result<()> {
        let root = root()?;
        let _lock = lock(&CancellationToken::new(), &root, || {}).await?;
        // What others have put in the place of this set stays.
        for (_, pointer, path) in pointers(&root) {
            if pointer.set == self.name {
                std::fs::remove_file(&path)
                    .with_context(|| format!("removing {}", path.display()))?;
            }
        }
        remove_unreferenced(&root);
        Ok(())
    }
}

/// Keeps `set` in the cache: whole or not at all. States that were removed since the build found them
/// stay removed.
///
/// # Errors
/// It cannot be written.
pub(crate) async fn store(ctx: &RunContext, set: Set) -> Result<()> {
    store_in(ctx, root()?, set).await
}

/// [`store`] in the cache directory `root`.
async fn store_in(ctx: &RunContext, root: PathBuf, set: Set) -> Result<()> {
    let on_wait = || ctx.ui.say("Waiting for another build that keeps states in the cache...");
    let _lock = lock(&ctx.cancel, &root, on_wait).await?;
    // The set names what was removed, too: it is in the disks, where it takes room.
    let is_kept = |key: &&StateKey| !set.found.contains(key) || pointer(&root, key).exists();
    let kept: Vec<StateKey> = set.states.iter().filter(is_kept).cloned().collect();
    if kept.is_empty() {
        return Ok(());
    }
    let name = uuid::Uuid::new_v4().simple().to_string();
    let new = root.join(format!("{UNFINISHED}{name}"));
    // What a killed process leaves is large, and has memory of the machine in it: whoever runs next
    // removes it.
    let entry = JournalEntry::open(&ctx.journal, &states_resource(&new))?;
    blocking(ctx, move |stop| {
        remove_unfinished(&root);
        let written = write(stop, &new, &set, &entry).and_then(|sha256| {
            std::fs::rename(&new, root.join(&name))
                .with_context(|| format!("writing to {}", root.display()))?;
            Ok(sha256)
        });
        if written.is_err() {
            let _ = std::fs::remove_dir_all(&new);
        }
        entry.done();
        let sha256 = written?;
        set::sync(&root);
        let text = serde_json::to_vec(&Pointer { set: name, sha256 });
        let text = text.context("describing a state")?;
        let mut keys = kept.iter();
        let pointed =
            keys.try_for_each(|key| set::write_small(&root, &format!("{key}.json"), &text));
        set::sync(&root);
        remove_unreferenced(&root);
        pointed
    })
    .await
}

/// Writes a set to the new directory `new`, which `entry` is the record of.
fn write(stop: &CancellationToken, new: &Path, set: &Set, entry: &JournalEntry) -> Result<String> {
    let creating = || format!("creating {}", new.display());
    DirBuilder::new().mode(0o700).create(new).with_context(creating)?;
    entry.amend(&created_states_resource(new)?);
    set::write(stop, new, set)
}

fn entries(root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Removes what killed processes have left, unless another process is at work.
pub(super) fn tidy(root: &Path) {
    if let Ok(Some(_lock)) = FileLock::try_take(&lock_file(root)) {
        remove_unfinished(root);
        remove_unreferenced(root);
    }
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
        Some((key, read_pointer(&path).ok()?, path))
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

/// What a set takes of a disk.
struct DiskUsage {
    /// How many bytes.
    bytes: u64,
    /// How many states are in it.
    states: u64,
    /// How many of them lead to it; the others were removed, or are in another set by now.
    kept: u64,
}

impl DiskUsage {
    /// That of `set`, where `all` are the states below `root`.
    fn of(root: &Path, set: &str, all: &[(StateKey, Pointer, PathBuf)]) -> DiskUsage {
        let directory = root.join(set);
        let blocks = |path: PathBuf| {
            let found = std::fs::metadata(path).ok()?;
            Some(std::os::unix::fs::MetadataExt::blocks(&found))
        };
        let blocks: u64 = entries(&directory).filter_map(blocks).sum();
        let manifest = read_small(&directory.join(MANIFEST), "description of states", LARGEST);
        let states = manifest.ok().and_then(|manifest| set::count(&manifest)).unwrap_or(0);
        let kept = all.iter().filter(|(_, other, _)| other.set == set).count();
        let states = states.max(kept).max(1);
        DiskUsage { bytes: blocks * 512, states: states as u64, kept: kept as u64 }
    }

    /// The bytes of a state.
    fn bytes_per_state(&self) -> u64 {
        self.bytes / self.states
    }

    /// What states take that do not lead to it.
    fn unfreed(&self) -> u64 {
        self.bytes_per_state() * (self.states - self.kept)
    }
}

/// The states in the cache of this machine whose keys begin with `owner`. A state takes its part of what
/// is kept together.
///
/// # Errors
/// The cache cannot be read.
pub(super) fn list(owner: &str) -> Result<Vec<StoredState>> {
    let root = root()?;
    tidy(&root);
    let all = pointers(&root);
    let state = |(key, pointer, path): &(StateKey, Pointer, PathBuf)| {
        let created = std::fs::metadata(path).and_then(|found| found.modified()).ok();
        let created = created.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let created = created.and_then(|since| i64::try_from(since.as_secs()).ok());
        StoredState {
            key: key.clone(),
            created: created.unwrap_or_default(),
            bytes: DiskUsage::of(&root, &pointer.set, &all).bytes_per_state(),
        }
    };
    Ok(all.iter().filter(|(key, ..)| key.as_str().starts_with(owner)).map(state).collect())
}

/// How many bytes sets with states whose keys begin with `owner` take for those that do not lead to them
/// any more.
///
/// # Errors
/// The cache cannot be read.
pub(super) fn unfreed(owner: &str) -> Result<u64> {
    let root = root()?;
    let all = pointers(&root);
    let owned = all.iter().filter(|(key, ..)| key.as_str().starts_with(owner));
    let sets: BTreeSet<&str> = owned.map(|(_, pointer, _)| pointer.set.as_str()).collect();
    Ok(sets.into_iter().map(|set| DiskUsage::of(&root, set, &all).unfreed()).sum())
}

/// Removes a state from the cache of this machine. Not finding it is success. What it takes is freed with
/// the last state of its set, or by a build that starts from the set: a new one would need the room of the
/// old one first, which who removes states may not have.
///
/// # Errors
/// It may still be there.
pub(super) async fn remove(key: &StateKey) -> Result<()> {
    let root = root()?;
    let _lock = lock(&CancellationToken::new(), &root, || {}).await?;
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

    /// Writes a set and its pointer, as `store` does.
    fn keep(root: &Path, name: &str, set: &Set) {
        let directory = root.join(name);
        std::fs::create_dir(&directory).unwrap();
        let sha256 = set::write(&CancellationToken::new(), &directory, set).unwrap();
        let pointer = Pointer { set: name.to_owned(), sha256 };
        let text = serde_json::to_vec(&pointer).unwrap();
        for key in &set.states {
            set::write_small(root, &format!("{key}.json"), &text).unwrap();
        }
    }

    fn damaged<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        match result {
            Err(Fault::Damaged(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

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
        keep(&root, "one", &set);
        assert!(matches!(look(&root, &other), Err(Fault::Absent)));
        let found = look(&root, &key).unwrap().set;
        assert_eq!(found.private_key.as_deref(), Some("a key"));
        let copied = dir.path().join("copied");
        found.copy_disks(&ctx, std::slice::from_ref(&copied)).await.unwrap();
        assert_eq!(std::fs::read(&copied).unwrap(), std::fs::read(&disk).unwrap());
        assert!(!found.copy_cd(&ctx, &dir.path().join("cd")).await.unwrap());
        // What was there already is not written over, which is no damage.
        let taken = found.copy_disks(&ctx, &[copied]).await;
        assert!(matches!(taken, Err(Fault::Failed(_))), "{taken:?}");

        // As large as it was, and other bytes.
        let flip = |name: &str, at: usize| {
            let path = root.join(name);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
        };
        flip("one/disk-0", 7);
        let again = dir.path().join("again");
        let copied = found.copy_disks(&ctx, std::slice::from_ref(&again)).await;
        assert_eq!(damaged(copied), "disk-0 is not what it was");
        flip("one/disk-0", 7);
        // Whatever byte of the rest is another one.
        for name in ["one/private-key", "one/set.json", &format!("{key}.json")] {
            for at in 0..std::fs::metadata(root.join(name)).unwrap().len() {
                let at = usize::try_from(at).unwrap();
                flip(name, at);
                damaged(look(&root, &key));
                flip(name, at);
            }
        }
        let bytes = std::fs::read(root.join("one/disk-0")).unwrap();
        std::fs::write(root.join("one/disk-0"), &bytes[1..]).unwrap();
        assert!(damaged(look(&root, &key)).contains("as large as it was"));
        std::fs::write(root.join("one/disk-0"), &bytes).unwrap();
        look(&root, &key).unwrap();
        std::fs::remove_file(root.join("one/disk-0")).unwrap();
        assert_eq!(damaged(look(&root, &key)), "a part of it is gone");
        // What no state leads to goes, and what was opened before is whole to the end.
        std::fs::remove_file(super::pointer(&root, &key)).unwrap();
        std::fs::create_dir(root.join(".new-two")).unwrap();
        tidy(&root);
        assert_eq!(entries(&root).map(|path| name(&path)).collect::<Vec<_>>(), ["lock"]);
        let _ = std::fs::remove_file(&again);
        found.copy_disks(&ctx, std::slice::from_ref(&again)).await.unwrap();
        assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&disk).unwrap());
    }

    #[tokio::test]
    async fn states_that_were_removed_are_not_found_with_others_and_their_room_is_counted() {
        let ctx = ingot_sdk::testing::context(Default::default(), &Default::default());
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("cache");
        std::fs::create_dir(&root).unwrap();
        let disk = dir.path().join("disk");
        std::fs::write(&disk, vec![1; 1 << 20]).unwrap();
        let keys = ["a", "b", "c", "d"].map(|name| StateKey::of("test", [name]));
        let set = Set { disks: vec![disk], states: keys.to_vec(), ..Set::default() };
        keep(&root, "one", &set);
        std::fs::remove_file(super::pointer(&root, &keys[1])).unwrap();
        // What another build has kept since.
        keep(&root, "two", &Set { states: vec![keys[2].clone()], ..set.clone() });
        let found = look(&root, &keys[0]).unwrap().set.states;
        assert_eq!(found, [keys[0].clone(), keys[3].clone()]);
        let all = pointers(&root);
        let usage = DiskUsage::of(&root, "one", &all);
        assert_eq!((usage.states, usage.kept), (4, 2));
        assert!(usage.bytes_per_state() > 0);
        assert_eq!(usage.unfreed(), 2 * usage.bytes_per_state());
        assert_eq!(DiskUsage::of(&root, "two", &all).unfreed(), 0);

        // A build that began before has them in its disks.
        let new = StateKey::of("test", ["e"]);
        let states = vec![keys[0].clone(), keys[1].clone(), new.clone()];
        let later = Set { states, found: keys.to_vec(), ..set.clone() };
        store_in(&ctx, root.clone(), later).await.unwrap();
        let found = look(&root, &new).unwrap();
        assert_eq!(found.set.states, [keys[0].clone(), new]);
        let all = pointers(&root);
        let usage = DiskUsage::of(&root, &found.name, &all);
        assert_eq!((usage.states, usage.kept), (3, 2));
        // Where it has no others, its disks are not even read.
        let states = vec![keys[1].clone()];
        let later = Set { disks: vec!["/nowhere".into()], found: states.clone(), states, ..set };
        store_in(&ctx, root.clone(), later).await.unwrap();
        assert_eq!(pointers(&root).len(), all.len());
    }
}
