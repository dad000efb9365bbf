//! What can be read once and is needed more than once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::Result;

/// What pipes gave to this process: a pipe, such as a shell's `<(…)`, gives what it has once, and several
/// parts of a run need it. `Pipes` of `ingot-hcl`, which does not know this crate, is the same for what
/// templates read.
pub struct ReadOnce<T>(Mutex<BTreeMap<PathBuf, T>>);

impl<T: Clone> ReadOnce<T> {
    /// One that has read nothing yet.
    pub const fn empty() -> Self {
        ReadOnce(Mutex::new(BTreeMap::new()))
    }

    /// What `read` makes of the file at `path`; of one that [`gives_once`] what it made of it first.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read(&self, path: &Path, read: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        if !gives_once(path) {
            return read(path);
        }
        // Held while it is read: who asks meanwhile would find the pipe empty.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = known.get(path) {
            return Ok(content.clone());
        }
        let content = read(path)?;
        known.insert(path.to_owned(), content.clone());
        Ok(content)
    }
}

/// Whether what is at `path` gives what it has only once, as a pipe does: another process finds nothing
/// after that.
pub fn gives_once(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::files::read_small_text;

    #[test]
    fn a_pipe_is_read_once_and_a_file_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, file) = (directory.path().join("pipe"), directory.path().join("file"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success() && gives_once(&pipe) && !gives_once(&file));
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "one").unwrap()
        });
        let once = ReadOnce::empty();
        let read = |path: &Path| once.read(path, |path| read_small_text(path, "key", 9));
        assert_eq!(read(&pipe).unwrap(), "one");
        writer.join().unwrap();
        assert_eq!(read(&pipe).unwrap(), "one");
        assert!(read(&file).is_err());
        for text in ["two", "three"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(read(&file).unwrap(), text);
        }
    }
}
