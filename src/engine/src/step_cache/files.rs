//! What there is in the local files that a step reads.
//!
//! More of them counts than for plans ([`crate::inputs::FileDigests`]): what a provisioner copies to
//! the machine has their owners, modes and links, which later steps can see. Secrets in them count too. A
//! file that cannot be read is an error, as the step is not cached then.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ingot_sdk::communicator::uploaded_name;
use ingot_sdk::file_work::Reader;
use ingot_sdk::{Context, Error, Result, StateKey, hash, script};
use tokio_util::sync::CancellationToken;

/// How many files and directories of one are looked at: links can make many out of few.
const MOST: usize = 1_000_000;

/// A file or directory that a step reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalFile {
    /// As the template gives it.
    pub path: String,
    /// Whether the machine gets it with its name and permissions, or just what is in it.
    pub copied: bool,
}

/// Reads local files.
pub(super) struct Contents<'a> {
    reader: Reader,
    stop: &'a CancellationToken,
    /// The directories around what is being read: a link may lead back to one.
    ancestors: Vec<(u64, u64)>,
    /// How much of a directory was looked at.
    count: usize,
}

/// What was read, as parts of a key.
struct Parts(Vec<Vec<u8>>);

impl Parts {
    fn add(&mut self, part: impl AsRef<[u8]>) {
        self.0.push(part.as_ref().to_vec());
    }
}

impl<'a> Contents<'a> {
    /// `reader` shows how far it is; `stop` ends it.
    pub(super) fn new(reader: Reader, stop: &'a CancellationToken) -> Self {
        Contents { reader, stop, ancestors: Vec::new(), count: 0 }
    }

    /// What there is in `file` and matters to a step.
    ///
    /// # Errors
    /// It cannot be read, or is neither a file nor a directory.
    pub(super) fn of(&mut self, file: &LocalFile) -> Result<StateKey> {
        let path = Path::new(&file.path);
        self.count = 0;
        let mut parts = Parts(Vec::new());
        let found = std::fs::metadata(path).with_context(|| format!("reading {}", file.path))?;
        if !file.copied {
            parts.add(self.content(path)?);
            return Ok(StateKey::of("local file 1", parts.0));
        }
        // What the machine knows it by: nothing where only what is in a directory goes there.
        let name = match found.is_dir() {
            true => uploaded_name(path, file.path.ends_with('/'))?,
            false => Some(script::file_name(&file.path).to_owned()),
        };
        parts.add([u8::from(name.is_none())]);
        parts.add(name.unwrap_or_default());
        match found.is_dir() {
            true => self.directory(path, &found, &mut parts)?,
            false => self.file(path, &found, &mut parts)?,
        }
        Ok(StateKey::of("local file 2", parts.0))
    }

    fn content(&mut self, path: &Path) -> Result<String> {
        hash::sums_of(&mut self.reader, self.stop, path, &["sha256"])?
            .pop()
            .ok_or_else(|| Error::new("there is no SHA-256"))
    }

    fn file(&mut self, path: &Path, found: &Metadata, parts: &mut Parts) -> Result<()> {
        attributes(found, parts);
        parts.add(self.content(path)?);
        Ok(())
    }

    /// All that is in a directory. Of a link, both where it leads and what is there matters: some
    /// communicators copy the one, some the other.
    fn directory(&mut self, path: &Path, found: &Metadata, parts: &mut Parts) -> Result<()> {
        if self.stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        attributes(found, parts);
        let identity = (found.dev(), found.ino());
        if self.ancestors.contains(&identity) {
            parts.add("a circle");
            return Ok(());
        }
        let reading = || format!("reading {}", path.display());
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path).with_context(reading)? {
            paths.push(entry.with_context(reading)?.path());
        }
        paths.sort();
        self.count += paths.len();
        if self.count > MOST {
            return Err(Error::new("there are too many files in it"));
        }
        parts.add(paths.len().to_string());
        self.ancestors.push(identity);
        let read = paths.iter().try_for_each(|path| self.entry(path, parts));
        self.ancestors.pop();
        read
    }

    fn entry(&mut self, path: &Path, parts: &mut Parts) -> Result<()> {
        let reading = || format!("reading {}", path.display());
        let own = std::fs::symlink_metadata(path).with_context(reading)?;
        parts.add(path.file_name().unwrap_or_default().as_bytes());
        if own.is_symlink() {
            parts.add("link");
            parts.add(std::fs::read_link(path).with_context(reading)?.as_os_str().as_bytes());
            attributes(&own, parts);
        }
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                parts.add("directory");
                self.directory(path, &found, parts)
            }
            Ok(found) if found.is_file() => {
                parts.add("file");
                self.file(path, &found, parts)
            }
            // What is neither is not copied.
            Ok(_) => {
                parts.add("neither");
                Ok(())
            }
            Err(_) if own.is_symlink() => {
                parts.add("nothing");
                Ok(())
            }
            Err(error) => Err(error).with_context(reading),
        }
    }
}

