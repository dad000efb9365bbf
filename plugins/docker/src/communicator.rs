//! The way into a container: the Engine's exec and archive APIs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ingot_sdk::command::quote;
use ingot_sdk::communicator::{CapturedOutput, Script, directory_hint, uploaded_name};
use ingot_sdk::shown::Shown;
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, Ui, async_trait,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::archive::{self, Owner, PathKind};
use crate::download::{self, DownloadOutcome};
use crate::exec::{How, Runner};
use crate::mounts::Mounts;
use crate::piece::Piece;

/// Who single files belong to, whoever owns them here; directories keep their owners' numbers. Both
/// are what Packer's uploads come to.
const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// Runs commands in, and moves files to and from, one container.
pub(crate) struct DockerCommunicator {
    /// Runs commands.
    pub runner: Runner,
    /// What is mounted in the container.
    pub mounts: Mounts,
    /// The user commands run as, if not the container's own.
    pub exec_user: Option<String>,
    /// Whether commands get a terminal.
    pub pty: bool,
    /// The container's own user.
    pub user: String,
    /// Whether uploads are given to that user.
    pub gives: bool,
    /// Where progress is shown.
    pub ui: Ui,
}

impl DockerCommunicator {
    /// The user that commands run as.
    fn command_user(&self) -> &str {
        self.exec_user.as_deref().unwrap_or(&self.user)
    }

    /// Gives what was uploaded to `user`, as Packer does: all that is at `destination` then,
    /// while the group stays unless the user comes with one.
    async fn give(&self, user: &str, destination: &str, advice: &str) -> Result<()> {
        let command = format!("chown -R {} {}", quote(user), quote(destination));
        let output = CapturedOutput::default();
        let status = self.run_as_root(&command, &output).await?;
        if status.success() {
            return Ok(());
        }
        let said = output.stderr_text();
        Err(Error::new(format!(
            "giving {destination}, which was uploaded, to the user {user}: {}",
            said.trim()
        ))
        .hint(advice))
    }

    async fn fix_owner(&self, destination: &str) -> Result<()> {
        if !self.gives {
            return Ok(());
        }
        let advice = "fix_upload_owner = true needs a chown and this user in the container";
        self.give(&self.user, destination, advice).await
    }

    pub(crate) async fn run_as_root(
        &self,
        command: &str,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        self.run(command, How { user: Some("0"), ..How::default() }, None, output).await
    }

    /// Runs a command, feeding it `input`.
    async fn run(
        &self,
        command: &str,
        how: How<'_>,
        input: Option<&mut (dyn AsyncRead + Send + Unpin)>,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let how = How { reads: input.is_some(), ..how };
        let mut running = self.runner.start(command, how).await?;
        // Both at once: a command may answer before it has read all of its input, and must not
        // block on either. Its end is kept open until it ends: closing it would close the output.
        let mut stdin = std::mem::replace(&mut running.input, Box::pin(tokio::io::sink()));
        let feed = async {
            if let Some(input) = input {
                // A command need not read its input: what it does not take is its business.
                if tokio::io::copy(input, &mut stdin).await.is_ok() {
                    let _ = stdin.shutdown().await;
                }
            }
            std::future::pending::<()>().await;
        };
        let drain = async {
            while let Some(piece) = running.next().await {
                match piece {
                    Piece::Output(bytes) => output.stdout(&bytes),
                    Piece::Errors(bytes) => output.stderr(&bytes),
                }
            }
        };
        tokio::select! {
            () = drain => {}
            () = feed => {}
        }
        running.status().await
    }

    /// Runs a script that is handed to the command's shell: one exec instead of two and an upload,
    /// each of which takes the Engine a tenth of a second. None where the user may not write it.
    /// The trap lets the script be removed also when it is ended from outside.
    async fn run_fed_script(
        &self,
        script: &Script<'_>,
        output: &dyn OutputSink,
    ) -> Option<Result<ExitStatus>> {
        let (path, command) = (quote(script.path), script.command);
        let watch = Watch { output, token: uuid::Uuid::new_v4().to_string(), seen: false.into() };
        let token = &watch.token;
        // Where root cannot, there is no other way to try, so that why it cannot is worth seeing.
        let root = is_root(self.command_user());
        let quiet = if root { "" } else { " 2>/dev/null" };
        let line = format!(
            "{{ cat >{path} && chmod 0755 {path}; }}{quiet} || {{ echo {token} >&2; exit 1; }}; \
             trap : TERM; ({command}\n); code=$?; rm -f {path}; exit $code"
        );
        let mut bytes = script.bytes;
        let input = Some(&mut bytes as &mut (dyn AsyncRead + Send + Unpin));
        let how = How { user: self.exec_user.as_deref(), ..How::default() };
        let status = self.run(&line, how, input, &watch).await;
        match watch.seen.into_inner() {
            true if root => Some(Err(Error::new(format!(
                "Error uploading script: {} could not be written; see above",
                script.path
            ))
            .hint("remote_folder, remote_file and remote_path say where it goes"))),
            true => None,
            false => Some(status),
        }
    }

