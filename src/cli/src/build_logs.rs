//! A debug log of each build, kept when the build fails.
//!
//! Each run has a directory of its own below that of the journals, which it holds a lock on, and in
//! it a file for each build. What it says goes in, and what `PACKER_LOG` would show of it. The logs
//! of builds that succeed are removed when the run ends; those of runs before are removed when there
//! are too many, or they are too old. Nothing that goes wrong with a log fails a build.

mod layer;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ingot_engine::journal::{directory, owner_runs, process_name};
use ingot_sdk::file_lock::try_lock;
use ingot_sdk::{Event, StepOutcome, environment};
use ingot_ui::Redactor;
use parking_lot::Mutex;
use time::OffsetDateTime;

pub use layer::{BuildLogLayer, Slot};

/// How large the log of a build becomes before its first half is dropped.
const LIMIT: u64 = 8 << 20;
/// How many runs' logs are kept, for how long, and how large they are together.
const KEPT_RUNS: usize = 20;
const KEPT_FOR: Duration = Duration::from_secs(14 * 86_400);
const KEPT_BYTES: u64 = 256 << 20;

/// The logs of the builds of a run.
pub struct BuildLogs {
    directory: PathBuf,
    redactor: Arc<Redactor>,
    logs: Mutex<HashMap<Arc<str>, BuildLog>>,
    /// Held as long as the run lives.
    _lock: File,
}

struct BuildLog {
    path: PathBuf,
    /// Open while the build runs.
    file: Option<File>,
    length: u64,
    /// What went wrong with it; it is not written any further.
    broken: Option<String>,
}

/// The log of a build that was kept.
#[derive(Debug, Clone)]
pub struct KeptLog {
    /// The build.
    pub build: String,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, as in "it is incomplete", without the subject.
    pub flaw: Option<String>,
}

/// Whether the environment says that builds keep no log.
pub fn turned_off() -> bool {
    environment::switch("INGOT_BUILD_LOG") == Ok(Some(false))
}

impl BuildLogs {
    /// Makes the directory of this run, and a log for each of the builds `names`. Removes logs of
    /// others that are not to be kept any longer.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn open<'a>(
        names: impl Iterator<Item = &'a str>,
        redactor: Arc<Redactor>,
    ) -> std::io::Result<Arc<Self>> {
        let all = directory().join("logs");
        let directory = all.join(process_name());
        let create = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&all)?;
            DirBuilder::new().mode(0o700).create(&directory)
        };
        // Another run may have removed the directory of all logs meanwhile, which was empty.
        create().or_else(|_| create())?;
        let lock = File::open(&directory)?;
        // Where there are no locks, its name says whether the process lives.
        let _ = try_lock(&lock);
        prune(&all, &directory);
        let logs = names.enumerate().map(|(index, name)| {
            let path = directory.join(format!("{:02}-{}.log", index + 1, file_name(name)));
            (name.into(), BuildLog { path, file: None, length: 0, broken: None })
        });
        let logs = Mutex::new(logs.collect());
        Ok(Arc::new(BuildLogs { directory, redactor, logs, _lock: lock }))
    }

    /// Where the logs are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes down an event, which has no secrets in it any more.
    pub fn record(&self, event: &Event) {
        let Some(name) = event.speaker() else { return };
        let (kind, text) = match event {
            Event::Say { text, .. } | Event::Message { text, .. } => ("SAID", text.clone()),
            Event::Error { text, .. } => ("ERROR", text.clone()),
            Event::BuildStart { .. } => ("BUILD", "begins".to_owned()),
            Event::StepStart { step, .. } => {
                ("STEP", format!("{} begins", ingot_report::describe(step)))
            }
            Event::StepEnd { outcome, .. } => ("STEP", format!("ends: {}", shown(outcome))),
            Event::BuildEnd { outcome, .. } => ("BUILD", format!("ends: {}", shown(outcome))),
            Event::ProgressStart { label, .. } => ("TRANSFER", label.clone()),
            _ => return,
        };
        let mut lines = String::new();
        let now = now();
        for line in text.trim_end().split('\n') {
            let _ = writeln!(lines, "{now} {kind:<8} {line}");
        }
        let mut logs = self.logs.lock();
        let owner = || name.rsplit_once(" (").map(|(owner, _)| owner);
        let found = match logs.contains_key(name) {
            true => Some(&**name),
            false => owner(),
        };
        let Some(log) = found.and_then(|name| logs.get_mut(name)) else { return };
        log.write(&lines);
        if let Event::BuildEnd { outcome, .. } = event {
            log.file = None;
            if matches!(outcome, StepOutcome::Succeeded | StepOutcome::Skipped) {
                let _ = std::fs::remove_file(&log.path);
                log.length = 0;
            }
        }
    }

    /// Writes down a line of the program's own log; of no build, it is written to all.
    fn trace(&self, build: Option<&str>, line: &str) {
        let line = format!("{} {}\n", now(), self.redactor.apply(line));
        let mut logs = self.logs.lock();
        match build {
            Some(name) => {
                if let Some(log) = logs.get_mut(name) {
                    log.write(&line);
                }
            }
            None => {
                logs.values_mut().filter(|log| log.file.is_some()).for_each(|log| log.write(&line))
            }
        }
    }

    /// Keeps the logs of the builds `names` and removes the others. Secrets that were not known when
    /// they were written are taken out now.
    pub fn keep(&self, names: &[&str]) -> Vec<KeptLog> {
        let mut kept = Vec::new();
        for (name, log) in self.logs.lock().iter_mut() {
            log.file = None;
            if !names.contains(&&**name) || log.length == 0 {
                let _ = std::fs::remove_file(&log.path);
                continue;
            }
            let incomplete = log.broken.as_ref().map(|why| format!("is incomplete ({why})"));
            let unclean = match self.clean(&log.path) {
                Ok(()) => None,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                // It is private, and may be all that says why the build failed.
                Err(error) => Some(format!("may hold secrets ({error})")),
            };
            let flaws: Vec<String> = incomplete.into_iter().chain(unclean).collect();
            kept.push(KeptLog {
                build: name.to_string(),
                path: log.path.clone(),
                flaw: (!flaws.is_empty()).then(|| flaws.join(" and ")),
            });
        }
        if kept.is_empty() {
            let _ = std::fs::remove_dir_all(&self.directory);
            // Only if no other run has logs in it.
            let _ = self.directory.parent().map(std::fs::remove_dir);
        }
        kept
    }

    fn clean(&self, path: &Path) -> std::io::Result<()> {
        let bytes = std::fs::read(path)?;
        // A full disk may have cut a character.
        let text = String::from_utf8_lossy(&bytes);
        let clean = self.redactor.apply(&text);
        if clean == text {
            return Ok(());
        }
        // Beside it: the disk may be full now.
        let beside = path.with_extension("clean");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let written = options.open(&beside).and_then(|mut file| file.write_all(clean.as_bytes()));
        let moved = written.and_then(|()| std::fs::rename(&beside, path));
        if moved.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        moved
    }
}

