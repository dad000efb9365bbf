//! What goes onto a medium that is made for one machine: files and directories of this machine, and
//! texts from the template.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ingot_sdk::{ConfigError, ConfigErrors, ConfigWarning, Context, Error, Prepared, Result, glob};

/// Directories nested deeper than this are a symbolic link that leads back to itself.
const MAX_DEPTH: usize = 64;

/// Where a file's bytes are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file of this machine.
    File(PathBuf),
    /// A text of the template.
    Text(String),
}

/// Files and directories by their path on the medium, with slashes between the parts.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The directories, parents before children.
    pub directories: Vec<String>,
    /// The files.
    pub files: BTreeMap<String, Content>,
}

/// Judges an option that lists files, directories and patterns.
pub(crate) fn check(
    option: &str,
    patterns: &[String],
    prepared: &mut Prepared,
    errors: &mut ConfigErrors,
) {
    for pattern in patterns {
        if !is_pattern(pattern) {
            if let Err(error) = std::fs::metadata(pattern) {
                errors.push(ConfigError::on(option, format!("{pattern}: {error}")));
            }
            continue;
        }
        match glob::find(pattern) {
            Ok(found) if found.is_empty() => {
                let message = format!("{option}: nothing matches {pattern}");
                prepared.warnings.push(ConfigWarning::on(option, message));
            }
            Ok(_) => {}
            Err(error) => errors.push(ConfigError::on(option, error.to_string())),
        }
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The paths that `patterns` stand for, in order.
pub(crate) fn expand(patterns: &[String]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for pattern in patterns {
        if is_pattern(pattern) {
            paths.extend(glob::find(pattern)?);
        } else {
            paths.push(PathBuf::from(pattern));
        }
    }
    Ok(paths)
}

/// `path` on the medium: slashes between the parts, nothing that leads out of it.
pub(crate) fn inside(path: &str) -> Result<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    match parts.is_empty() {
        true => Err(Error::new(format!("{path:?} is not the path of a file"))),
        false => Ok(parts.join("/")),
    }
}

impl Tree {
    /// Puts a file, or a directory with all that is in it, at `at`; an empty `at` puts what is in
    /// the directory into the root. Symbolic links are followed.
    pub(crate) fn add(&mut self, source: &Path, at: &str) -> Result<()> {
        self.add_at(source, at, 0)
    }

    fn add_at(&mut self, source: &Path, at: &str, depth: usize) -> Result<()> {
        let reading = || format!("reading {}", source.display());
        if depth > MAX_DEPTH {
            return Err(Error::new(format!(
                "{} is nested too deeply; a symbolic link may lead back to a directory it is in",
                source.display()
            )));
        }
        if !std::fs::metadata(source).with_context(reading)?.is_dir() {
            self.files.insert(at.to_owned(), Content::File(source.to_owned()));
            return Ok(());
        }
        if !at.is_empty() {
            self.add_directory(at);
        }
        let entries = std::fs::read_dir(source).with_context(reading)?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>().with_context(reading)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| {
                Error::new(format!("the name {} is not UTF-8", entry.path().display()))
            })?;
            let below = if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
            self.add_at(&entry.path(), &below, depth + 1)?;
        }
        Ok(())
    }

    /// Puts a text at `at`, over what is there.
    pub(crate) fn add_text(&mut self, at: &str, text: &str) {
        if let Some((directory, _)) = at.rsplit_once('/') {
            self.add_directory(directory);
        }
        self.files.insert(at.to_owned(), Content::Text(text.to_owned()));
    }

    fn add_directory(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let directory = &path[..end];
            if !self.directories.iter().any(|known| known == directory) {
                self.directories.push(directory.to_owned());
            }
        }
    }
}

/// The name of the file or directory that `path` leads to.
pub(crate) fn name_of(path: &Path) -> Result<String> {
    let name = match path.file_name() {
        Some(name) => Some(name.to_owned()),
        // `.` and `..` have names too.
        None => std::fs::canonicalize(path)
            .ok()
            .and_then(|path| path.file_name().map(std::ffi::OsStr::to_owned)),
    };
    name.and_then(|name| name.into_string().ok())
        .ok_or_else(|| Error::new(format!("{} has no name that can be used", path.display())))
}