    /// Uploads a script, runs a command that uses it and removes it.
    async fn run_uploaded_script(
        &self,
        script: &Script<'_>,
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let uploaded = self.upload_script(script.path, script.bytes, 0o755).await;
        uploaded.map_err(|error| error.context("Error uploading script"))?;
        let status = self.exec(&RemoteCommand::new(script.command), output).await?;
        if status != ExitStatus::Disconnected {
            let path = absolute(script.path);
            let said = CapturedOutput::default();
            let removed = self.run_as_root(&format!("rm -f {}", quote(&path)), &said).await?;
            if !removed.success() {
                self.ui.error(format!(
                    "The script {} is left in the container: {}",
                    script.path,
                    said.stderr_text().trim()
                ));
            }
        }
        Ok(status)
    }

    /// Writes the file `path`, which belongs to root then. `what` is its name in messages.
    async fn write_file(
        &self,
        path: &str,
        what: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        // A directory's name would become a file's.
        if path.ends_with('/') {
            return Err(no_file(what));
        }
        let (directory, name) = split(path)?;
        let view = self.mounts.view(&self.runner, directory).await?;
        if view.over(Some(name)).is_some() {
            let sent = self.write_by_command(path, what, source, meta).await;
            return sent.map_err(|error| error.context(format_args!("uploading to {what}")));
        }
        let write = async |tar: &mut archive::TarWriter| {
            let time = meta.modified.map_or_else(archive::now, archive::seconds);
            let name = Path::new(name);
            archive::add_file(tar, name, source, meta.size, meta.mode, time, ROOT).await
        };
        let (engine, container) = (&self.runner.engine, &self.runner.container);
        let progress = (&self.ui, Some(meta.size));
        let sent = archive::upload(engine, container, directory, what, progress, write).await;
        match sent {
            Err(error) if error.advice().is_none() => Err(self.advise(error, path, what).await),
            sent => sent,
        }
    }

    /// Adds what to do where a file was to take a directory's place.
    async fn advise(&self, error: Error, path: &str, what: &str) -> Error {
        let (engine, container) = (&self.runner.engine, &self.runner.container);
        match archive::path_kind(engine, container, path).await {
            Ok(PathKind::Directory) => error.hint(directory_hint(what)),
            _ => error,
        }
    }
}

/// Whether a user, or user and group, is root.
fn is_root(user: &str) -> bool {
    matches!(user, "root" | "0" | "root:root" | "0:0")
}

/// An absolute form of a path in a container, whose relative paths start at its root.
fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// The directory and name of `path`.
fn split(path: &str) -> Result<(&str, &str)> {
    let bare = path.trim_end_matches('/');
    match bare.rsplit_once('/') {
        Some((directory, name)) if !name.is_empty() && name != "." && name != ".." => {
            Ok((if directory.is_empty() { "/" } else { directory }, name))
        }
        _ => Err(no_file(path)),
    }
}

