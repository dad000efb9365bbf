//! Brings a container that has just started to a state: the layer of the state is unpacked into it.
//!
//! The container is of the image that the build starts from, as without the cache. What is committed of
//! it is therefore one layer, in which nothing stays of what a later provisioner deletes, and files with
//! several hard links are whole.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::Range;

use bollard::query_parameters::UploadToContainerOptionsBuilder;
use bytes::Bytes;
use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::file_work::{CHUNK, blocking};
use ingot_sdk::{Context, Error, ExitStatus, OutputSink, Result, RunContext};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::layer::Layer;
use crate::engine::{Engine, EngineContext};
use crate::exec::{How, Runner};
use crate::piece::Piece;

/// What a file that marks a deleted one begins with, and what it is called in a directory that shows
/// nothing of what is below it, as the OCI image specification has it.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const RESERVED: &[u8] = b".wh..wh.";

/// Files that the Engine mounts over those of every container. Newer Engines that keep images in a graph
/// driver put them, empty, into the layer of a container that something is uploaded to.
const MOUNTED: [&[u8]; 3] = [b"etc/hosts", b"etc/hostname", b"etc/resolv.conf"];

/// How long a command line of deletions may be, in bytes. Linux takes two million. The fewer there are
/// the better: `rm` and its libraries may be among what they delete.
const LINE: usize = 1024 * 1024;
/// How much of what `rm` says is kept, in bytes.
const SAID: usize = 4096;

/// Unpacks `layer` into the container. `scratch` is the directory of the scratch volume, which is left
/// as it is.
///
/// # Errors
/// It cannot be done, and the container is not what it should be.
pub(super) async fn restore(
    ctx: &RunContext,
    engine: &Engine,
    container: &str,
    layer: Layer,
    scratch: &str,
) -> Result<()> {
    let scratch = scratch.trim_matches('/').as_bytes().to_vec();
    let (layer, plan) = blocking(ctx, move |_| {
        let mut layer = layer;
        let plan = Plan::of(&mut layer.0, &scratch).context("reading the layer of the state")?;
        Ok((layer, plan))
    })
    .await?;
    if !plan.deleted.is_empty() {
        delete(engine, container, &plan.deleted).await?;
    }
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let body = bollard::body_try_stream(pieces(layer.0, plan.kept));
    let unpacking = engine.api.upload_to_container(container, Some(options), body);
    engine.while_alive(unpacking).await?.doing("unpacking the state into the container")
}

/// What to do with a layer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// The paths to delete, from the root.
    deleted: Vec<Vec<u8>>,
    /// Which parts of the archive to unpack then.
    kept: Vec<Range<u64>>,
}

impl Plan {
    fn of(file: &mut File, scratch: &[u8]) -> Result<Plan> {
        file.seek(SeekFrom::Start(0))?;
        let mut plan = Plan::default();
        let mut archive = tar::Archive::new(&mut *file);
        // What stands before an entry, such as a long name, belongs to it.
        let mut start = 0;
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let end = entry.raw_file_position() + entry.size().next_multiple_of(512);
            let path = entry.path_bytes();
            let Some(path) = plain(&path).filter(|_| !entry.header().entry_type().is_gnu_sparse())
            else {
                let shown = String::from_utf8_lossy(&path).into_owned();
                return Err(Error::new(format!("{shown} is not an entry of a layer")));
            };
            let (directory, name) = match path.iter().rposition(|&byte| byte == b'/') {
                Some(at) => (&path[..at], &path[at + 1..]),
                None => (&b""[..], path),
            };
            let is_scratch = path == scratch
                || path.strip_prefix(scratch).is_some_and(|rest| rest.starts_with(b"/"));
            if name == OPAQUE && !directory.is_empty() {
                // It comes again with what is in it now.
                plan.deleted.push(directory.to_vec());
            } else if name.starts_with(RESERVED) {
                let shown = String::from_utf8_lossy(path).into_owned();
                return Err(Error::new(format!("what {shown} means is not known")));
            } else if let Some(name) = name.strip_prefix(WHITEOUT) {
                if matches!(name, b"" | b"." | b"..") {
                    let shown = String::from_utf8_lossy(path).into_owned();
                    return Err(Error::new(format!("{shown} deletes nothing that has a name")));
                }
                let parts = [directory, name];
                let parts = parts.iter().copied().filter(|part| !part.is_empty());
                let deleted = parts.collect::<Vec<_>>().join(&b'/');
                if !MOUNTED.contains(&deleted.as_slice()) {
                    plan.deleted.push(deleted);
                }
            } else if !is_scratch && !path.is_empty() && !MOUNTED.contains(&path) {
                // The root itself is as it was: see what a state must not change.
                match plan.kept.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => plan.kept.push(start..end),
                }
            }
            start = end;
        }
        Ok(plan)
    }
}

