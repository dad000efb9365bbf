//! Files that a build leaves for the user: there whole, or not at all.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Context, Journal, JournalEntry, Reclaim, Resource, Result};

/// The kind of [`Resource`] under which unfinished files are in the journal.
pub const UNFINISHED_FILE: &str = "unfinished-file";

/// A file that is being written next to where it will be. [`OutputFile::finish`] moves it there
/// in one step; dropping it before removes it. Missing directories are created, and removed with
/// it.
///
/// All of its methods block; use them where blocking is allowed.
pub struct OutputFile {
    file: Option<File>,
    unfinished: PathBuf,
    target: PathBuf,
    entry: Option<JournalEntry>,
    made: MadeDirectories,
}

/// Directories that were created for a file, the deepest first.
#[derive(Debug, Clone, Default)]
pub struct MadeDirectories(Vec<PathBuf>);

impl MadeDirectories {
    /// Creates what is missing of `directory`, which is absolute.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(directory: &Path) -> std::io::Result<Self> {
        let missing = directory.ancestors().take_while(|path| !path.exists());
        let made = MadeDirectories(missing.map(Path::to_owned).collect());
        if let Err(error) = std::fs::create_dir_all(directory) {
            made.remove();
            return Err(error);
        }
        Ok(made)
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
    /// Starts to write what will be `target`, with the permission bits `mode` less the umask.
    ///
    /// # Errors
    /// The file cannot be created or written down.
    pub fn create(journal: &Arc<dyn Journal>, target: &Path, mode: u32) -> Result<Self> {
        // Absolute, because the run that reclaims it may have another current folder.
        let absolute = std::path::absolute(target)
            .with_context(|| format!("finding out where {} is", target.display()))?;
        let name = absolute
            .file_name()
            .ok_or_else(|| crate::Error::new(format!("{} is not a file name", target.display())))?
            .to_string_lossy()
            .into_owned();
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        let made = MadeDirectories::create(folder)
            .with_context(|| format!("creating the directory {}", folder.display()))?;
        let unfinished = folder.join(format!(".{name}.{}.unfinished", uuid::Uuid::new_v4()));
        let resource = Resource::new(UNFINISHED_FILE, unfinished.to_string_lossy());
        let entry = JournalEntry::open(journal, &resource)?;
        let target = target.to_owned();
        let mut output = OutputFile { file: None, unfinished, target, entry: Some(entry), made };
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let file = options
            .open(&output.unfinished)
            .with_context(|| format!("creating {}", output.target.display()))?;
        output.file = Some(file);
        Ok(output)
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
            None => Err(crate::Error::new(format!("{} is not open", self.target.display()))),
        }
    }

    /// The directories that were created for it, for whoever removes the finished file.
    pub fn made(&self) -> MadeDirectories {
        self.made.clone()
    }

    /// Puts the file where it belongs, replacing what was there.
    ///
    /// # Errors
    /// The file cannot be moved; what was there before is untouched.
    pub fn finish(mut self) -> Result<()> {
        self.file = None;
        std::fs::rename(&self.unfinished, &self.target)
            .with_context(|| format!("writing {}", self.target.display()))?;
        if let Some(entry) = self.entry.take() {
            entry.done();
        }
        Ok(())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        self.file = None;
        match std::fs::remove_file(&self.unfinished) {
            Ok(()) => entry.done(),
            Err(error) if error.kind() == ErrorKind::NotFound => entry.done(),
            // It stays in the journal; the next run tries again.
            Err(error) => {
                tracing::warn!(file = %self.unfinished.display(), %error, "cannot remove");
            }
        }
        self.made.remove();
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
        match tokio::fs::remove_file(&resource.id).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(crate::Error::from(error).context(format_args!("removing {}", resource.id)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::journal::NoJournal;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new/deep/output");
        let journal: Arc<dyn Journal> = Arc::new(NoJournal);
        let output = OutputFile::create(&journal, &target, 0o644).unwrap();
        output.writer().unwrap().write_all(b"half").unwrap();
        drop(output);
        assert_eq!(names(folder.path()), [""; 0]);

        let output = OutputFile::create(&journal, &target, 0o644).unwrap();
        output.writer().unwrap().write_all(b"whole").unwrap();
        assert!(!target.exists());
        output.finish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(names(&folder.path().join("new/deep")), ["output"]);

        // A directory that was there, or that others use, stays.
        let journal: Arc<dyn Journal> = Arc::new(NoJournal);
        let target = folder.path().join("new/other/output");
        let output = OutputFile::create(&journal, &target, 0o644).unwrap();
        std::fs::write(folder.path().join("new/other/theirs"), "").unwrap();
        drop(output);
        assert_eq!(names(&folder.path().join("new/other")), ["theirs"]);
    }

    #[tokio::test]
    async fn leftovers_are_reclaimed() {
        let folder = tempfile::tempdir().unwrap();
        let journal: Arc<dyn Journal> = Arc::new(NoJournal);
        let output = OutputFile::create(&journal, &folder.path().join("x"), 0o644).unwrap();
        let resource = Resource::new(UNFINISHED_FILE, output.unfinished.to_string_lossy());
        std::mem::forget(output);
        assert_eq!(names(folder.path()).len(), 1);
        ReclaimUnfinishedFiles.reclaim(&resource).await.unwrap();
        assert_eq!(names(folder.path()), [""; 0]);
        ReclaimUnfinishedFiles.reclaim(&resource).await.unwrap();
    }
}
