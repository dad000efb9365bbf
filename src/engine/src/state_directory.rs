//! Where what outlives a run is: the journals of what runs created, and what else has to be found again.

use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ingot_sdk::environment;
use ingot_sdk::home::home_dir;
use parking_lot::Mutex;
use rustix::fs::{Access, access};
use rustix::process::geteuid;

/// Where Ingot keeps what outlives a run: `$INGOT_STATE_DIR`, else `$XDG_STATE_HOME/ingot`, else
/// `~/.local/state/ingot`; where that cannot be written, a private directory for temporary files.
pub fn directory() -> PathBuf {
    named().unwrap_or_else(|| unnamed().directory)
}

/// Where to look for what other runs left: [`directory`] first, and, where no variable names that, the
/// private directories of runs that could not write to the home directory, and that one.
pub fn directories() -> Vec<PathBuf> {
    if let Some(directory) = named() {
        return vec![directory];
    }
    let Unnamed { directory, in_place_of } = unnamed();
    // One that is full has what was written before.
    let home = in_place_of.map(|(home, _)| home).filter(|home| may_write(home).is_ok());
    let mut all = vec![directory];
    for other in private_directories().into_iter().filter(|path| is_private(path)).chain(home) {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    all
}

/// Makes sure, before a run records anything, that this can be written to [`directory`]. Returns what to
/// warn of where it is one for temporary files, as containers and services often have no home directory that
/// they can write to, or the disk is full. It is chosen once: later calls return the same.
pub fn choose_directory() -> Option<String> {
    if named().is_some() {
        return None;
    }
    WARNING.get_or_init(choose_unnamed).clone()
}

fn choose_unnamed() -> Option<String> {
    let chosen = Unnamed::choose(home(), &private_directories(), can_write);
    *UNNAMED.lock() = Some(chosen.clone());
    let (home, why) = chosen.in_place_of?;
    Some(format!(
        "Warning: {} cannot be written to: {why}. The journal of created resources and what else \
         outlives a run is in {}. It may be lost at a reboot or with this job. INGOT_STATE_DIR names \
         another directory.",
        home.display(),
        chosen.directory.display()
    ))
}

/// What [`choose_directory`] warns of, once it was called.
static WARNING: OnceLock<Option<String>> = OnceLock::new();

/// The directory that a variable names.
fn named() -> Option<PathBuf> {
    let state = environment::set("INGOT_STATE_DIR").map(PathBuf::from);
    state.or_else(|| Some(Path::new(&environment::set("XDG_STATE_HOME")?).join("ingot")))
}

/// The directory in the home directory.
fn home() -> PathBuf {
    home_dir().unwrap_or_else(|| "/".into()).join(".local/state/ingot")
}

/// The directory where no variable names one.
#[derive(Debug, Clone)]
struct Unnamed {
    directory: PathBuf,
    /// The one that it is used in place of, if any, and why.
    in_place_of: Option<(PathBuf, String)>,
}

/// The one of this process.
static UNNAMED: Mutex<Option<Unnamed>> = Mutex::new(None);

fn unnamed() -> Unnamed {
    // Whoever only looks changes nothing.
    let choose = || Unnamed::choose(home(), &private_directories(), may_write);
    UNNAMED.lock().get_or_insert_with(choose).clone()
}

/// Finds out whether files can be created in a directory, or it can be created.
type Check = fn(&Path) -> io::Result<()>;

impl Unnamed {
    /// `home`, or the first of `private` where nothing can be written there.
    fn choose(home: PathBuf, private: &[PathBuf], check: Check) -> Unnamed {
        let Err(error) = check(&home) else {
            return Unnamed { directory: home, in_place_of: None };
        };
        match private_directory(private, check) {
            Some(directory) => Unnamed { directory, in_place_of: Some((home, error.to_string())) },
            // The error of the first record names it.
            None => Unnamed { directory: home, in_place_of: None },
        }
    }
}

/// Whether the permissions allow it. Nothing is changed for that.
fn may_write(directory: &Path) -> io::Result<()> {
    let there = existing(directory)?;
    if !there.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)
}

/// Whether there is room, too: writes a file without a name.
fn can_write(directory: &Path) -> io::Result<()> {
    may_write(directory)?;
    let mut file = tempfile::tempfile_in(existing(directory)?)?;
    file.write_all(&[b'\n'; 4096])?;
    file.sync_data()
}

/// The directory, or the nearest of those it is to be created in that is there.
fn existing(directory: &Path) -> io::Result<&Path> {
    let there = directory.ancestors().find(|path| path.symlink_metadata().is_ok());
    there.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Where directories of this user's are that are beside temporary files, whether they exist or not:
/// first the one that outlives a reboot, and a job that has a directory for temporary files of its own.
fn private_directories() -> [PathBuf; 2] {
    let name = format!("ingot-{}", geteuid().as_raw());
    [Path::new("/var/tmp").join(&name), std::env::temp_dir().join(name)]
}

/// The first of the directories that can be used, created if need be.
fn private_directory(candidates: &[PathBuf], check: Check) -> Option<PathBuf> {
    let usable = |path: &&PathBuf| {
        // What counts is what is there then.
        let _ = DirBuilder::new().mode(0o700).create(path);
        is_private(path) && check(path).is_ok()
    };
    candidates.iter().find(usable).cloned()
}

/// Whether a directory is there, and nobody else can have written to it: what a journal names gets
/// removed.
fn is_private(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| {
        found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// What others may have written to could have any file removed.
    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let [open, linked, private] =
            ["open", "linked", "private"].map(|name| dir.path().join(name));
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        symlink(dir.path(), &linked).unwrap();
        assert!(!is_private(&open) && !is_private(&linked) && !is_private(&private));
        let missing = dir.path().join("missing/private");
        let unusable = [missing, open.clone(), linked.clone()];
        assert_eq!(private_directory(&unusable, can_write), None);
        let found = private_directory(&[open, linked, private.clone()], can_write);
        assert_eq!(found.as_ref(), Some(&private));
        assert_eq!(private.metadata().unwrap().mode() & 0o777, 0o700);
        // The next run finds it.
        assert_eq!(private_directory(std::slice::from_ref(&private), may_write), Some(private));
    }

    #[test]
    fn what_cannot_be_written_is_passed_over() {
        fn only_spare(path: &Path) -> io::Result<()> {
            match path.ends_with("spare") {
                true => Ok(()),
                false => Err(io::ErrorKind::StorageFull.into()),
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let [home, full, spare] = ["home", "full", "spare"].map(|name| dir.path().join(name));
        let chosen = Unnamed::choose(home.clone(), &[full.clone(), spare.clone()], only_spare);
        assert_eq!(chosen.directory, spare);
        assert_eq!(chosen.in_place_of, Some((home.clone(), "no storage space".to_owned())));
        let chosen = Unnamed::choose(home.clone(), &[full], only_spare);
        assert_eq!((chosen.directory, chosen.in_place_of), (home.clone(), None));
        // What is looked at stays as it is.
        may_write(&home.join("deeper")).unwrap();
        can_write(&home.join("deeper")).unwrap();
        assert!(!home.exists());
    }
}
