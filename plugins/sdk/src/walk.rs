//! Local directories, entry by entry.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::{Context, Error, Result};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
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
    pub what: What,
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
        let what = match (meta.is_dir(), meta.is_file()) {
            (true, _) => What::Directory,
            (_, true) => What::File,
            _ => {
                tracing::warn!(path = %path.display(), "not copied: neither a file nor a directory");
                return Ok(None);
            }
        };
        let mode = meta.permissions().mode() & 0o7777;
        Ok(Some(Entry { path: path.to_owned(), what, mode }))
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
    let mut entries = Vec::new();
    let real = |path: &Path| {
        std::fs::canonicalize(path).with_context(|| format!("reading {}", path.display()))
    };
    descend(root, &mut vec![real(root)?], &mut entries)?;
    Ok(entries)
}

fn descend(directory: &Path, above: &mut Vec<PathBuf>, entries: &mut Vec<Entry>) -> Result<()> {
    let reading = || format!("reading {}", directory.display());
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(reading)? {
        inside.push(entry.with_context(reading)?);
    }
    inside.sort_by_key(std::fs::DirEntry::file_name);
    for found in inside {
        let path = found.path();
        let Some(entry) = Entry::at(&path)? else { continue };
        let directory = entry.what == What::Directory;
        entries.push(entry);
        if !directory {
            continue;
        }
        // Only a link can lead back up.
        let link = found.file_type().with_context(reading)?.is_symlink();
        let real = match link {
            true => std::fs::canonicalize(&path).with_context(reading)?,
            false => above.last().map_or_else(|| path.clone(), |up| up.join(found.file_name())),
        };
        if above.iter().any(|up| up.starts_with(&real)) {
            return Err(Error::new(format!(
                "{} is a link to a directory that it is in itself",
                path.display()
            )));
        }
        above.push(real);
        descend(&path, above, entries)?;
        above.pop();
    }
    Ok(())
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
