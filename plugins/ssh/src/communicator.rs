//! The [`Communicator`] over SSH.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ingot_sdk::communicator::directory_hint;
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, OutputSink, RemoteCommand, Result, Ui, async_trait,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::connect::Connector;
use crate::ending::Ending;
use crate::link::{Link, Process};
use crate::transfer::{self, There};

/// Runs commands on, and moves files to and from, one machine. Connects again by itself when the
/// connection was lost, as by a reboot.
pub(crate) struct SshCommunicator {
    connector: Connector,
    link: Mutex<Arc<Link>>,
    ui: Ui,
    no_tar: AtomicBool,
    away: AtomicBool,
    ending: Ending,
}

/// How long to wait for a machine whose connection was lost where `ssh_timeout` says nothing, as with
/// `ssh_handshake_attempts` alone: a machine that is gone for good refuses no login.
const RECONNECTING: Duration = Duration::from_secs(5 * 60);

/// Tells that the machine is away until this is dropped, as with the future that waits for it.
struct Away<'a>(&'a AtomicBool);

impl<'a> Away<'a> {
    fn new(away: &'a AtomicBool) -> Self {
        away.store(true, Ordering::Relaxed);
        Away(away)
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl SshCommunicator {
    /// A communicator over a connection that is up.
    pub(crate) fn new(connector: Connector, link: Arc<Link>, ui: Ui) -> Self {
        SshCommunicator {
            connector,
            link: Mutex::new(link),
            ui,
            no_tar: AtomicBool::new(false),
            away: AtomicBool::new(false),
            ending: Ending::new(),
        }
    }

    /// A connection that is up, as far as is known.
    pub(crate) async fn link(&self) -> Result<Arc<Link>> {
        self.ending.over().await;
        let mut link = self.link.lock().await;
        if link.is_lost() {
            tracing::info!(machine = %self.connector.endpoint(), reason = %link.lost(), "reconnecting");
            link.close_tunnels().await;
            // Not the build's token: cleaning up after a cancelled build needs the machine too,
            // and whoever gives up waiting drops this future.
            let never = CancellationToken::new();
            let refused = |error: &Error| tracing::info!(%error, "not reconnected yet");
            let _away = Away::new(&self.away);
            let limit = self.connector.settings().timeout.unwrap_or(RECONNECTING);
            let connected = self.connector.wait(&never, Some(limit), &refused).await;
            *link =
                connected.map_err(|error| error.context("the connection was lost").transient())?;
        }
        Ok(Arc::clone(&link))
    }

    /// Starts a command, connecting again should the connection prove to be lost.
    pub(crate) async fn start(&self, line: &str, pty: bool) -> Result<Process> {
        self.start_over(line, pty).await.map(|(process, _)| process)
    }

    /// Starts a command, and says over which connection.
    async fn start_over(&self, line: &str, pty: bool) -> Result<(Process, Arc<Link>)> {
        let mut link = self.link().await?;
        let mut started = link.run(line, pty).await;
        if started.is_err() && link.is_lost() {
            link = self.link().await?;
            started = link.run(line, pty).await;
        }
        Ok((started?, link))
    }

    /// The options the connection was made with.
    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Where progress is shown.
    pub(crate) fn ui(&self) -> &Ui {
        &self.ui
    }

    /// Starts one of [`crate::tar`]'s commands; none if the machine has no Bourne shell or no tar.
    /// The command itself says so: asking first would start the user's shell once more, which
    /// takes longer than many a copy where start-up files do much.
    pub(crate) async fn start_tar(&self, line: &str) -> Result<Option<Process>> {
        if self.no_tar.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut process = self.start(line, false).await?;
        if crate::tar::is_there(&mut process.data).await? {
            return Ok(Some(process));
        }
        if process.status().await == ExitStatus::Disconnected {
            return Err(Error::new("the connection was lost").transient());
        }
        self.no_tar.store(true, Ordering::Relaxed);
        Ok(None)
    }
}

#[async_trait]
impl Communicator for SshCommunicator {
    async fn exec(&self, command: &RemoteCommand, output: &dyn OutputSink) -> Result<ExitStatus> {
        let mut input = command.stdin.as_deref().unwrap_or_default();
        self.exec_with_input(&command.command, &mut input, output).await
    }

    async fn exec_with_input(
        &self,
        command: &str,
        input: &mut (dyn AsyncRead + Send + Unpin),
        output: &dyn OutputSink,
    ) -> Result<ExitStatus> {
        let mut ender = self.ending.guard();
        let (mut process, link) = self.start_over(command, self.connector.settings().pty).await?;
        ender.runs(link);
        let Process { data, errors, .. } = &mut process;
        let (mut stdout, mut stdin) = data.split();
        let feed = async {
            // A command need not read its input: what it does not take is its business.
            let _ = tokio::io::copy(input, &mut stdin).await;
            let _ = stdin.shutdown().await;
            std::future::pending::<()>().await;
        };
        let read = async {
            tokio::join!(
                pump(&mut stdout, |bytes| output.stdout(bytes)),
                pump(errors, |bytes| output.stderr(bytes)),
            );
        };
        // The input may go on longer than the command does.
        tokio::select! {
            () = feed => {}
            () = read => {}
        }
        let status = process.status().await;
        ender.ended();
        Ok(status)
    }

    async fn settle(&self) {
        self.ending.over().await;
    }

    fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let uploaded = transfer::upload(self, destination, source, meta).await;
        let Err(error) = uploaded else { return Ok(()) };
        let error = error.context(format_args!("uploading to {destination}"));
        let unexplained = error.advice().is_none() && !error.is_transient();
        Err(match unexplained && transfer::is_directory(self, destination).await {
            true => error.hint(directory_hint(destination)),
            false => error,
        })
    }

    /// As `scp -r`: a destination that does not exist becomes the copy; into one that does, the
    /// directory is copied with its name unless `contents_only`.
    async fn upload_dir(
        &self,
        source: &Path,
        destination: &str,
        contents_only: bool,
    ) -> Result<()> {
        let uploaded = transfer::upload_directory(self, source, destination, contents_only).await;
        let doing = format_args!("uploading {} to {destination}", source.display());
        uploaded.map_err(|error| error.context(doing))
    }

    async fn download(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let downloaded = transfer::download(self, &There::expanded(source), destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }

    /// The directory comes with its own name even where only its contents are asked for: that is
    /// what Packer's ssh communicator does, as `scp -r` knows no other way.
    async fn download_dir(&self, source: &str, destination: &Path, _: bool) -> Result<()> {
        let there = There::expanded(source);
        let downloaded = transfer::download_directory(self, &there, destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }

    async fn download_literal(
        &self,
        source: &str,
        destination: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<()> {
        let downloaded = transfer::download(self, &There::literal(source), destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }

    async fn download_dir_literal(&self, source: &str, destination: &Path) -> Result<()> {
        let there = There::literal(source);
        let downloaded = transfer::download_directory(self, &there, destination).await;
        downloaded.map_err(|error| error.context(format_args!("downloading {source}")))
    }
}

async fn pump(source: &mut (dyn AsyncRead + Send + Unpin), mut show: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        show(&buffer[..count]);
    }
}
