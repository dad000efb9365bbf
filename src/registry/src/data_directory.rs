//! Where a registry keeps what is its own.

use std::path::PathBuf;

/// Where the registry is if nothing else is said: `registry.db` in `$INGOT_DATA_DIR`, else in
/// `$XDG_DATA_HOME/ingot`, else in `~/.local/share/ingot`.
pub fn default_path() -> PathBuf {
    data_directory().join("registry.db")
}

/// Where a registry keeps what is its own.
pub fn data_directory() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(directory) = variable("INGOT_DATA_DIR") {
        return directory.into();
    }
    let base = variable("XDG_DATA_HOME").map(PathBuf::from);
    // Without HOME, as a service may be, the one of the user's entry in /etc/passwd.
    let base = base.or_else(|| Some(std::env::home_dir()?.join(".local/share")));
    base.unwrap_or_default().join("ingot")
}
