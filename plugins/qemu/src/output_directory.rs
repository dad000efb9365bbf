//! The output directory of a build, which another build may replace by one of its own.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ingot_sdk::file_lock::{try_lock, unlock};
use ingot_sdk::{Context, Resource, Result};

use crate::reclaim::{created_output_resource, identity_of, is_same, remove_output};

/// An output directory, from when it was created on. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct OutputDirectory {
    created: Resource,
    /// As long as it is open, the file system gives its number to no other directory. The lock on it
    /// tells other builds that it is in use, where the file system has locks.
    open: Option<Arc<File>>,
}

impl OutputDirectory {
    /// The directory at `path`, which is absolute, as that of this build.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub(crate) fn take(path: &Path) -> Result<OutputDirectory> {
        let created = created_output_resource(path)?;
        let open = File::open(path).ok();
        if let Some(directory) = &open {
            let locked = try_lock(directory);
            tracing::debug!(?locked, "locking the output directory");
        }
        Ok(OutputDirectory { created, open: open.map(Arc::new) })
    }

    /// Whether a build that runs has the directory at `path` for its output.
    pub(crate) fn is_in_use(path: &Path) -> bool {
        File::open(path).is_ok_and(|directory| matches!(try_lock(&directory), Ok(false)))
    }

    /// Has it in use no more: the build is done, and another one may replace what it has made.
    pub(crate) fn release(&self) {
        if let Some(directory) = &self.open {
            let unlocked = unlock(directory);
            tracing::debug!(?unlocked, "unlocking the output directory");
        }
    }

    /// The journal's record of it.
    pub(crate) fn resource(&self) -> &Resource {
        &self.created
    }

    /// What it is known by, also to a later run.
    pub(crate) fn identity(&self) -> Option<&str> {
        identity_of(&self.created)
    }

    /// Whether it is still there, and no other one in its place.
    pub(crate) fn is_there(&self) -> bool {
        is_same(&self.created)
    }

    /// Removes it with all that is in it. False where another one is in its place, which stays. Not
    /// finding any is success.
    ///
    /// # Errors
    /// It may still be there.
    pub(crate) async fn remove(&self) -> Result<bool> {
        let created = self.created.clone();
        tokio::task::spawn_blocking(move || remove_output(&created))
            .await
            .context("removing an output directory")?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_another_build_has_replaced_is_known_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("output");
        std::fs::create_dir(&path).unwrap();
        let output = OutputDirectory::take(&path).unwrap();
        assert!(output.is_there() && OutputDirectory::is_in_use(&path));
        output.release();
        assert!(output.is_there() && !OutputDirectory::is_in_use(&path));
        std::fs::remove_dir(&path).unwrap();
        assert!(!output.is_there());
        std::fs::create_dir(&path).unwrap();
        assert!(!output.is_there() && !OutputDirectory::is_in_use(&path));
        assert!(!output.remove().await.unwrap());
        assert!(path.exists());
        let other = OutputDirectory::take(&path).unwrap();
        assert!(other.remove().await.unwrap() && !path.exists());
        assert!(output.remove().await.unwrap());
    }
}
