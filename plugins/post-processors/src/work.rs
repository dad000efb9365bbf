//! What the post-processors share.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use ingot_sdk::file_work::{CHUNK, Reader, read_small};
use ingot_sdk::output_file::is_own_stream;
use ingot_sdk::{Context, Error, GeneratedData, Result, RunContext};
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// What templates of the options of this crate see: what the builder generated, and the build's
/// name and type under the names Packer gives them here.
pub(crate) fn template_data(ctx: &RunContext, generated: &GeneratedData) -> Value {
    let mut data: serde_json::Map<String, Value> =
        generated.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    data.insert("BuildName".to_owned(), ctx.prepare.build_name.clone().into());
    data.insert("BuilderType".to_owned(), ctx.prepare.build_type.clone().into());
    Value::Object(data)
}

/// Writes in large pieces; compressors emit small ones.
pub(crate) fn buffered(file: File) -> io::BufWriter<File> {
    io::BufWriter::with_capacity(CHUNK, file)
}

/// Reads what `output` holds, to add to it; none where there is no such file. A pipe or device holds
/// nothing, as reading it would wait for what is written there, nor does what this process says.
///
/// # Errors
/// As for [`read_small`].
pub(crate) fn read_output(output: &Path, what: &str, most: u64) -> Result<Option<Vec<u8>>> {
    let is_stream = |found: std::fs::Metadata| !found.is_file() && !found.is_dir();
    if std::fs::metadata(output).is_ok_and(is_stream) || is_own_stream(output) {
        return Ok(Some(Vec::new()));
    }
    match read_small(output, what, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_io(io::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds the file at `path` to a tar, as `name`. In GNU's format, which clouds and Vagrant ask for,
/// and without times, so that the same files give the same archive.
pub(crate) fn append_file(
    archive: &mut tar::Builder<impl Write>,
    stop: &CancellationToken,
    reader: &mut Reader,
    path: &Path,
    name: &Path,
) -> Result<()> {
    let file = Reader::open(path)?;
    let found = file.metadata()?;
    let mut header = tar::Header::new_gnu();
    header.set_metadata(&found);
    // Without the bits that say what kind of file it is, which have a field of their own.
    header.set_mode(std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o7777);
    header.set_mtime(0);
    // A file that grows meanwhile must not break the archive.
    let before = reader.bytes_read();
    let contents = io::Read::take(reader.watch(stop, file), found.len());
    archive
        .append_data(&mut header, name, contents)
        .with_context(|| format!("adding {}", path.display()))?;
    if reader.bytes_read() - before != found.len() {
        return Err(Error::new(format!(
            "{} became shorter while it was being packed",
            path.display()
        )));
    }
    Ok(())
}

/// Keeps the builds of this process from changing one file at the same time. Call the returned
/// lock's `lock` and keep the guard for as long as the file is read and written.
pub(crate) fn file_lock(path: &Path) -> Arc<Mutex<()>> {
    static LOCKS: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<()>>>>> = LazyLock::new(Mutex::default);
    let key = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut locks = LOCKS.lock();
    Arc::clone(locks.entry(key).or_default())
}
