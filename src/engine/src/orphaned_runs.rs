//! What runs that are dead have left behind, and its removal.

mod reclaim;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ingot_sdk::file_lock::try_lock;
use ingot_sdk::{Error, PluginSet, Reclaim, Resource, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::journal::{EXTENSION, Facts, Line, RunInfo, append, directories, owner_runs};
use super::resume;

pub use reclaim::reclaim_orphaned_runs;

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
    journal: Option<(File, PathBuf)>,
}

impl OrphanedRun {
    /// A run of which there is no journal.
    pub fn unrecorded(left: Vec<OrphanedResource>) -> Self {
        OrphanedRun { info: None, left, journal: None }
    }

    /// Reads and locks a journal; none if its run lives or another process has it.
    fn open(path: PathBuf) -> Option<OrphanedRun> {
        if path.extension()?.to_str()? != EXTENSION || owner_runs(&path) {
            return None;
        }
        let mut file = OpenOptions::new().read(true).append(true).open(&path).ok()?;
        // Without locks on the filesystem there is the process's number alone.
        if !try_lock(&file).unwrap_or(true) || !is_at(&file, &path) {
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        // The last line may be cut off: then nothing was created after it.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            // So that a later line, which resolves a record, begins a line of its own.
            let _ = file.set_len(whole as u64);
        }
        let (info, left) = read(&text);
        Some(OrphanedRun { info, left, journal: Some((file, path)) })
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
        let resource = &orphan.resource;
        let reclaimer = reclaimer(plugins, resource)
            .ok_or_else(|| Error::new("nothing here can remove things of this kind"))?;
        reclaimer.reclaim(resource).await?;
        self.left.retain(|other| other.resource != *resource);
        if let Some((file, _)) = &mut self.journal
            && let Err(error) = append(file, &Line::Struck { struck: orphan.record })
        {
            tracing::warn!(%error, "could not resolve a record of the journal");
        }
        Ok(())
    }

    /// Resolves what is kept for `-resume`: the kept build has a record of its own.
    fn leave(&mut self, kept: &BTreeSet<(String, String)>) {
        let is_kept = |orphan: &OrphanedResource| {
            let Resource { kind, id, .. } = &orphan.resource;
            kept.contains(&(kind.clone(), id.clone()))
        };
        for orphan in self.left.extract_if(.., |orphan| is_kept(orphan)) {
            if let Some((file, _)) = &mut self.journal
                && let Err(error) = append(file, &Line::Struck { struck: orphan.record })
            {
                tracing::warn!(%error, "could not resolve a record of the journal");
            }
        }
    }

    /// Removes the journal if nothing of it is left; else whoever looks next finds what is.
    pub fn close(self) {
        if let (Some((_, path)), true) = (&self.journal, self.left.is_empty()) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Of which run it is, for people.
    pub fn describe(&self) -> String {
        match &self.info {
            Some(run) => format!(
                "a run of {} that started {}",
                run.template.display(),
                shown_time(run.started)
            ),
            None => "a run of which no more is known".to_owned(),
        }
    }
}

/// The lines of a journal: which run it is of, and what is left, newest first.
fn read(text: &str) -> (Option<RunInfo>, Vec<OrphanedResource>) {
    let mut open: BTreeMap<u64, OrphanedResource> = BTreeMap::new();
    let mut about: BTreeMap<String, Facts> = BTreeMap::new();
    let mut info = None;
    for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
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
    (info, open.into_values().rev().collect())
}

/// A time, for people and programs.
pub fn shown_time(time: OffsetDateTime) -> String {
    // Fails only for years beyond 9999.
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}

/// Whether `file` is still what is at `path`: another process may have removed it before this
/// one had the lock.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(found)) => held.ino() == found.ino() && held.dev() == found.dev(),
        _ => false,
    }
}

/// What can remove a thing.
fn reclaimer<'a>(plugins: &'a PluginSet, resource: &Resource) -> Option<&'a dyn Reclaim> {
    let of_kind = |one: &&std::sync::Arc<dyn Reclaim>| one.kinds().contains(&&*resource.kind);
    plugins.reclaimers.iter().find(of_kind).map(|one| &**one)
}

/// Where a thing is, for people.
pub fn place(plugins: &PluginSet, resource: &Resource) -> Option<String> {
    reclaimer(plugins, resource)?.place(resource)
}

/// What is in the directories where journals may be.
fn journals() -> impl Iterator<Item = PathBuf> {
    let found = directories().into_iter().filter_map(|directory| std::fs::read_dir(directory).ok());
    found.flatten().flatten().map(|entry| entry.path())
}

/// The runs that are dead and have left something, oldest first. Costs a look into few directories
/// when there is nothing.
pub fn orphaned_runs() -> Vec<OrphanedRun> {
    let mut runs: Vec<_> = journals().filter_map(OrphanedRun::open).collect();
    // Only after they are locked: no run keeps anything of theirs any more.
    let kept = match runs.is_empty() {
        true => BTreeSet::new(),
        false => resume::record::resources(),
    };
    runs.iter_mut().for_each(|run| run.leave(&kept));
    runs.sort_by_key(|run| run.info.as_ref().map(|info| info.started));
    runs
}

/// The ids of the runs of this user that live.
pub fn living_runs() -> Vec<String> {
    let lives = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == EXTENSION)
            && (owner_runs(path)
                || File::open(path).is_ok_and(|file| matches!(try_lock(&file), Ok(false))))
    };
    let run = |path: PathBuf| {
        let text = std::fs::read_to_string(path).ok()?;
        match serde_json::from_str(text.lines().next()?).ok()? {
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
        let (info, left) = read(&text);
        assert_eq!(info.unwrap().run, "r");
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
        let mut run = OrphanedRun::open(path.clone()).unwrap();
        assert_eq!(run.left.len(), 2);
        if let Some((file, _)) = &mut run.journal {
            append(file, &Line::Struck { struck: 1 }).unwrap();
        }
        drop(run);
        let left = OrphanedRun::open(path).unwrap().left;
        assert!(left.len() == 1 && left[0].record == 3, "{left:?}");
    }
}
