//! What runs that are dead have left behind, and its removal.

mod reclaim;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
use std::io::Read;
use std::path::{Path, PathBuf};

use ingot_sdk::file_lock::{is_at, try_lock};
use ingot_sdk::{Context, Error, PluginSet, Reclaim, Resource, Result};
use serde::de::IgnoredAny;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::host_machine::HostMachine;
use super::journal::{EXTENSION, Facts, Line, RunInfo, append, directories, owner_runs};
use super::resume::{self, KeptBuild};
use super::unreadable::Unreadable;

pub use reclaim::reclaim_orphaned_runs;

/// The largest journal that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// A thing that a run left.
#[derive(Debug, Clone)]
pub struct OrphanedResource {
    /// The thing.
    pub resource: Resource,
    /// The build that made it, where it is known.
    pub build: Option<String>,
    /// When it was, or was about to be, created, where it is known.
    pub since: Option<OffsetDateTime>,
    /// Its record.
    record: u64,
}

impl OrphanedResource {
    /// A thing that is in no journal.
    pub fn unrecorded(resource: Resource, since: Option<OffsetDateTime>) -> Self {
        OrphanedResource { resource, build: None, since, record: 0 }
    }

    /// Its kind and id, and where it is.
    pub fn describe(&self, plugins: &PluginSet) -> String {
        let Resource { kind, id, .. } = &self.resource;
        match place(plugins, &self.resource) {
            Some(place) => format!("{kind} {id} ({place})"),
            None => format!("{kind} {id}"),
        }
    }
}

/// What one dead run left. As long as this lives, no other process takes care of it.
#[derive(Debug)]
pub struct OrphanedRun {
    /// Which run it was, where the journal says.
    pub info: Option<RunInfo>,
    /// What it left, newest first: later things may need that earlier ones are there.
    pub left: Vec<OrphanedResource>,
    /// The machine that it ran on, where that is another than this.
    elsewhere: Option<HostMachine>,
    journal: Option<LockedJournal>,
}

/// The journal of a dead run.
#[derive(Debug)]
struct LockedJournal {
    file: File,
    path: PathBuf,
    /// Why nothing can be written in it, where that is so: it is another user's.
    read_only: Option<std::io::Error>,
    /// The first of its lines that cannot be read, from 1. What that recorded is not known.
    damaged: Option<usize>,
}

impl OrphanedRun {
    /// A run of which there is no journal.
    pub fn unrecorded(left: Vec<OrphanedResource>) -> Self {
        OrphanedRun { info: None, left, elsewhere: None, journal: None }
    }

    /// What is kept of a build, which is in no journal.
    pub fn kept(build: &KeptBuild) -> Self {
        let orphan = |resource: &Resource| OrphanedResource {
            build: Some(build.build.clone()),
            ..OrphanedResource::unrecorded(resource.clone(), None)
        };
        let left = build.left.iter().map(orphan).collect();
        OrphanedRun { elsewhere: build.elsewhere(), ..OrphanedRun::unrecorded(left) }
    }

