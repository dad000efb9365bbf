//! Files into a container through the Engine's archive API, as streams of tar.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::container::PathStatResponse;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::{ContainerArchiveInfoOptions, UploadToContainerOptionsBuilder};
use ingot_sdk::shown::Shown;
use ingot_sdk::{Context, Error, Result, Ui};
use tokio::io::{AsyncRead, AsyncReadExt, DuplexStream, ReadBuf};
use tokio_tar::{Builder, EntryType, Header};
use tokio_util::io::ReaderStream;

use crate::engine::{Engine, describe, is_no_directory, status};

/// How much of a stream is held between its two ends.
pub(crate) const BUFFER: usize = 256 * 1024;

/// Writes the tar stream of an upload.
pub(crate) type TarWriter = Builder<DuplexStream>;

/// The two ends of a stream between here and there.
pub(crate) fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(BUFFER)
}

/// Writes a tar stream to `stream`. Not the terminating kind: should it break off, its end must not
/// be made up.
pub(crate) fn writer(stream: DuplexStream) -> TarWriter {
    Builder::new_non_terminated(stream)
}

/// Reads all of a source, which must have a certain size.
pub(crate) struct Exactly<R> {
    source: R,
    left: u64,
    size: u64,
    name: String,
}

impl<R> Exactly<R> {
    /// `source` is to have `size` bytes; `name` is its name in messages.
    pub(crate) fn new(source: R, size: u64, name: &str) -> Self {
        Exactly { source, left: size, size, name: name.to_owned() }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Exactly<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.source).poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        if (read == 0) != (self.left == 0) || read > self.left {
            let (name, size) = (&self.name, self.size);
            return Poll::Ready(Err(std::io::Error::other(changed(name, size))));
        }
        self.left -= read;
        Poll::Ready(Ok(()))
    }
}

fn changed(name: &str, size: u64) -> String {
    format!("{name} changed while it was being read: it is not {size} bytes long")
}

/// Who uploaded files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// User id.
    pub uid: u64,
    /// Group id.
    pub gid: u64,
}

/// The kind of a path in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathKind {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// What the Engine says of `path` in a container, not following links.
pub(crate) async fn info(
    engine: &Engine,
    container: &str,
    path: &str,
) -> Result<PathStatResponse, EngineError> {
    let options = ContainerArchiveInfoOptions { path: path.to_owned() };
    engine.ask(engine.api.get_container_archive_info(container, Some(options))).await
}

/// Looks at `path` in a container, following links.
pub(crate) async fn path_kind(engine: &Engine, container: &str, path: &str) -> Result<PathKind> {
    // Bits of Go's file mode, which the Engine answers with.
    const DIRECTORY: u32 = 1 << 31;
    const LINK: u32 = 1 << 27;
    match info(engine, container, path).await {
        Ok(stat) if stat.file_mode & DIRECTORY != 0 => Ok(PathKind::Directory),
        Ok(stat) if stat.file_mode & LINK != 0 && !path.ends_with("/.") => {
            // The Engine has resolved the link; the trailing dot asks about what it points to.
            let target = format!("{}/.", path.trim_end_matches('/'));
            match info(engine, container, &target).await {
                Ok(stat) if stat.file_mode & DIRECTORY != 0 => Ok(PathKind::Directory),
                _ => Ok(PathKind::Other),
            }
        }
        Ok(_) => Ok(PathKind::Other),
        Err(error) if status(&error) == Some(404) => Ok(PathKind::Nothing),
        Err(error) => Err(Error::new(describe(&error)).context(format_args!("looking at {path}"))),
    }
}

/// Unpacks into the existing directory `directory` of a container what `write` writes. `what` is the
/// upload's destination, for messages; `progress` says where to show how far it is, and how many
/// bytes there are, if that is known.
///
/// # Errors
/// What `write` failed with, what the Engine says, or that it does not answer any more.
pub(crate) async fn upload(
    engine: &Engine,
    container: &str,
    directory: &str,
    what: &str,
    progress: (&Ui, Option<u64>),
    write: impl AsyncFnOnce(&mut TarWriter) -> Result<()>,
) -> Result<()> {
    let (ours, theirs) = pipe();
    let (ui, size) = progress;
    let theirs = Shown::new(theirs, ui, what, size);
    let options = UploadToContainerOptionsBuilder::new()
        .path(directory)
        .no_overwrite_dir_non_dir("true")
        .build();
    let body = bollard::body_try_stream(ReaderStream::with_capacity(theirs, BUFFER));
    let request = engine.api.upload_to_container(container, Some(options), body);
    let mut tar = writer(ours);
    let written = async move {
        write(&mut tar).await?;
        tar.finish().await.context("sending")?;
        Ok::<(), Error>(())
    };
    let lost = engine.lost();
    tokio::pin!(request, written, lost);
    let mut sending = true;
    loop {
        tokio::select! {
            answer = &mut request => {
                return answer.map_err(|error| upload_error(&error, directory, what));
            }
            // A failure on our side ends the request without its end, which makes the Engine
            // drop it. When the Engine hangs up first, its answer says why.
            result = &mut written, if sending => {
                sending = false;
                if let Err(error) = result && !hung_up(&error) {
                    return Err(error.context(format_args!("uploading to {what}")));
                }
            }
            error = &mut lost => {
                return Err(error.context(format_args!("uploading to {what}")));
            }
        }
    }
}

