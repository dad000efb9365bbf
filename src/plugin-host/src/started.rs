//! The plugin programs that this program started: they end with it, however it ends.
//!
//! Each is in a process group of its own, which no Ctrl-C of a terminal reaches, and a plugin that
//! hangs does not notice that nobody asks any more. So a signal that nobody here hears kills them
//! before it ends this program, and what a killed one leaves is written down: from the first start
//! on, a record in the journal names the run, whose id all of them have in [`RUN_VARIABLE`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use ingot_sdk::process_group::{ProcessGroup, kill_live_groups};
use ingot_sdk::signals::is_left_alone;
use ingot_sdk::{Journal, JournalEntry, Resource, Result};
use parking_lot::Mutex;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use crate::reclaim::{self, PROCESSES};

/// The variable with the id of the run, in the environment of plugins.
pub const RUN_VARIABLE: &str = "INGOT_PLUGIN_RUN";
/// How often a program is tried to be started that another process is just writing, and how long
/// after one try the next comes.
const TRIES: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// How long whoever heard a signal is given to end what it listened for.
const HEARD_FOR: Duration = Duration::from_secs(1);
/// How long killed processes may take to be gone when this program ends.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// Who started any in this process.
static RUNS: Mutex<Vec<Weak<StartedPrograms>>> = Mutex::new(Vec::new());

/// The programs that one host or installation starts. They are in the journal until this is
/// dropped.
pub struct StartedPrograms {
    run: String,
    journal: Arc<dyn Journal>,
    record: Mutex<Option<JournalEntry>>,
}

impl StartedPrograms {
    /// Those of the run with the id `run`, a UUID, which are written down in `journal`.
    pub fn new(run: &str, journal: Arc<dyn Journal>) -> Arc<StartedPrograms> {
        let started = StartedPrograms { run: run.to_owned(), journal, record: Mutex::default() };
        let started = Arc::new(started);
        let mut runs = RUNS.lock();
        runs.retain(|run| run.strong_count() > 0);
        runs.push(Arc::downgrade(&started));
        started
    }

    /// Makes sure that the journal tells of them.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn record(&self) -> Result<()> {
        let mut record = self.record.lock();
        if record.is_none() {
            let resource = Resource::new(PROCESSES, &self.run);
            *record = Some(JournalEntry::open(&self.journal, &resource)?);
        }
        Ok(())
    }

    /// Starts a program, in a group of its own.
    pub(crate) async fn spawn(
        &self,
        mut command: Command,
    ) -> std::io::Result<(Child, ProcessGroup)> {
        // Checking a template creates nothing: it is not refused where nothing can be written. Work
        // is, by who starts it.
        if let Err(error) = self.record() {
            tracing::warn!(%error, "no record says that plugins run");
        }
        watch();
        command.env(RUN_VARIABLE, &self.run).process_group(0).kill_on_drop(true);
        let mut left = TRIES;
        loop {
            match spawn_once(&mut command) {
                Err(error)
                    if error.kind() == std::io::ErrorKind::ExecutableFileBusy && left > 0 =>
                {
                    left -= 1;
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                spawned => return spawned,
            }
        }
    }
}

impl Drop for StartedPrograms {
    fn drop(&mut self) {
        // Who dropped this has ended them before.
        if let Some(record) = self.record.get_mut().take() {
            record.done();
        }
    }
}

fn spawn_once(command: &mut Command) -> std::io::Result<(Child, ProcessGroup)> {
    let child = command.spawn()?;
    let group = ProcessGroup::of(&child);
    Ok((child, group))
}

/// Kills all plugin programs that run, with what they started, and all else that is to end with this
/// program, which ends now: what it still starts is killed at once. Where something of a run does not
/// end, its record stays in the journal.
pub fn end_all() {
    let _ending = ENDING.lock();
    end_programs();
}

fn end_programs() {
    let runs = std::mem::take(&mut *RUNS.lock());
    let mut ended = Vec::new();
    for run in runs.iter().filter_map(Weak::upgrade) {
        // What has left the groups ends first: whoever uses a plugin notices the end of it, and tells of
        // that while it is waited for.
        if let Some(record) = run.record.lock().take()
            && reclaim::end_others(&run.run, GONE_WITHIN)
        {
            ended.push(record);
        }
    }
    kill_live_groups();
    ended.into_iter().for_each(JournalEntry::done);
}

/// Held while this program ends. A command whose plugin a signal has just killed fails, and must not end
/// the program with a code of its own before the signal does.
static ENDING: Mutex<()> = Mutex::new(());

/// How many listen for signals and end plugins in good order, and when one heard something.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);
static HEARD: Mutex<Option<Instant>> = Mutex::new(None);

/// Says that somebody listens for signals, who ends plugins in good order: as long as there is one,
/// plugins are not killed by a signal.
#[derive(Debug)]
pub struct ListensForSignals(());

impl ListensForSignals {
    /// From now on, until it is dropped.
    pub fn new() -> ListensForSignals {
        LISTENERS.fetch_add(1, Ordering::SeqCst);
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

/// What ends a program that does not listen for it.
const SIGNALS: [SignalKind; 4] =
    [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];

/// From now on, signals that nobody hears kill the plugins before they end this program.
fn watch() {
    static WATCHING: OnceLock<()> = OnceLock::new();
    WATCHING.get_or_init(|| {
        if let Err(error) = start_watching() {
            tracing::warn!(%error, "plugins may go on where a signal ends this program");
        }
    });
}

fn start_watching() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listeners = {
        let _entered = runtime.enter();
        let ended_by = SIGNALS.into_iter().filter(|kind| !is_left_alone(*kind));
        let listen = |kind: SignalKind| Ok((kind, signal(kind)?));
        ended_by.map(listen).collect::<std::io::Result<Vec<_>>>()?
    };
    let thread = std::thread::Builder::new().name("plugin-signals".to_owned());
    thread.spawn(move || runtime.block_on(end_on_signal(listeners)))?;
    Ok(())
}

async fn end_on_signal(mut listeners: Vec<(SignalKind, Listener)>) {
    loop {
        let kind = std::future::poll_fn(|context| {
            let came = listeners.iter_mut().find_map(|(kind, listener)| {
                listener.poll_recv(context).is_ready().then_some(*kind)
            });
            came.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await;
        let heard = || HEARD.lock().is_some_and(|heard| heard.elapsed() < HEARD_FOR);
        if LISTENERS.load(Ordering::SeqCst) == 0 && !heard() {
            let _ending = ENDING.lock();
            end_programs();
            // As shells tell of a program that a signal ended.
            std::process::exit(128 + kind.as_raw_value());
        }
    }
}
