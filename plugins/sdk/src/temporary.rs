//! The directory for temporary files.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::Error;

/// Where files are put whose paths go through options, which are text.
pub(crate) fn directory_of_text() -> PathBuf {
    let usual = std::env::temp_dir();
    match usual.to_str() {
        Some(_) => usual,
        None => PathBuf::from("/tmp"),
    }
}

/// Adds to an error of writing in the directory for temporary files that it can be another one, where that
/// would help.
pub fn explain(error: Error) -> Error {
    const OF_THE_DIRECTORY: [ErrorKind; 6] = [
        ErrorKind::NotFound,
        ErrorKind::NotADirectory,
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
    ];
    match OF_THE_DIRECTORY.into_iter().any(|kind| error.is_io(kind)) {
        true => error.further_hint("TMPDIR names another directory for temporary files"),
        false => error,
    }
}
