//! States in a directory that machines share: a file for each, with what it adds to the image that its
//! build started from. It is there whole or not at all, and is compared with its checksum before it is
//! used.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ingot_sdk::file_work::blocking;
use ingot_sdk::{Context, Error, Result, RunContext, StateKey};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::image::{BaseImage, find};
use super::kept::KeptImage;
use super::layer::{self, Cancellable, Layer};
use crate::steps::State;

/// Where the states of docker are in the directory.
const DIRECTORY: &str = "docker";
/// How the names of their files end; they begin with the key.
const EXTENSION: &str = "layer";
/// How the names of files begin that are being written.
const NEW: &str = ".new-";
/// After how long such a file is of a build that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// The most that the first line of a file takes, in bytes.
const HEADER: u64 = 4096;

/// The first line of a file, as JSON; the archive of the layer follows.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    /// The form of the file: 1.
    format: u32,
    /// The id of the image that the build started from.
    base: String,
    /// The checksum of the archive (`sha256:…`).
    layer: String,
    /// Its size in bytes.
    size: u64,
}

fn path_of(directory: &Path, key: &StateKey) -> PathBuf {
    directory.join(DIRECTORY).join(format!("{key}.{EXTENSION}"))
}

/// The state of `key` in the directory that machines share, if there is one that is whole.
pub(super) async fn look_up(ctx: &RunContext, base: &BaseImage, key: &StateKey) -> Option<Layer> {
    let path = path_of(&ctx.hook.shared_states()?, key);
    let (shown, base) = (path.display().to_string(), base.id.clone());
    let read = blocking(ctx, move |stop| match std::fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // To open a pipe would wait for somebody to write to it.
        Ok(found) if !found.is_file() => Err(Error::new("it is not a regular file")),
        _ => match read(File::open(&path)?, &base, stop)? {
            Found::Damaged => {
                // It is written again, unless somebody may not.
                let _ = std::fs::remove_file(&path);
                Err(Error::new("it is damaged"))
            }
            Found::Other => {
                Err(Error::new("it is of another version of Ingot, or of another base image"))
            }
            Found::Whole(layer) => Ok(Some(layer)),
        },
    });
    match read.await {
        Ok(layer) => layer,
        Err(error) => {
            if !ctx.cancel.is_cancelled() {
                ctx.ui.say(format!("The state {shown} is not used: {error}"));
            }
            None
        }
    }
}

/// What a file of a state comes to.
enum Found {
    Whole(Layer),
    /// What is missing or wrong in it will never be right.
    Damaged,
    /// It is not for this program.
    Other,
}

/// Reads a file of a state of the image `base`.
fn read(file: File, base: &str, stop: &CancellationToken) -> Result<Found> {
    let length = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    let mut start = file.by_ref().take(HEADER);
    start.read_until(b'\n', &mut line)?;
    let Ok(header) = serde_json::from_slice::<Header>(&line) else { return Ok(Found::Damaged) };
    if header.format != 1 || header.base != base {
        return Ok(Found::Other);
    }
    if (line.len() as u64).checked_add(header.size) != Some(length) {
        return Ok(Found::Damaged);
    }
    let mut spool = layer::spool()?;
    let source = Cancellable { inner: file.take(header.size), stop: stop.clone() };
    let (size, sum) = layer::copy(source, &mut spool)?;
    let whole = sum == header.layer && size == header.size;
    Ok(match whole {
        true => Found::Whole(Layer { file: spool, size }),
        false => Found::Damaged,
    })
}

/// Writes the file `path` of a state, unless somebody was faster.
fn write(
    path: &Path,
    base: &str,
    sum: &str,
    layer: &mut Layer,
    stop: &CancellationToken,
) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(NEW).tempfile_in(directory)?;
    let (base, size) = (base.to_owned(), layer.size);
    let header = Header { format: 1, base, layer: sum.to_owned(), size };
    let mut line = serde_json::to_vec(&header).context("writing the state's first line")?;
    line.push(b'\n');
    file.write_all(&line)?;
    layer.file.seek(SeekFrom::Start(0))?;
    let mut source = Cancellable { inner: &mut layer.file, stop: stop.clone() };
    std::io::copy(&mut source, &mut file)?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

/// Writes the states that the Engine has of a build to the directory that machines share, if there is
/// one, as far as they are not there. That it cannot be written is said when a build begins.
pub(crate) async fn export(ctx: &RunContext, state: &State) {
    let Some(directory) = ctx.hook.shared_states() else { return };
    match try_export(ctx, state, &directory).await {
        Err(error) if !error.is_cancelled() && !read_only(&error) => {
            let shown = directory.display();
            ctx.ui.say(format!("States are not kept in {shown} for other machines: {error}"));
        }
        _ => {}
    }
}

