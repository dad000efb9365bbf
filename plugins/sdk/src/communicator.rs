//! How a build talks to the machine it builds.

use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

pub use crate::command_output::{CapturedOutput, UiOutput};
use crate::{Context, Error, Result};

/// A command for the machine, already quoted for its shell.
#[derive(Debug, Clone)]
pub struct RemoteCommand {
    /// The command line.
    pub command: String,
    /// What the command reads from its standard input, if anything.
    pub stdin: Option<bytes::Bytes>,
}

impl RemoteCommand {
    /// A command without input.
    pub fn new(command: impl Into<String>) -> Self {
        RemoteCommand { command: command.into(), stdin: None }
    }
}

/// How a remote command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It ended by itself with this code.
    Code(i32),
    /// The link was lost, or the machine rebooted, before a code arrived.
    Disconnected,
}

impl ExitStatus {
    /// Whether the command reported success.
    pub fn success(self) -> bool {
        self == ExitStatus::Code(0)
    }
}

/// An exit code as people and plugins know it: Windows' codes have 32 bits and no sign. -1 stays, as
/// that is where a command had no code.
pub fn unsigned_exit_code(code: i32) -> i64 {
    if code == -1 { -1 } else { i64::from(code.cast_unsigned()) }
}

/// Takes a command's output as it comes, in arbitrary pieces.
pub trait OutputSink: Send + Sync {
    /// Bytes from standard output.
    fn stdout(&self, bytes: &[u8]);
    /// Bytes from standard error.
    fn stderr(&self, bytes: &[u8]);
}

/// What goes with an uploaded file besides its bytes.
#[derive(Debug, Clone, Copy)]
pub struct FileMeta {
    /// Length in bytes.
    pub size: u64,
    /// Unix permission bits.
    pub mode: u32,
    /// When it was last modified, for communicators that keep that, as docker's. None where it is new.
    pub modified: Option<SystemTime>,
}

impl FileMeta {
    /// A new file of `size` bytes.
    pub fn new(size: u64, mode: u32) -> Self {
        FileMeta { size, mode, modified: None }
    }
}

/// A script for [`Communicator::run_script`].
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    /// Where it is to be for as long as it runs.
    pub path: &'a str,
    /// What it holds.
    pub bytes: &'a [u8],
    /// The command that runs it.
    pub command: &'a str,
}

/// The most input that is collected for a communicator that needs all of it at once, in bytes.
const MAX_COLLECTED_INPUT: u64 = 64 << 20;

/// A channel to a machine: run commands on it, move files.
#[async_trait]
pub trait Communicator: Send + Sync {
    /// Runs a command and waits for it.
    ///
    /// # Errors
    /// The command could not be started. A command that ran and failed is an `Ok`.
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus>;

    /// Runs a command whose input comes while it runs, as that of a program that talks to another.
    /// The input's end need not come before the command's.
    ///
    /// # Errors
    /// As for [`Communicator::exec`], and that the way into the machine cannot do this.
    async fn exec_with_input(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let mut bytes = Vec::new();
        input.take(MAX_COLLECTED_INPUT + 1).read_to_end(&mut bytes).await?;
        if bytes.len() as u64 > MAX_COLLECTED_INPUT {
            return Err(Error::new("the input of a command is larger than 64 MiB"));
        }
        let command = RemoteCommand { command: command.to_owned(), stdin: Some(bytes.into()) };
        self.exec(&command, output).await
    }

    /// A counter that grows each time a lost connection to the machine is made again: what was uploaded
    /// before that may be gone, as after a reboot. 0 if the communicator does not reconnect.
    fn connection(&self) -> u64 {
        0
    }

    /// [`Communicator::exec`] of a command that needs what was uploaded over `connection`.
    ///
    /// # Errors
    /// As for [`Communicator::exec`], and a transient one if the connection is another one now; then
    /// the command was not started.
    async fn exec_over(
        &self,
        _connection: u64,
        command: &RemoteCommand,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        self.exec(command, output).await
    }

    /// Waits until the commands have ended that nobody waits for any more, as after a timeout,
    /// where the communicator ends them on the machine.
    async fn settle(&self) {}

    /// Whether the connection was lost, and calls wait until the machine is back. A caller ends such a wait
    /// by dropping the call. Always false if the communicator does not reconnect.
    fn is_away(&self) -> bool {
        false
    }

    /// Writes a script to the machine, runs a command that uses it and removes the script, in one
    /// exchange with the machine. None where that is not possible: then the caller does the three
    /// one by one.
    ///
    /// # Errors
    /// The script could not be written, or the command not started.
    async fn run_script(
        &self,
        _script: &Script<'_>,
        _output: &dyn OutputSink,
    ) -> Option<Result<ExitStatus>> {
        None
    }

    /// Writes `source` to the file `destination`, replacing it.
    ///
    /// # Errors
    /// What went wrong, naming the destination.
    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()>;

