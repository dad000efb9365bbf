//! The protocol of `scp -t` and `scp -f`, over a running command.
//!
//! libssh2 has a client for single files, which does not see errors that come up while a file is
//! written, such as a full disk. There is no specification; OpenSSH's `scp.c` is what counts.

use std::path::{Component, Path, PathBuf};

use ingot_sdk::partial_file::PartialFile;
use ingot_sdk::walk::{Entry, EntryKind};
use ingot_sdk::{Context, Error, Result};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::copy::{COPY_BUFFER, Stopped, copy_exactly};

/// The longest line that is read: a path's greatest length with room to spare.
const LONGEST_LINE: u64 = 16 * 1024;

/// The near end of an scp command.
pub(crate) struct Scp<'a> {
    stream: BufReader<&'a mut UnixStream>,
}

/// What the other side announces.
enum Announced {
    File {
        mode: u32,
        size: u64,
        name: String,
    },
    Directory {
        mode: u32,
        name: String,
    },
    EndOfDirectory,
    /// Nothing more.
    End,
}

fn ended() -> Error {
    Error::new("scp on the machine ended before it was done")
}

impl<'a> Scp<'a> {
    /// Speaks over the input and output of an scp command.
    pub(crate) fn new(stream: &'a mut UnixStream) -> Self {
        Scp { stream: BufReader::with_capacity(COPY_BUFFER, stream) }
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        self.stream.write_all(line.as_bytes()).await.map_err(|_| ended())
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LONGEST_LINE);
        limited.read_until(b'\n', &mut line).await.map_err(|_| ended())?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Reads the response to what was sent.
    async fn answer(&mut self) -> Result<()> {
        match self.stream.read_u8().await {
            Ok(0) => Ok(()),
            Ok(1 | 2) => Err(complaint(&self.line().await?)),
            Ok(other) => {
                // A shell's start-up file that prints something does this.
                let rest = self.line().await.unwrap_or_default();
                let said = format!("{}{rest}", char::from(other));
                Err(out_of_turn(&said))
            }
            Err(_) => Err(ended()),
        }
    }

