//! Records of runs that cannot be read.

use std::io::ErrorKind::PermissionDenied;
use std::path::{Path, PathBuf};

use ingot_sdk::Error;

/// A record that cannot be read, or not as a whole: what it is about may still be there.
#[derive(Debug)]
pub struct Unreadable {
    /// The file, or the directory that it is in.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub error: Error,
    /// What it is, as sentences begin.
    what: &'static str,
}

impl Unreadable {
    /// A journal, or the directory of journals.
    pub(crate) fn journal(path: &Path, error: Error) -> Unreadable {
        let by_hand = "what its run created may still be there; look for it, remove it by hand, and then \
                       this file";
        Unreadable::new(path, error, by_hand, "The journal")
    }

    /// What is kept for `-resume`: the directory of a build, or of all.
    pub(crate) fn kept(path: &Path, error: Error) -> Unreadable {
        let by_hand = "what it keeps may still be there; look for it, remove it by hand, and then this \
                       directory";
        Unreadable::new(path, error, by_hand, "What is kept in")
    }

    fn new(path: &Path, error: Error, by_hand: &str, what: &'static str) -> Unreadable {
        let hint = match error.is_io(PermissionDenied) {
            true => "run `ingot cleanup` as the user to whom it belongs",
            false => by_hand,
        };
        Unreadable { path: path.to_owned(), error: error.hint(hint), what }
    }

    /// What cannot be read and why, for people.
    pub fn describe(&self) -> String {
        format!("{} {} cannot be read: {}", self.what, self.path.display(), self.error)
    }
}
