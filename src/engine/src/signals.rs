//! The signals that ask a run to end.

use std::io;

pub use ingot_sdk::signals::is_ignored;
use ingot_sdk::signals::{AnySignal, ListensForSignals};
use ingot_sdk::{Error, Result};
use tokio::signal::unix::SignalKind;

/// What is listened for, in the words that Packer has for it.
const ALL: [(SignalKind, &str); 4] = [
    (SignalKind::interrupt(), "interrupt"),
    (SignalKind::terminate(), "terminated"),
    (SignalKind::hangup(), "hangup"),
    (SignalKind::quit(), "quit"),
];

/// Hears Ctrl-C (SIGINT), SIGTERM, Ctrl-\ (SIGQUIT), and SIGHUP when a terminal goes away. As long as
/// there is one, none of them ends the process by itself; afterwards each does so again.
///
/// SIGHUP and SIGQUIT are left alone if whoever started the process has it ignore them, as `nohup`
/// does.
pub struct Signals {
    all: AnySignal<&'static str>,
    /// Else the process would end when one comes.
    listens: ListensForSignals,
}

impl Signals {
    /// Starts listening.
    ///
    /// # Errors
    /// The system does not let it, or there is no runtime.
    pub fn new() -> io::Result<Signals> {
        Self::of(ALL)
    }

    /// Starts listening to all but SIGHUP: a server reads its settings again when it gets that.
    ///
    /// # Errors
    /// As for [`Signals::new`].
    pub fn without_hangup() -> io::Result<Signals> {
        Self::of(ALL.into_iter().filter(|(kind, _)| *kind != SignalKind::hangup()))
    }

    fn of(signals: impl IntoIterator<Item = (SignalKind, &'static str)>) -> io::Result<Signals> {
        let listens = ListensForSignals::new();
        Ok(Signals { all: AnySignal::new(signals)?, listens })
    }

    /// The name of the next one.
    pub async fn next(&mut self) -> &'static str {
        let name = self.all.next().await;
        self.listens.heard();
        name
    }
}

/// Waits for the first signal that asks the process to end; for ever if none can be heard.
async fn requested() -> &'static str {
    match Signals::new() {
        Ok(mut signals) => signals.next().await,
        Err(error) => {
            tracing::warn!(%error, "signals cannot be listened for");
            std::future::pending().await
        }
    }
}

/// The result of `work`, unless a signal asks the process to end before that.
///
/// # Errors
/// Those of the work; [`Error::Cancelled`] if a signal came first.
pub async fn or_cancelled<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        // The work comes first: while its beginning reads from standard input, which may take any time,
        // a signal ends the process by itself.
        biased;
        done = work => done,
        _ = requested() => Err(Error::Cancelled),
    }
}