impl BuildLog {
    fn write(&mut self, text: &str) {
        if self.broken.is_some() {
            return;
        }
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.create(true).read(true).append(true).mode(0o600);
            match options.open(&self.path) {
                Ok(file) => self.file = Some(file),
                Err(error) => self.broken = Some(error.to_string()),
            }
        }
        let Some(file) = &mut self.file else { return };
        let written = file.write_all(text.as_bytes()).and_then(|()| {
            self.length += text.len() as u64;
            match self.length > LIMIT {
                true => drop_first_half(file).map(|length| self.length = length),
                false => Ok(()),
            }
        });
        if let Err(error) = written {
            // The disk may be full: what is there stays. Not a word of it to the program's own log,
            // which leads here.
            self.file = None;
            self.broken = Some(error.to_string());
        }
    }
}

/// Leaves the second half of a file, from the beginning of a line on; how long that is.
fn drop_first_half(file: &mut File) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(LIMIT / 2))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    let line = rest.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut kept = b"(the lines before are left out)\n".to_vec();
    kept.extend_from_slice(&rest[line..]);
    // What is written goes to the end.
    file.set_len(0)?;
    file.write_all(&kept)?;
    Ok(kept.len() as u64)
}

fn shown(outcome: &StepOutcome) -> String {
    match outcome {
        StepOutcome::Succeeded => "succeeded".to_owned(),
        StepOutcome::Failed(why) => format!("failed: {why}"),
        StepOutcome::Tolerated(why) => format!("failed, tolerated: {why}"),
        StepOutcome::Cancelled => "cancelled".to_owned(),
        StepOutcome::Skipped => "skipped".to_owned(),
    }
}

/// The time by RFC 3339, to the millisecond.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let (hour, minute, second, millis) = now.time().as_hms_milli();
    // The date's own form is that of RFC 3339. This is done for each line.
    format!("{}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", now.date())
}

/// A build's name as part of the name of a file.
fn file_name(build: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    build.chars().take(100).map(plain).collect()
}

