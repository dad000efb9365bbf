//! Where a registry keeps what is its own.

use std::path::PathBuf;

use ingot_base::environment;
use ingot_base::home::home_dir;

/// Where the registry is by default: `registry.db` in `$INGOT_DATA_DIR`, else in
/// `$XDG_DATA_HOME/ingot`, else in `~/.local/share/ingot`.
pub fn default_path() -> PathBuf {
    data_directory().join("registry.db")
}

/// Where a registry keeps what is its own.
pub fn data_directory() -> PathBuf {
    if let Some(directory) = environment::set("INGOT_DATA_DIR") {
        return directory.into();
    }
    let base = environment::set("XDG_DATA_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(home_dir()?.join(".local/share")));
    base.unwrap_or_default().join("ingot")
}
