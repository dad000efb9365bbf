//! Files and directories, by the way the options and the machine allow.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ingot_sdk::command::{only_changed_while_packed, quote_literal_path, quote_path};
use ingot_sdk::communicator::uploaded_name;
use ingot_sdk::partial_file::PartialFile;
use ingot_sdk::shown::Shown;
use ingot_sdk::walk::{Entry, EntryKind, tree};
use ingot_sdk::{Context, Error, ExitStatus, FileMeta, Progress, Result, Ui, script};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::copy::{COPY_BUFFER, copy_exactly};
use crate::link::{Process, socket_pair};
use crate::machine::Machine;
use crate::path::split;
use crate::scp::Scp;
use crate::settings::Transfer;
use crate::{sftp, tar};

/// How much is kept of what a command says is wrong, in bytes.
const MOST_SAID: u64 = 64 * 1024;
/// How long a command may take to end once the copy it was for has failed.
const ENDING: Duration = Duration::from_secs(30);

/// How commands end on a machine that goes down: by SIGHUP, SIGKILL and SIGTERM.
const ENDED_FROM_OUTSIDE: [i32; 3] = [129, 137, 143];

fn by_sftp(machine: &Machine) -> bool {
    machine.connector().settings().transfer == Transfer::Sftp
}

/// Uploads one file.
pub(crate) async fn upload(
    machine: &Machine,
    destination: &str,
    source: &mut (dyn AsyncRead + Send + Unpin),
    meta: FileMeta,
) -> Result<()> {
    let mut source =
        Shown::new(source, machine.ui(), script::file_name(destination), Some(meta.size));
    if by_sftp(machine) {
        let connection = machine.link().await?;
        let (mut near, far) = socket_pair()?;
        let send = async {
            let copied = copy_exactly(&mut source, &mut near, meta.size, "the file").await;
            let _ = near.shutdown().await;
            copied
        };
        let (written, sent) =
            tokio::join!(sftp::write_file(&connection, destination, meta.mode, far), send);
        return written.and(sent.map_err(Error::from));
    }
    let (directory, name) = split(destination)
        .ok_or_else(|| Error::new(format!("{destination:?} does not name a file")))?;
    // With -d the directory has to be one; without it, a missing one would become the file.
    let mut process = machine.start(&format!("scp -d -t {}", quote_path(directory)), false).await?;
    let sent = async {
        let mut scp = Scp::new(&mut process.data);
        scp.ready().await?;
        scp.send_file(name, meta.mode, meta.size, &mut source).await
    };
    let sent = sent.await;
    finish(process, sent, "scp").await
}

/// Whether there is a directory at `path`, as far as the machine tells.
pub(crate) async fn is_directory(machine: &Machine, path: &str) -> bool {
    if by_sftp(machine) {
        let Ok(connection) = machine.link().await else { return false };
        return matches!(sftp::is_directory(&connection, path).await, Ok(Some(true)));
    }
    let Ok(mut process) = machine.start(&format!("test -d {}", quote_path(path)), false).await
    else {
        return false;
    };
    process.status().await.success()
}

/// A path on the machine that is downloaded.
pub(crate) struct There<'a> {
    path: &'a str,
    /// The path, for the machine's shell.
    word: String,
}

impl There<'_> {
    /// One in which the shell replaces `$NAME`, and `~` at the start.
    pub(crate) fn expanded(path: &str) -> There<'_> {
        There { path, word: quote_path(path) }
    }

    /// One that stands for itself.
    pub(crate) fn literal(path: &str) -> There<'_> {
        There { path, word: quote_literal_path(path) }
    }
}

