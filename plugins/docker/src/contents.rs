//! What is in an image: its configuration and its files, for comparing it with others. Nothing of the
//! image is run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use bollard::errors::Error as EngineError;
use bollard::models::{ContainerCreateBody, ImageConfig, ImageInspect};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use futures_util::StreamExt;
use ingot_sdk::hash::Sha256;
use ingot_sdk::{Context, Error, JournalEntry, Result, RunContext};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_tar::{Archive, Entry, EntryType};
use tokio_util::io::StreamReader;

use crate::engine::{Engine, EngineContext, describe, is_away, status};
use crate::reclaim::{container_resource, remove_container, still_coming};

/// The most that is kept of the files that were asked for, in bytes.
const LARGEST_KEPT: u64 = 512 << 20;

/// What is in an image.
#[derive(Debug)]
pub struct ImageContents {
    /// Its id.
    pub id: String,
    /// How many bytes its layers take, where that is known.
    pub size: Option<u64>,
    /// How its containers are set up, in a line each.
    pub config: BTreeMap<String, String>,
    /// Its files by absolute path.
    pub files: BTreeMap<String, ImageFile>,
}

/// A file of an image.
#[derive(Debug, Clone)]
pub struct ImageFile {
    /// What it is.
    pub kind: ImageFileKind,
    /// Its permissions: 12 bits.
    pub mode: u32,
    /// The number of its owner.
    pub uid: u64,
    /// The number of its group.
    pub gid: u64,
    /// Its extended attributes, as far as the Engine reports them: capabilities, and with the image
    /// store of containerd all.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// What a file of an image is.
#[derive(Debug, Clone)]
pub enum ImageFileKind {
    /// A file of so many bytes, whose SHA-256 this is.
    File(u64, String),
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink(String),
    /// A character device: its major and minor number.
    CharacterDevice(u32, u32),
    /// A block device.
    BlockDevice(u32, u32),
    /// A named pipe.
    Pipe,
}

/// Looks into the image that is called `image` on the Engine of the environment; none if there is no
/// such image. Files that `keep` wants are written below `directory`.
///
/// # Errors
/// The Engine cannot be reached, or fails.
pub async fn image_contents(
    ctx: &RunContext,
    image: &str,
    keep: &(dyn Fn(&str) -> bool + Send + Sync),
    directory: &Path,
) -> Result<Option<ImageContents>> {
    let engine = Engine::connect(false).await?;
    let inspected = match engine.ask(engine.api.inspect_image(image)).await {
        Ok(inspected) => inspected,
        Err(error) if status(&error) == Some(404) => return Ok(None),
        Err(error) => {
            let doing = format!("looking at the image {image}");
            return Err(Error::new(describe(&error)).context(doing));
        }
    };
    let id = inspected.id.clone().unwrap_or_else(|| image.to_owned());
    let size = inspected.size.and_then(|size| u64::try_from(size).ok());
    let config = config(&inspected);
    // The name is chosen before it is created, and is in the journal by then.
    let name = format!("ingot-{}", uuid::Uuid::new_v4());
    let resource = container_resource(&engine, &name);
    // Without an answer it may yet come, also after this process.
    let record = JournalEntry::open(&ctx.journal, &still_coming(resource.clone()))?;
    let created = engine.while_alive(create(&engine, &id, &name)).await;
    let answered = matches!(&created, Ok(created) if !created.as_ref().is_err_and(is_away));
    record.amend(&match answered {
        true => resource,
        false => still_coming(resource),
    });
    let exporting = async {
        created?.doing("creating a container")?;
        engine.while_alive(export(&engine, &name, keep, directory)).await?
    };
    let exported: Result<_> = exporting.await;
    let removing = remove_container(&engine, &name);
    let removed = tokio::time::timeout(engine.patience.cleanup, removing).await;
    let removed = removed.unwrap_or_else(|_| {
        Err(Error::new("no answer").context(format_args!("removing the container {name}")))
    });
    if removed.as_ref().is_ok_and(|was_there| *was_there || answered) {
        record.done();
    }
    let files = exported?;
    removed?;
    Ok(Some(ImageContents { id, size, config, files }))
}

/// Creates a container of an image that is never started.
async fn create(engine: &Engine, image: &str, name: &str) -> Result<(), EngineError> {
    // An image without a command is no container without one.
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["none".to_owned()]),
        network_disabled: Some(true),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    engine.api.create_container(Some(options), body).await.map(drop)
}

