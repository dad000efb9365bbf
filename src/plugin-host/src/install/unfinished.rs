//! What installations that broke off leave in a plugin's directory: a part of a download, or a
//! program without its name. The next installation of the same file takes it up, or replaces it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::{Context, Error, ErrorKind, Result};

use super::address::PluginAddress;

/// What the files of an installation that is under way are called before.
pub(super) const UNDER_WAY: &str = ".ingot-";
/// The lock of who installs the plugin.
pub(super) const LOCK: &str = ".ingot-lock";
/// For how long a download that broke off is taken up.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes what nobody will take up any more. The plugin's lock is held.
pub(super) fn remove_old(place: &Path) {
    for path in files(place) {
        let changed = fs::metadata(&path).and_then(|found| found.modified());
        let old = changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > OLD));
        if old && let Err(error) = fs::remove_file(&path) {
            tracing::debug!(%error, path = %path.display(), "cannot remove what is left");
        }
    }
}

/// Removes all that installations of the plugin `address` left below the plugin directory
/// `directory`. Yields what that was.
///
/// # Errors
/// Something could not be removed, or an installation is under way, which is
/// [`ErrorKind::Busy`].
pub fn remove_unfinished(directory: &Path, address: &PluginAddress) -> Result<Vec<PathBuf>> {
    let place = directory.join(address.source());
    if files(&place).next().is_none() {
        return Ok(Vec::new());
    }
    let Some(lock) = FileLock::try_take(&place.join(LOCK))? else {
        let message = format!("another program is installing {}", address.source());
        return Err(Error::new(message).of_kind(ErrorKind::Busy));
    };
    let _lock = lock.remove_on_drop();
    let mut removed = Vec::new();
    for path in files(&place) {
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        removed.push(path);
    }
    removed.sort();
    Ok(removed)
}

/// The files that are not installed.
fn files(place: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let unfinished = entries.filter(|entry| {
        let name = entry.file_name();
        let begins = name.to_str().is_some_and(|name| name.starts_with(UNDER_WAY));
        begins && name != LOCK && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    unfinished.map(|entry| entry.path())
}
