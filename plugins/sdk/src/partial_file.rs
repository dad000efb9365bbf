//! Files that are written where they belong, and gone unless they are whole.

use std::path::PathBuf;

/// Removes a file when dropped, unless it is [complete](PartialFile::complete): for files that are
/// written where they belong, as those of a directory that is downloaded.
pub struct PartialFile(Option<PathBuf>);

impl PartialFile {
    /// Guards the file at `path`, which this run has created.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        PartialFile(Some(path.into()))
    }

    /// Keeps the file.
    pub fn complete(mut self) {
        self.0 = None;
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // If it cannot be removed, there is nothing else to do about it.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_file_goes_and_a_complete_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        for complete in [false, true] {
            let path = directory.path().join("x");
            std::fs::write(&path, "half").unwrap();
            let partial = PartialFile::new(&path);
            match complete {
                true => partial.complete(),
                false => drop(partial),
            }
            assert_eq!(path.exists(), complete);
        }
    }
}