/// The files of a container.
async fn export(
    engine: &Engine,
    name: &str,
    keep: &(dyn Fn(&str) -> bool + Send + Sync),
    directory: &Path,
) -> Result<BTreeMap<String, ImageFile>> {
    let stream = engine
        .api
        .export_container(name)
        .map(|piece| piece.map_err(|error| io::Error::other(describe(&error))));
    let reader = StreamReader::new(stream.boxed());
    read(reader, keep, directory).await.context("reading the files of the image")
}

async fn read(
    reader: impl AsyncRead + Unpin + Send,
    keep: &(dyn Fn(&str) -> bool + Send + Sync),
    directory: &Path,
) -> Result<BTreeMap<String, ImageFile>> {
    let mut files = BTreeMap::new();
    let mut links = Vec::new();
    let mut kept = 0;
    let mut archive = Archive::new(reader);
    let mut entries = archive.entries()?;
    while let Some(entry) = entries.next().await {
        let mut entry = entry?;
        let Some(path) = absolute(&entry.path()?) else { continue };
        let header = entry.header();
        let (mode, uid, gid) = (header.mode()? & 0o7777, header.uid()?, header.gid()?);
        let file_type = header.entry_type();
        let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or_default();
        let device = (number(header.device_major()), number(header.device_minor()));
        let xattrs = xattrs(&mut entry).await?;
        let target = entry.link_name()?.map(|link| link.into_owned());
        let kind = match file_type {
            EntryType::Directory => ImageFileKind::Directory,
            EntryType::Symlink => {
                let target = target.map(|target| name(target.as_os_str()));
                ImageFileKind::Symlink(target.unwrap_or_default())
            }
            EntryType::Char => ImageFileKind::CharacterDevice(device.0, device.1),
            EntryType::Block => ImageFileKind::BlockDevice(device.0, device.1),
            EntryType::Fifo => ImageFileKind::Pipe,
            EntryType::Link => {
                links.push((path, target.as_deref().and_then(absolute)));
                continue;
            }
            _ => {
                let wanted = keep(&path).then(|| directory.join(path.trim_start_matches('/')));
                hashed(&mut entry, wanted, &mut kept).await?
            }
        };
        files.insert(path, ImageFile { kind, mode, uid, gid, xattrs });
    }
    // Which of several names of a file comes first is chance.
    for (path, target) in links {
        let target: Option<ImageFile> = target.and_then(|target| files.get(&target).cloned());
        files.extend(target.map(|target| (path, target)));
    }
    Ok(files)
}

/// What archives call an extended attribute.
const XATTR: &str = "SCHILY.xattr.";

/// The extended attributes that an archive has of an entry.
async fn xattrs<R: AsyncRead + Unpin>(
    entry: &mut Entry<Archive<R>>,
) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut xattrs = BTreeMap::new();
    for extension in entry.pax_extensions().await?.into_iter().flatten() {
        let extension = extension?;
        if let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix(XATTR)) {
            xattrs.insert(name.to_owned(), extension.value_bytes().to_owned());
        }
    }
    Ok(xattrs)
}