/// Whether the other side of a stream takes no more, which is then at fault.
pub(crate) fn hung_up(error: &Error) -> bool {
    error.is_io(ErrorKind::BrokenPipe)
}

fn upload_error(error: &bollard::errors::Error, directory: &str, what: &str) -> Error {
    if is_no_directory(error) {
        return Error::new(format!(
            "uploading to {what}: there is no directory {directory} in the container"
        ))
        .hint("create it first, for example with a shell provisioner: mkdir -p");
    }
    Error::new(describe(error)).context(format_args!("uploading to {what}"))
}

fn header(kind: EntryType, mode: u32, mtime: u64, owner: Owner) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o7777);
    header.set_mtime(mtime);
    header.set_uid(owner.uid);
    header.set_gid(owner.gid);
    header.set_size(0);
    header
}

/// A time as tar writes it: seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// The time of now, as tar writes it.
pub(crate) fn now() -> u64 {
    seconds(SystemTime::now())
}

/// Adds the file `name` with `size` bytes from `source`.
///
/// # Errors
/// The source has fewer or more bytes, or cannot be read.
pub(crate) async fn add_file(
    tar: &mut TarWriter,
    name: &Path,
    source: &mut (dyn AsyncRead + Send + Unpin),
    size: u64,
    mode: u32,
    mtime: u64,
    owner: Owner,
) -> Result<()> {
    let mut header = header(EntryType::Regular, mode, mtime, owner);
    header.set_size(size);
    let mut limited = source.take(size);
    tar.append_data(&mut header, name, &mut limited).await?;
    let missing = limited.limit();
    let mut more = [0];
    let grew = limited.into_inner().read(&mut more).await? > 0;
    if missing > 0 || grew {
        return Err(Error::new(changed(&name.display().to_string(), size)));
    }
    Ok(())
}

/// Adds all that is in the local directory `source`, below `prefix`. Modes, times and links are
/// kept. Files that are not files, directories or links are left out.
///
/// # Errors
/// A file cannot be read; the error names it.
pub(crate) async fn add_directory(
    tar: &mut TarWriter,
    source: &Path,
    prefix: &Path,
    owner: Option<Owner>,
    keep: &(dyn Fn(&Path, bool) -> bool + Sync),
) -> Result<()> {
    // Directories still to do, as paths relative to `source`.
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let path = source.join(&directory);
        let reading = || format!("reading {}", path.display());
        let mut names = Vec::new();
        let mut entries = tokio::fs::read_dir(&path).await.with_context(reading)?;
        while let Some(entry) = entries.next_entry().await.with_context(reading)? {
            names.push(entry.file_name());
        }
        names.sort();
        for name in names {
            let relative = directory.join(&name);
            let path = source.join(&relative);
            let reading = || format!("reading {}", path.display());
            let meta = tokio::fs::symlink_metadata(&path).await.with_context(reading)?;
            if !keep(&relative, meta.is_dir()) {
                continue;
            }
            let inside = prefix.join(&relative);
            let owner =
                owner.unwrap_or(Owner { uid: u64::from(meta.uid()), gid: u64::from(meta.gid()) });
            let mode = meta.permissions().mode();
            let mtime = u64::try_from(meta.mtime()).unwrap_or(0);
            if meta.is_dir() {
                add_empty_directory(tar, &inside, mode, mtime, owner).await?;
                directories.push(relative);
            } else if meta.is_symlink() {
                let target = tokio::fs::read_link(&path).await.with_context(reading)?;
                add_link(tar, &inside, &target, mtime, owner).await?;
            } else if meta.is_file() {
                let mut file = tokio::fs::File::open(&path).await.with_context(reading)?;
                add_file(tar, &inside, &mut file, meta.len(), mode, mtime, owner).await?;
            } else {
                tracing::warn!(path = %path.display(), "not uploaded: not a file, directory or link");
            }
        }
    }
    Ok(())
}

/// Adds the directory `name` without contents.
///
/// # Errors
/// The stream broke.
pub(crate) async fn add_empty_directory(
    tar: &mut TarWriter,
    name: &Path,
    mode: u32,
    mtime: u64,
    owner: Owner,
) -> Result<()> {
    let mut header = header(EntryType::Directory, mode, mtime, owner);
    Ok(tar.append_data(&mut header, name, tokio::io::empty()).await?)
}

async fn add_link(
    tar: &mut TarWriter,
    name: &Path,
    target: &Path,
    mtime: u64,
    owner: Owner,
) -> Result<()> {
    let mut link = header(EntryType::Symlink, 0o777, mtime, owner);
    if link.set_link_name(target).is_err() {
        // GNU's form for targets over 100 bytes: an entry before it holds the target.
        let bytes = [target.as_os_str().as_bytes(), b"\0"].concat();
        let mut long = header(EntryType::GNULongLink, 0o644, 0, Owner { uid: 0, gid: 0 });
        long.set_size(bytes.len() as u64);
        tar.append_data(&mut long, "././@LongLink", bytes.as_slice()).await?;
    }
    Ok(tar.append_data(&mut link, name, tokio::io::empty()).await?)
}
