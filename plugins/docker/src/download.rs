//! Files out of a container through the Engine's archive API, as streams of tar.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::{StreamExt, TryStreamExt};
use ingot_sdk::partial_file::PartialFile;
use ingot_sdk::{Context, Error, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tar::{Archive, EntryType};
use tokio_util::io::StreamReader;

use crate::engine::{Engine, describe, status};

fn archive(engine: &Engine, container: &str, path: &str) -> impl AsyncRead + Unpin + Send + use<> {
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let stream = engine.api.download_from_container(container, Some(options));
    StreamReader::new(stream.map_err(std::io::Error::other).boxed())
}

/// An error of the Engine that came through a stream's reader, told plainly.
fn download_error(error: std::io::Error, path: &str) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<bollard::errors::Error>());
    match inner {
        Some(inner) if status(inner) == Some(404) => {
            Error::new(format!("there is no {path} in the container"))
        }
        Some(inner) => Error::new(describe(inner)).context(format_args!("reading {path}")),
        None => Error::from(error).context(format_args!("reading {path}")),
    }
}

/// The outcome of reading a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DownloadOutcome {
    /// It was read.
    File,
    /// It is a link to this path.
    Link(String),
}

/// Reads the file `path` of a container into `destination`. `what` is its name in messages.
///
/// # Errors
/// There is no such file, or it is not a file.
pub(crate) async fn download_file(
    engine: &Engine,
    container: &str,
    path: &str,
    what: &str,
    destination: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<DownloadOutcome> {
    let failed = |error| download_error(error, what);
    let mut archive = Archive::new(archive(engine, container, path));
    let mut entries = archive.entries().map_err(failed)?;
    let mut entry = match entries.next().await {
        Some(entry) => entry.map_err(failed)?,
        None => return Err(Error::new(format!("the Engine sent nothing for {what}"))),
    };
    match entry.header().entry_type() {
        EntryType::Directory => Err(Error::new(format!("{what} is a directory in the container"))
            .hint("end the source with a slash to download a directory")),
        EntryType::Symlink => {
            let target = entry.link_name().map_err(failed)?.unwrap_or_default().into_owned();
            let directory = Path::new(path).parent().unwrap_or(Path::new("/"));
            Ok(DownloadOutcome::Link(directory.join(target).display().to_string()))
        }
        _ => {
            tokio::io::copy(&mut entry, destination).await.map_err(failed)?;
            Ok(DownloadOutcome::File)
        }
    }
}

/// Copies the directory `path` of a container into the local directory `destination`, with its own
/// name unless `contents_only`. Nothing is written outside of `destination`, whatever the
/// container sends.
///
/// # Errors
/// There is no such directory, or a file cannot be written.
pub(crate) async fn download_directory(
    engine: &Engine,
    container: &str,
    path: &str,
    destination: &Path,
    contents_only: bool,
) -> Result<()> {
    unpack(archive(engine, container, path), path, destination, contents_only).await
}

/// Unpacks a tar stream of the directory `path`, as [`download_directory`] does.
///
/// # Errors
/// The stream breaks, or a file cannot be written.
pub(crate) async fn unpack(
    stream: impl AsyncRead + Unpin + Send,
    path: &str,
    destination: &Path,
    contents_only: bool,
) -> Result<()> {
    let failed = |error| download_error(error, path);
    let mut archive = Archive::new(stream);
    let mut entries = archive.entries().map_err(failed)?;
    let mut unpacked = Unpacked { root: destination.to_owned(), real: HashSet::new() };
    unpacked.directory(Path::new(""), None).await?;
    while let Some(entry) = entries.next().await {
        let mut entry = entry.map_err(failed)?;
        let name = entry.path().map_err(failed)?.into_owned();
        let Some(relative) = inside(&name, contents_only) else { continue };
        let mode = entry.header().mode().unwrap_or(0o644) & 0o7777;
        let local = destination.join(&relative);
        let writing = || format!("writing {}", local.display());
        match entry.header().entry_type() {
            EntryType::Directory => unpacked.directory(&relative, Some(mode)).await?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                unpacked.make_way(&relative).await?;
                let mut file = tokio::fs::File::create_new(&local).await.with_context(writing)?;
                let partial = PartialFile::new(&local);
                tokio::io::copy(&mut entry, &mut file).await.map_err(failed)?;
                file.set_permissions(std::fs::Permissions::from_mode(mode))
                    .await
                    .with_context(writing)?;
                tokio::io::AsyncWriteExt::flush(&mut file).await.with_context(writing)?;
                partial.complete();
            }
            EntryType::Symlink => {
                let target = entry.link_name().map_err(failed)?.unwrap_or_default().into_owned();
                unpacked.make_way(&relative).await?;
                tokio::fs::symlink(target, &local).await.with_context(writing)?;
            }
            EntryType::Link => {
                let target = entry.link_name().map_err(failed)?.unwrap_or_default().into_owned();
                let Some(target) = inside(&target, contents_only) else { continue };
                unpacked.make_way(&relative).await?;
                unpacked.check_parents(&target).await?;
                tokio::fs::hard_link(destination.join(target), &local)
                    .await
                    .with_context(writing)?;
            }
            _ => tracing::warn!(path = %name.display(), "not downloaded: not a file or directory"),
        }
    }
    Ok(())
}