/// Whose a file is and who may do what with it; its times do not count, as with `docker build`.
fn attributes(found: &Metadata, parts: &mut Parts) {
    let mode = found.permissions().mode() & 0o7777;
    parts.add(format!("{mode:o} {} {}", found.uid(), found.gid()));
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

    use ingot_sdk::testing::{RecordedOutput, context};
    use std::sync::Arc;

    use super::*;

    fn key(path: &str, copied: bool) -> Result<StateKey> {
        let ctx = context(Default::default(), &Arc::new(RecordedOutput::default()));
        let stop = CancellationToken::new();
        Contents::new(Reader::new(&ctx, "", &[]), &stop)
            .of(&LocalFile { path: path.to_owned(), copied })
    }

    #[test]
    fn all_that_reaches_the_machine_counts_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let text = |path: &str| at(path).display().to_string();
        fs::create_dir_all(at("tree/sub")).unwrap();
        fs::write(at("tree/a"), "one").unwrap();
        fs::write(at("tree/sub/b"), "two").unwrap();
        symlink("a", at("tree/link")).unwrap();
        symlink("..", at("tree/sub/up")).unwrap();
        let tree = text("tree");
        let mut seen = vec![key(&tree, true).unwrap()];
        let slash = key(&format!("{tree}/"), true).unwrap();
        assert_ne!(seen[0], slash);
        // As communicators read paths.
        assert_eq!(slash, key(&format!("{tree}/."), true).unwrap());
        assert_eq!(seen[0], key(&format!("{tree}/sub/.."), true).unwrap());
        let mut changed = |what: &str| {
            let now = key(&tree, true).unwrap();
            assert!(!seen.contains(&now), "{what} does not count");
            seen.push(now);
        };
        fs::write(at("tree/sub/b"), "three").unwrap();
        changed("a file in a subdirectory");
        fs::set_permissions(at("tree/a"), Permissions::from_mode(0o755)).unwrap();
        changed("a mode");
        fs::rename(at("tree/a"), at("tree/c")).unwrap();
        changed("a name, and a link that leads nowhere");
        fs::remove_file(at("tree/link")).unwrap();
        symlink("c", at("tree/link")).unwrap();
        changed("where a link leads");
        fs::create_dir(at("tree/empty")).unwrap();
        changed("an empty directory");
        fs::set_permissions(at("tree/empty"), Permissions::from_mode(0o700)).unwrap();
        changed("its mode");
        // A file that is moved elsewhere with its name is the same; times do not count.
        let file = key(&text("tree/c"), true).unwrap();
        fs::create_dir(at("other")).unwrap();
        fs::write(at("other/c"), "one").unwrap();
        fs::set_permissions(at("other/c"), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(file, key(&text("other/c"), true).unwrap());
        // Of a script, only what is in it counts.
        fs::set_permissions(at("other/c"), Permissions::from_mode(0o600)).unwrap();
        assert_ne!(file, key(&text("other/c"), true).unwrap());
        fs::rename(at("other/c"), at("other/d")).unwrap();
        assert_eq!(key(&text("tree/c"), false).unwrap(), key(&text("other/d"), false).unwrap());
        assert!(key(&text("nope"), true).unwrap_err().to_string().contains("nope"));
        assert!(key("/dev/null", true).is_err());
    }
}