    /// Writes a file for a command that is about to run: a script, or its variables. Unlike an
    /// [`Communicator::upload`] it belongs to the user that commands run as, who has to read it,
    /// run it and remove it.
    ///
    /// # Errors
    /// What went wrong, naming the destination.
    async fn upload_script(&self, destination: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let meta = FileMeta::new(bytes.len() as u64, mode);
        let mut source = bytes;
        self.upload(destination, &mut source, meta).await
    }

    /// Copies a directory, following rsync's rule: with a trailing slash on `source` its contents
    /// go into `destination`, without one the directory itself does, by its [`uploaded_name`].
    ///
    /// # Errors
    /// What went wrong, naming the file.
    async fn upload_dir(&self, source: &Path, destination: &str, contents_only: bool)
    -> Result<()>;

    /// Reads the file `source` into `destination`.
    ///
    /// # Errors
    /// What went wrong, naming the source.
    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()>;

    /// Copies a remote directory into the local directory `destination`; `contents_only` as for
    /// [`Communicator::upload_dir`].
    ///
    /// # Errors
    /// What went wrong, naming the directory.
    async fn download_dir(
        &self,
        source: &str,
        destination: &Path,
        contents_only: bool,
    ) -> Result<()>;

    /// [`Communicator::download`] of a file that the machine itself named: all of `source` stands for
    /// itself, where the machine's shell would take `~` and `$NAME` for something else, too.
    ///
    /// # Errors
    /// What went wrong, naming the source.
    async fn download_literal(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        self.download(source, destination).await
    }

    /// [`Communicator::download_dir`] of a directory that the machine itself named, with its name, as
    /// [`Communicator::download_literal`] does a file.
    ///
    /// # Errors
    /// What went wrong, naming the directory.
    async fn download_dir_literal(&self, source: &str, destination: &Path) -> Result<()> {
        self.download_dir(source, destination, false).await
    }
}

/// The advice where a file was to be uploaded in a directory's place.
pub fn directory_hint(destination: &str) -> String {
    format!(
        "{destination} is a directory there; to put the file into it, end the destination with a \
         slash: {destination}/"
    )
}

/// What the local directory `source` is called where it is uploaded into another one: a link by its
/// own name. None where only what is in it goes there: for `contents_only`, for a path that ends with
/// `.`, as `docker cp` and `rsync` have it, and for the root, which has no name.
///
/// # Errors
/// The name of a path that ends with `..` cannot be found.
pub fn uploaded_name(source: &Path, contents_only: bool) -> Result<Option<String>> {
    // A path's parts do not tell: there is no `.` at the end of them.
    let text = source.as_os_str().as_encoded_bytes();
    if contents_only || text == b"." || text.ends_with(b"/.") {
        return Ok(None);
    }
    let real;
    let name = match source.file_name() {
        Some(name) => Some(name),
        None => {
            let reading = || format!("reading {}", source.display());
            real = std::fs::canonicalize(source).with_context(reading)?;
            real.file_name()
        }
    };
    Ok(name.map(|name| name.to_string_lossy().into_owned()))
}

/// Stands where there is no machine to talk to: everything that needs one is an error.
pub struct NoCommunicator;

fn refuse<T>() -> Result<T> {
    Err(Error::new("this build has communicator = \"none\", so there is no machine to talk to")
        .hint("use shell-local, or give the source a communicator"))
}

#[async_trait]
impl Communicator for NoCommunicator {
    async fn exec(&self, _: &RemoteCommand, _: &dyn OutputSink) -> Result<ExitStatus> {
        refuse()
    }

    async fn upload(
        &self,
        _: &str,
        _: &mut (dyn AsyncRead + Send + Unpin),
        _: FileMeta,
    ) -> Result<()> {
        refuse()
    }

    async fn upload_dir(&self, _: &Path, _: &str, _: bool) -> Result<()> {
        refuse()
    }

    async fn download(&self, _: &str, _: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<()> {
        refuse()
    }

    async fn download_dir(&self, _: &str, _: &Path, _: bool) -> Result<()> {
        refuse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uploaded_directory_has_its_own_name_or_none() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        std::fs::create_dir_all(at("real/sub")).unwrap();
        std::os::unix::fs::symlink("real", at("link")).unwrap();
        let name = |path: &str| uploaded_name(&at(path), false).unwrap();
        for (path, expected) in [
            ("real", Some("real")),
            ("link", Some("link")),
            ("link/", Some("link")),
            ("real/sub/..", Some("real")),
            ("real/.", None),
            ("link/.", None),
        ] {
            assert_eq!(name(path).as_deref(), expected, "{path}");
        }
        assert_eq!(uploaded_name(&at("real"), true).unwrap(), None);
        for path in [".", "./.", "/"] {
            assert_eq!(uploaded_name(Path::new(path), false).unwrap(), None, "{path}");
        }
        assert!(uploaded_name(&at("none/.."), false).unwrap_err().to_string().contains("none/.."));
    }
}