    /// Reads and locks a journal; none if its run lives or another process has it. `here` is this machine.
    ///
    /// # Errors
    /// It cannot be read, or it cannot be found out whether its run lives.
    fn open(path: PathBuf, here: Option<&HostMachine>) -> Result<Option<OrphanedRun>> {
        if path.extension().is_none_or(|extension| extension != EXTENSION) || owner_runs(&path) {
            return Ok(None);
        }
        let (mut file, read_only) = match open_file(&path) {
            // Another process has removed it meanwhile.
            Err(error) if error.kind() == NotFound => return Ok(None),
            opened => opened?,
        };
        match (try_lock(&file), &read_only) {
            (Ok(true), _) => {}
            (Ok(false), _) => return Ok(None),
            // Without locks on the filesystem there is the process's number alone.
            (Err(_), None) => {}
            // NFS locks only what can be written.
            (Err(error), Some(_)) => return Err(error).context("locking it"),
        }
        if !is_at(&file, &path) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(Error::new(format!("it has more than {} MiB", LARGEST >> 20)));
        }
        // The last line may be cut off: then nothing was created after it.
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() && read_only.is_none() {
            // So that a later line, which resolves a record, begins a line of its own.
            let _ = file.set_len(whole as u64);
        }
        let Content { info, left, damaged } = read(&bytes[..whole]);
        let elsewhere = HostMachine::other(info.as_ref().and_then(|info| info.host.as_ref()), here);
        let journal = Some(LockedJournal { file, path, read_only, damaged });
        Ok(Some(OrphanedRun { info, left, elsewhere, journal }))
    }

    /// The machine on which alone `resource`, which it left, can be removed, where that is another than
    /// this: not finding it here says nothing. None for what no plugin here knows, which every machine
    /// may be able to remove.
    pub fn elsewhere(&self, resource: &Resource, plugins: &PluginSet) -> Option<&HostMachine> {
        self.elsewhere.as_ref().filter(|_| is_local(plugins, resource))
    }

    /// What keeps its records from being resolved, where something does: its journal is another user's.
    pub fn read_only(&self) -> Option<Error> {
        let LockedJournal { path, read_only, .. } = self.journal.as_ref()?;
        let why = read_only.as_ref()?;
        let error = Error::new(format!("{} cannot be written: {why}", path.display()));
        Some(error.hint("run `ingot cleanup` as the user to whom that file belongs"))
    }

    /// Which line of its journal cannot be read, if one cannot.
    fn damage(&self) -> Option<Unreadable> {
        let LockedJournal { path, damaged, .. } = self.journal.as_ref()?;
        let error = Error::new(format!("line {} is not what Ingot writes", (*damaged)?));
        Some(Unreadable::journal(path, error))
    }

    /// What is left, in the order in which it can be removed.
    pub fn in_turn(&self, plugins: &PluginSet) -> Vec<OrphanedResource> {
        let mut left = self.left.clone();
        left.sort_by_key(|one| {
            reclaimer(plugins, &one.resource).map_or(0, |reclaim| reclaim.turn(&one.resource))
        });
        left
    }

    /// Removes `orphan`, which is one of this run's, and resolves its record.
    ///
    /// # Errors
    /// It may still exist.
    pub async fn remove(&mut self, orphan: &OrphanedResource, plugins: &PluginSet) -> Result<()> {
        if let Some(error) = self.read_only() {
            return Err(error);
        }
        let resource = &orphan.resource;
        if let Some(machine) = self.elsewhere(resource, plugins) {
            return Err(Error::new(format!("it is on {machine}")).hint("run `ingot cleanup` there"));
        }
        let reclaimer = reclaimer(plugins, resource).ok_or_else(|| {
            Error::new("nothing here can remove things of this kind")
                .hint("a newer Ingot, or one with its builder, can remove it")
        })?;
        reclaimer.reclaim(resource).await?;
        self.left.retain(|other| other.resource != *resource);
        self.resolve(orphan.record);
        Ok(())
    }

    fn resolve(&mut self, record: u64) {
        if let Some(LockedJournal { file, read_only: None, .. }) = &mut self.journal
            && let Err(error) = append(file, &Line::Struck { struck: record })
        {
            tracing::warn!(%error, "could not resolve a record of the journal");
        }
    }

    /// Gives up all records, whatever is still there of what they name.
    ///
    /// # Errors
    /// The journal cannot be removed.
    pub fn forget(&self) -> Result<()> {
        let Some(LockedJournal { path, .. }) = &self.journal else { return Ok(()) };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != NotFound => {
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// How to give up its records, which is all of them, for people; none if it has none.
    pub fn how_to_forget(&self) -> Option<String> {
        let LockedJournal { path, .. } = self.journal.as_ref()?;
        let gives_up = match self.left.len() {
            0 | 1 => "gives it up".to_owned(),
            number => format!("gives up the {number} things of that run"),
        };
        Some(match &self.info {
            Some(run) => format!("`ingot cleanup -forget -run={}` {gives_up}", run.run),
            None => format!("removing {} {gives_up}", path.display()),
        })
    }

    /// Resolves what is kept for `-resume`: the kept build has a record of its own.
    fn leave(&mut self, kept: &BTreeSet<(String, String)>) {
        let is_kept = |orphan: &OrphanedResource| {
            let Resource { kind, id, .. } = &orphan.resource;
            kept.contains(&(kind.clone(), id.clone()))
        };
        let all = std::mem::take(&mut self.left).into_iter();
        let (kept, left): (Vec<_>, Vec<_>) = all.partition(is_kept);
        self.left = left;
        kept.iter().for_each(|orphan| self.resolve(orphan.record));
    }

    /// Removes the journal if nothing of it is left; else whoever looks next finds what is, and what may
    /// have been recorded in lines that cannot be read.
    pub fn close(self) {
        if let (Some(LockedJournal { path, damaged: None, .. }), true) =
            (&self.journal, self.left.is_empty())
        {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Of which run it is, for people.
    pub fn describe(&self) -> String {
        match &self.info {
            Some(run) => {
                format!("a run of {} that started {}", run.template, shown_time(run.started))
            }
            None => "a run of which no more is known".to_owned(),
        }
    }
}

/// Opens a journal, to write in it too; else with why that is refused.
fn open_file(path: &Path) -> std::io::Result<(File, Option<std::io::Error>)> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    match OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => Ok((file, None)),
        Err(refused) if matches!(refused.kind(), PermissionDenied | ReadOnlyFilesystem) => {
            Ok((File::open(path)?, Some(refused)))
        }
        Err(error) => Err(error),
    }
}

/// What a journal says.
struct Content {
    info: Option<RunInfo>,
    /// What is left, newest first.
    left: Vec<OrphanedResource>,
    /// The first line that cannot be read, from 1.
    damaged: Option<usize>,
}

/// Reads the lines of a journal, each of which ends with a newline.
fn read(bytes: &[u8]) -> Content {
    let mut open: BTreeMap<u64, OrphanedResource> = BTreeMap::new();
    let mut about: BTreeMap<String, Facts> = BTreeMap::new();
    let (mut info, mut damaged) = (None, None);
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            // Other versions may write lines that say other things, of which only the form is known.
            let text = std::str::from_utf8(line).ok();
            if text.is_none_or(|text| serde_json::from_str::<IgnoredAny>(text).is_err()) {
                damaged.get_or_insert(index + 1);
            }
            continue;
        };
        match line {
            Line::Run(run) => info = Some(run),
            Line::Created { record, resource, build, at } => {
                let since = at.or_else(|| open.get(&record)?.since);
                open.insert(record, OrphanedResource { resource, build, since, record });
            }
            Line::Struck { struck } => drop(open.remove(&struck)),
            Line::About { about: build, facts } => about.entry(build).or_default().extend(facts),
        }
    }
    for left in open.values_mut() {
        let facts = left.build.as_ref().and_then(|build| about.get(build));
        left.resource.attributes.extend(facts.cloned().unwrap_or_default());
    }
    Content { info, left: open.into_values().rev().collect(), damaged }
}