/// A path of an archive from its root, which is empty, if it stays below that.
fn plain(path: &[u8]) -> Option<&[u8]> {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if matches!(path, b"" | b".") {
        return Some(b"");
    }
    let mut parts = path.split(|&byte| byte == b'/');
    // A shell drops what is no part of names.
    parts.all(|part| !matches!(part, b"" | b"." | b"..") && !part.contains(&0)).then_some(path)
}

/// Deletes what is at `paths`, which are from the root.
async fn delete(engine: &Engine, container: &str, paths: &[Vec<u8>]) -> Result<()> {
    let script = deletions(paths);
    let runner = Runner::new(engine.clone(), container.to_owned());
    let how = How { user: Some("0"), reads: true, ..How::default() };
    let mut running = runner.start("/bin/sh", how).await?;
    let mut stdin = std::mem::replace(&mut running.input, Box::pin(tokio::io::sink()));
    let output = CapturedOutput::default();
    let feed = async {
        if stdin.write_all(&script).await.is_ok() {
            let _ = stdin.shutdown().await;
        }
        // Its end is kept open until the shell ends: closing it would close the output.
        std::future::pending::<()>().await;
    };
    let drain = async {
        while let Some(piece) = running.next().await {
            if let Piece::Errors(bytes) = piece
                && output.stderr_text().len() < SAID
            {
                output.stderr(&bytes);
            }
        }
    };
    tokio::select! {
        () = drain => {}
        () = feed => {}
    }
    match running.status().await? {
        ExitStatus::Code(0) => Ok(()),
        _ => Err(Error::new(output.stderr_text().trim())
            .context("deleting in the container what the state does not have")),
    }
}

/// The script that deletes what is at `paths`.
fn deletions(paths: &[Vec<u8>]) -> Vec<u8> {
    let (mut script, mut line) = (Vec::new(), Vec::new());
    let end = |line: &mut Vec<u8>, script: &mut Vec<u8>| {
        if !line.is_empty() {
            script.extend_from_slice(b"rm -rf --");
            script.append(line);
            script.extend_from_slice(b" || exit 1\n");
        }
    };
    for path in paths {
        line.extend_from_slice(b" '/");
        for &byte in path {
            match byte {
                b'\'' => line.extend_from_slice(b"'\\''"),
                byte => line.push(byte),
            }
        }
        line.push(b'\'');
        if line.len() > LINE {
            end(&mut line, &mut script);
        }
    }
    end(&mut line, &mut script);
    script.extend_from_slice(b"exit 0\n");
    script
}

