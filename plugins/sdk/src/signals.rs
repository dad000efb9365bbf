//! The signals that ask this process to end: what it was started to do with them, and what makes sure
//! that each is heeded.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process_group::kill_live_groups;

/// What ends a program that does not listen for it.
const SIGNALS: [SignalKind; 4] =
    [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
/// How long whoever heard a signal is given to end what it listened for.
const HEARD_FOR: Duration = Duration::from_secs(1);

/// How many listen for signals, and when one of them heard something.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);
static HEARD: Mutex<Option<Instant>> = Mutex::new(None);
/// Held while this process ends. A command fails if a signal has just killed what it waited for, and must
/// not end the process with a code of its own before the signal does.
static ENDING: Mutex<()> = Mutex::new(());
/// What is to be done first where a signal ends this process.
static BEFORE_END: OnceLock<fn()> = OnceLock::new();

/// Whether whoever started this process has it ignore a signal, as `nohup` does with SIGHUP.
pub fn is_ignored(kind: SignalKind) -> bool {
    ignored() >> (kind.as_raw_value() - 1) & 1 == 1
}

/// Whether a signal that asks to end is not to be listened for: SIGHUP and SIGQUIT, where this process
/// was started to ignore them. A shell's background jobs ignore Ctrl-C as well, and are to end with it.
fn is_left_alone(kind: SignalKind) -> bool {
    (kind == SignalKind::hangup() || kind == SignalKind::quit()) && is_ignored(kind)
}

/// The signals that the process ignores: bit 0 stands for signal 1. Linux tells it in a file (see
/// `proc(5)`); elsewhere it takes a call that is not safe, so nothing is taken for ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Several signals that are listened for, each with what is said of it when it comes.
#[derive(Debug)]
pub struct AnySignal<T>(Vec<(Signal, T)>);

impl<T: Copy> AnySignal<T> {
    /// Starts listening to `signals`, but for SIGHUP and SIGQUIT where this process was started to
    /// ignore them.
    ///
    /// # Errors
    /// The system does not let it, or there is no runtime.
    pub fn new(signals: impl IntoIterator<Item = (SignalKind, T)>) -> std::io::Result<Self> {
        let heeded = signals.into_iter().filter(|(kind, _)| !is_left_alone(*kind));
        let listening = heeded.map(|(kind, said)| Ok((signal(kind)?, said)));
        Ok(AnySignal(listening.collect::<std::io::Result<_>>()?))
    }

    /// What is said of the next one.
    pub async fn next(&mut self) -> T {
        std::future::poll_fn(|context| {
            let mut all = self.0.iter_mut();
            all.find_map(|(signal, said)| signal.poll_recv(context).is_ready().then_some(*said))
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Says that somebody listens for signals and ends what runs in good order: as long as there is one, no
/// signal ends this process by itself.
#[derive(Debug)]
pub struct ListensForSignals(());

impl ListensForSignals {
    /// From now on, until it is dropped. After that, signals that nobody listens for end this process, as
    /// they do where [`watch`] was called.
    pub fn new() -> ListensForSignals {
        LISTENERS.fetch_add(1, Ordering::SeqCst);
        watch();
        ListensForSignals(())
    }

    /// Says that one came, which counts as heard even if nobody listens in a moment.
    pub fn heard(&self) {
        *HEARD.lock() = Some(Instant::now());
    }
}

impl Default for ListensForSignals {
    fn default() -> Self {
        ListensForSignals::new()
    }
}

impl Drop for ListensForSignals {
    fn drop(&mut self) {
        LISTENERS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// From now on, a signal that nobody listens for kills the process groups that are to end with this
/// process, and ends it. Without this it would do nothing once somebody has listened: Tokio takes a
/// signal for the rest of the process's life.
pub fn watch() {
    static WATCHING: OnceLock<()> = OnceLock::new();
    WATCHING.get_or_init(|| {
        if let Err(error) = start_watching() {
            tracing::warn!(%error, "a signal may not end this program, or not what it started");
        }
    });
}

/// Has `end` called before a signal that nobody listens for ends this process, in place of
/// [`kill_live_groups`]. Only the first is.
pub fn before_end(end: fn()) {
    BEFORE_END.get_or_init(|| end);
}

/// Runs what is to be done before this process ends by itself. Does not return where a signal is ending
/// it: the exit code is the signal's then.
pub fn ending(end: impl FnOnce()) {
    let _ending = ENDING.lock();
    end();
}

/// Ends this process with an exit code, with all that is to end with it, as a signal does that nobody
/// listens for.
pub fn end(code: i32) -> ! {
    let _ending = ENDING.lock();
    let end = BEFORE_END.get().copied().unwrap_or(kill_live_groups);
    end();
    std::process::exit(code)
}

fn start_watching() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _entered = runtime.enter();
        AnySignal::new(SIGNALS.map(|kind| (kind, kind)))?
    };
    let thread = std::thread::Builder::new().name("unheard-signals".to_owned());
    thread.spawn(move || runtime.block_on(end_on_signal(signals)))?;
    Ok(())
}

async fn end_on_signal(mut signals: AnySignal<SignalKind>) {
    loop {
        let kind = signals.next().await;
        let heard = || HEARD.lock().is_some_and(|heard| heard.elapsed() < HEARD_FOR);
        if LISTENERS.load(Ordering::SeqCst) == 0 && !heard() {
            // As shells tell of a program that a signal ended.
            end(128 + kind.as_raw_value());
        }
    }
}
