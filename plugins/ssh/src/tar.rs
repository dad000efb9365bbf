//! Directories as a stream of tar over one command: one round trip for any number of files.

use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_sdk::command::{quote, quote_path};
use ingot_sdk::walk::{Entry, EntryKind, tree};
use ingot_sdk::{Context, Error, Result};
use tar::{EntryType, Header};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::path::sh;

const BUFFER: usize = 256 * 1024;

/// What a command says first where tar runs. Start-up files of the user's shell may have printed
/// something before.
const TAR: &str = "ingot: tar";
/// What an upload's command says instead where something of it is there already.
const MERGE: &str = "ingot: merge";
/// The length of the longest of them.
const LONGEST: usize = MERGE.len();

/// How much start-up files may have printed, in bytes.
const MOST_BEFORE: usize = 1 << 20;
/// How long they may take.
const MOST_TIME: Duration = Duration::from_secs(120);
/// The longest command, in bytes. Dropbear closes the connection at one of more than 9,000
/// (`MAX_CMD_LEN` in its sysoptions.h); other servers need not take packets of more than 32 KiB (RFC
/// 4253, 6.1).
const LONGEST_COMMAND: usize = 8_000;

/// What a command says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Tar runs.
    Tar,
    /// Something of the upload is there already, and nothing was unpacked.
    Merge,
}

/// Makes a command out of a script that uses tar. Where there is none, nothing of the script runs, of
/// however many commands it is.
fn command(script: &str) -> String {
    sh(&format!("command -v tar >/dev/null || exit 127; {script}"))
}

/// Reads up to what a command says first; none if it ends instead, as where there is no tar.
///
/// # Errors
/// It says other things, and no end is in sight.
pub(crate) async fn greeting(
    output: &mut (dyn AsyncRead + Send + Unpin),
) -> Result<Option<Greeting>> {
    match tokio::time::timeout(MOST_TIME, find_greeting(output)).await {
        Ok(found) => found,
        Err(_) => Err(Error::new("the user's shell on the machine does not run commands").hint(
            "a start-up file of that shell (such as .bashrc), or a ForceCommand, may wait for \
             something; set ssh_file_transfer_method = \"sftp\" if the machine takes no commands",
        )),
    }
}

async fn find_greeting(output: &mut (dyn AsyncRead + Send + Unpin)) -> Result<Option<Greeting>> {
    // The end of the line so far.
    let mut line: Vec<u8> = Vec::new();
    let mut read = 0;
    // A byte at a time: what follows is not ours.
    while let Ok(byte) = output.read_u8().await {
        read += 1;
        if read > MOST_BEFORE {
            let said = String::from_utf8_lossy(&line);
            let message = format!("the user's shell on the machine prints too much: …{said:?}");
            return Err(Error::new(message).hint(
                "let its start-up files (such as .bashrc) be silent without a terminal, or set \
                 ssh_file_transfer_method = \"sftp\"",
            ));
        }
        match byte {
            b'\n' if line.ends_with(TAR.as_bytes()) => return Ok(Some(Greeting::Tar)),
            b'\n' if line.ends_with(MERGE.as_bytes()) => return Ok(Some(Greeting::Merge)),
            b'\n' => line.clear(),
            byte => {
                if line.len() == LONGEST {
                    line.remove(0);
                }
                line.push(byte);
            }
        }
    }
    Ok(None)
}

/// The command that unpacks an upload of a directory called `name` to `destination`, or of what is in
/// it only, by the names `contents`. The modes in the stream are kept, its times and owners are not:
/// uploaded files are new and the user's. So nothing is unpacked where something of the upload is there
/// already: tar would change its modes, and put a directory in the place of a link to one.
pub(crate) fn unpack_command(destination: &str, name: &str, contents: Option<&[String]>) -> String {
    let there = quote_path(destination);
    let with = |enter: String| {
        // Where it cannot be entered, the upload fails with what was said of that.
        command(&format!(
            "if {enter}; then echo {TAR:?} && exec tar -xpomf -; fi; echo {TAR:?}; exit 1"
        ))
    };
    let Some(contents) = contents else {
        let (new, inside) = (unless_there([name]), literal(name));
        return with(format!(
            "if test -d {there}; then cd {there} && {new} && mkdir {inside} && cd {inside}; \
             else mkdir {there} && cd {there}; fi"
        ));
    };
    let enter = format!("mkdir -p {there} && cd {there}");
    let names = contents.iter().map(String::as_str);
    let by_name = with(format!("{enter} && {}", unless_there(names)));
    match by_name.len() {
        0..=LONGEST_COMMAND => by_name,
        _ => with(format!("{enter} && if test -n \"$(ls -A)\"; then echo {MERGE:?}; exit; fi")),
    }
}

/// The part of a script that ends it where one of `names` is in the directory.
fn unless_there<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = names.into_iter().map(literal).collect();
    format!(
        "for n in {}; do if test -e \"$n\" || test -L \"$n\"; then echo {MERGE:?}; exit; fi; done",
        words.join(" ")
    )
}

/// The name of a file in the directory, for a shell.
fn literal(name: &str) -> String {
    quote(&format!("./{name}")).into_owned()
}

