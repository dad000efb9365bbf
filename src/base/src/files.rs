//! Files that users name, which may be anything: read without waiting for ever, and up to a bound. And
//! whether two names are of one file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{Context, Error, Result};

/// How long a pipe or device may take to give all it has.
const PIPE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of a device, in bytes: some never end.
const MOST_OF_DEVICE: u64 = 16 << 20;
/// How many links that lead nowhere yet are followed one after the other, as by Linux.
const MOST_LINKS: u32 = 40;

/// Reads a small file whole, such as a key, without taking more memory than `most` bytes: what is at
/// `path` may be anything, and may change meanwhile. A pipe, such as a shell's `<(…)`, or a device such
/// as `/dev/null` or a terminal is waited for ten seconds at most, and nothing else. `what` names what
/// the file should be, such as `key`.
///
/// # Errors
/// It cannot be read, is a directory, disk or socket, or has more than `most` bytes (a device: or more
/// than 16 MiB).
pub fn read_small(path: &Path, what: &str, most: u64) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = open_any(path, "reading")?;
    let kind = file.metadata().with_context(|| format!("looking at {shown}"))?.file_type();
    let most = if is_device(&kind) { most.min(MOST_OF_DEVICE) } else { most };
    let mut bytes = Vec::new();
    let read = match kind.is_file() {
        true => file.take(most + 1).read_to_end(&mut bytes).map(drop),
        false if is_pipe(&kind) => read_waiting(file, has_ended, most + 1, &mut bytes),
        false if is_device(&kind) => read_waiting(file, |_| true, most + 1, &mut bytes),
        false => return Err(no_file(path)),
    };
    read.with_context(|| format!("reading {shown}"))?;
    if bytes.len() as u64 > most {
        let message = format!("{shown} is not a valid {what}: it has more than {most} bytes");
        return Err(Error::new(message));
    }
    Ok(bytes)
}

/// [`read_small`] of a file of text.
///
/// # Errors
/// The same, and that it is not UTF-8.
pub fn read_small_text(path: &Path, what: &str, most: u64) -> Result<String> {
    String::from_utf8(read_small(path, what, most)?).map_err(|_| {
        Error::new(format!("{} is not a valid {what}: it is not UTF-8", path.display()))
    })
}

#[cfg(unix)]
fn is_pipe(kind: &std::fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(kind)
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::FileType) -> bool {
    false
}

/// Whether it is a device that gives bytes one after the other, as disks do not.
#[cfg(unix)]
fn is_device(kind: &std::fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_char_device(kind)
}

#[cfg(not(unix))]
fn is_device(_: &std::fs::FileType) -> bool {
    false
}

/// Whether somebody had opened the other end of a pipe, and nobody has any more. Before that, reading
/// says that it has ended, too.
#[cfg(unix)]
fn has_ended(pipe: &File) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(pipe, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let polled = poll(&mut asked, Some(&now));
    // What came between the read and this is to be read first.
    polled.is_ok() && asked[0].revents() == PollFlags::HUP
}

#[cfg(not(unix))]
fn has_ended(_: &File) -> bool {
    true
}

/// Reads what a file that does not block gives until it ends, `most` bytes of it. Where reading gives
/// nothing, `ended` says whether that is the end.
fn read_waiting(
    mut file: File,
    ended: impl Fn(&File) -> bool,
    most: u64,
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    let deadline = Instant::now() + PIPE_TIMEOUT;
    let mut buffer = [0; 4096];
    while (bytes.len() as u64) < most {
        match file.read(&mut buffer) {
            Ok(0) if !bytes.is_empty() || ended(&file) => return Ok(()),
            Ok(length) if length > 0 => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ if Instant::now() >= deadline => return Err(io::ErrorKind::TimedOut.into()),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(())
}

/// Opens `path`, which must be a regular file or a disk, or lead to one.
///
/// # Errors
/// It cannot be opened, or is something else, such as a pipe that would be waited for.
pub fn open_regular(path: &Path) -> Result<File> {
    // Not even opened: who waits to write to it would take this for the one that reads.
    #[cfg(unix)]
    if std::fs::metadata(path)
        .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type()))
    {
        return Err(no_file(path));
    }
    let file = open_any(path, "opening")?;
    let kind = file.metadata().with_context(|| format!("looking at {}", path.display()))?;
    let kind = kind.file_type();
    #[cfg(unix)]
    let is_disk = std::os::unix::fs::FileTypeExt::is_block_device(&kind);
    #[cfg(not(unix))]
    let is_disk = false;
    match kind.is_file() || is_disk {
        true => Ok(file),
        false => Err(no_file(path)),
    }
}

/// Opens what is at `path` without waiting for anything, if it is no directory.
fn open_any(path: &Path, doing: &str) -> Result<File> {
    let shown = path.display();
    let mut options = File::options();
    options.read(true);
    // Opening a pipe that nobody writes to would wait for somebody who does.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits() as i32,
    );
    let file = options.open(path).with_context(|| format!("{doing} {shown}"))?;
    let kind = file.metadata().with_context(|| format!("looking at {shown}"))?.file_type();
    if kind.is_dir() {
        let error = Error::from(io::Error::from(io::ErrorKind::IsADirectory));
        return Err(error.reworded(format!("{shown} is a directory, not a file")));
    }
    Ok(file)
}