/// A time, for people and programs.
pub fn shown_time(time: OffsetDateTime) -> String {
    // Fails only for years beyond 9999.
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}

/// What can remove a thing.
fn reclaimer<'a>(plugins: &'a PluginSet, resource: &Resource) -> Option<&'a dyn Reclaim> {
    let of_kind = |one: &&std::sync::Arc<dyn Reclaim>| one.kinds().contains(&&*resource.kind);
    plugins.reclaimers.iter().find(of_kind).map(|one| &**one)
}

/// Whether a thing is known to be reached from the machine only on which it was created.
pub(crate) fn is_local(plugins: &PluginSet, resource: &Resource) -> bool {
    reclaimer(plugins, resource).is_some_and(|reclaimer| reclaimer.is_local(resource))
}

/// The same, also of what no plugin here knows: that may be anywhere.
pub(crate) fn may_be_local(plugins: &PluginSet, resource: &Resource) -> bool {
    reclaimer(plugins, resource).is_none() || is_local(plugins, resource)
}

/// Where a thing is, for people.
pub fn place(plugins: &PluginSet, resource: &Resource) -> Option<String> {
    reclaimer(plugins, resource)?.place(resource)
}

/// A sentence that the user reads with a thing.
pub fn remark(plugins: &PluginSet, resource: &Resource) -> Option<String> {
    reclaimer(plugins, resource)?.remark(resource)
}

/// What is in the directories where journals may be.
fn journals() -> impl Iterator<Item = PathBuf> {
    let found = directories().into_iter().filter_map(|directory| std::fs::read_dir(directory).ok());
    found.flatten().flatten().map(|entry| entry.path())
}

