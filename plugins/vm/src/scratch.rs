//! Temporary directories that are gone when the build is over, even if it is killed: then the next
//! run finds them in the journal.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ingot_sdk::{
    Context, Error, JournalEntry, Reclaim, Resource, Result, RunContext, async_trait, temporary,
};

/// The kind of [`Resource`] under which temporary directories are in the journal.
pub const SCRATCH_DIRECTORY: &str = "scratch-directory";

/// How the names of these directories begin; [`ReclaimScratch`] removes no others.
const PREFIX: &str = "ingot-scratch-";

/// How long the path of a socket may be, in bytes, on the system that allows the least: macOS. Linux
/// takes 107.
const LONGEST_SOCKET: usize = 103;

/// A directory only this user can read, removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    entry: Option<Entry>,
}

struct Entry(JournalEntry);

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry")
    }
}

impl Scratch {
    /// Makes a directory below the system's directory for temporary files.
    ///
    /// # Errors
    /// It cannot be created or written down.
    pub fn create(ctx: &RunContext) -> Result<Self> {
        Scratch::create_in(ctx, &temp_dir()?)
    }

    /// Makes a directory for a socket called `name`, which QEMU finds by its path. Where the system's
    /// directory for temporary files makes that too long, or has a comma in it, this is in `/tmp`.
    ///
    /// # Errors
    /// It cannot be created or written down.
    pub fn create_for_socket(ctx: &RunContext, name: &str) -> Result<Self> {
        let usual = temp_dir()?;
        if can_hold_socket(&usual, name) {
            return Scratch::create_in(ctx, &usual);
        }
        Scratch::create_in(ctx, Path::new("/tmp")).map_err(|error| {
            error.hint(format!(
                "set TMPDIR to a shorter path without commas: {} cannot hold a socket",
                usual.display()
            ))
        })
    }

    /// Makes a directory in `parent`, which is absolute.
    fn create_in(ctx: &RunContext, parent: &Path) -> Result<Self> {
        let path = parent.join(format!("{PREFIX}{}", uuid::Uuid::new_v4()));
        let resource = Resource::at(SCRATCH_DIRECTORY, &path);
        let entry = JournalEntry::open(&ctx.journal, &resource)?;
        let scratch = Scratch { path, entry: Some(Entry(entry)) };
        let created = std::fs::DirBuilder::new().mode(0o700).create(&scratch.path);
        created
            .with_context(|| format!("creating the temporary directory {}", scratch.path.display()))
            .map_err(temporary::explain)?;
        Ok(scratch)
    }

    /// The directory `path`, which an earlier run has made.
    ///
    /// # Errors
    /// It is not there, is not such a directory, or cannot be written down.
    pub fn resume(ctx: &RunContext, path: &Path) -> Result<Self> {
        let ours = path.file_name().and_then(|name| name.to_str());
        if !ours.is_some_and(|name| name.starts_with(PREFIX)) || !path.is_dir() {
            return Err(Error::new(format!(
                "the temporary directory {} is not there any more",
                path.display()
            )));
        }
        let resource = Resource::at(SCRATCH_DIRECTORY, path);
        let entry = JournalEntry::open(&ctx.journal, &resource)?;
        Ok(Scratch { path: path.to_owned(), entry: Some(Entry(entry)) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        match remove(&self.path) {
            Ok(()) => {
                if let Some(Entry(entry)) = self.entry.take() {
                    entry.done();
                }
            }
            // It stays in the journal; the next run tries again.
            Err(error) => tracing::warn!(directory = %self.path.display(), %error, "cannot remove"),
        }
    }
}

/// The system's directory for temporary files, as an absolute path: the run that removes what a killed one
/// left may have another current directory.
fn temp_dir() -> Result<PathBuf> {
    let path = std::env::temp_dir();
    std::path::absolute(&path).with_context(|| format!("finding out where {} is", path.display()))
}

/// Whether a socket called `name` can be in a temporary directory in `parent`.
fn can_hold_socket(parent: &Path, name: &str) -> bool {
    let path = parent.join(format!("{PREFIX}{}", uuid::Uuid::nil())).join(name);
    let path = path.as_os_str().as_encoded_bytes();
    path.len() <= LONGEST_SOCKET && !path.contains(&b',')
}

/// A file in a temporary directory of its own; both are removed when this is dropped.
#[derive(Debug)]
pub struct ScratchFile {
    path: PathBuf,
    _directory: Scratch,
}

impl ScratchFile {
    /// The file `path` in `directory`.
    pub(crate) fn new(path: PathBuf, directory: Scratch) -> Self {
        ScratchFile { path, _directory: directory }
    }

    /// What will be a file called `name`, in a new directory.
    ///
    /// # Errors
    /// The directory cannot be created or written down.
    pub fn create(ctx: &RunContext, name: &str) -> Result<Self> {
        let directory = Scratch::create(ctx)?;
        Ok(ScratchFile::new(directory.path().join(name), directory))
    }

    /// The file `path`, which an earlier run has made with its directory.
    ///
    /// # Errors
    /// See [`Scratch::resume`].
    pub fn resume(ctx: &RunContext, path: &Path) -> Result<Self> {
        let directory = Scratch::resume(ctx, path.parent().unwrap_or(Path::new("/")))?;
        Ok(ScratchFile::new(path.to_owned(), directory))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes temporary directories that a killed run left.
#[derive(Debug, Default)]
pub struct ReclaimScratch;

#[async_trait]
impl Reclaim for ReclaimScratch {
    fn kinds(&self) -> &'static [&'static str] {
        &[SCRATCH_DIRECTORY]
    }

    async fn reclaim(&self, resource: &Resource) -> Result<()> {
        let path = resource.path();
        let ours = path.file_name().and_then(|name| name.to_str());
        if !ours.is_some_and(|name| name.starts_with(PREFIX)) {
            return Err(Error::new(format!("{} is not a temporary directory", path.display())));
        }
        tokio::task::spawn_blocking(move || {
            remove(&path).with_context(|| format!("removing {}", path.display()))
        })
        .await
        .context("removing a temporary directory")?
    }
}

#[cfg(test)]
mod tests {
    use ingot_sdk::testing;

    use super::*;

    #[tokio::test]
    async fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let ctx = testing::context(Default::default(), &Default::default());
        let scratch = Scratch::create(&ctx).unwrap();
        let path = scratch.path().to_owned();
        testing::file(&path, "a/b", "secret");
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        std::mem::forget(scratch);
        let resource = Resource::at(SCRATCH_DIRECTORY, &path);
        ReclaimScratch.reclaim(&resource).await.unwrap();
        assert!(!path.exists());
        ReclaimScratch.reclaim(&resource).await.unwrap();
        let home = Resource::new(SCRATCH_DIRECTORY, "/root");
        assert!(ReclaimScratch.reclaim(&home).await.is_err());
    }

    #[test]
    fn sockets_are_only_where_their_path_is_short_and_plain() {
        let holds = |parent: &str| can_hold_socket(Path::new(parent), "qmp");
        assert!(holds("/tmp") && holds(&format!("/{}", "a".repeat(47))));
        assert!(!holds(&format!("/{}", "a".repeat(60))) && !holds("/tmp/a,b"));
    }
}
