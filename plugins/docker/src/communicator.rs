//! The way into a container: the Engine's exec and archive APIs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use ingot_sdk::command::quote;
use ingot_sdk::communicator::{CapturedOutput, Script};
use ingot_sdk::shown::Shown;
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, Ui, async_trait,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::archive::{self, Found, Owner};
use crate::engine::{Engine, EngineContext, describe, status};

/// Who single files belong to, whoever owns them here; folders keep their owners' numbers. Both
/// are what Packer's uploads come to.
const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// How long a command's exit code may lag behind the end of its output.
const EXIT_CODE_GRACE: Duration = Duration::from_secs(10);

/// Runs commands in, and moves files to and from, one container.
pub struct DockerCommunicator {
    /// The Engine.
    pub engine: Engine,
    /// The container's id.
    pub container: String,
    /// The user commands run as, if not the container's own.
    pub exec_user: Option<String>,
    /// Whether commands get a terminal.
    pub pty: bool,
    /// Whether the container's own user is root.
    pub as_root: bool,
    /// Who uploads are given to; none to leave them as they come.
    pub give_to: Option<String>,
    /// Where progress is shown.
    pub ui: Ui,
}

impl DockerCommunicator {
    /// Gives what was uploaded to the user that uploads are for, as Packer does: all that is at
    /// `destination` then, while the group stays unless the user comes with one.
    async fn fix_owner(&self, destination: &str) -> Result<()> {
        let Some(user) = &self.give_to else { return Ok(()) };
        let command = format!("chown -R {} {}", quote(user), quote(destination));
        let output = CapturedOutput::default();
        let status = self.exec_as(Some("root"), &RemoteCommand::new(command), &output).await?;
        if status.success() {
            return Ok(());
        }
        let said = output.stderr_text();
        Err(Error::new(format!(
            "giving {destination}, which was uploaded, to the user {user}: {}",
            said.trim()
        ))
        .hint("fix_upload_owner = true needs a chown and this user in the container"))
    }

    /// The code of an exec whose output has ended.
    async fn exit_status(&self, exec: &str) -> Result<ExitStatus> {
        let deadline = tokio::time::Instant::now() + EXIT_CODE_GRACE;
        let mut wait = Duration::from_millis(2);
        loop {
            match self.engine.api.inspect_exec(exec).await {
                Ok(state) if state.running != Some(true) => {
                    if let Some(code) = state.exit_code {
                        return Ok(ExitStatus::Code(i32::try_from(code).unwrap_or(-1)));
                    }
                }
                Ok(_) => {}
                // The container went away, and its execs with it.
                Err(error) if status(&error) == Some(404) => return Ok(ExitStatus::Disconnected),
                Err(error) => {
                    return Err(Error::new(describe(&error)).context("asking how a command ended"));
                }
            }
            // The pipes may close a moment before the Engine has noted the code.
            if tokio::time::Instant::now() > deadline {
                return Ok(ExitStatus::Disconnected);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(100));
        }
    }