    /// Waits until the machine is ready to receive.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        self.answer().await
    }

    /// Sends one file.
    pub(crate) async fn send_file(
        &mut self,
        name: &str,
        mode: u32,
        size: u64,
        source: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<()> {
        self.say(&format!("C{:04o} {size} {}\n", mode & 0o7777, plain(name)?)).await?;
        self.answer().await?;
        match copy_exactly(source, self.stream.get_mut(), size, name).await {
            Ok(()) => {}
            // The machine may have said why it takes no more.
            Err(Stopped::Destination(_)) => return self.answer().await.and(Err(ended())),
            Err(stopped) => return Err(stopped.into()),
        }
        self.say("\0").await?;
        self.answer().await
    }

    /// Sends the entries of a directory, as [`ingot_sdk::walk::tree`] lists them.
    pub(crate) async fn send_tree(&mut self, root: &Path, entries: &[Entry]) -> Result<()> {
        let mut open: Vec<&Path> = vec![root];
        for entry in entries {
            while open.len() > 1 && open.last().is_some_and(|top| !entry.path.starts_with(top)) {
                open.pop();
                self.leave_directory().await?;
            }
            if entry.kind == EntryKind::Directory {
                self.enter_directory(&entry.name(), entry.mode).await?;
                open.push(&entry.path);
                continue;
            }
            let reading = || format!("reading {}", entry.path.display());
            let mut file = tokio::fs::File::open(&entry.path).await.with_context(reading)?;
            let size = file.metadata().await.with_context(reading)?.len();
            self.send_file(&entry.name(), entry.mode, size, &mut file).await?;
        }
        for _ in 1..open.len() {
            self.leave_directory().await?;
        }
        Ok(())
    }

    /// What follows goes into the directory `name`, which is made if it is not there.
    pub(crate) async fn enter_directory(&mut self, name: &str, mode: u32) -> Result<()> {
        self.say(&format!("D{:04o} 0 {}\n", mode & 0o7777, plain(name)?)).await?;
        self.answer().await
    }

    /// Back to the directory above.
    pub(crate) async fn leave_directory(&mut self) -> Result<()> {
        self.say("E\n").await?;
        self.answer().await
    }

    async fn announced(&mut self) -> Result<Announced> {
        self.say("\0").await?;
        let line = self.line().await?;
        let strange = || out_of_turn(&line);
        let Some(kind) = line.chars().next() else { return Ok(Announced::End) };
        let rest = &line[kind.len_utf8()..];
        match kind {
            'C' | 'D' => {
                let mut words = rest.splitn(3, ' ');
                let mode = words.next().and_then(|mode| u32::from_str_radix(mode, 8).ok());
                let size = words.next().and_then(|size| size.parse().ok());
                let (Some(mode), Some(size), Some(name)) = (mode, size, words.next()) else {
                    return Err(strange());
                };
                let name = name.to_owned();
                Ok(match kind {
                    'C' => Announced::File { mode, size, name },
                    _ => Announced::Directory { mode, name },
                })
            }
            'E' => Ok(Announced::EndOfDirectory),
            '\u{1}' | '\u{2}' => Err(complaint(rest)),
            _ => Err(strange()),
        }
    }

    async fn receive_bytes(
        &mut self,
        size: u64,
        name: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        self.say("\0").await?;
        let mut source = (&mut self.stream).take(size);
        let copied = tokio::io::copy_buf(&mut source, destination).await;
        if copied.with_context(|| format!("writing {name}"))? < size {
            return Err(ended());
        }
        self.answer().await
    }

    /// Receives one file.
    pub(crate) async fn receive_file(
        &mut self,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        match self.announced().await? {
            Announced::File { size, name, .. } => {
                self.receive_bytes(size, &name, destination).await?;
                self.say("\0").await
            }
            Announced::Directory { .. } => Err(Error::new("it is a directory on the machine")
                .hint("end the source with a slash to download a directory")),
            Announced::EndOfDirectory | Announced::End => Err(ended()),
        }
    }

    /// Receives what is in a directory into the local directory `destination`.
    pub(crate) async fn receive_tree(&mut self, destination: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mut directories: Vec<(PathBuf, u32)> = Vec::new();
        let set_mode = |path: &Path, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
                .with_context(|| format!("writing {}", path.display()))
        };
        loop {
            let current = directories.last().map_or(destination, |(path, _)| path);
            match self.announced().await? {
                Announced::Directory { mode, name } => {
                    let path = match directories.is_empty() {
                        true => destination.to_owned(),
                        false => current.join(local_name(&name)?),
                    };
                    tokio::fs::create_dir_all(&path)
                        .await
                        .with_context(|| format!("creating {}", path.display()))?;
                    directories.push((path, mode));
                }
                Announced::File { mode, size, name } => {
                    let path = current.join(local_name(&name)?);
                    let writing = || format!("writing {}", path.display());
                    let _ = tokio::fs::remove_file(&path).await;
                    let mut file =
                        tokio::fs::File::create_new(&path).await.with_context(writing)?;
                    let partial = PartialFile::new(&path);
                    self.receive_bytes(size, &name, &mut file).await?;
                    file.flush().await.with_context(writing)?;
                    set_mode(&path, mode)?;
                    partial.complete();
                }
                Announced::EndOfDirectory => {
                    // The directory's mode last: it may forbid writing.
                    if let Some((path, mode)) = directories.pop() {
                        set_mode(&path, mode)?;
                    }
                }
                Announced::End => return Ok(()),
            }
        }
    }
}

/// Something other than scp's own words came. A start-up file of the user's shell that prints does
/// this.
fn out_of_turn(said: &str) -> Error {
    Error::new(format!("scp on the machine said {said:?} out of turn")).hint(
        "a start-up file of the user's shell there (such as .bashrc) prints something: let it be \
         silent without a terminal, or set ssh_file_transfer_method = \"sftp\"",
    )
}

/// An error of the machine's scp, without its own name in front.
fn complaint(said: &str) -> Error {
    Error::new(said.trim_start_matches("scp: ").trim())
}

/// A name that the protocol can carry.
fn plain(name: &str) -> Result<&str> {
    match name.contains(['\n', '/']) {
        true => Err(Error::new(format!("scp cannot copy a file called {name:?}"))
            .hint("rename it, or set ssh_file_transfer_method = \"sftp\"")),
        false => Ok(name),
    }
}

/// A name from the machine, which must not lead out of the destination.
fn local_name(name: &str) -> Result<&str> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !name.contains('/') => Ok(name),
        _ => Err(Error::new(format!("the machine sent a file called {name:?}, which is refused"))),
    }
}