/// The command that packs what is in the directory that `word` is for the machine's shell, following
/// links.
pub(crate) fn pack_command(word: &str) -> String {
    // In English: what it says decides what its exit code means.
    command(&format!("echo {TAR:?} && LC_ALL=C && export LC_ALL && exec tar -chf - -C {word} ."))
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

/// Writes what is in the local directory `root`, and unless `contents_only` the directory's own mode.
/// Blocks. `count` gets the number of bytes as they are read.
///
/// # Errors
/// A file cannot be read. Not an error is that the other side takes no more bytes: it
/// reports itself what is wrong.
pub(crate) fn pack(
    root: &Path,
    contents_only: bool,
    stream: UnixStream,
    count: &dyn Fn(u64),
) -> Result<()> {
    let mut tar = tar::Builder::new(BufWriter::with_capacity(BUFFER, stream));
    if !contents_only && let Some(entry) = Entry::at(root)? {
        let mut header = header(EntryType::Directory, entry.mode);
        if tar.append_data(&mut header, ".", std::io::empty()).is_err() {
            return Ok(());
        }
    }
    for entry in tree(root)? {
        let inside = entry.path.strip_prefix(root).unwrap_or(&entry.path);
        let reading = || format!("reading {}", entry.path.display());
        if entry.kind == EntryKind::Directory {
            let mut header = header(EntryType::Directory, entry.mode);
            if tar.append_data(&mut header, inside, std::io::empty()).is_err() {
                return Ok(());
            }
            continue;
        }
        let file = std::fs::File::open(&entry.path).with_context(reading)?;
        let size = file.metadata().with_context(reading)?.len();
        let mut header = header(EntryType::Regular, entry.mode);
        header.set_size(size);
        let mut bytes = Counted { source: file.take(size), read: 0, failed: None };
        if tar.append_data(&mut header, inside, &mut bytes).is_err() {
            return match bytes.failed {
                Some(error) => Err(error).with_context(reading),
                None => Ok(()),
            };
        }
        if bytes.read < size {
            return Err(Error::new(format!(
                "{} changed while it was being read",
                entry.path.display()
            )));
        }
        count(size);
    }
    if let Ok(mut stream) = tar.into_inner() {
        // As above: the other side has its say.
        let _ = stream.flush();
    }
    Ok(())
}

/// Tells failed reads from failed writes.
struct Counted<R> {
    source: R,
    read: u64,
    failed: Option<std::io::Error>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.source.read(buffer) {
            Ok(count) => {
                self.read += count as u64;
                Ok(count)
            }
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }
}

/// Unpacks what the machine packed into the local directory `destination`. Nothing is written
/// outside of it, whatever the machine sends. Blocks.
///
/// # Errors
/// A file cannot be written, or the stream breaks off.
pub(crate) fn unpack(stream: UnixStream, destination: &Path, count: &dyn Fn(u64)) -> Result<()> {
    let writing = || format!("writing to {}", destination.display());
    std::fs::create_dir_all(destination).with_context(writing)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(BUFFER, stream));
    archive.set_preserve_mtime(false);
    archive.set_unpack_xattrs(false);
    // Directories last: their modes may forbid writing into them.
    let mut directories: Vec<(PathBuf, u32)> = Vec::new();
    for entry in archive.entries().with_context(writing)? {
        let mut entry = entry.with_context(writing)?;
        let mode = entry.header().mode().unwrap_or(0o644) & 0o7777;
        let path = entry.path().with_context(writing)?.into_owned();
        let inside: PathBuf = path.components().filter(|part| part.as_os_str() != ".").collect();
        let local = destination.join(&inside);
        match entry.header().entry_type() {
            EntryType::Directory => {
                let top = inside.as_os_str().is_empty();
                if top || entry.unpack_in(destination).with_context(writing)? {
                    directories.push((local, mode));
                }
            }
            EntryType::Regular | EntryType::Link | EntryType::GNUSparse | EntryType::Continuous => {
                if entry.unpack_in(destination).with_context(writing)? {
                    count(entry.size());
                }
            }
            _ => tracing::warn!(path = %path.display(), "not downloaded: not a file or directory"),
        }
    }
    for (path, mode) in directories.iter().rev() {
        set_mode(path, *mode)?;
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_of_startup_files_is_skipped_within_bounds() {
        let found = greeting(&mut &b"welcome\nto ingot: tar\nrest"[..]).await;
        assert_eq!(found.unwrap(), Some(Greeting::Tar));
        let found = greeting(&mut &b"welcome ingot: merge\n"[..]).await;
        assert_eq!(found.unwrap(), Some(Greeting::Merge));
        assert_eq!(greeting(&mut &b"welcome\nno tar"[..]).await.unwrap(), None);
        let error = greeting(&mut tokio::io::repeat(b'x')).await.unwrap_err();
        assert!(error.to_string().contains("prints too much"), "{error}");
        let error = greeting(&mut tokio::io::repeat(b'\n')).await.unwrap_err();
        assert!(error.advice().unwrap().contains("silent without a terminal"), "{error}");
    }

    #[test]
    fn a_command_says_nothing_where_there_is_no_tar() {
        let bin = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/sh", bin.path().join("sh")).unwrap();
        let there = bin.path().join("there");
        let destination = there.to_str().unwrap();
        let names = ["a".to_owned()];
        for command in [
            unpack_command(destination, "up", None),
            unpack_command(destination, "up", Some(&names)),
            pack_command("."),
        ] {
            let mut shell = std::process::Command::new("/bin/sh");
            let ran = shell.args(["-c", &command]).env("PATH", bin.path()).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&ran.stdout), "", "{command}");
            assert_eq!(ran.status.code(), Some(127), "{command}");
            assert!(!there.exists(), "{command}");
        }
    }

    #[test]
    fn servers_take_a_command_whatever_is_uploaded() {
        for count in [0, 3, 400, 1000] {
            let names: Vec<String> = (0..count).map(|n| format!("it's {n} of many")).collect();
            let command = unpack_command("/srv", "up", Some(&names));
            // What Dropbear takes.
            assert!(command.len() < 9_000, "{count}: {}", command.len());
            assert_eq!(command.contains("0 of many"), count == 3, "{command}");
        }
    }
}
