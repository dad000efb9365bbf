//! The resource journal: what a run created and has not removed yet, on disk, so that the next
//! run can remove what a killed one left behind.
//!
//! One file per run, `PID-STARTTIME.journal`, of JSON lines: `{"record":1,"resource":{…}}` when
//! something is about to be created and `{"struck":1}` when it is gone. The file appears with the
//! first record and disappears when nothing is left.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use ingot_sdk::{Context, Error, Journal, PluginSet, Resource, Result, Ui};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Created { record: u64, resource: Resource },
    Struck { struck: u64 },
}

/// The journal of this run.
#[derive(Debug, Default)]
pub struct FileJournal {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<(File, PathBuf)>,
    next: u64,
    open: usize,
}

impl FileJournal {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Ends the journal. What is still in it was left in place because the user asked for it
    /// (`-on-error=abort`), so it is nobody's to remove.
    pub fn release(&self) {
        if let Some((_, path)) = self.state().file.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Journal for FileJournal {
    fn record(&self, resource: &Resource) -> Result<u64> {
        let mut state = self.state();
        if state.file.is_none() {
            state.file = Some(create().context("writing the journal of created resources")?);
        }
        state.next += 1;
        state.open += 1;
        let record = state.next;
        let line = Line::Created { record, resource: resource.clone() };
        append(&mut state, &line).context("writing the journal of created resources")?;
        Ok(record)
    }

    fn strike(&self, record: u64) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        if state.open == 0 {
            if let Some((_, path)) = state.file.take() {
                let _ = std::fs::remove_file(path);
            }
            return;
        }
        // At worst the next run looks for something that is gone already.
        if let Err(error) = append(&mut state, &Line::Struck { struck: record }) {
            tracing::warn!(%error, "could not strike out a record of the journal");
        }
    }
}

fn append(state: &mut State, line: &Line) -> std::io::Result<()> {
    let Some((file, _)) = &mut state.file else { return Ok(()) };
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

fn create() -> std::io::Result<(File, PathBuf)> {
    let folder = folder();
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(own_name());
    let file = OpenOptions::new().create_new(true).append(true).open(&path)?;
    Ok((file, path))
}

/// The name of a new journal of this process.
fn own_name() -> String {
    let pid = std::process::id();
    let started = started(pid).unwrap_or(0);
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{pid}-{started}-{}.journal", &unique[..8])
}

/// Where Ingot keeps what outlives a run: `$INGOT_STATE_DIR`, else `$XDG_STATE_HOME/ingot`, else `~/.local/state/ingot`, else a folder
/// for temporary files.
pub fn folder() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = variable("INGOT_STATE_DIR") {
        return folder.into();
    }
    if let Some(folder) = variable("XDG_STATE_HOME") {
        return Path::new(&folder).join("ingot");
    }
    match variable("HOME") {
        Some(home) => Path::new(&home).join(".local/state/ingot"),
        None => std::env::temp_dir().join("ingot-state"),
    }
}

/// When a process started, in clock ticks since boot: tells it from a later one with its number.
/// None if it does not run.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name, may hold spaces and parentheses.
    let fields = &stat[stat.rfind(')')? + 2..];
    fields.split(' ').nth(19)?.parse().ok()
}

/// Removes what runs that are dead left behind. Costs one look into a folder when there is
/// nothing.
pub async fn reclaim_leftovers(plugins: &PluginSet, ui: &Ui) {
    let Ok(entries) = std::fs::read_dir(folder()) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if let Some(left) = abandoned(&path) {
            reclaim(&path, left, plugins, ui).await;
        }
    }
}

/// The resources in a journal whose process is dead; none if it lives or this is no journal.
fn abandoned(path: &Path) -> Option<Vec<Resource>> {
    let name = path.file_name()?.to_str()?.strip_suffix(".journal")?;
    let mut parts = name.split('-');
    let pid: u32 = parts.next()?.parse().ok()?;
    let start: u64 = parts.next()?.parse().ok()?;
    if started(pid) == Some(start) {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let mut open = BTreeMap::new();
    // The last line may be cut off: then nothing was created after it.
    for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
        match line {
            Line::Created { record, resource } => drop(open.insert(record, resource)),
            Line::Struck { struck } => drop(open.remove(&struck)),
        }
    }
    Some(open.into_values().collect())
}

async fn reclaim(path: &Path, left: Vec<Resource>, plugins: &PluginSet, ui: &Ui) {
    // Whoever renames the journal reclaims it; another run that looks now finds one of a process
    // that lives, and if this one is killed, one to reclaim again.
    let mine = path.with_file_name(own_name());
    if std::fs::rename(path, &mine).is_err() {
        return;
    }
    let mut failed = false;
    for resource in left {
        let reclaimer =
            plugins.reclaimers.iter().find(|one| one.kinds().contains(&resource.kind.as_str()));
        let result = match reclaimer {
            Some(reclaimer) => reclaimer.reclaim(&resource).await,
            None => Err(Error::new("nothing here can remove things of this kind")),
        };
        let what = format!("{} {}", resource.kind, resource.id);
        match result {
            Ok(()) => ui.say(format!("Removed {what}, which an interrupted run left behind.")),
            Err(error) => {
                failed = true;
                ui.error(format!("Could not remove {what}, left by an interrupted run: {error}"));
            }
        }
    }
    // What could not be removed is tried again next time.
    let _ = match failed {
        true => std::fs::rename(&mine, path),
        false => std::fs::remove_file(&mine),
    };
}
