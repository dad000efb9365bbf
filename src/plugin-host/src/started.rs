//! The plugin programs that this program started: they end with it, however it ends.
//!
//! Each is in a process group of its own, which no Ctrl-C of a terminal reaches, and a plugin that
//! hangs does not notice that nobody asks any more. So a signal that nobody here hears kills them
//! before it ends this program, and what a killed one leaves is written down: from the first start
//! on, a record in the journal names the run, whose id all of them have in [`RUN_VARIABLE`].

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ingot_sdk::process_group::{ProcessGroup, kill_live_groups};
use ingot_sdk::{Journal, JournalEntry, Resource, Result, signals};
use parking_lot::Mutex;
use tokio::process::{Child, Command};

use crate::reclaim::{self, CREATORS, PROCESSES, RUN_VARIABLE};

/// How often a program is tried to be started that another process is just writing, and how long
/// after one try the next comes.
const TRIES: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_millis(50);
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
    /// The names of those that were asked to create something.
    creators: Mutex<BTreeSet<String>>,
}

impl StartedPrograms {
    /// Those of the run with the id `run`, a UUID, which are written down in `journal`.
    pub fn new(run: &str, journal: Arc<dyn Journal>) -> Arc<StartedPrograms> {
        let started = Arc::new(StartedPrograms {
            run: run.to_owned(),
            journal,
            record: Mutex::default(),
            creators: Mutex::default(),
        });
        let mut runs = RUNS.lock();
        runs.retain(|run| run.strong_count() > 0);
        runs.push(Arc::downgrade(&started));
        started
    }

    /// Makes sure that they are in the journal.
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

    /// The same, and that the record names `program`, which is about to create what no journal has.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn record_creator(&self, program: &str) -> Result<()> {
        self.record()?;
        let mut creators = self.creators.lock();
        if creators.insert(program.to_owned())
            && let Some(record) = &*self.record.lock()
        {
            let names: Vec<String> = creators.iter().cloned().collect();
            record.amend(&Resource::new(PROCESSES, &self.run).with(CREATORS, names));
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
        // A signal that nobody here hears kills them before it ends this program.
        signals::before_end(end_programs);
        signals::watch();
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
    signals::ending(end_programs);
}

fn end_programs() {
    let runs = std::mem::take(&mut *RUNS.lock());
    let mut ended = Vec::new();
    for run in runs.iter().filter_map(Weak::upgrade) {
        // Processes that left the groups end first: whoever uses a plugin notices its end, and reports
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
