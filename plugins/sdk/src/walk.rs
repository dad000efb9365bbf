//! Local directories, entry by entry.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::{Context, Error, Result};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file.
    File,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// Its permission bits.
    pub mode: u32,
}

impl Entry {
    /// The entry at the local `path`, following links; none for what is neither file nor directory.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn at(path: &Path) -> Result<Option<Entry>> {
        let meta =
            std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
        let kind = match (meta.is_dir(), meta.is_file()) {
            (true, _) => EntryKind::Directory,
            (_, true) => EntryKind::File,
            _ => {
                tracing::warn!(path = %path.display(), "not copied: neither a file nor a directory");
                return Ok(None);
            }
        };
        let mode = meta.permissions().mode() & 0o7777;
        Ok(Some(Entry { path: path.to_owned(), kind, mode }))
    }

    /// Its own name.
    pub fn name(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_default()
    }
}

/// All that is below the local directory `root`, directories before what is in them, by name. Links are
/// followed, as Packer's communicators do.
///
/// # Errors
/// A directory cannot be read, or a link leads back to a directory above it.
pub fn tree(root: &Path) -> Result<Vec<Entry>> {
    let walk = WalkDir::new(root).follow_links(true).sort_by_file_name().min_depth(1);
    let mut entries = Vec::new();
    for found in walk {
        let found = found.map_err(|error| match (error.loop_ancestor(), error.path()) {
            (Some(_), Some(link)) => Error::new(format!(
                "{} is a link to a directory that it is in itself",
                link.display()
            )),
            (_, path) => {
                let reading = format!("reading {}", path.unwrap_or(root).display());
                Error::from(io::Error::from(error)).context(reading)
            }
        })?;
        entries.extend(Entry::at(found.path())?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_links_but_not_in_circles() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/b/file"), "").unwrap();
        std::os::unix::fs::symlink(at("a/b"), at("link")).unwrap();
        let paths: Vec<_> = tree(dir.path()).unwrap().into_iter().map(|entry| entry.path).collect();
        assert_eq!(paths, [at("a"), at("a/b"), at("a/b/file"), at("link"), at("link/file")]);
        std::os::unix::fs::symlink(at("a"), at("a/b/up")).unwrap();
        assert!(tree(dir.path()).unwrap_err().to_string().contains("a/b/up is a link"));
    }
}
