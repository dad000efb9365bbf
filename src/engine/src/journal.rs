//! The resource journal: what a run created and has not removed yet, on disk, so that what a
//! killed one left behind can be removed.
//!
//! One file per run, of JSON lines: first what the run is (`{"run":…}`), then
//! `{"record":1,"resource":{…},"build":…,"at":…}` when something is about to be created and
//! `{"struck":1}` when that record is resolved; times are in seconds since 1970. A second line with
//! the same number replaces the record, and `{"about":BUILD,"facts":{…}}` holds attributes of
//! everything that a build created. The file appears with the first record and disappears when all are
//! resolved. As long as the run lives it holds a lock on the file, which works between containers and,
//! where the filesystem has it, between machines.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingot_sdk::file_lock::try_lock;
use ingot_sdk::process_table::Stat;
use ingot_sdk::recorded_path::shown_path;
use ingot_sdk::{Context, Journal, Resource, Result};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::host_machine::HostMachine;
pub use super::state_directory::{choose_directory, directories, directory};

/// How the names of journals end.
pub(super) const EXTENSION: &str = "journal";

/// Which run a journal is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Its id, which the builds see as `build.PackerRunUUID`.
    pub run: String,
    /// The template, as [`shown_path`] has it.
    pub template: String,
    /// When it started.
    #[serde(with = "time::serde::timestamp")]
    pub started: OffsetDateTime,
    /// The machine, where it is known: others may share the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostMachine>,
}

impl RunInfo {
    /// A run with the id `run` that starts now, of `template`.
    pub fn new(run: impl Into<String>, template: &Path) -> RunInfo {
        RunInfo {
            run: run.into(),
            template: shown_path(template),
            started: OffsetDateTime::now_utc(),
            host: HostMachine::this(),
        }
    }
}

/// One line of a journal. Journals without the optional parts are from before there were any.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Run(RunInfo),
    Created {
        record: u64,
        resource: Resource,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        build: Option<String>,
        #[serde(default, with = "time::serde::timestamp::option")]
        at: Option<OffsetDateTime>,
    },
    Struck {
        struck: u64,
    },
    About {
        about: String,
        facts: Facts,
    },
}

/// What is true of all that a build made: attributes of each resource.
pub(super) type Facts = serde_json::Map<String, serde_json::Value>;

/// The journal of this run.
#[derive(Debug)]
pub struct FileJournal {
    run: RunInfo,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<(File, PathBuf)>,
    next: u64,
    /// How many builds were given a journal: two may have one name.
    builds: usize,
    /// The records that are not resolved.
    open: BTreeMap<u64, Open>,
    /// What is known of each build's things.
    facts: BTreeMap<Arc<str>, Facts>,
}

impl FileJournal {
    /// The journal of the run `run`. There is no file until something is recorded.
    pub fn new(run: RunInfo) -> Arc<Self> {
        Arc::new(FileJournal { run, state: Mutex::default() })
    }