/// A path with `suffix` after its name: of a file that belongs to the one at `path`, beside it.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether two paths lead to one file, also if those are two names of it, as hard links are. It need not
/// be there yet: then, whether what is created at one would be at the other.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity =
        |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    one == other
        || identity(one).is_some_and(|one| identity(other) == Some(one))
        || real_path(one) == real_path(other)
}

/// The path without links that a path leads to, as far as that is there. It is absolute.
pub fn real_path(path: &Path) -> PathBuf {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MOST_LINKS {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        // What is created at a link is created where it leads.
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    let there = path.ancestors().skip(1).find_map(|directory| {
        let real = directory.canonicalize().ok()?;
        Some(real.join(path.strip_prefix(directory).ok()?))
    });
    there.unwrap_or(path)
}

fn no_file(path: &Path) -> Error {
    let shown = path.display();
    Error::new(format!("{shown} is a pipe, socket or device, not a regular file"))
        .hint("write it to a file, and name that")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_read_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("key"), "0123456789").unwrap();
        let refused = |name: &str, most| read_small(&path(name), "key", most).unwrap_err();
        assert_eq!(read_small(&path("key"), "key", 10).unwrap(), b"0123456789");
        let error = refused("key", 9).to_string();
        assert!(error.ends_with("key is not a valid key: it has more than 9 bytes"), "{error}");
        let error = refused("", 9);
        assert!(error.to_string().ends_with("is a directory, not a file"), "{error}");
        assert!(error.is_io(io::ErrorKind::IsADirectory));
        assert!(refused("nope", 9).to_string().contains("nope"));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_or_device_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let zero = Path::new("/dev/zero");
        for error in [open_regular(&pipe).err(), open_regular(zero).err()] {
            let error = error.unwrap().to_string();
            assert!(error.ends_with("is a pipe, socket or device, not a regular file"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_small_file_may_be_a_device() {
        assert_eq!(read_small(Path::new("/dev/null"), "script", 9).unwrap(), b"");
        for (most, bound) in [(9, 9), (1 << 30, MOST_OF_DEVICE)] {
            let error = read_small(Path::new("/dev/zero"), "script", most).unwrap_err();
            let expected =
                format!("/dev/zero is not a valid script: it has more than {bound} bytes");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_small_file_may_be_a_pipe() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let fed = |parts: &'static [&'static str]| {
            let pipe = pipe.clone();
            std::thread::spawn(move || {
                let mut pipe = File::options().write(true).open(pipe).unwrap();
                for part in parts {
                    // The reader may have had enough.
                    let _ = io::Write::write_all(&mut pipe, part.as_bytes());
                    std::thread::sleep(Duration::from_millis(30));
                }
            })
        };
        let writer = fed(&["one ", "two"]);
        assert_eq!(read_small(&pipe, "key", 10).unwrap(), b"one two");
        writer.join().unwrap();
        let writer = fed(&["0123456789"]);
        let error = read_small(&pipe, "key", 9).unwrap_err().to_string();
        assert!(error.ends_with("is not a valid key: it has more than 9 bytes"), "{error}");
        writer.join().unwrap();
        // One that is opened, and given nothing.
        let writer = fed(&[""]);
        assert_eq!(read_small(&pipe, "key", 9).unwrap(), b"");
        writer.join().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_the_same_by_all_its_paths() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("real")).unwrap();
        symlink("real", path("linked")).unwrap();
        symlink("linked/there", path("link")).unwrap();
        symlink("link", path("link of a link")).unwrap();
        symlink("circle", path("circle")).unwrap();
        let same = |one: &str, other: &str| is_same_file(&path(one), &path(other));
        // Before it is there, and after.
        for _ in 0..2 {
            for name in ["linked/there", "real/../real/there", "link", "link of a link"] {
                assert!(same(name, "real/there"), "{name}");
            }
            for name in ["real/other", "there", "real", "real/there/below", "circle"] {
                assert!(!same(name, "real/there"), "{name}");
            }
            std::fs::write(path("real/there"), "").unwrap();
        }
        // By another name, and another file with the same contents.
        std::fs::hard_link(path("real/there"), path("name")).unwrap();
        std::fs::write(path("copy"), "").unwrap();
        assert!(same("name", "link"));
        assert!(!same("copy", "link"));
        assert!(same("nowhere/below", "nowhere/below"));
        assert!(same("linked/nowhere/below", "real/nowhere/below"));
        assert!(same("circle", "circle"));
    }

    /// As with a shell's `<(true)`.
    #[cfg(unix)]
    #[test]
    fn an_empty_pipe_is_not_waited_for() {
        use std::os::fd::AsRawFd as _;
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let start = Instant::now();
        assert_eq!(read_small(Path::new(&path), "key", 9).unwrap(), b"");
        assert!(start.elapsed() < PIPE_TIMEOUT / 2);
    }
}
