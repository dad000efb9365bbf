//! Pipes that templates read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::source::read_bytes;

/// What pipes gave to a run: a pipe gives what it has once, and a run evaluates parts of its template
/// more than once. Clones share it. `ReadOnce` of `ingot-base`, which this crate does not know, is the same
/// for other files.
#[derive(Clone, Default)]
pub struct Pipes(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl Pipes {
    /// The bytes of a file, as [`read_bytes`] gives them; of a pipe those that it gave first.
    pub(super) fn read(&self, path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
        let kind = std::fs::metadata(path)?.file_type();
        if kind.is_file() || kind.is_dir() {
            return read_bytes(path, most);
        }
        // Held meanwhile: who else wants it waits for the same bytes.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = known.get(path) {
            return Ok(bytes.clone());
        }
        let bytes = read_bytes(path, most)?;
        known.insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

impl fmt::Debug for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What they gave may be secret.
        f.write_str("Pipes")
    }
}
