//! Digests of local files and directories.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use ingot_sdk::Result;
use ingot_sdk::hash::{self, Sha256};
use ingot_sdk::walk::{self, EntryKind};
use parking_lot::Mutex;

/// The digest of what is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileDigest {
    /// The SHA-256 of a file, in hexadecimal.
    File(String),
    /// The SHA-256 over the names, kinds and contents of all that is in a directory.
    Directory(String),
    /// There is nothing.
    Missing,
    /// It cannot be read, for this reason.
    Unreadable(String),
}

impl FileDigest {
    /// Its hexadecimal digits, or what else there is to compare.
    pub fn as_str(&self) -> &str {
        match self {
            FileDigest::File(digest) | FileDigest::Directory(digest) => digest,
            FileDigest::Missing => "missing",
            FileDigest::Unreadable(_) => "unreadable",
        }
    }
}

/// Files up to this size may be seen without the secrets in them. Larger ones are no files of
/// settings.
const SMALL: u64 = 1 << 20;
/// What stands for a secret.
const SECRET: &str = "<sensitive>";

/// Digests of files, each of which is read once.
#[derive(Debug, Default)]
pub struct FileDigests {
    known: Mutex<HashMap<PathBuf, FileDigest>>,
    /// What does not count where a file holds it, longest first.
    secrets: Vec<String>,
}

impl FileDigests {
    /// Digests in which `secrets` do not count: another one in its place leaves the digest of a file
    /// of up to 1 MiB as it is, and nobody can find out a secret from one.
    pub fn without(mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        FileDigests { known: Mutex::default(), secrets }
    }

    /// The digest of the file or directory at `path`. Blocks.
    pub fn of(&self, path: &Path) -> FileDigest {
        if let Some(known) = self.known.lock().get(path) {
            return known.clone();
        }
        let digest = self.read(path);
        self.known.lock().insert(path.to_owned(), digest.clone());
        digest
    }

    fn read(&self, path: &Path) -> FileDigest {
        let digest = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return FileDigest::Missing;
            }
            Err(error) => Err(error.into()),
            Ok(found) if found.is_dir() => self.directory(path).map(FileDigest::Directory),
            Ok(_) => self.file(path).map(FileDigest::File),
        };
        digest.unwrap_or_else(|error| FileDigest::Unreadable(error.to_string()))
    }

    fn file(&self, path: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        let mut file = ingot_sdk::file_work::Reader::open(path)?;
        if !self.secrets.is_empty() && file.metadata()?.len() <= SMALL {
            let mut bytes = Vec::new();
            Read::by_ref(&mut file).take(SMALL).read_to_end(&mut bytes)?;
            hash.update(self.masked_bytes(bytes));
        }
        std::io::copy(&mut file, &mut hash)?;
        Ok(hash.finish())
    }

    /// `text` with the same in place of every secret.
    pub fn masked(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| match text.contains(secret) {
            true => text.replace(secret, SECRET),
            false => text,
        })
    }

    /// The same of bytes that are not UTF-8.
    fn masked_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.secrets.iter().fold(bytes, |bytes, secret| {
            let secret = secret.as_bytes();
            let mut masked = Vec::new();
            let mut rest = bytes.as_slice();
            while let Some(at) = rest.windows(secret.len()).position(|part| part == secret) {
                masked.extend_from_slice(&rest[..at]);
                masked.extend_from_slice(SECRET.as_bytes());
                rest = &rest[at + secret.len()..];
            }
            if masked.is_empty() {
                return bytes;
            }
            masked.extend_from_slice(rest);
            masked
        })
    }

    fn directory(&self, root: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        for entry in walk::tree(root)? {
            let name = entry.path.strip_prefix(root).unwrap_or(&entry.path).to_string_lossy();
            let name = self.masked(name.into_owned());
            let (kind, content) = match entry.kind {
                EntryKind::Directory => ("d", String::new()),
                EntryKind::File if entry.mode & 0o111 != 0 => ("x", self.file(&entry.path)?),
                EntryKind::File => ("f", self.file(&entry.path)?),
            };
            for part in [kind, &name, &content] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        Ok(hash.finish())
    }
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub(super) fn digest(bytes: &[u8]) -> String {
    hash::sha256(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_directory_counts() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir(at("a")).unwrap();
        std::fs::write(at("a/file"), "one").unwrap();
        let digest = || FileDigests::default().of(dir.path());
        let first = digest();
        assert!(matches!(first, FileDigest::Directory(_)) && digest() == first);
        std::fs::write(at("a/file"), "two").unwrap();
        let changed = digest();
        assert_ne!(changed, first);
        std::fs::rename(at("a/file"), at("a/other")).unwrap();
        assert_ne!(digest(), changed);
        assert_eq!(FileDigests::default().of(&at("nothing")), FileDigest::Missing);
    }

    #[test]
    fn secrets_in_small_files_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let digest = |content: &str, secret: &str| {
            std::fs::write(&path, content).unwrap();
            FileDigests::without(vec![secret.into()]).of(&path)
        };
        assert_eq!(digest("pin=1234\n", "1234"), digest("pin=5678\n", "5678"));
        assert_ne!(digest("pin=1234\n", "1234"), digest("PIN=1234\n", "1234"));
        let latin = |secret: &str| {
            std::fs::write(&path, [&b"caf\xe9 pin="[..], secret.as_bytes(), b"\n"].concat())
                .unwrap();
            FileDigests::without(vec![secret.into()]).of(&path)
        };
        assert_eq!(latin("1234"), latin("5678"));
        let plain = digest("abc", "no such");
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(plain, FileDigest::File(wanted.into()));
    }
}
