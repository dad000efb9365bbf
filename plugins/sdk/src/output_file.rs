//! Files that a build leaves for the user: there whole, or not at all.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::file_work::blocking;
use crate::{Context, Error, Journal, JournalEntry, Reclaim, Resource, Result, RunContext};

/// The kind of [`Resource`] under which unfinished files are in the journal.
pub const UNFINISHED_FILE: &str = "unfinished-file";

/// A file that is being written next to where it will be. [`OutputFile::finish`] moves it there
/// in one step; dropping it before removes it. Missing directories are created, and removed with
/// it. A file that it replaces keeps its owner and permissions, and a link goes on leading to it. Where
/// that is not possible, as for a file with several hard links, it is copied over that once it is whole,
/// and is removed only after that.
///
/// What cannot be replaced is written to directly: a pipe or a device, and a file in a directory
/// where nothing can be created.
///
/// All of its methods but [`OutputFile::open`] and [`OutputFile::close`] block; use them where blocking
/// is allowed.
pub struct OutputFile {
    file: Option<File>,
    /// Where it is being written; none where it is written to directly.
    unfinished: Option<PathBuf>,
    target: PathBuf,
    /// Whether a file is there that it replaces.
    replaces: bool,
    /// Whether its contents are copied over that file, which is to stay the same one.
    copies: bool,
    entry: Option<JournalEntry>,
    created: CreatedDirectories,
}

/// Directories that were created for a file, the deepest first.
#[derive(Debug, Clone, Default)]
pub struct CreatedDirectories(Vec<PathBuf>);

impl CreatedDirectories {
    /// Creates what is missing of `directory`, which is absolute.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(directory: &Path) -> std::io::Result<Self> {
        let missing = directory.ancestors().take_while(|path| !path.exists());
        let created = CreatedDirectories(missing.map(Path::to_owned).collect());
        if let Err(error) = std::fs::create_dir_all(directory) {
            created.remove();
            return Err(error);
        }
        Ok(created)
    }

    /// Removes those that are empty: what others have put there meanwhile stays.
    pub fn remove(&self) {
        for directory in &self.0 {
            if std::fs::remove_dir(directory).is_err() {
                return;
            }
        }
    }
}

