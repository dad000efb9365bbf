//! The signals that ask a run to end.

use std::io::Result;
use std::task::Poll;

pub use ingot_sdk::signals::is_ignored;
use ingot_sdk::signals::is_left_alone;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is listened for, in the words that Packer has for it.
const ALL: [(SignalKind, &str); 4] = [
    (SignalKind::interrupt(), "interrupt"),
    (SignalKind::terminate(), "terminated"),
    (SignalKind::hangup(), "hangup"),
    (SignalKind::quit(), "quit"),
];

/// Hears Ctrl-C (SIGINT), SIGTERM, Ctrl-\ (SIGQUIT), and SIGHUP when a terminal goes away. From then
/// on none of them ends the process by itself.
///
/// SIGHUP and SIGQUIT are left alone if whoever started the process has it ignore them, as `nohup`
/// does.
pub struct Signals {
    all: Vec<(Signal, &'static str)>,
    /// Else plugins would be killed when one comes.
    #[cfg(feature = "plugin-host")]
    listens: ingot_plugin_host::ListensForSignals,
}

impl Signals {
    /// Starts listening.
    ///
    /// # Errors
    /// The system does not let it, or there is no runtime.
    pub fn new() -> Result<Signals> {
        Self::of(&ALL)
    }

    /// Starts listening to all but SIGHUP: a server reads its settings again when it gets that.
    ///
    /// # Errors
    /// As for [`Signals::new`].
    pub fn without_hangup() -> Result<Signals> {
        let others: Vec<_> =
            ALL.into_iter().filter(|(kind, _)| *kind != SignalKind::hangup()).collect();
        Self::of(&others)
    }

    fn of(signals: &[(SignalKind, &'static str)]) -> Result<Signals> {
        let all = signals.iter().filter(|(kind, _)| !is_left_alone(*kind));
        let all = all.map(|(kind, name)| Ok((signal(*kind)?, *name)));
        Ok(Signals {
            all: all.collect::<Result<_>>()?,
            #[cfg(feature = "plugin-host")]
            listens: ingot_plugin_host::ListensForSignals::new(),
        })
    }

    /// The name of the next one.
    pub async fn next(&mut self) -> &'static str {
        let name = std::future::poll_fn(|context| {
            let mut all = self.all.iter_mut();
            all.find_map(|(signal, name)| signal.poll_recv(context).is_ready().then_some(*name))
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        #[cfg(feature = "plugin-host")]
        self.listens.heard();
        name
    }
}

/// Waits for the first signal that asks the process to end; for ever if none can be heard.
pub async fn requested() -> &'static str {
    match Signals::new() {
        Ok(mut signals) => signals.next().await,
        Err(error) => {
            tracing::warn!(%error, "signals cannot be listened for");
            std::future::pending().await
        }
    }
}
