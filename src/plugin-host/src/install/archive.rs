//! Programs out of archives, and copies of programs, no larger than allowed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ingot_sdk::{Context, Error, Result};
use zip::ZipArchive;

/// How many files an archive may have. Those of plugins have a program, a licence and a readme.
const MAX_FILES: usize = 1000;

/// Unpacks the file `name` of the zip archive at `archive` to `target`. `limit` is in bytes.
///
/// # Errors
/// It is no archive, has no such file, or the file is larger than `limit` whatever the archive
/// says of its size.
pub(super) fn unpack(archive: &Path, name: &str, target: &Path, limit: u64) -> Result<()> {
    let file = File::open(archive).context("opening the archive")?;
    let mut zip = ZipArchive::new(file)
        .map_err(|error| Error::new(format!("the zip archive cannot be read: {error}")))?;
    if zip.len() > MAX_FILES {
        return Err(Error::new(format!(
            "the archive has {} files, which no plugin has",
            zip.len()
        )));
    }
    let names = zip.file_names().take(10).flatten();
    let mut listed: Vec<String> = names.map(std::borrow::Cow::into_owned).collect();
    listed.sort();
    let Ok(entry) = zip.by_name(name) else {
        return Err(Error::new(format!(
            "there is no {name} in the archive, only {}",
            listed.join(", ")
        )));
    };
    write(entry, target, limit)
}

/// Copies the program at `source` to `target`. `limit` is in bytes.
///
/// # Errors
/// It is no file, cannot be copied, or is larger than `limit`.
pub(super) fn copy(source: &Path, target: &Path, limit: u64) -> Result<()> {
    let reading = || format!("reading {}", source.display());
    let file = File::open(source).with_context(reading)?;
    write(file, target, limit).with_context(reading)
}

fn write(mut from: impl Read, target: &Path, limit: u64) -> Result<()> {
    // Perhaps left by an installation that was killed, and run by it.
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let written = write_new(&mut from, target, limit);
    if written.is_err() {
        let _ = fs::remove_file(target);
    }
    written
}

fn write_new(from: &mut impl Read, target: &Path, limit: u64) -> Result<()> {
    let mut file = File::create_new(target)?;
    let copied = io::copy(&mut from.take(limit.saturating_add(1)), &mut file)?;
    if copied > limit {
        return Err(Error::new(format!("the program is larger than {} MiB", limit >> 20))
            .hint("INGOT_PLUGIN_MAX_SIZE says how many MiB a plugin may have"));
    }
    file.flush()?;
    file.sync_all()?;
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    Ok(())
}