impl OutputFile {
    /// Starts to write what will be `target`. `mode` is for a new file: permission bits, from which
    /// the umask is taken.
    ///
    /// # Errors
    /// The file cannot be created or written down.
    pub fn create(journal: &Arc<dyn Journal>, target: &Path, mode: u32) -> Result<Self> {
        // Absolute, because the run that reclaims it may have another current directory.
        let absolute = std::path::absolute(target)
            .with_context(|| format!("finding out where {} is", target.display()))?;
        let creating = || format!("creating {}", target.display());
        let there = match std::fs::metadata(&absolute) {
            Ok(there) if there.is_dir() => {
                return Err(Error::new(format!("{} is a directory", target.display())));
            }
            Ok(there) if !there.is_file() => return Self::existing(&absolute, target),
            Ok(there) => {
                // What may not be written may not be replaced either.
                let opened = std::fs::OpenOptions::new().append(true).open(&absolute);
                opened.with_context(|| format!("writing {}", target.display()))?;
                Some(there)
            }
            // A link that leads nowhere yet: what it names is created.
            Err(error) if error.kind() == ErrorKind::NotFound && absolute.is_symlink() => {
                return Self::existing(&absolute, target);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            // As for the link of somebody else in a directory that all may write to.
            Err(error) => return Err(error).with_context(creating),
        };
        // Where a link leads, if it is one.
        let absolute = match there {
            Some(_) => std::fs::canonicalize(&absolute).with_context(creating)?,
            None => absolute,
        };
        let name = absolute
            .file_name()
            .ok_or_else(|| Error::new(format!("{} is not a file name", target.display())))?
            .to_string_lossy()
            .into_owned();
        let directory = absolute.parent().unwrap_or(Path::new("/"));
        let created = CreatedDirectories::create(directory)
            .with_context(|| format!("creating the directory {}", directory.display()))?;
        let unfinished = directory.join(format!(".{name}.{}.unfinished", uuid::Uuid::new_v4()));
        let resource = Resource::at(UNFINISHED_FILE, &unfinished);
        let entry = JournalEntry::open(journal, &resource)?;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut output = OutputFile {
            file: None,
            unfinished: Some(unfinished.clone()),
            target: absolute.clone(),
            replaces: there.is_some(),
            copies: false,
            entry: Some(entry),
            created,
        };
        let file = match options.open(&unfinished) {
            Ok(file) => file,
            Err(error) => {
                // Nothing is there to remove, which a file system that can only be read would refuse.
                output.entry.take().into_iter().for_each(JournalEntry::done);
                output.created.remove();
                let refused = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
                return match there.is_some() && refused.contains(&error.kind()) {
                    true => Self::existing(&absolute, target),
                    false => Err(error).with_context(creating),
                };
            }
        };
        if let Some(there) = there {
            output.copies = !can_stand_for(&file, &there);
            file.set_permissions(there.permissions()).with_context(creating)?;
        }
        output.file = Some(file);
        Ok(output)
    }

    /// Writes to what is there.
    fn existing(path: &Path, shown: &Path) -> Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).open(path);
        let file = opened.with_context(|| format!("writing {}", shown.display()))?;
        Ok(OutputFile {
            file: Some(file),
            unfinished: None,
            target: path.to_owned(),
            replaces: false,
            copies: false,
            entry: None,
            created: CreatedDirectories::default(),
        })
    }

    /// [`OutputFile::create`], where waiting, as for the reader of a pipe, must not block.
    ///
    /// # Errors
    /// As for [`OutputFile::create`].
    pub async fn open(journal: &Arc<dyn Journal>, target: &Path, mode: u32) -> Result<Self> {
        let (journal, target) = (Arc::clone(journal), target.to_owned());
        tokio::task::spawn_blocking(move || Self::create(&journal, &target, mode))
            .await
            .context("working on files")?
    }

    /// Where to write.
    ///
    /// # Errors
    /// The handle cannot be duplicated.
    pub fn writer(&self) -> Result<File> {
        match &self.file {
            Some(file) => file
                .try_clone()
                .with_context(|| format!("opening {} for writing", self.target.display())),
            None => Err(Error::new(format!("{} is not open", self.target.display()))),
        }
    }

    /// Adds to an error of writing what to do about a disk that is full: what is to be replaced takes its
    /// room until this is whole.
    pub fn explain(&self, error: Error) -> Error {
        match self.replaces && error.is_io(ErrorKind::StorageFull) {
            true => error.further_hint(format!(
                "{} stays until the new one is whole: remove it first, or write elsewhere",
                self.target.display()
            )),
            false => error,
        }
    }

    /// The directories that were created for it, for whoever removes the finished file.
    pub fn created(&self) -> CreatedDirectories {
        self.created.clone()
    }

    /// Puts the file where it belongs, replacing what was there.
    ///
    /// # Errors
    /// The file cannot be moved; what was there before is untouched. Or it cannot be copied over that:
    /// then it stays next to it, and the error says where.
    pub fn finish(mut self) -> Result<()> {
        self.file = None;
        let Some(unfinished) = &self.unfinished else { return Ok(()) };
        let writing = || format!("writing {}", self.target.display());
        let renamed = (!self.copies).then(|| std::fs::rename(unfinished, &self.target));
        match renamed {
            Some(Ok(())) => self.entry.take().into_iter().for_each(JournalEntry::done),
            // A single file that is mounted, as into a container, cannot be replaced.
            Some(Err(error)) if error.kind() != ErrorKind::ResourceBusy => {
                return Err(error).with_context(writing);
            }
            _ => {
                let mut from = File::open(unfinished).with_context(writing)?;
                let opened = std::fs::OpenOptions::new().write(true).open(&self.target);
                let mut to = opened.with_context(writing)?;
                // From here on the target may be neither the old nor the new one, so that this is the
                // only whole one: neither this run nor the next may remove it before it is copied.
                self.entry.take().into_iter().for_each(JournalEntry::done);
                let copied = std::io::copy(&mut from, &mut to);
                copied.and_then(|length| to.set_len(length)).with_context(writing).map_err(
                    |error| {
                        error.further_hint(format!(
                            "what was to be written is whole in {}",
                            unfinished.display()
                        ))
                    },
                )?;
                if let Err(error) = std::fs::remove_file(unfinished) {
                    tracing::warn!(file = %unfinished.display(), %error, "cannot remove");
                }
            }
        }
        self.created = CreatedDirectories::default();
        Ok(())
    }

    /// [`OutputFile::finish`], where copying a large file must not block.
    ///
    /// # Errors
    /// As for [`OutputFile::finish`], and that the build was cancelled before.
    pub async fn close(self, ctx: &RunContext) -> Result<()> {
        blocking(ctx, move |stop| match stop.is_cancelled() {
            true => Err(Error::Cancelled),
            false => self.finish(),
        })
        .await
    }
}

/// Gives a new file the owner of the one that is there. False if it cannot have it, or if that one has
/// other names, which are to have the new contents, too.
#[cfg(unix)]
fn can_stand_for(file: &File, there: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (user, group) = (there.uid(), there.gid());
    let has_owner = |new: std::fs::Metadata| (new.uid(), new.gid()) == (user, group);
    there.nlink() == 1
        && (file.metadata().is_ok_and(has_owner) || fchown(file, Some(user), Some(group)).is_ok())
}

#[cfg(not(unix))]
fn can_stand_for(_: &File, _: &std::fs::Metadata) -> bool {
    true
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        let (Some(entry), Some(unfinished)) = (self.entry.take(), self.unfinished.take()) else {
            return;
        };
        self.file = None;
        match remove(&unfinished) {
            Ok(()) => entry.done(),
            // It stays in the journal; the next run tries again.
            Err(error) => tracing::warn!(file = %unfinished.display(), %error, "cannot remove"),
        }
        self.created.remove();
    }
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> std::io::Result<()> {
    let removed = std::fs::remove_file(path);
    // A file system that can only be read refuses that for every name, also for one that is not there.
    let there = path.symlink_metadata().map_err(|error| error.kind());
    match (removed, there) {
        (Err(_), Err(ErrorKind::NotFound)) => Ok(()),
        (removed, _) => removed,
    }
}

/// Removes files that a killed run left unfinished.
#[derive(Debug, Default)]
pub struct ReclaimUnfinishedFiles;

#[async_trait]
impl Reclaim for ReclaimUnfinishedFiles {
    fn kinds(&self) -> &'static [&'static str] {
        &[UNFINISHED_FILE]
    }

    async fn reclaim(&self, resource: &Resource) -> Result<()> {
        let path = resource.path();
        let removed = tokio::task::spawn_blocking(move || remove(&path));
        removed
            .await
            .context("working on files")?
            .with_context(|| format!("removing {}", resource.id))
    }
}

#[cfg(test)]
mod tests;