    /// What a build called `name` writes in.
    pub fn of_build(self: &Arc<Self>, name: &str) -> Arc<BuildJournal> {
        let mut state = self.state();
        state.builds += 1;
        let number = state.builds;
        Arc::new(BuildJournal { file: Arc::clone(self), number, build: name.into() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn record(&self, by: &BuildJournal, resource: &Resource) -> std::io::Result<u64> {
        let mut state = self.state();
        if state.file.is_none() {
            state.file = Some(create(&self.run, &state.facts)?);
        }
        state.next += 1;
        let record = state.next;
        let line = Line::Created {
            record,
            resource: resource.clone(),
            build: Some(by.build.to_string()),
            at: Some(OffsetDateTime::now_utc()),
        };
        if let Some((file, _)) = &mut state.file {
            append(file, &line)?;
        }
        let (number, build) = (by.number, Arc::clone(&by.build));
        state.open.insert(record, Open { number, build, resource: resource.clone() });
        Ok(record)
    }

    fn amend(&self, record: u64, resource: &Resource) {
        let state = &mut *self.state();
        let Some(open) = state.open.get_mut(&record) else { return };
        open.resource = resource.clone();
        let build = Some(open.build.to_string());
        let line = Line::Created { record, resource: resource.clone(), build, at: None };
        state.add(&line);
    }

    fn note(&self, build: &Arc<str>, name: &str, value: &str) {
        let state = &mut *self.state();
        let facts = state.facts.entry(Arc::clone(build)).or_default();
        if facts.get(name).and_then(|known| known.as_str()) == Some(value) {
            return;
        }
        facts.insert(name.to_owned(), value.into());
        let line = Line::About { about: build.to_string(), facts: facts.clone() };
        state.add(&line);
    }

    /// Resolves the records that `gone` selects.
    fn resolve(&self, gone: impl Fn(u64, &Open) -> bool) {
        let mut state = self.state();
        let struck: Vec<u64> = state
            .open
            .iter()
            .filter(|(record, open)| gone(**record, open))
            .map(|(record, _)| *record)
            .collect();
        struck.iter().for_each(|record| drop(state.open.remove(record)));
        if state.open.is_empty() {
            if let Some((_, path)) = state.file.take() {
                let _ = std::fs::remove_file(path);
            }
            return;
        }
        for record in struck {
            state.add(&Line::Struck { struck: record });
        }
    }
}

impl State {
    /// Adds a line that may be missing: at worst somebody looks for something that is gone
    /// already, or in more places.
    fn add(&mut self, line: &Line) {
        if let Some((file, _)) = &mut self.file
            && let Err(error) = append(file, line)
        {
            tracing::warn!(%error, "could not add a line to the journal");
        }
    }
}

/// A record that is not resolved.
#[derive(Debug)]
struct Open {
    /// The number of the build's journal.
    number: usize,
    build: Arc<str>,
    resource: Resource,
}

/// A build's part of the journal.
#[derive(Debug)]
pub struct BuildJournal {
    file: Arc<FileJournal>,
    /// Tells it from one of another build with this name.
    number: usize,
    build: Arc<str>,
}

impl BuildJournal {
    /// What the build has created and not removed, newest first.
    pub(super) fn left(&self) -> Vec<Resource> {
        let state = self.file.state();
        let facts = state.facts.get(&self.build);
        let open = state.open.values().rev().filter(|open| open.number == self.number);
        let left = open.map(|open| {
            let mut resource = open.resource.clone();
            resource.attributes.extend(facts.cloned().unwrap_or_default());
            resource
        });
        left.collect()
    }
}

impl Journal for BuildJournal {
    fn record(&self, resource: &Resource) -> Result<u64> {
        let recorded = self.file.record(self, resource).with_context(|| {
            format!("writing the journal of created resources in {}", directory().display())
        });
        recorded.map_err(|error| error.hint("INGOT_STATE_DIR names another directory"))
    }

    fn resolve(&self, record: u64) {
        self.file.resolve(|number, _| number == record);
    }

    fn amend(&self, record: u64, resource: &Resource) {
        self.file.amend(record, resource);
    }

    fn note(&self, name: &str, value: &str) {
        self.file.note(&self.build, name, value);
    }

    fn release(&self) {
        self.file.resolve(|_, open| open.number == self.number);
    }
}

/// Adds a line, durably; or nothing, so that the next one does not begin in the middle of it.
pub(super) fn append(file: &mut File, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let length = file.metadata()?.len();
    let added = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
    if added.is_err() {
        let _ = file.set_len(length);
    }
    added
}

fn create(run: &RunInfo, facts: &BTreeMap<Arc<str>, Facts>) -> std::io::Result<(File, PathBuf)> {
    let directory = directory();
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(own_name());
    // Under another name until it is locked, so that nobody takes it for a dead run's.
    let unlocked = path.with_extension("new");
    let file = OpenOptions::new().create_new(true).append(true).open(&unlocked)?;
    // Where there are no locks, its name says whether the process lives.
    let _ = try_lock(&file);
    std::fs::rename(&unlocked, &path)?;
    let mut created = (file, path);
    append(&mut created.0, &Line::Run(run.clone()))?;
    for (build, facts) in facts {
        append(&mut created.0, &Line::About { about: build.to_string(), facts: facts.clone() })?;
    }
    // So that the file's name is on disk too.
    File::open(&directory)?.sync_all()?;
    Ok(created)
}

/// The name of a new journal of this process: `PID-STARTTIME-RANDOM.journal`.
fn own_name() -> String {
    format!("{}.{EXTENSION}", process_name())
}

/// A new name of something of this process's: `PID-STARTTIME-RANDOM`.
pub fn process_name() -> String {
    let pid = std::process::id();
    let started = started(pid).unwrap_or(0);
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{pid}-{started}-{}", &unique[..8])
}

/// Whether the process that the name of a journal, or of its logs, names runs on this machine.
pub fn owner_runs(path: &Path) -> bool {
    let mut parts = path.file_name().and_then(|name| name.to_str()).unwrap_or("").split('-');
    let pid = parts.next().and_then(|part| part.parse().ok());
    let start = parts.next().and_then(|part| part.parse::<u64>().ok());
    pid.zip(start).is_some_and(|(pid, start)| started(pid) == Some(start))
}

/// When a process started, in clock ticks since boot: tells it from a later one with its number.
/// None if it does not run.
fn started(pid: u32) -> Option<u64> {
    Stat::of(pid).map(|stat| stat.started)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    /// Two `build` blocks without a name may have one source.
    #[test]
    fn builds_of_one_name_have_records_of_their_own() {
        let journal = FileJournal::new(RunInfo::new("r", Path::new("t")));
        let [one, other] = [(), ()].map(|()| journal.of_build("null.n"));
        for (record, build) in [(1, &one), (2, &other)] {
            let resource = Resource::new("thing", record.to_string());
            let (number, build) = (build.number, Arc::clone(&build.build));
            journal.state().open.insert(record, Open { number, build, resource });
        }
        assert_eq!(one.left(), [Resource::new("thing", "1")]);
        one.release();
        assert_eq!((one.left().len(), other.left().len()), (0, 1));
    }

    /// So is a run that was killed in a container in which nobody waits for it.
    #[test]
    fn a_process_that_ended_and_was_not_waited_for_does_not_run() {
        let mut owner = Command::new("sleep").arg("60").spawn().unwrap();
        let start = started(owner.id()).unwrap();
        let path = PathBuf::from(format!("{}-{start}-x.{EXTENSION}", owner.id()));
        assert!(owner_runs(&path));
        owner.kill().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while owner_runs(&path) {
            assert!(Instant::now() < deadline, "it counts as running");
            std::thread::sleep(Duration::from_millis(5));
        }
        owner.wait().unwrap();
    }
}
