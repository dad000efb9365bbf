//! The environment that says where a store is.

use std::path::{Path, PathBuf};

use ingot_base::files::read_small;
use ingot_base::{Context, Error, Result};

/// What the files are that variables name, and the largest of them in bytes.
const WHAT: &str = "certificate, key or token";
const LARGEST: u64 = 16 << 20;

/// Tells the value of a variable.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where variables are looked up. Those that are set to nothing count as not set.
pub struct Environment(Box<Lookup>);

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Environment {
        Environment::new(|name| std::env::var(name).ok())
    }

    /// An environment that `lookup` tells.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Environment {
        Environment(Box::new(lookup))
    }

    /// The value of a variable, if it is set.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// The value of the first of `names` that is set.
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Whether a variable says yes, in one of the forms that Go reads.
    ///
    /// # Errors
    /// It says neither yes nor no.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
            _ => Err(Error::new(format!("{name} is {value:?}, neither true nor false"))),
        }
    }

    /// The content of the file that a variable names.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(path) = self.get(name) else { return Ok(None) };
        let reading = || format!("reading {path}, which {name} names");
        read_small(Path::new(&path), WHAT, LARGEST).map(Some).with_context(reading)
    }

    /// The content of all files in the directory that a variable names.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(crate) fn directory(&self, name: &str) -> Result<Vec<Vec<u8>>> {
        let Some(path) = self.get(name) else { return Ok(Vec::new()) };
        let reading = || format!("reading {path}, which {name} names");
        let mut contents = Vec::new();
        for entry in std::fs::read_dir(&path).with_context(reading)? {
            let path = entry.with_context(reading)?.path();
            if path.is_file() {
                contents.push(read_small(&path, WHAT, LARGEST).with_context(reading)?);
            }
        }
        Ok(contents)
    }

    /// The user's home directory.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }
}
