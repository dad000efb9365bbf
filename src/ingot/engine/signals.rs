//! The signals that ask a run to end.

use std::io::Result;
use std::task::Poll;

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
pub struct Signals(Vec<(Signal, &'static str)>);

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
        let ignored = ignored();
        let all = signals.iter().filter(|(kind, _)| {
            let number = kind.as_raw_value();
            let optional = *kind == SignalKind::hangup() || *kind == SignalKind::quit();
            !(optional && is_in(ignored, number))
        });
        all.map(|(kind, name)| Ok((signal(*kind)?, *name))).collect::<Result<_>>().map(Signals)
    }

    /// The name of the next one.
    pub async fn next(&mut self) -> &'static str {
        std::future::poll_fn(|context| {
            let mut all = self.0.iter_mut();
            all.find_map(|(signal, name)| signal.poll_recv(context).is_ready().then_some(*name))
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await
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

/// Whether the process ignores a signal.
pub fn is_ignored(kind: SignalKind) -> bool {
    is_in(ignored(), kind.as_raw_value())
}

fn is_in(signals: u64, number: i32) -> bool {
    signals >> (number - 1) & 1 == 1
}

/// The signals that the process ignores: bit 0 stands for signal 1. Linux tells it in a file (see
/// `proc(5)`); elsewhere it takes a call that is not safe, so nothing is taken for ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
