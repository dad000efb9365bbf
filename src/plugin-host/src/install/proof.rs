//! Which program was in which archive: kept where an archive was compared with its checksum, so
//! that a lock file that knows only the archive decides about the program too.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ingot_sdk::whole_file::{self, Options};

/// The length of a SHA-256 in hexadecimal.
const LENGTH: u64 = 64;

fn file(cache: &Path, archive: &str) -> Option<PathBuf> {
    let is_hash = archive.len() as u64 == LENGTH && archive.chars().all(|c| c.is_ascii_hexdigit());
    is_hash.then(|| cache.join("unpacked").join(archive.to_ascii_lowercase()))
}

/// Keeps that the program with the SHA-256 `program` was in the archive with the SHA-256 `archive`.
pub(crate) fn keep(cache: Option<&Path>, archive: &str, program: &str) {
    let Some(file) = cache.and_then(|cache| file(cache, archive)) else { return };
    if let Err(error) = write(&file, program) {
        // It is installed from the archive again where this is asked for.
        tracing::debug!(%error, file = %file.display(), "cannot keep where a program is from");
    }
}

fn write(file: &Path, program: &str) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let options = Options { durable: false, ..Options::default() };
    whole_file::write(file, program.as_bytes(), &options)
}

/// Whether the program with the SHA-256 `program` was unpacked, by this user, from the archive with
/// the SHA-256 `archive`.
pub(crate) fn is_from(cache: Option<&Path>, archive: &str, program: &str) -> bool {
    let Some(file) = cache.and_then(|cache| file(cache, archive)) else { return false };
    let mut kept = String::new();
    let read = fs::File::open(file).and_then(|file| file.take(LENGTH).read_to_string(&mut kept));
    read.is_ok() && kept.len() as u64 == LENGTH && kept.eq_ignore_ascii_case(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_kept_is_proven() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Some(directory.path());
        let (archive, program) = ("a".repeat(64), "b".repeat(64));
        assert!(!is_from(cache, &archive, &program));
        keep(cache, &archive, &program);
        assert!(is_from(cache, &archive, &program));
        assert!(!is_from(cache, &archive, &archive) && !is_from(cache, &program, &program));
        assert!(!is_from(None, &archive, &program) && !is_from(cache, "../x", &program));
    }
}
