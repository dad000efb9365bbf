//! Files moved by commands in the container: where a mount hides a place from the Engine, which then
//! can neither read nor write there.

use std::path::Path;

use ingot_sdk::command::{only_changed_while_packed, quote};
use ingot_sdk::communicator::{CapturedOutput, directory_hint};
use ingot_sdk::shown::Shown;
use ingot_sdk::{Error, ExitStatus, FileMeta, OutputSink as _, Result};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::archive::{self, PathKind};
use crate::communicator::DockerCommunicator;
use crate::download;
use crate::exec::How;
use crate::piece::Piece;

impl DockerCommunicator {
    /// Writes a file through a command's standard input.
    pub(crate) async fn write_by_command(
        &self,
        path: &str,
        what: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let (quoted, mode) = (quote(path), meta.mode & 0o7777);
        let command = format!(
            "if test -d {quoted}; then echo 'it is a directory' >&2; exit 21; fi; \
             cat >{quoted} && chmod {mode:o} {quoted} && {{ chown 0:0 {quoted} 2>/dev/null || :; }}"
        );
        let mut source = Shown::new(source, &self.ui, what, Some(meta.size));
        let sent = archive::Exactly::new(&mut source, meta.size, what);
        self.feed(&command, sent).await.map_err(|error| match error.to_string().as_str() {
            "it is a directory" => error.hint(directory_hint(what)),
            _ => error,
        })
    }

    /// What there is at `path`, as commands see it.
    pub(crate) async fn path_kind(&self, path: &str) -> Result<PathKind> {
        let quoted = quote(path);
        let command = format!("test -d {quoted} && exit 3; test -e {quoted} && exit 4; exit 5");
        match self.run_as_root(&command, &CapturedOutput::default()).await? {
            ExitStatus::Code(3) => Ok(PathKind::Directory),
            ExitStatus::Code(4) => Ok(PathKind::Other),
            ExitStatus::Code(5) => Ok(PathKind::Nothing),
            status => {
                let message = format!("looking at {path} in the container ended with {status:?}");
                Err(Error::new(message))
            }
        }
    }

    /// Unpacks into `directory` what `write` writes, with the container's own tar: `mount` hides that
    /// place from the Engine.
    pub(crate) async fn unpack(
        &self,
        directory: &str,
        what: &str,
        mount: &str,
        write: impl AsyncFnOnce(&mut archive::TarWriter) -> Result<()>,
    ) -> Result<()> {
        let (ours, theirs) = archive::pipe();
        let theirs = Shown::new(theirs, &self.ui, what, None);
        let directory = quote(directory);
        let command = format!("cd {directory} && {} && exec tar -xpf -", needs_tar(mount));
        let writing = async move {
            let mut tar = archive::writer(ours);
            write(&mut tar).await?;
            tar.finish().await?;
            Ok::<(), Error>(())
        };
        let (fed, written) = tokio::join!(self.feed(&command, theirs), writing);
        // That the command takes no more is not the cause.
        let written = written.or_else(|error| match archive::hung_up(&error) {
            true => Ok(()),
            false => Err(error),
        });
        written.and(fed).map_err(|error| error.context(format_args!("uploading to {what}")))
    }