fn no_file(path: &str) -> Error {
    Error::new(format!("{path:?} does not name a file in the container"))
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
        let how = How { user: self.exec_user.as_deref(), terminal: self.pty, ..How::default() };
        let mut bytes = command.stdin.as_deref();
        let input = bytes.as_mut().map(|bytes| bytes as &mut (dyn AsyncRead + Send + Unpin));
        self.run(&command.command, how, input, output).await
    }

    async fn exec_with_input(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let how = How { user: self.exec_user.as_deref(), ..How::default() };
        self.run(command, how, Some(input), output).await
    }

    async fn settle(&self) {
        self.runner.others_ended().await;
    }

    /// Always possible here. A terminal would change what goes through it; and where the user may
    /// not write, root does it.
    async fn run_script(
        &self,
        script: &Script<'_>,
        output: &dyn OutputSink,
    ) -> Option<Result<ExitStatus>> {
        if !self.pty
            && let Some(ran) = self.run_fed_script(script, output).await
        {
            return Some(ran);
        }
        Some(self.run_uploaded_script(script, output).await)
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let path = absolute(destination);
        self.write_file(&path, destination, source, meta).await?;
        self.fix_owner(&path).await
    }

    async fn upload_script(&self, destination: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let path = absolute(destination);
        let meta = FileMeta::new(bytes.len() as u64, mode);
        let mut source = bytes;
        self.write_file(&path, destination, &mut source, meta).await?;
        let user = self.command_user();
        if is_root(user) {
            return Ok(());
        }
        let advice = "scripts that do not run as root need a chown and their user in the container";
        self.give(user, &path, advice).await
    }

    /// Follows `docker cp`, as Packer does: a destination that does not exist becomes the copy;
    /// into one that does, the directory is copied with its name unless `contents_only`.
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
        let view = self.mounts.view(&self.runner, &path).await?;
        let mut hidden = view.over(None).map(str::to_owned);
        let found = match hidden {
            Some(_) => self.path_kind(&path).await?,
            None => archive::path_kind(&self.runner.engine, &self.runner.container, &path).await?,
        };
        let (directory, prefix) = match found {
            PathKind::Directory => {
                (path.as_str(), uploaded_name(source, contents_only)?.unwrap_or_default())
            }
            PathKind::Nothing => {
                let (directory, name) = split(&path)?;
                (directory, name.to_owned())
            }
            PathKind::Other => {
                return Err(Error::new(format!(
                    "uploading to {destination}: it is a file in the container, and {} is a \
                     directory",
                    source.display()
                )));
            }
        };
        if hidden.is_none() {
            // What goes into a mount below it would be lost as well.
            let copied = |inside: &Path| {
                let inside = match found {
                    PathKind::Directory => inside.strip_prefix(&prefix).ok(),
                    _ => Some(inside),
                };
                inside.is_some_and(|inside| source.join(inside).symlink_metadata().is_ok())
            };
            hidden = view.below(copied).map(str::to_owned);
        }
        let write = async |tar: &mut archive::TarWriter| {
            let prefix = Path::new(&prefix);
            if !prefix.as_os_str().is_empty() {
                let owner = Owner { uid: u64::from(meta.uid()), gid: u64::from(meta.gid()) };
                let mtime = u64::try_from(meta.mtime()).unwrap_or(0);
                let mode = meta.permissions().mode();
                archive::add_empty_directory(tar, prefix, mode, mtime, owner).await?;
            }
            archive::add_directory(tar, source, prefix, None, &|_, _| true).await
        };
        match hidden {
            Some(mount) => self.unpack(directory, destination, &mount, write).await?,
            None => {
                let (engine, container) = (&self.runner.engine, &self.runner.container);
                let progress = (&self.ui, None);
                archive::upload(engine, container, directory, destination, progress, write).await?;
            }
        }
        self.fix_owner(&path).await
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let mut path = absolute(source);
        let mut destination = Shown::new(destination, &self.ui, source, None);
        // As many links as Linux follows.
        for _ in 0..40 {
            if self.mounts.view(&self.runner, &path).await?.over(None).is_some() {
                return self.read_file(&path, source, &mut destination).await;
            }
            let (engine, container) = (&self.runner.engine, &self.runner.container);
            let reading =
                download::download_file(engine, container, &path, source, &mut destination);
            match engine.while_alive(reading).await?? {
                DownloadOutcome::File => return Ok(()),
                DownloadOutcome::Link(target) => path = target,
            }
        }
        Err(Error::new(format!("reading {source}: too many levels of links")))
    }

    async fn download_dir(
        &self,
        source: &str,
        destination: &Path,
        contents_only: bool,
    ) -> Result<()> {
        let path = absolute(source);
        let view = self.mounts.view(&self.runner, &path).await?;
        if let Some(mount) = view.over(None) {
            return self.pack(&path, destination, contents_only, mount).await;
        }
        let (engine, container) = (&self.runner.engine, &self.runner.container);
        let copied =
            download::download_directory(engine, container, &path, destination, contents_only);
        engine.while_alive(copied).await?
    }
}
