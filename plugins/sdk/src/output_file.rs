//! Files that builds and commands write for the user: there whole, or not at all.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use ingot_base::files::real_path;
use ingot_base::whole_file::sync_directory;

use crate::file_work::blocking;
use crate::journal::NoJournal;
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
/// All of its methods that are not asynchronous block; use them where blocking is allowed.
pub struct OutputFile {
    file: Option<File>,
    /// Where it is being written; none where it is written to directly.
    unfinished: Option<PathBuf>,
    target: PathBuf,
    /// The target as it was named.
    shown: PathBuf,
    /// Whether a file is there that it replaces.
    replaces: bool,
    method: Method,
    /// Whether it outlasts a loss of power.
    durable: bool,
    entry: Option<JournalEntry>,
    created: CreatedDirectories,
}

/// How what is written gets to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// It is moved there.
    Move,
    /// It is copied over the file that is there, which is to stay the same one.
    Copy,
    /// It is written to the file that is there.
    Overwrite,
    /// It is written to a pipe or device.
    Stream,
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
        let found = std::fs::metadata(&absolute);
        if let Some(stream) = found.as_ref().ok().and_then(own_stream) {
            return Ok(Self::direct(stream, Method::Stream, &absolute, target));
        }
        let there = match found {
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
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            // As for the link of somebody else in a directory that all may write to.
            Err(error) => return Err(error).with_context(creating),
        };
        // Where a link leads, if it is one, also if nothing is there yet.
        let absolute = match there {
            Some(_) => std::fs::canonicalize(&absolute).with_context(creating)?,
            None if absolute.is_symlink() => real_path(&absolute),
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
        // The name is for people; a long one has no room for what makes it another one.
        let name: String = name.chars().take(50).collect();
        let unfinished = directory.join(format!(".{name}.{}.unfinished", uuid::Uuid::new_v4()));
        let resource = Resource::at(UNFINISHED_FILE, &unfinished);
        let entry = JournalEntry::open(journal, &resource)?;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        // Nobody may look into what replaces a file before it has that one's permissions.
        #[cfg(unix)]
        let mode = if there.is_some() { 0o600 } else { mode };
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut output = OutputFile {
            file: None,
            unfinished: Some(unfinished.clone()),
            target: absolute.clone(),
            shown: target.to_owned(),
            replaces: there.is_some(),
            method: Method::Move,
            durable: false,
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
            if !can_stand_for(&file, &there) {
                output.method = Method::Copy;
            }
            file.set_permissions(there.permissions()).with_context(creating)?;
        }
        output.file = Some(file);
        Ok(output)
    }

    /// Writes to what is there.
    fn existing(path: &Path, shown: &Path) -> Result<Self> {
        let writing = || format!("writing {}", shown.display());
        let opened = std::fs::OpenOptions::new().write(true).open(path);
        let file = opened.with_context(writing)?;
        let method = match file.metadata().with_context(writing)?.is_file() {
            true => Method::Overwrite,
            false => Method::Stream,
        };
        Ok(Self::direct(file, method, path, shown))
    }

    /// Writes to `file`, which is at `path`.
    fn direct(file: File, method: Method, path: &Path, shown: &Path) -> OutputFile {
        OutputFile {
            file: Some(file),
            unfinished: None,
            target: path.to_owned(),
            shown: shown.to_owned(),
            replaces: false,
            method,
            durable: false,
            entry: None,
            created: CreatedDirectories::default(),
        }
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

    /// Writes `bytes` to `target`: there whole, or not at all. Returns the directories that were created for
    /// it. `mode` is that of [`OutputFile::create`].
    ///
    /// # Errors
    /// It cannot be written, or the build was cancelled before it was.
    pub async fn write(
        ctx: &RunContext,
        target: &Path,
        mode: u32,
        bytes: Vec<u8>,
    ) -> Result<CreatedDirectories> {
        let output = Self::open(&ctx.journal, target, mode).await?;
        blocking(ctx, move |stop| match stop.is_cancelled() {
            true => Err(Error::Cancelled),
            false => output.finish_with(&bytes),
        })
        .await
    }

    /// Writes `bytes` to `target` where there is no build, and thereby no journal. It outlasts a loss of
    /// power.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(target: &Path, bytes: &[u8]) -> Result<()> {
        let journal: Arc<dyn Journal> = Arc::new(NoJournal);
        let mut output = Self::create(&journal, target, 0o666)?;
        output.durable = true;
        output.finish_with(bytes).map(drop)
    }

    /// Lets `write` write the file, and puts it where it belongs.
    ///
    /// # Errors
    /// What `write` failed with, with [what helps](OutputFile::explain), or as for [`OutputFile::finish`].
    pub fn fill(self, write: impl FnOnce(File) -> Result<()>) -> Result<()> {
        self.writer().and_then(write).map_err(|error| self.explain(error))?;
        self.finish()
    }

    /// Writes `bytes`, which are all of it, and puts it where it belongs. Returns the directories that were
    /// created for it.
    ///
    /// # Errors
    /// It cannot be written, or as for [`OutputFile::finish`].
    pub fn finish_with(self, bytes: &[u8]) -> Result<CreatedDirectories> {
        let mut file = self.opened()?;
        let written = file.write_all(bytes).and_then(|()| match self.method {
            // Cut last: what was there has room on a full disk.
            Method::Overwrite => file.set_len(bytes.len() as u64),
            _ => Ok(()),
        });
        let written = written.with_context(|| self.writing());
        written.map_err(|error| self.explain(error))?;
        let created = self.created();
        self.finish()?;
        Ok(created)
    }

    /// Where to write, to be asked for once: a file that is written to directly is empty from then on.
    ///
    /// # Errors
    /// The handle cannot be duplicated, or the file not be cut.
    pub fn writer(&self) -> Result<File> {
        let file = self.opened()?;
        if self.method == Method::Overwrite {
            file.set_len(0).with_context(|| self.writing())?;
        }
        file.try_clone().with_context(|| format!("opening {} for writing", self.shown.display()))
    }

    fn opened(&self) -> Result<&File> {
        let file = self.file.as_ref();
        file.ok_or_else(|| Error::new(format!("{} is not open", self.shown.display())))
    }

    fn writing(&self) -> String {
        format!("writing {}", self.shown.display())
    }

    /// Adds to an error of writing what to do about a disk that is full: what is to be replaced takes its
    /// room until this is whole.
    pub fn explain(&self, error: Error) -> Error {
        match self.replaces && error.is_io(ErrorKind::StorageFull) {
            true => error.further_hint(format!(
                "{} stays until the new one is whole: remove it first, or write elsewhere",
                self.shown.display()
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
        let writing = || format!("writing {}", self.shown.display());
        let durable = self.durable && self.method != Method::Stream;
        if let Some(file) = self.file.take().filter(|_| durable) {
            file.sync_all().with_context(writing)?;
        }
        let Some(unfinished) = &self.unfinished else { return Ok(()) };
        let moves = self.method == Method::Move;
        // A single file that is mounted, as into a container, cannot be replaced, nor in some directories
        // one of somebody else.
        let refused = [ErrorKind::ResourceBusy, ErrorKind::PermissionDenied];
        let may_copy = |error: &std::io::Error| self.replaces && refused.contains(&error.kind());
        match moves.then(|| std::fs::rename(unfinished, &self.target)) {
            Some(Ok(())) => {
                self.entry.take().into_iter().for_each(JournalEntry::done);
                if durable && let Some(directory) = self.target.parent() {
                    sync_directory(directory);
                }
            }
            Some(Err(error)) if !may_copy(&error) => return Err(error).with_context(writing),
            _ => {
                let mut from = File::open(unfinished).with_context(writing)?;
                let opened = std::fs::OpenOptions::new().write(true).open(&self.target);
                let mut to = opened.with_context(writing)?;
                // From here on the target may be neither the old nor the new one, so that this is the
                // only whole one: neither this run nor the next may remove it before it is copied.
                self.entry.take().into_iter().for_each(JournalEntry::done);
                // Cut last, as it is in `finish_with`.
                let copied =
                    std::io::copy(&mut from, &mut to).and_then(|length| to.set_len(length));
                let copied = copied.and_then(|()| if durable { to.sync_all() } else { Ok(()) });
                copied.with_context(writing).map_err(|error| {
                    error.further_hint(format!(
                        "what was to be written is whole in {}",
                        unfinished.display()
                    ))
                })?;
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

/// Whether `path` is where this process writes what it says, such as `/dev/stdout` of a shell's `>build.log`.
/// What was said before is in it, and what is said later follows.
pub fn is_own_stream(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| own_stream(&found).is_some())
}

/// The standard output or error of this process, if that is the file `found`.
#[cfg(unix)]
fn own_stream(found: &std::fs::Metadata) -> Option<File> {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;
    if !found.is_file() {
        return None;
    }
    let streams = [
        std::io::stdout().as_fd().try_clone_to_owned(),
        std::io::stderr().as_fd().try_clone_to_owned(),
    ];
    // Not opened again: that would begin at the file's start.
    streams.into_iter().flatten().map(File::from).find(|stream| {
        let same =
            |stream: std::fs::Metadata| (stream.dev(), stream.ino()) == (found.dev(), found.ino());
        stream.metadata().is_ok_and(same)
    })
}

#[cfg(not(unix))]
fn own_stream(_: &std::fs::Metadata) -> Option<File> {
    None
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