/// What is written down of dead runs.
#[derive(Debug, Default)]
pub struct OrphanedRuns {
    /// Those that have left something, the oldest first.
    pub runs: Vec<OrphanedRun>,
    /// What cannot be read, or not as a whole.
    pub unreadable: Vec<Unreadable>,
}

impl OrphanedRuns {
    fn look_into(&mut self, directory: &Path, here: Option<&HostMachine>) {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == NotFound => return,
            Err(error) => {
                return self.unreadable.push(Unreadable::journal(directory, error.into()));
            }
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            match OrphanedRun::open(path.clone(), here) {
                Ok(Some(run)) => {
                    self.unreadable.extend(run.damage());
                    self.runs.push(run);
                }
                Ok(None) => {}
                Err(error) => self.unreadable.push(Unreadable::journal(&path, error)),
            }
        }
    }
}

/// The runs that are dead and have left something. Costs a look into few directories when there is
/// nothing.
pub fn orphaned_runs() -> OrphanedRuns {
    let mut listing = OrphanedRuns::default();
    let here = HostMachine::this();
    directories().iter().for_each(|directory| listing.look_into(directory, here.as_ref()));
    let runs = &mut listing.runs;
    // Only after they are locked: no run keeps anything of theirs any more.
    let kept = match runs.is_empty() {
        true => BTreeSet::new(),
        false => resume::record::resources(),
    };
    runs.iter_mut().for_each(|run| run.leave(&kept));
    runs.sort_by_key(|run| run.info.as_ref().map(|info| info.started));
    listing
}

/// The ids of the runs of this user that live.
pub fn living_runs() -> Vec<String> {
    let lives = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == EXTENSION)
            && (owner_runs(path)
                || File::open(path).is_ok_and(|file| matches!(try_lock(&file), Ok(false))))
    };
    let run = |path: PathBuf| {
        let bytes = std::fs::read(path).ok()?;
        match serde_json::from_slice(bytes.split(|&byte| byte == b'\n').next()?).ok()? {
            Line::Run(info) => Some(info.run),
            _ => None,
        }
    };
    journals().filter(lives).filter_map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"{"run":"r","template":"/t.pkr.hcl","started":1}"#;

    #[test]
    fn later_records_and_facts_amend_a_resource() {
        let text = format!(
            "{RUN}\n{}\n{}\n{}\n{}\n",
            r#"{"record":1,"resource":{"kind":"image","id":"a"},"build":"b","at":5}"#,
            r#"{"record":2,"resource":{"kind":"key","id":"k"},"build":"c","at":6}"#,
            r#"{"record":1,"resource":{"kind":"image","id":"a","attributes":{"x":"1"}},"build":"b"}"#,
            r#"{"about":"b","facts":{"account":"123"}}"#,
        );
        let Content { info, left, damaged } = read(text.as_bytes());
        assert_eq!((info.unwrap().run.as_str(), damaged), ("r", None));
        let [key, image] = &left[..] else { panic!("{left:?}") };
        assert!(key.resource.attributes.is_empty());
        let attributes = serde_json::Value::from(image.resource.attributes.clone());
        assert_eq!(attributes, serde_json::json!({ "account": "123", "x": "1" }));
        assert_eq!(image.since.unwrap().unix_timestamp(), 5);
    }

    #[test]
    fn a_line_that_is_cut_off_does_not_swallow_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("1-0-x.{EXTENSION}"));
        let record = r#"{"record":1,"resource":{"kind":"key","id":"k"},"build":"b","at":5}"#;
        let other = record.replace(":1,", ":3,");
        let torn = &record.replace(":1,", ":2,")[..20];
        std::fs::write(&path, format!("{RUN}\n{record}\n{other}\n{torn}")).unwrap();
        let mut run = OrphanedRun::open(path.clone(), None).unwrap().unwrap();
        assert_eq!((run.left.len(), run.damage().is_none()), (2, true));
        run.resolve(1);
        drop(run);
        let left = OrphanedRun::open(path, None).unwrap().unwrap().left;
        assert!(left.len() == 1 && left[0].record == 3, "{left:?}");
    }
}
