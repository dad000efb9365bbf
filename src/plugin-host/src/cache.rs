//! The descriptions of plugin programs and their options, kept from run to run by the programs'
//! hashes, so that a template can be checked without starting them again.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::environment;
use ingot_sdk::hash::Sha256;
use ingot_sdk::home::home_dir;
use ingot_sdk::whole_file::{self, Options};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::description::Description;
use crate::host::ComponentId;
use crate::spec::{ObjectSpec, SpecKind};

/// Raised when the form of the files changes.
const VERSION: u32 = 1;
/// The largest file that is read.
const MAX_FILE: u64 = 32 << 20;

/// The directory of the cache: `ingot/plugins` in `$XDG_CACHE_HOME`, else in `.cache` of the home
/// directory. None where there is neither; then nothing is kept.
pub fn directory() -> Option<PathBuf> {
    let base = environment::set("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(home_dir()?.join(".cache")))?;
    Some(base.join("ingot").join("plugins"))
}

/// What is cached of one program.
#[derive(Debug, Default, Serialize, Deserialize)]
struct CacheEntry {
    version: u32,
    description: Option<Description>,
    /// By kind of component, name, serialization and kind of specification.
    specs: BTreeMap<String, ObjectSpec>,
}

/// The options of one program.
pub struct SpecCache {
    file: Option<PathBuf>,
    entry: Mutex<CacheEntry>,
}

impl SpecCache {
    /// What was kept of the program with the SHA-256 `hash`, in hexadecimal.
    pub fn open(directory: Option<&Path>, hash: &str) -> SpecCache {
        let file = directory.map(|directory| directory.join(format!("{hash}.json")));
        let entry = file.as_deref().and_then(read_json::<CacheEntry>);
        let entry = entry.filter(|entry| entry.version == VERSION);
        let fresh = || CacheEntry { version: VERSION, ..CacheEntry::default() };
        SpecCache { file, entry: Mutex::new(entry.unwrap_or_else(fresh)) }
    }

    fn entry(&self) -> MutexGuard<'_, CacheEntry> {
        self.entry.lock()
    }

    /// The description of the program.
    pub fn description(&self) -> Option<Description> {
        self.entry().description.clone()
    }

    /// Keeps the description of the program.
    pub fn put_description(&self, description: &Description) {
        self.entry().description = Some(description.clone());
        self.write();
    }

    /// A specification of a component.
    pub fn get(&self, id: &ComponentId, kind: SpecKind) -> Option<Arc<ObjectSpec>> {
        self.entry().specs.get(&key(id, kind)).cloned().map(Arc::new)
    }

    /// Keeps a specification of a component.
    pub fn put(&self, id: &ComponentId, kind: SpecKind, spec: &ObjectSpec) {
        self.entry().specs.insert(key(id, kind), spec.clone());
        self.write();
    }

    fn write(&self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = write_json(file, &*self.entry()) {
            // It is asked again the next time.
            tracing::debug!(%error, file = %file.display(), "cannot keep what a plugin said");
        }
    }
}

fn key(id: &ComponentId, kind: SpecKind) -> String {
    let form = if id.protobuf { "protobuf" } else { "gob" };
    format!("{} {} {form} {kind:?}", id.kind.argument(), id.name)
}

fn read_json<T: for<'de> Deserialize<'de>>(file: &Path) -> Option<T> {
    let mut bytes = Vec::new();
    fs::File::open(file).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn write_json(file: &Path, value: &impl Serialize) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let options = Options { durable: false, ..Options::default() };
    whole_file::write(file, &serde_json::to_vec(value)?, &options)
}

/// The SHA-256 of each program, and what its file looked like then: a file that changed has
/// another inode, length or time of change, which not even its owner can set back.
#[derive(Default, Serialize, Deserialize)]
struct Hashes(BTreeMap<String, (String, String)>);

/// The SHA-256 of the program at `path`, in hexadecimal. Hashed once for as long as the file does
/// not change.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn hash(directory: Option<&Path>, path: &Path) -> io::Result<String> {
    let path = path.canonicalize()?;
    let found = fs::metadata(&path)?;
    let looks = format!(
        "{}:{}:{}:{}.{}:{}.{}",
        found.dev(),
        found.ino(),
        found.len(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    );
    let file = directory.map(|directory| directory.join("hashes.json"));
    let name = path.to_string_lossy().into_owned();
    let mut hashes: Hashes = file.as_deref().and_then(read_json).unwrap_or_default();
    if let Some((then, hash)) = hashes.0.get(&name)
        && *then == looks
    {
        return Ok(hash.clone());
    }
    let mut hash = Sha256::new();
    std::io::copy(&mut fs::File::open(&path)?, &mut hash)?;
    let hash = hash.finish();
    hashes.0.retain(|path, _| Path::new(path).exists());
    hashes.0.insert(name, (looks, hash.clone()));
    if let Some(file) = file
        && let Err(error) = write_json(&file, &hashes)
    {
        tracing::debug!(%error, file = %file.display(), "cannot keep the hashes of plugins");
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_program_has_another_hash() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        let cache = directory.path().join("cache");
        fs::write(&program, "one").unwrap();
        let one = hash(Some(&cache), &program).unwrap();
        assert_eq!(one, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
        assert_eq!(hash(Some(&cache), &program).unwrap(), one);
        fs::write(&program, "two").unwrap();
        assert_ne!(hash(Some(&cache), &program).unwrap(), one);
        assert_ne!(hash(None, &program).unwrap(), one);
    }
}