/// An entry's path relative to the destination; none for what is not to be written.
fn inside(name: &Path, contents_only: bool) -> Option<PathBuf> {
    let mut parts = name.components().filter(|part| !matches!(part, Component::CurDir)).peekable();
    while matches!(parts.peek(), Some(Component::RootDir | Component::Prefix(_))) {
        parts.next();
    }
    if contents_only {
        parts.next();
    }
    let mut relative = PathBuf::new();
    for part in parts {
        match part {
            Component::Normal(part) => relative.push(part),
            _ => return None,
        }
    }
    (!relative.as_os_str().is_empty()).then_some(relative)
}

/// Keeps what is unpacked below one directory.
struct Unpacked {
    root: PathBuf,
    /// Directories known to be real ones, not links.
    real: HashSet<PathBuf>,
}

impl Unpacked {
    /// Makes sure that none of the directories above `relative` is a link, creating those missing.
    async fn check_parents(&mut self, relative: &Path) -> Result<()> {
        let mut current = PathBuf::new();
        let parent = relative.parent().unwrap_or(Path::new(""));
        for part in parent.components() {
            current.push(part);
            if self.real.contains(&current) {
                continue;
            }
            let local = self.root.join(&current);
            let writing = || format!("writing {}", local.display());
            match tokio::fs::symlink_metadata(&local).await {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => {
                    return Err(Error::new(format!(
                        "{} is in the way: it is not a directory",
                        local.display()
                    )));
                }
                Err(_) => tokio::fs::create_dir(&local).await.with_context(writing)?,
            }
            self.real.insert(current.clone());
        }
        Ok(())
    }

    /// Removes a file that is to be replaced.
    async fn make_way(&mut self, relative: &Path) -> Result<()> {
        self.check_parents(relative).await?;
        let local = self.root.join(relative);
        match tokio::fs::remove_file(&local).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("replacing {}", local.display()))
            }
            _ => Ok(()),
        }
    }

    async fn directory(&mut self, relative: &Path, mode: Option<u32>) -> Result<()> {
        let local = self.root.join(relative);
        let writing = || format!("writing {}", local.display());
        if relative.as_os_str().is_empty() {
            return tokio::fs::create_dir_all(&local).await.with_context(writing);
        }
        self.check_parents(&relative.join("x")).await?;
        if let Some(mode) = mode {
            // Files still have to go into it.
            let mode = std::fs::Permissions::from_mode(mode | 0o700);
            tokio::fs::set_permissions(&local, mode).await.with_context(writing)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_destination() {
        let at = |name: &str, contents| inside(Path::new(name), contents);
        assert_eq!(at("b/x", false), Some("b/x".into()));
        assert_eq!(at("b/x", true), Some("x".into()));
        assert_eq!(at("b/", true), None);
        assert_eq!(at("b/../../x", false), None);
        assert_eq!(at("/etc/x", true), Some("x".into()));
    }
}