fn read_only(error: &Error) -> bool {
    error.is_io(ErrorKind::PermissionDenied) || error.is_io(ErrorKind::ReadOnlyFilesystem)
}

async fn try_export(ctx: &RunContext, state: &State, directory: &Path) -> Result<()> {
    let (mut images, mut files) = (Vec::new(), Vec::new());
    for key in &state.provisioning.keys {
        let path = path_of(directory, key);
        if path.exists() {
            continue;
        }
        if let Some((image, layer)) = find(&state.engine, &state.base, key).await {
            images.push(image);
            files.push((layer, path));
        }
    }
    if images.is_empty() {
        return Ok(());
    }
    let states = directory.join(DIRECTORY);
    std::fs::create_dir_all(&states)?;
    // Before the Engine has all the work.
    tempfile::tempfile_in(&states)?;
    remove_abandoned(&states);
    ctx.ui.message(format!("Keeping {} for other machines...", counted(images.len())));
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let wanted = files.iter().map(|(layer, _)| layer.clone()).collect();
    let (base, stop) = (state.base.id.clone(), ctx.cancel.clone());
    layer::of_images(ctx, &state.engine, &images, wanted, move |sum, mut layer| {
        // Steps that changed nothing have the layer of the state before.
        files.iter().filter(|(wanted, _)| wanted == sum).try_for_each(|(_, path)| {
            write(path, &base, sum, &mut layer, &stop)
                .with_context(|| format!("writing {}", path.display()))
        })
    })
    .await
}

fn counted(number: usize) -> String {
    match number {
        1 => "1 state".to_owned(),
        number => format!("{number} states"),
    }
}

/// Removes what builds that were killed have left.
fn remove_abandoned(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_new = entry.file_name().to_string_lossy().starts_with(NEW);
        let changed = entry.metadata().and_then(|found| found.modified());
        let age = changed.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if is_new && age.is_some_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The states in the directory whose keys begin with `owner`.
///
/// # Errors
/// It cannot be read.
pub(super) fn list(directory: &Path, owner: &str) -> Result<Vec<KeptImage>> {
    let path = directory.join(DIRECTORY);
    let entries = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("reading {}", path.display()))?,
    };
    let mut kept = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = Path::new(&name);
        let key = name.file_stem().and_then(|stem| stem.to_str()?.parse::<StateKey>().ok());
        let is_state = name.extension().is_some_and(|extension| extension == EXTENSION);
        let Some(key) = key.filter(|key| is_state && key.as_str().starts_with(owner)) else {
            continue;
        };
        let Ok(found) = entry.metadata() else { continue };
        let changed = found.modified().ok();
        let since = changed.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let created = since.and_then(|since| i64::try_from(since.as_secs()).ok());
        kept.push(KeptImage { key, created: created.unwrap_or_default(), bytes: found.len() });
    }
    Ok(kept)
}

/// Removes the state of `key` from the directory. One that is not there is fine.
///
/// # Errors
/// It is still there.
pub(super) fn remove(directory: &Path, key: &StateKey) -> Result<()> {
    let path = path_of(directory, key);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::from(error).context(format_args!("removing {}", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_not_whole_or_of_another_image_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let key = StateKey::of("test", ["a"]);
        let path = path_of(directory.path(), &key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let contents = vec![5; 70_000];
        let mut file = layer::spool().unwrap();
        let (size, sum) = layer::copy(&contents[..], &mut file).unwrap();
        let mut layer = Layer { file, size };
        let stop = CancellationToken::new();
        write(&path, "base", &sum, &mut layer, &stop).unwrap();
        let open = |base: &str| read(File::open(&path).unwrap(), base, &stop).unwrap();
        assert!(matches!(open("base"), Found::Whole(Layer { size: 70_000, .. })));
        assert!(matches!(open("other"), Found::Other));
        // Whoever comes second changes nothing.
        write(&path, "later", &sum, &mut layer, &stop).unwrap();
        assert!(matches!(open("base"), Found::Whole(_)));
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[40_000] ^= 1;
        let longer = [&whole[..], b"x"].concat();
        for bytes in [&changed[..], &longer, &whole[..69_000], &whole[..20], b"", &[b'x'; 9000]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(open("base"), Found::Damaged), "{}", bytes.len());
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(list(directory.path(), &key.as_str()[..8]).unwrap().len(), 1);
        assert_eq!(list(directory.path(), "zz").unwrap().len(), 0);
        remove(directory.path(), &key).unwrap();
        remove(directory.path(), &key).unwrap();
        assert_eq!(list(directory.path(), "").unwrap().len(), 0);
    }
}