    /// Runs a command as root that reads all of `source`.
    async fn feed(&self, command: &str, source: impl AsyncRead + Send + Unpin) -> Result<()> {
        let how = How { user: Some("0"), reads: true, ..How::default() };
        let mut running = self.runner.start(command, how).await?;
        let mut stdin = std::mem::replace(&mut running.input, Box::pin(tokio::io::sink()));
        let errors = CapturedOutput::default();
        let feeding = async {
            let mut source = source;
            let mut buffer = vec![0; archive::BUFFER];
            loop {
                let count = tokio::io::AsyncReadExt::read(&mut source, &mut buffer).await?;
                if count == 0 {
                    break;
                }
                if stdin.write_all(&buffer[..count]).await.is_err() {
                    // It says itself why it reads no more.
                    return Ok(());
                }
            }
            let _ = stdin.shutdown().await;
            Ok::<(), Error>(())
        };
        let mut draining = Box::pin(async {
            while let Some(piece) = running.next().await {
                if let Piece::Errors(bytes) = piece {
                    errors.stderr(&bytes);
                }
            }
        });
        tokio::select! {
            () = &mut draining => {}
            // Should the source fail, the command is ended and what it wrote so far stays.
            fed = feeding => {
                fed?;
                (&mut draining).await;
            }
        }
        drop(draining);
        match (running.status().await?, errors.stderr_text().trim()) {
            (ExitStatus::Code(0), _) => Ok(()),
            (ExitStatus::Disconnected, "") => {
                Err(Error::new("the command that writes it in the container was lost"))
            }
            (ExitStatus::Code(code), "") => Err(Error::new(format!(
                "the command that writes it in the container ended with code {code}"
            ))),
            (_, said) => Err(Error::new(said)),
        }
    }

    /// Reads a file with a command.
    pub(crate) async fn read_file(
        &self,
        path: &str,
        what: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let how = How { user: Some("0"), ..How::default() };
        let command = format!("exec cat {}", quote(path));
        let mut running = self.runner.start(&command, how).await?;
        let errors = CapturedOutput::default();
        while let Some(piece) = running.next().await {
            match piece {
                Piece::Output(bytes) => destination.write_all(&bytes).await?,
                Piece::Errors(bytes) => errors.stderr(&bytes),
            }
        }
        match running.status().await? {
            ExitStatus::Code(0) => Ok(()),
            _ => {
                let said = errors.stderr_text();
                Err(Error::new(said.trim()).context(format_args!("reading {what}")))
            }
        }
    }

    /// Copies a directory with the container's own tar: `mount` hides it from the Engine.
    pub(crate) async fn pack(
        &self,
        path: &str,
        destination: &Path,
        contents_only: bool,
        mount: &str,
    ) -> Result<()> {
        let bare = path.trim_end_matches('/');
        let (directory, name) = bare.rsplit_once('/').unwrap_or(("", bare));
        let directory = if directory.is_empty() { "/" } else { directory };
        let name = if name.is_empty() { "." } else { name };
        let command = format!(
            "cd {} && {} && LC_ALL=C && export LC_ALL && exec tar -cf - {}",
            quote(directory),
            needs_tar(mount),
            quote(&format!("./{name}"))
        );
        let how = How { user: Some("0"), ..How::default() };
        let mut running = self.runner.start(&command, how).await?;
        let (mut ours, theirs) = archive::pipe();
        let errors = CapturedOutput::default();
        let reading = async {
            while let Some(piece) = running.next().await {
                match piece {
                    // Whoever reads says itself why it reads no more.
                    Piece::Output(bytes) => drop(ours.write_all(&bytes).await),
                    Piece::Errors(bytes) => errors.stderr(&bytes),
                }
            }
            drop(ours);
            running.status().await
        };
        let unpacking = download::unpack(theirs, path, destination, contents_only);
        let (status, unpacked) = tokio::join!(reading, unpacking);
        match (status?, errors.stderr_text().trim()) {
            (ExitStatus::Code(0), _) => unpacked,
            (ExitStatus::Code(1), said) if only_changed_while_packed(said) => {
                unpacked.inspect(|()| said.lines().for_each(|line| self.ui.message(line)))
            }
            (_, "") => unpacked.and(Err(Error::new(format!("reading {path} failed")))),
            (_, said) => Err(Error::new(said).context(format_args!("reading {path}"))),
        }
    }
}

/// A command that fails, and says why, in a container without tar.
fn needs_tar(mount: &str) -> String {
    let message = format!(
        "the Docker Engine cannot reach files in the mount {mount}, and the container has no tar to \
         do it itself"
    );
    format!("{{ command -v tar >/dev/null || {{ echo {} >&2; exit 1; }}; }}", quote(&message))
}