/// Downloads one file.
pub(crate) async fn download(
    machine: &Machine,
    There { path: source, word }: &There<'_>,
    destination: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<()> {
    let mut destination = Shown::new(destination, machine.ui(), script::file_name(source), None);
    if by_sftp(machine) {
        let connection = machine.link().await?;
        let (near, far) = socket_pair()?;
        let receive = async {
            let mut near = BufReader::with_capacity(COPY_BUFFER, near);
            Ok(tokio::io::copy_buf(&mut near, &mut destination).await.map(|_| ())?)
        };
        let (read, received) =
            tokio::join!(sftp::read_file(&connection, source, far, None), receive);
        return read.and(received);
    }
    let mut process = machine.start(&format!("scp -f {word}"), false).await?;
    let received = Scp::new(&mut process.data).receive_file(&mut destination).await;
    finish(process, received, "scp").await
}

/// Uploads a directory.
pub(crate) async fn upload_directory(
    machine: &Machine,
    source: &Path,
    destination: &str,
    contents_only: bool,
) -> Result<()> {
    let real =
        std::fs::canonicalize(source).with_context(|| format!("reading {}", source.display()))?;
    let name = uploaded_name(source, contents_only)?;
    let contents_only = name.is_none();
    // What only gives its contents still has a name in the progress that is shown.
    let name = name.unwrap_or_else(|| source.display().to_string());
    if by_sftp(machine) {
        return upload_by_sftp(machine, &real, &name, destination, contents_only).await;
    }
    let contents = contents_only.then(|| names(&real)).transpose()?;
    let command = tar::unpack_command(destination, &name, contents.as_deref());
    if let Some(process) = machine.start_tar(&command).await? {
        let shown = DirectoryProgress::new(machine.ui(), &name);
        return stream(process, None, move |socket| {
            tar::pack(&real, contents_only, socket, &|bytes| shown.add(bytes))
        })
        .await;
    }
    let entries = tree(&real)?;
    let mut process =
        machine.start(&format!("scp -r -t {}", quote_path(destination)), false).await?;
    let sent = async {
        let mut scp = Scp::new(&mut process.data);
        scp.ready().await?;
        if contents_only {
            return scp.send_tree(&real, &entries).await;
        }
        let mode = Entry::at(&real)?.map_or(0o755, |entry| entry.mode);
        scp.enter_directory(&name, mode).await?;
        scp.send_tree(&real, &entries).await?;
        scp.leave_directory().await
    };
    let sent = sent.await;
    finish(process, sent, "scp").await
}

/// The names of what is in a local directory. One that is not UTF-8 is left out: no command can hold it.
fn names(directory: &Path) -> Result<Vec<String>> {
    let reading = || format!("reading {}", directory.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(reading)? {
        names.extend(entry.with_context(reading)?.file_name().into_string());
    }
    Ok(names)
}

async fn upload_by_sftp(
    machine: &Machine,
    source: &Path,
    name: &str,
    destination: &str,
    contents_only: bool,
) -> Result<()> {
    let connection = machine.link().await?;
    let bare = destination.trim_end_matches('/');
    let bare = if bare.is_empty() { "/" } else { bare };
    let there = sftp::is_directory(&connection, bare).await?;
    let root = match there {
        Some(true) if !contents_only => format!("{}/{name}", bare.trim_end_matches('/')),
        _ => bare.to_owned(),
    };
    if there != Some(true) || !contents_only {
        let mode = Entry::at(source)?.map_or(0o755, |entry| entry.mode);
        sftp::make_directory(&connection, &root, mode | 0o700).await?;
    }
    let shown = DirectoryProgress::new(machine.ui(), name);
    for entry in tree(source)? {
        let inside = entry.path.strip_prefix(source).unwrap_or(&entry.path);
        let path = format!("{}/{}", root.trim_end_matches('/'), inside.display());
        if entry.kind == EntryKind::Directory {
            sftp::make_directory(&connection, &path, entry.mode | 0o700).await?;
            continue;
        }
        let reading = || format!("reading {}", entry.path.display());
        let file = std::fs::File::open(&entry.path).with_context(reading)?;
        let size = file.metadata().with_context(reading)?.len();
        let written = sftp::write_file(&connection, &path, entry.mode, file.into()).await;
        written.with_context(|| format!("writing {path}"))?;
        shown.add(size);
    }
    Ok(())
}

/// Downloads a directory into the local directory `destination`, under its own name.
pub(crate) async fn download_directory(
    machine: &Machine,
    There { path: source, word }: &There<'_>,
    destination: &Path,
) -> Result<()> {
    let name = script::file_name(source.trim_end_matches('/'));
    let target = match name {
        "" | "." | ".." => destination.to_owned(),
        name => destination.join(name),
    };
    if by_sftp(machine) {
        return download_by_sftp(machine, source, &target).await;
    }
    if let Some(process) = machine.start_tar(&tar::pack_command(word)).await? {
        let shown = DirectoryProgress::new(machine.ui(), name);
        return stream(process, Some(machine.ui()), move |socket| {
            tar::unpack(socket, &target, &|bytes| shown.add(bytes))
        })
        .await;
    }
    let mut process = machine.start(&format!("scp -r -f {word}"), false).await?;
    let received = Scp::new(&mut process.data).receive_tree(&target).await;
    finish(process, received, "scp").await
}

async fn download_by_sftp(machine: &Machine, source: &str, target: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let connection = machine.link().await?;
    let shown = DirectoryProgress::new(machine.ui(), source);
    let source = if source.len() > 1 { source.trim_end_matches('/') } else { source };
    let mut directories = vec![(source.to_owned(), target.to_owned(), None)];
    let mut modes = Vec::new();
    while let Some((there, here, mode)) = directories.pop() {
        let writing = || format!("writing {}", here.display());
        std::fs::create_dir_all(&here).with_context(writing)?;
        modes.extend(mode.map(|mode| (here.clone(), mode)));
        for (entry, size) in sftp::list(&connection, &there).await? {
            let name = entry.name();
            let local = here.join(&name);
            let remote = format!("{}/{name}", there.trim_end_matches('/'));
            if entry.kind == EntryKind::Directory {
                directories.push((remote, local, Some(entry.mode)));
                continue;
            }
            let writing = || format!("writing {}", local.display());
            let _ = std::fs::remove_file(&local);
            let file = std::fs::File::create_new(&local).with_context(writing)?;
            let partial = PartialFile::new(&local);
            let copy = file.try_clone().with_context(writing)?;
            let read = sftp::read_file(&connection, &remote, copy.into(), size).await;
            read.with_context(|| format!("reading {remote}"))?;
            let permissions = std::fs::Permissions::from_mode(entry.mode);
            file.set_permissions(permissions).with_context(writing)?;
            partial.complete();
            shown.add(file.metadata().map_or(0, |meta| meta.len()));
        }
    }
    // Last: a mode may forbid writing.
    for (path, mode) in modes.iter().rev() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Progress over many files.
struct DirectoryProgress {
    progress: Progress,
    bytes: AtomicU64,
}

impl DirectoryProgress {
    fn new(ui: &Ui, label: &str) -> Self {
        DirectoryProgress { progress: ui.progress(label, None), bytes: AtomicU64::new(0) }
    }

    fn add(&self, bytes: u64) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.progress.at(before + bytes, None);
    }
}

/// Runs blocking `work` over the input and output of `process`, a tar. Where it packs, files that
/// changed meanwhile are reported to `changes`.
async fn stream(
    process: Process,
    changes: Option<&Ui>,
    work: impl FnOnce(std::os::unix::net::UnixStream) -> Result<()> + Send + 'static,
) -> Result<()> {
    // The same socket once more, so blocking for both until the work is done. Should this future
    // be dropped, the process is too, and reads and writes of the work fail.
    let socket = std::os::unix::net::UnixStream::from(process.data.as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(false)?;
    let working = tokio::task::spawn_blocking(move || {
        let done = work(socket.try_clone()?);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        socket.set_nonblocking(true)?;
        done
    });
    let done = working.await.context("copying")?;
    finish_telling(process, done, "tar", changes).await
}

/// Waits for the end of a command whose work is done, and says what went wrong: what the command
/// itself says first.
async fn finish(process: Process, done: Result<()>, program: &str) -> Result<()> {
    finish_telling(process, done, program, None).await
}

async fn finish_telling(
    mut process: Process,
    done: Result<()>,
    program: &str,
    changes: Option<&Ui>,
) -> Result<()> {
    let _ = process.data.shutdown().await;
    let mut said = Vec::new();
    let failed = done.is_err();
    let ending = async {
        let Process { data, errors, .. } = &mut process;
        if failed {
            // It may be waiting for us to take its output.
            let _ = tokio::io::copy(data, &mut tokio::io::sink()).await;
        }
        let _ = (&mut *errors).take(MOST_SAID).read_to_end(&mut said).await;
        let _ = tokio::io::copy(errors, &mut tokio::io::sink()).await;
        process.status().await
    };
    let status = match failed {
        false => ending.await,
        // A command that prints for ever has no end, either.
        true => match tokio::time::timeout(ENDING, ending).await {
            Ok(status) => status,
            Err(_) => return done,
        },
    };
    if let (Some(ui), ExitStatus::Code(1), Ok(())) = (changes, status, &done) {
        let said = String::from_utf8_lossy(&said);
        if only_changed_while_packed(&said) {
            said.lines().for_each(|line| ui.message(line));
            return Ok(());
        }
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = said.collect::<Vec<_>>().join("; ");
    match (status, done) {
        (ExitStatus::Code(0), done) => done,
        (ExitStatus::Code(code), _) if ENDED_FROM_OUTSIDE.contains(&code) => {
            let message = format!("{program} was ended on the machine, which may be going down");
            Err(Error::new(message).transient())
        }
        (ExitStatus::Disconnected, _) => Err(Error::new("the connection was lost").transient()),
        (ExitStatus::Code(127), _) => Err(Error::new(format!(
            "the machine has no {program}{}",
            if said.is_empty() { String::new() } else { format!(": {said}") }
        ))
        .hint("install it there, or set ssh_file_transfer_method = \"sftp\"")),
        (ExitStatus::Code(_), Err(error)) if said.is_empty() => Err(error),
        (ExitStatus::Code(code), _) if said.is_empty() => {
            Err(Error::new(format!("{program} on the machine ended with code {code}")))
        }
        (ExitStatus::Code(_), Err(error)) if program == "scp" => Err(error),
        (ExitStatus::Code(_), _) => Err(Error::new(said)),
    }
}
