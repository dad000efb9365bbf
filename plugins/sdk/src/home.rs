//! The user's home directory.

use std::path::PathBuf;

/// The home directory: `HOME`, or without it, as a service may be, that of the user's entry in
/// `/etc/passwd`.
pub fn home_dir() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}