/// Removes the logs of runs that have ended, however they did, when they are old or too many.
fn prune(all: &Path, own: &Path) {
    let Ok(entries) = std::fs::read_dir(all) else { return };
    let mut runs: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(found) = entry.metadata() else { continue };
        if path == own || !found.is_dir() || lives(&path) {
            continue;
        }
        let files = std::fs::read_dir(&path).into_iter().flatten().flatten();
        let size = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        runs.push((found.modified().unwrap_or(SystemTime::UNIX_EPOCH), path, size));
    }
    // The newest first.
    runs.sort_by_key(|run| std::cmp::Reverse(run.0));
    let (mut count, mut bytes) = (0, 0);
    for (modified, path, size) in runs {
        (count, bytes) = (count + 1, bytes + size);
        let old = modified.elapsed().is_ok_and(|age| age > KEPT_FOR);
        if (old || count > KEPT_RUNS || bytes > KEPT_BYTES)
            && let Err(error) = std::fs::remove_dir_all(&path)
        {
            tracing::debug!(%error, path = %path.display(), "cannot remove old logs");
        }
    }
}

/// Whether the run that writes into a directory of logs lives.
fn lives(path: &Path) -> bool {
    owner_runs(path) || File::open(path).is_ok_and(|lock| matches!(try_lock(&lock), Ok(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_log_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = BuildLog { path: path.clone(), file: None, length: 0, broken: None };
        let line = format!("{}\n", "ü".repeat(5000));
        for _ in 0..2000 {
            log.write(&line);
        }
        log.write("the last line\n");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() as u64 <= LIMIT && text.len() as u64 > LIMIT / 4, "{}", text.len());
        assert_eq!(text.len() as u64, log.length);
        assert!(text.starts_with("(the lines before are left out)\nü"));
        assert!(text.ends_with("the last line\n"));
    }

    #[test]
    fn secrets_that_were_learnt_late_are_taken_out_and_a_log_that_cannot_be_cleaned_stays() {
        let dir = tempfile::tempdir().unwrap();
        let redactor = Arc::new(Redactor::default());
        let mut logs = HashMap::new();
        for name in ["cut", "stuck", "gone"] {
            let path = dir.path().join(format!("{name}.log"));
            if name != "gone" {
                std::fs::write(&path, b"a late-secret \xc3").unwrap();
            }
            logs.insert(name.into(), BuildLog { path, file: None, length: 14, broken: None });
        }
        // In the way of what would replace the log.
        std::fs::create_dir(dir.path().join("stuck.clean")).unwrap();
        let logs = BuildLogs {
            directory: dir.path().to_owned(),
            redactor: Arc::clone(&redactor),
            logs: Mutex::new(logs),
            _lock: File::open(dir.path()).unwrap(),
        };
        redactor.add("late-secret");
        let mut kept = logs.keep(&["cut", "stuck", "gone"]);
        kept.sort_by(|one, other| one.build.cmp(&other.build));
        let [cut, stuck] = &kept[..] else { panic!("{kept:?}") };
        assert_eq!(cut.flaw, None);
        assert_eq!(std::fs::read_to_string(&cut.path).unwrap(), "a <sensitive> \u{fffd}");
        assert!(stuck.flaw.as_ref().unwrap().starts_with("may hold secrets ("), "{stuck:?}");
        assert_eq!(std::fs::read(&stuck.path).unwrap(), b"a late-secret \xc3");
    }

    #[test]
    fn logs_of_runs_that_ended_are_pruned_and_those_of_living_ones_are_not() {
        let all = tempfile::tempdir().unwrap();
        let make = |name: &str, days: u64| {
            let path = all.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("01-a.log"), "x").unwrap();
            let then = SystemTime::now() - Duration::from_secs(days * 86_400 + 60);
            File::open(&path).unwrap().set_modified(then).unwrap();
            path
        };
        let own = make("own", 100);
        let old = make("0-0-old", 15);
        let held = make("0-0-held", 99);
        let lock = File::open(&held).unwrap();
        assert!(try_lock(&lock).unwrap());
        let recent: Vec<PathBuf> =
            (0..KEPT_RUNS + 2).map(|n| make(&format!("0-0-{n}"), 1 + n as u64 / 4)).collect();
        prune(all.path(), &own);
        assert!(own.exists() && held.exists() && !old.exists());
        assert_eq!(recent.iter().filter(|path| path.exists()).count(), KEPT_RUNS);
        assert!(recent[0].exists() && !recent[KEPT_RUNS + 1].exists());
    }
}
