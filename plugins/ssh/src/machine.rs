//! A machine over a connection that is made again when it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ingot_sdk::{Error, ExitStatus, Result, Ui};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::connector::Connector;
use crate::ending::Ending;
use crate::link::{Link, Process};
use crate::tar::Greeting;

/// A machine that was reached. Connects again by itself when the connection was lost, as by a reboot.
pub(crate) struct Machine {
    connector: Connector,
    link: Mutex<Arc<Link>>,
    /// How often the connection was made again.
    reconnections: AtomicU64,
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

impl Machine {
    /// A machine that `connector` has reached over `link`.
    pub(crate) fn new(connector: Connector, link: Arc<Link>, ui: Ui) -> Self {
        Machine {
            connector,
            link: Mutex::new(link),
            reconnections: AtomicU64::new(0),
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
            self.reconnections.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Arc::clone(&link))
    }

    /// The number of the connection: another one after each time that it was made again.
    pub(crate) fn connection(&self) -> u64 {
        self.reconnections.load(Ordering::Relaxed)
    }

    /// The connection of [`Machine::link`], which has to be the one with the number `only`, if any.
    async fn link_if(&self, only: Option<u64>) -> Result<Arc<Link>> {
        let link = self.link().await?;
        match only {
            Some(number) if number != self.connection() => Err(Error::new(
                "the connection was lost before the command started, and had to be made again",
            )
            .transient()),
            _ => Ok(link),
        }
    }

    /// Starts a command, connecting again should the connection prove to be lost.
    pub(crate) async fn start(&self, line: &str, pty: bool) -> Result<Process> {
        self.start_over(line, pty, None).await.map(|(process, _)| process)
    }

    /// Starts a command, and says over which connection; over the one with the number `only`, if any.
    pub(crate) async fn start_over(
        &self,
        line: &str,
        pty: bool,
        only: Option<u64>,
    ) -> Result<(Process, Arc<Link>)> {
        let mut link = self.link_if(only).await?;
        let mut started = link.run(line, pty).await;
        if started.is_err() && link.is_lost() {
            link = self.link_if(only).await?;
            started = link.run(line, pty).await;
        }
        Ok((started?, link))
    }

    /// The options the connection was made with.
    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Whether it is away, and waited for.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// The commands on it that nobody waits for any more.
    pub(crate) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Where progress is shown.
    pub(crate) fn ui(&self) -> &Ui {
        &self.ui
    }

    /// Starts one of [`crate::tar`]'s commands; none if the machine has no Bourne shell or no tar, or
    /// if something of an upload is there already. The command itself says so: asking first would
    /// start the user's shell once more, which takes longer than many a copy where start-up files
    /// do much.
    pub(crate) async fn start_tar(&self, line: &str) -> Result<Option<Process>> {
        if self.no_tar.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut process = self.start(line, false).await?;
        match crate::tar::greeting(&mut process.data).await? {
            Some(Greeting::Tar) => return Ok(Some(process)),
            Some(Greeting::Merge) => return Ok(None),
            None => {}
        }
        if process.status().await == ExitStatus::Disconnected {
            return Err(Error::new("the connection was lost").transient());
        }
        self.no_tar.store(true, Ordering::Relaxed);
        Ok(None)
    }
}