/// These parts of a file, and the end of an archive.
fn pieces(
    file: File,
    parts: Vec<Range<u64>>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    struct Reading {
        file: tokio::fs::File,
        parts: std::vec::IntoIter<Range<u64>>,
        part: Range<u64>,
        ended: bool,
    }
    let file = tokio::fs::File::from_std(file);
    let reading = Reading { file, parts: parts.into_iter(), part: 0..0, ended: false };
    futures_util::stream::try_unfold(reading, |mut reading: Reading| async move {
        while reading.part.is_empty() {
            match reading.parts.next() {
                Some(part) => {
                    reading.file.seek(SeekFrom::Start(part.start)).await?;
                    reading.part = part;
                }
                None if reading.ended => return Ok(None),
                None => {
                    reading.ended = true;
                    return Ok(Some((Bytes::from_static(&[0; 1024]), reading)));
                }
            }
        }
        let left = reading.part.end - reading.part.start;
        let mut piece = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        reading.file.read_exact(&mut piece).await?;
        reading.part.start += piece.len() as u64;
        Ok(Some((piece.into(), reading)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{Read, Write};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;

    /// The archive of a layer with these paths; those that end with `/` are directories.
    fn archive(paths: &[&str]) -> File {
        let mut tar = tar::Builder::new(tempfile::tempfile().unwrap());
        for path in paths {
            let mut header = tar::Header::new_gnu();
            let is_directory = path.ends_with('/');
            header.set_entry_type(match is_directory {
                true => tar::EntryType::Directory,
                false => tar::EntryType::Regular,
            });
            header.set_mode(0o755);
            let data = if is_directory { "" } else { path };
            header.set_size(data.len() as u64);
            tar.append_data(&mut header, path, data.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    /// What is in the parts of the archive that are kept.
    fn kept(file: &mut File, plan: &Plan) -> Vec<String> {
        let mut bytes = Vec::new();
        for part in &plan.kept {
            file.seek(SeekFrom::Start(part.start)).unwrap();
            file.take(part.end - part.start).read_to_end(&mut bytes).unwrap();
        }
        let mut archive = tar::Archive::new(&bytes[..]);
        let entries = archive.entries().unwrap();
        entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn marks_of_deleted_files_become_deletions_and_the_rest_is_kept_as_it_is() {
        let long = format!("dir/{}", "n".repeat(300));
        let marked = format!("dir/.wh.{}", "m".repeat(300));
        let mut file = archive(&[
            "./",
            "a",
            ".wh.b",
            "dir/",
            "etc/",
            "etc/.wh.hostname",
            "etc/hosts",
            "etc/hosts.allow",
            "etc/resolv.conf",
            &long,
            &marked,
            "new/",
            "new/.wh..wh..opq",
            "new/x",
            "scratch/",
            "scratch/y",
            "scratches/",
            "z",
        ]);
        let plan = Plan::of(&mut file, b"scratch").unwrap();
        let deleted: Vec<_> =
            plan.deleted.iter().map(|path| String::from_utf8_lossy(path)).collect();
        assert_eq!(deleted, ["b", &format!("dir/{}", "m".repeat(300)), "new"]);
        let all =
            ["a", "dir/", "etc/", "etc/hosts.allow", &long, "new/", "new/x", "scratches/", "z"];
        assert_eq!(kept(&mut file, &plan), all);
    }

    #[test]
    fn what_is_no_layer_is_refused() {
        let plan = |path: &str| {
            // The builder of archives refuses such paths itself.
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(0);
            header.set_cksum();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(header.as_bytes()).unwrap();
            file.write_all(&[0; 1024]).unwrap();
            Plan::of(&mut file, b"scratch").map(drop)
        };
        let out = ["../x", "a/../../x", "/etc/passwd", "a//b"];
        let marks = ["dir/.wh..wh.plnk", ".wh..wh..opq", ".wh.", "dir/.wh.", "dir/.wh..", ".wh..."];
        for path in out.into_iter().chain(marks) {
            assert!(plan(path).is_err(), "{path}");
        }
        assert!(plan("a/b").is_ok());
    }

    #[test]
    fn any_name_is_deleted_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let names = ["plain", "-rf", "a b", "it's", "$(touch evil)", "new\nline", "\\", "*"];
        for name in names.iter().chain(&["stays"]) {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let inside = |name: &&str| directory.path().join(name).as_os_str().as_bytes()[1..].to_vec();
        let script = deletions(&names.iter().map(inside).collect::<Vec<_>>());
        let path = directory.path().join("script");
        std::fs::write(&path, script).unwrap();
        let status = std::process::Command::new("/bin/sh").arg(&path).status().unwrap();
        assert!(status.success());
        std::fs::remove_file(&path).unwrap();
        let left = std::fs::read_dir(directory.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["stays"]);
    }

    /// Files by path; none for a directory.
    type Tree = BTreeMap<String, Option<u64>>;

    /// The layer between two trees, as the Engine writes it.
    fn layer(below: &Tree, above: &Tree, numbers: &mut dyn FnMut(u64) -> u64) -> File {
        let mut tar = tar::Builder::new(tempfile::tempfile().unwrap());
        let mut add = |path: &str, file: Option<u64>| {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            let data = file.map(|number| number.to_string()).unwrap_or_default();
            header.set_entry_type(match file {
                None => tar::EntryType::Directory,
                Some(_) => tar::EntryType::Regular,
            });
            header.set_size(data.len() as u64);
            tar.append_data(&mut header, path, data.as_bytes()).unwrap();
        };
        let parent = |path: &str| path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        let mut opaque: Vec<String> = Vec::new();
        for (path, file) in above {
            let hidden = opaque.iter().any(|place| path.starts_with(&format!("{place}/")));
            let same = below.get(path) == Some(file) && !hidden;
            // Directories are written also where nothing changed.
            if same && (file.is_some() || numbers(2) == 0) {
                continue;
            }
            add(path, *file);
            // A directory in the place of one that was deleted shows nothing of that.
            let both = file.is_none() && below.get(path) == Some(&None);
            if both && !hidden && numbers(3) == 0 {
                add(&format!("{path}/.wh..wh..opq"), Some(0));
                opaque.push(path.clone());
            }
        }
        for path in below.keys() {
            let hidden = opaque.iter().any(|place| path.starts_with(&format!("{place}/")));
            let gone = !above.contains_key(path);
            let with_parent = parent(path).is_some_and(|parent| above.get(&parent) != Some(&None));
            if gone && !hidden && !with_parent {
                let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
                let slash = if directory.is_empty() { "" } else { "/" };
                add(&format!("{directory}{slash}.wh.{name}"), Some(0));
            }
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn any_tree_becomes_the_one_that_the_layer_was_made_for() {
        let mut state = u64::from(std::process::id());
        println!("begins with {state}");
        let mut numbers = move |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % limit
        };
        let mut trees = Vec::new();
        for _ in 0..60 {
            let mut tree = Tree::new();
            for _ in 0..numbers(14) {
                let depth = 1 + numbers(3);
                let parts: Vec<String> = (0..depth).map(|_| format!("n{}", numbers(4))).collect();
                for end in 1..=parts.len() {
                    let path = parts[..end].join("/");
                    match tree.get(&path) {
                        Some(Some(_)) => break,
                        Some(None) => {}
                        None => {
                            let is_file = end == parts.len() && numbers(4) > 0;
                            tree.insert(path, is_file.then(|| numbers(3)));
                        }
                    }
                }
            }
            trees.push(tree);
        }
        for pair in trees.windows(2) {
            let mut file = layer(&pair[0], &pair[1], &mut numbers);
            let plan = Plan::of(&mut file, b"scratch").unwrap();
            let root = tempfile::tempdir().unwrap();
            let at = |path: &str| root.path().join(path);
            for (path, file) in &pair[0] {
                match file {
                    None => std::fs::create_dir(at(path)).unwrap(),
                    Some(number) => std::fs::write(at(path), number.to_string()).unwrap(),
                }
            }
            for path in &plan.deleted {
                let path = root.path().join(Path::new(std::ffi::OsStr::from_bytes(path)));
                match path.is_dir() {
                    true => std::fs::remove_dir_all(&path).unwrap(),
                    false => drop(std::fs::remove_file(&path)),
                }
            }
            let mut bytes = Vec::new();
            for part in &plan.kept {
                file.seek(SeekFrom::Start(part.start)).unwrap();
                (&mut file).take(part.end - part.start).read_to_end(&mut bytes).unwrap();
            }
            // The Engine puts what is of another type in the place of what is there.
            for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
                let entry = entry.unwrap();
                let path = root.path().join(entry.path().unwrap());
                let is_directory = entry.header().entry_type().is_dir();
                if path.is_dir() && !is_directory {
                    std::fs::remove_dir_all(&path).unwrap();
                } else if path.is_file() && is_directory {
                    std::fs::remove_file(&path).unwrap();
                }
            }
            tar::Archive::new(&bytes[..]).unpack(root.path()).unwrap();
            let mut found = Tree::new();
            let mut places = vec![String::new()];
            while let Some(place) = places.pop() {
                for entry in std::fs::read_dir(at(&place)).unwrap() {
                    let name = entry.unwrap().file_name().into_string().unwrap();
                    let path = if place.is_empty() { name } else { format!("{place}/{name}") };
                    let is_directory = at(&path).is_dir();
                    let read = || std::fs::read_to_string(at(&path)).unwrap().parse().unwrap();
                    let file = (!is_directory).then(read);
                    found.insert(path.clone(), file);
                    places.extend(is_directory.then_some(path));
                }
            }
            assert_eq!(found, pair[1], "from {:?}", pair[0]);
        }
    }
}