/// A regular file, which is also written to `copy`; `kept` counts what was.
async fn hashed<R: AsyncRead + Unpin>(
    entry: &mut Entry<Archive<R>>,
    copy: Option<PathBuf>,
    kept: &mut u64,
) -> Result<ImageFileKind> {
    let mut copy = match copy {
        None => None,
        Some(path) => {
            if let Some(parent) = path.parent() {
                tokio::fs::create_dir_all(parent).await?;
            }
            Some(tokio::fs::File::create(&path).await?)
        }
    };
    let mut sum = Sha256::new();
    let (mut size, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        let count = entry.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        sum.update(&buffer[..count]);
        size += count as u64;
        if let Some(copy) = &mut copy {
            *kept += count as u64;
            if *kept > LARGEST_KEPT {
                let most = LARGEST_KEPT >> 20;
                return Err(Error::new(format!("its package databases have more than {most} MiB")));
            }
            copy.write_all(&buffer[..count]).await?;
        }
    }
    if let Some(copy) = &mut copy {
        copy.flush().await?;
    }
    Ok(ImageFileKind::File(size, sum.finish()))
}

/// A name as text: bytes that are not UTF-8 are written in hexadecimal, so that two names never become
/// the same.
fn name(name: &OsStr) -> String {
    match name.to_str() {
        Some(text) if text.contains("\\x") => text.replace('\\', r"\\"),
        Some(text) => text.to_owned(),
        None => name.as_bytes().escape_ascii().to_string(),
    }
}

/// A path in an archive from the root; none for the root itself and for what leads out of it.
fn absolute(path: &Path) -> Option<String> {
    let mut text = String::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => {
                text.push('/');
                text.push_str(&name(part));
            }
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!text.is_empty()).then_some(text)
}

/// How containers of an image are set up.
fn config(image: &ImageInspect) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    let mut add = |name: String, value: String| {
        if !value.is_empty() {
            lines.insert(name, value);
        }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let words = |words: &Option<Vec<String>>| match words.as_deref() {
        None | Some([]) => String::new(),
        Some(words) => serde_json::json!(words).to_string(),
    };
    let platform = [&image.os, &image.architecture, &image.variant];
    let platform: Vec<String> =
        platform.into_iter().flatten().filter(|part| !part.is_empty()).cloned().collect();
    add("platform".into(), platform.join("/"));
    add("author".into(), text(&image.author));
    let Some(ImageConfig {
        user,
        exposed_ports,
        env,
        cmd,
        volumes,
        working_dir,
        entrypoint,
        labels,
        stop_signal,
        shell,
        healthcheck,
        on_build,
        ..
    }) = &image.config
    else {
        return lines;
    };
    add("user".into(), text(user));
    add("workdir".into(), text(working_dir));
    add("entrypoint".into(), words(entrypoint));
    add("cmd".into(), words(cmd));
    add("shell".into(), words(shell));
    add("stopsignal".into(), text(stop_signal));
    add("onbuild".into(), words(on_build));
    let check = healthcheck.as_ref().map(|check| serde_json::json!(check).to_string());
    add("healthcheck".into(), check.unwrap_or_default());
    for variable in env.iter().flatten() {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        add(format!("env {name}"), format!("{value:?}"));
    }
    for (name, value) in labels.iter().flatten() {
        add(format!("label {name}"), format!("{value:?}"));
    }
    for port in exposed_ports.iter().flatten() {
        add(format!("port {port}"), "exposed".into());
    }
    for volume in volumes.iter().flatten() {
        add(format!("volume {volume}"), "declared".into());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_archives_stay_below_the_root() {
        let absolute = |path: &str| absolute(Path::new(path));
        assert_eq!(absolute("./etc/motd").as_deref(), Some("/etc/motd"));
        assert_eq!(absolute("bin/").as_deref(), Some("/bin"));
        assert_eq!(absolute("/bin/sh").as_deref(), Some("/bin/sh"));
        assert_eq!((absolute("./"), absolute("../x"), absolute("")), (None, None, None));
        let bytes = |bytes: &[u8]| super::absolute(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(bytes(b"a/\xff").as_deref(), Some("/a/\\xff"));
    }
}