    /// Runs a command as `user`, or as the container's own.
    async fn exec_as(
        &self,
        user: Option<&str>,
        command: &RemoteCommand,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let options = CreateExecOptions {
            attach_stdin: Some(command.stdin.is_some()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(self.pty),
            // The parentheses are Packer's: `cmd &` and lists of commands run as one.
            cmd: Some(vec![
                "/bin/sh".to_owned(),
                "-c".to_owned(),
                format!("({})", command.command),
            ]),
            user: user.map(str::to_owned),
            ..Default::default()
        };
        let exec = match self.engine.api.create_exec(&self.container, options).await {
            Ok(exec) => exec.id,
            Err(error) if matches!(status(&error), Some(404 | 409)) => {
                return Err(Error::new(describe(&error)).context("running a command").hint(
                    "the container has stopped: its main process must run until the build \
                     ends, as the default run_command (-d -i -t --entrypoint=/bin/sh) makes it",
                ));
            }
            Err(error) => return Err(Error::new(describe(&error)).context("running a command")),
        };
        let options = StartExecOptions { tty: self.pty, ..Default::default() };
        let started = self.engine.api.start_exec(&exec, Some(options)).await;
        let StartExecResults::Attached { output: mut stream, mut input } =
            started.doing("running a command")?
        else {
            return Err(Error::new("the Engine did not attach to the command"));
        };
        let stdin = command.stdin.clone();
        // Both at once: a command may answer before it has read all of its input, and must not
        // block on either.
        let feed = async move {
            if let Some(bytes) = stdin {
                // A command need not read its input: what it does not take is its business.
                if input.write_all(&bytes).await.is_ok() {
                    let _ = input.shutdown().await;
                }
            }
            // Kept until the command ends: closing it earlier would close the output too.
            input
        };
        let drain = async {
            while let Some(piece) = stream.next().await {
                match piece {
                    Ok(LogOutput::StdErr { message }) => output.stderr(&message),
                    Ok(
                        LogOutput::StdOut { message }
                        | LogOutput::Console { message }
                        | LogOutput::StdIn { message },
                    ) => output.stdout(&message),
                    Err(error) => {
                        tracing::debug!(%error, "lost the output of a command");
                        break;
                    }
                }
            }
        };
        tokio::pin!(feed, drain);
        let mut input = None;
        loop {
            tokio::select! {
                () = &mut drain => break,
                fed = &mut feed, if input.is_none() => input = Some(fed),
            }
        }
        drop(input);
        self.exit_status(&exec).await
    }
}

/// An absolute form of a path in a container, whose relative paths start at its root.
fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// The folder and name of `path`.
fn split(path: &str) -> Result<(&str, &str)> {
    let bare = path.trim_end_matches('/');
    match bare.rsplit_once('/') {
        Some((folder, name)) if !name.is_empty() && name != "." && name != ".." => {
            Ok((if folder.is_empty() { "/" } else { folder }, name))
        }
        _ => Err(Error::new(format!("{path:?} does not name a file in the container"))),
    }
}

/// Hands output on and looks for a line that tells that the script could not be written, which
/// no exit code can tell from the script's own.
struct Watch<'a> {
    output: &'a dyn OutputSink,
    token: String,
    seen: AtomicBool,
}

impl OutputSink for Watch<'_> {
    fn stdout(&self, bytes: &[u8]) {
        self.output.stdout(bytes);
    }

    fn stderr(&self, bytes: &[u8]) {
        match bytes.strip_suffix(b"\n").and_then(|line| line.strip_suffix(self.token.as_bytes())) {
            Some(before) => {
                self.seen.store(true, Ordering::Relaxed);
                self.output.stderr(before);
            }
            None => self.output.stderr(bytes),
        }
    }
}

