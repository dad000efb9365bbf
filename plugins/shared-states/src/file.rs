//! The form of a file: a header, then what the builder keeps of the state.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use ingot_sdk::hash::Sha256;
use ingot_sdk::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::spool::{self, Cancellable};

/// How many bytes the header takes: JSON in one line, with spaces before the line's end.
const HEADER: usize = 1024;
/// The form that this version writes and reads.
const FORMAT: u32 = 2;
/// How the names of files begin that are being written.
pub(crate) const NEW: &str = ".new-";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// The form of the file.
    format: u32,
    /// What the machine of the state started from, and the key of the state.
    base: String,
    /// The SHA-256 of what follows, in hexadecimal.
    sha256: String,
    /// Its size in bytes.
    size: u64,
}

/// The file of a state, as it was read.
#[derive(Debug)]
pub(crate) enum StateFile {
    /// What it says it is: what the builder kept, in a file without a name on this machine.
    Whole(File),
    /// What is missing or wrong in it will never be right.
    Damaged,
    /// It is of another form, which another version may read.
    OtherFormat,
}

/// Reads the file of a state of what `base` names.
///
/// # Errors
/// It cannot be read, or there is no room for a copy.
pub(crate) fn read(mut file: File, base: &str, stop: &CancellationToken) -> Result<StateFile> {
    let length = file.metadata()?.len();
    let mut line = Vec::new();
    Read::by_ref(&mut file).take(HEADER as u64).read_to_end(&mut line)?;
    // Of the form, nothing else may be known.
    let format = serde_json::from_slice::<serde_json::Value>(&line).unwrap_or_default();
    if format["format"].as_u64().is_some_and(|format| format != u64::from(FORMAT)) {
        return Ok(StateFile::OtherFormat);
    }
    let Ok(header) = serde_json::from_slice::<Header>(&line) else { return Ok(StateFile::Damaged) };
    if header.base != base || header.size.checked_add(HEADER as u64) != Some(length) {
        return Ok(StateFile::Damaged);
    }
    let mut spool = spool::spool()?;
    // A file may say that it is as large as it likes, and have nothing but holes.
    let room = rustix::fs::fstatvfs(&spool).map_err(std::io::Error::from)?;
    if header.size > room.f_bavail.saturating_mul(room.f_frsize) {
        let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
        return Err(spool::spool_error(error));
    }
    let source = Cancellable { inner: file.take(header.size), stop: stop.clone() };
    let (size, sum) = spool::copy(source, &mut spool)?;
    let whole = sum == header.sha256 && size == header.size;
    Ok(match whole {
        true => StateFile::Whole(spool),
        false => StateFile::Damaged,
    })
}

/// Writes the file `path` of a state of what `base` names, whole or not at all. `contents` writes what
/// the builder keeps of it.
///
/// # Errors
/// It cannot be written, or what `contents` failed with.
pub(crate) fn write(
    path: &Path,
    base: &str,
    stop: &CancellationToken,
    contents: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(NEW).tempfile_in(directory)?;
    file.seek(SeekFrom::Start(HEADER as u64))?;
    let counted = Counted { inner: &mut file, sum: Sha256::new(), size: 0 };
    let mut sink = BufWriter::new(Cancellable { inner: counted, stop: stop.clone() });
    contents(&mut sink)?;
    let counted = sink.into_inner().map_err(|failed| failed.into_error())?.inner;
    let (sha256, size) = (counted.sum.finish(), counted.size);
    let header = Header { format: FORMAT, base: base.to_owned(), sha256, size };
    let mut line = serde_json::to_vec(&header).context("writing the header of a state")?;
    if line.len() >= HEADER {
        return Err(Error::new("what the state started from has too long a name"));
    }
    line.resize(HEADER - 1, b' ');
    line.push(b'\n');
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&line)?;
    // A server whose disk is full may report that only now.
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// Sums up what is written.
struct Counted<W> {
    inner: W,
    sum: Sha256,
    size: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