#[async_trait]
impl Communicator for DockerCommunicator {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        self.exec_as(self.exec_user.as_deref(), command, output).await
    }

    /// With a shell that may write everywhere and no terminal in between, the script can come
    /// through the standard input of the command: one exec instead of two and an upload, each of
    /// which takes the Engine a tenth of a second.
    async fn run_script(
        &self,
        script: &Script<'_>,
        output: &dyn OutputSink,
    ) -> Option<Result<ExitStatus>> {
        if self.pty || self.exec_user.is_some() || !self.as_root {
            return None;
        }
        let (path, command) = (quote(script.path), script.command);
        let watch = Watch { output, token: uuid::Uuid::new_v4().to_string(), seen: false.into() };
        let token = &watch.token;
        let command = RemoteCommand {
            command: format!(
                "cat >{path} && chmod 0755 {path} || {{ echo {token} >&2; exit 1; }}; \
                 ({command}\n); code=$?; rm -f {path}; exit $code"
            ),
            stdin: Some(bytes::Bytes::copy_from_slice(script.bytes)),
        };
        let status = self.exec(&command, &watch).await;
        Some(match watch.seen.into_inner() {
            true => Err(Error::new(format!(
                "Error uploading script: {} could not be written; see above",
                script.path
            ))),
            false => status,
        })
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let path = absolute(destination);
        let (folder, name) = split(&path)?;
        let write = async |tar: &mut archive::TarWriter| {
            let (name, time) = (Path::new(name), archive::now());
            archive::add_file(tar, name, source, meta.size, meta.mode, time, ROOT).await
        };
        let progress = (&self.ui, Some(meta.size));
        archive::upload(&self.engine, &self.container, folder, destination, progress, write)
            .await?;
        self.fix_owner(&path).await
    }

    /// Follows `docker cp`, as Packer does: a destination that does not exist becomes the copy;
    /// into one that does, the folder is copied with its name unless `contents_only`.
    async fn upload_dir(
        &self,
        source: &Path,
        destination: &str,
        contents_only: bool,
    ) -> Result<()> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let reading = |error: std::io::Error| {
            Error::from(error).context(format_args!("reading {}", source.display()))
        };
        let meta = tokio::fs::metadata(source).await.map_err(reading)?;
        let path = absolute(destination);
        let (folder, prefix) = match archive::look(&self.engine, &self.container, &path).await? {
            Found::Folder if contents_only => (path.as_str(), String::new()),
            Found::Folder => {
                let full = tokio::fs::canonicalize(source).await.map_err(reading)?;
                let name = full.file_name().map(|name| name.to_string_lossy().into_owned());
                (path.as_str(), name.unwrap_or_default())
            }
            Found::Nothing => {
                let (folder, name) = split(&path)?;
                (folder, name.to_owned())
            }
            Found::Other => {
                return Err(Error::new(format!(
                    "uploading to {destination}: it is a file in the container, and {} is a \
                     folder",
                    source.display()
                )));
            }
        };
        let write = async |tar: &mut archive::TarWriter| {
            let prefix = Path::new(&prefix);
            if !prefix.as_os_str().is_empty() {
                let owner = Owner { uid: u64::from(meta.uid()), gid: u64::from(meta.gid()) };
                let mtime = u64::try_from(meta.mtime()).unwrap_or(0);
                let mode = meta.permissions().mode();
                archive::add_empty_folder(tar, prefix, mode, mtime, owner).await?;
            }
            archive::add_folder(tar, source, prefix, None, &|_, _| true).await
        };
        let progress = (&self.ui, None);
        archive::upload(&self.engine, &self.container, folder, destination, progress, write)
            .await?;
        self.fix_owner(&path).await
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let path = absolute(source);
        let mut destination = Shown::new(destination, &self.ui, source, None);
        archive::download_file(&self.engine, &self.container, &path, &mut destination).await
    }

    async fn download_dir(
        &self,
        source: &str,
        destination: &Path,
        contents_only: bool,
    ) -> Result<()> {
        let path = absolute(source);
        let (engine, container) = (&self.engine, &self.container);
        archive::download_folder(engine, container, &path, destination, contents_only).await
    }
}

/// The communicator `none`: for builds whose provisioners run on this machine only.
pub struct NoCommunicator;

fn no_way() -> Error {
    Error::new("there is no way into the container: its communicator is \"none\"")
        .hint("leave `communicator` out of the source block, or use shell-local")
}

#[async_trait]
impl Communicator for NoCommunicator {
    async fn exec(&self, _: &RemoteCommand, _: &dyn OutputSink) -> Result<ExitStatus> {
        Err(no_way())
    }

    async fn upload(
        &self,
        _: &str,
        _: &mut (dyn AsyncRead + Send + Unpin),
        _: FileMeta,
    ) -> Result<()> {
        Err(no_way())
    }

    async fn upload_dir(&self, _: &Path, _: &str, _: bool) -> Result<()> {
        Err(no_way())
    }

    async fn download(&self, _: &str, _: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<()> {
        Err(no_way())
    }

    async fn download_dir(&self, _: &str, _: &Path, _: bool) -> Result<()> {
        Err(no_way())
    }
}
