//! What is written down of a build that is kept.
//!
//! Each has a directory of its own in `kept` beside the journals, for its owner only: `record.json`,
//! `secrets.json` where the builder has some, and the SBOMs that provisioners took. The directory
//! gets its name when all is in it and on disk. A run that goes on with the build holds the lock on
//! `lock` in it. The record stands for the journal of what the build left: that is in one of the two,
//! for a moment in both, and never in none.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io::ErrorKind::NotFound;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use ingot_sdk::file_lock::FileLock;
use ingot_sdk::file_work::read_small;
use ingot_sdk::recorded_path::shown_path;
use ingot_sdk::whole_file::{self, Options, sync_directory};
use ingot_sdk::{Context, Error, PluginSet, Resource, Result, Sbom, SbomFormat};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::artifact::RecordedArtifact;
use super::inputs::Inputs;
use crate::host_machine::HostMachine;
use crate::journal::{self, owner_runs, process_name};
use crate::orphaned_runs::{is_local, may_be_local};
use crate::unreadable::Unreadable;

/// The form of the records that this version writes.
const FORMAT: u32 = 3;
/// The oldest form that it reads. All forms say the same of what is kept. They differ in what the digests
/// are made of, so that changes can be told from records of the same form only.
const OLDEST_FORMAT: u32 = 1;
/// The largest record that is read, in bytes.
const LARGEST_RECORD: u64 = 16 << 20;
/// How the names of directories begin that are not whole yet.
const UNFINISHED: &str = ".new-";
const RECORD: &str = "record.json";
const SECRETS: &str = "secrets.json";
const LOCK: &str = "lock";
/// The directory of all records.
const KEPT: &str = "kept";

/// How far a build was when it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its builder failed, or one of its provisioners.
    Building,
    /// Its builder was done; a post-processor failed.
    PostProcessing,
    /// All went well: the record is there for `-only-post-processors`, and says that the build was
    /// finished.
    Built,
}

/// A build that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptBuild {
    /// The form of the record.
    format: u32,
    /// The template, as an absolute path without links, for people and to compare.
    pub template: String,
    /// The build's name.
    pub build: String,
    /// The id of the run.
    pub run: String,
    /// When the run started, in seconds and nanoseconds since 1970: what `timestamp()` saw.
    pub started: (i64, u32),
    /// When it was kept.
    #[serde(with = "time::serde::timestamp::milliseconds")]
    pub kept_at: OffsetDateTime,
    /// How far it was.
    pub stage: Stage,
    /// Why it failed or stopped, without secrets.
    pub reason: String,
    /// All builds that the run was to make and would leave a record of; with those of earlier runs
    /// that this one went on with.
    pub along: BTreeSet<String>,
    /// The fingerprint of the version that it is published in.
    pub fingerprint: Option<String>,
    /// Whether its builder is a program of its own, which knows no way back to its machine.
    pub hosted: bool,
    /// How many provisioners, from the first on, have run.
    pub done: usize,
    /// What it was made of.
    pub(super) inputs: Inputs,
    /// Whether something that is part of it was skipped or is not what it is made of now: it went on
    /// with `-start-at` or `-only-post-processors`.
    #[serde(default)]
    pub(super) partial: bool,
    /// What the builder needs to find its machine.
    pub machine: Option<serde_json::Value>,
    /// What is left of it, newest first.
    pub left: Vec<Resource>,
    /// What the builder made.
    pub artifact: Option<RecordedArtifact>,
    /// Whether the artifact is there for `-resume` alone, so that it goes with the record.
    pub owns_artifact: bool,
    sboms: Vec<KeptSbom>,
    /// The machine that it was kept on, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<HostMachine>,
}

/// An SBOM that a provisioner took, for when the build is published.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptSbom {
    name: Option<String>,
    spdx: bool,
    file: String,
}

/// What a record begins with.
pub(super) struct Header {
    pub template: String,
    pub build: String,
    pub run: String,
    pub started: OffsetDateTime,
    pub along: BTreeSet<String>,
    pub fingerprint: Option<String>,
    pub hosted: bool,
}

impl KeptBuild {
    /// A record of a build that has done nothing yet.
    pub(super) fn new(header: Header, inputs: Inputs) -> Self {
        KeptBuild {
            format: FORMAT,
            template: header.template,
            build: header.build,
            run: header.run,
            started: (header.started.unix_timestamp(), header.started.nanosecond()),
            kept_at: OffsetDateTime::now_utc(),
            stage: Stage::Building,
            reason: String::new(),
            along: header.along,
            fingerprint: header.fingerprint,
            hosted: header.hosted,
            done: 0,
            inputs,
            partial: false,
            machine: None,
            left: Vec::new(),
            artifact: None,
            owns_artifact: false,
            sboms: Vec::new(),
            host: HostMachine::this(),
        }
    }

    /// When the run started.
    pub fn started(&self) -> Option<OffsetDateTime> {
        let (seconds, nanoseconds) = self.started;
        let started = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        started.replace_nanosecond(nanoseconds).ok()
    }

    /// Whether what changed since can be told: its digests are made of the same as those of now.
    pub(super) fn is_comparable(&self) -> bool {
        self.format == FORMAT
    }

    /// The machine that it was kept on, where that is another than this.
    pub fn elsewhere(&self) -> Option<HostMachine> {
        HostMachine::other(self.host.as_ref(), HostMachine::this().as_ref())
    }

    /// What is left of it, and what its artifact is besides files.
    fn resources(&self) -> impl Iterator<Item = &Resource> {
        let made = self.artifact.iter().flat_map(RecordedArtifact::resources);
        self.left.iter().chain(made)
    }

    /// Whether something that it needs can, as far as is known here, be reached from its machine only.
    pub(super) fn needs_host(&self, plugins: &PluginSet) -> bool {
        self.resources().any(|resource| may_be_local(plugins, resource))
    }

    /// Whether something of it can be removed on its machine only.
    pub fn is_bound(&self, plugins: &PluginSet) -> bool {
        let made = self.artifact.as_ref().filter(|_| self.owns_artifact);
        self.resources().any(|resource| is_local(plugins, resource))
            || made.is_some_and(RecordedArtifact::has_files)
    }

    /// Whether something has to be removed before the record may go.
    pub fn holds_something(&self) -> bool {
        !self.left.is_empty() || self.owns_artifact
    }
}

/// A record on disk.
#[derive(Debug)]
pub struct KeptRecord {
    /// Its directory.
    path: PathBuf,
    /// What it says.
    pub build: KeptBuild,
}

impl KeptRecord {
    /// Writes a record down. It is there whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn create(
        mut build: KeptBuild,
        secrets: Option<&serde_json::Value>,
        sboms: &[Sbom],
    ) -> Result<KeptRecord> {
        let all = directory();
        let writing = || format!("writing to {}", all.display());
        remove_unfinished(&all);
        let name = process_name();
        let new = all.join(format!("{UNFINISHED}{name}"));
        let create = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&all)?;
            DirBuilder::new().mode(0o700).create(&new)
        };
        // Another run may have removed the directory of all records meanwhile, which was empty.
        create().or_else(|_| create()).with_context(writing)?;
        only_ours(&all)?;
        let path = all.join(name);
        let written = write_into(&new, &mut build, secrets, sboms)
            .and_then(|()| std::fs::rename(&new, &path).with_context(writing));
        if let Err(error) = written {
            let _ = std::fs::remove_dir_all(&new);
            return Err(error);
        }
        sync_directory(&all);
        Ok(KeptRecord { path, build })
    }

    /// Writes down what has changed of it, with all that was kept beside it.
    ///
    /// # Errors
    /// It cannot be written; it then says what it said before.
    pub(super) fn update(
        &mut self,
        secrets: Option<&serde_json::Value>,
        sboms: &[Sbom],
    ) -> Result<()> {
        write_into(&self.path, &mut self.build, secrets, sboms)
    }

    /// Writes down the record alone.
    ///
    /// # Errors
    /// It cannot be written; it then says what it said before.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_vec(&self.build).map_err(Error::caused_by)?;
        write_file(&self.path, RECORD, &text)
    }

    /// Reserves the build for this process; none if another has it.
    ///
    /// # Errors
    /// The lock cannot be taken.
    pub fn lock(&self) -> Result<Option<FileLock>> {
        match FileLock::try_take(&self.path.join(LOCK)) {
            // Another run has removed the record meanwhile.
            Err(error) if error.is_io(NotFound) => Ok(None),
            taken => taken,
        }
    }

    /// Reads it again: another run may have changed it before this one had the lock. None if it is
    /// gone.
    pub fn reread(self) -> Option<KeptRecord> {
        read(&self.path).ok()
    }

    /// What the builder needs to find its machine, with its secrets.
    ///
    /// # Errors
    /// The secrets cannot be read.
    pub(super) fn machine(&self) -> Result<Option<serde_json::Value>> {
        let Some(mut machine) = self.build.machine.clone() else { return Ok(None) };
        let path = self.path.join(SECRETS);
        if let (true, Some(object)) = (path.exists(), machine.as_object_mut()) {
            let bytes = read_small(&path, "record of secrets", LARGEST_RECORD)?;
            let secrets: serde_json::Value = serde_json::from_slice(&bytes)
                .with_context(|| format!("reading {}", path.display()))?;
            object.insert("secrets".to_owned(), secrets);
        }
        Ok(Some(machine))
    }

    /// The SBOMs that provisioners took.
    ///
    /// # Errors
    /// One cannot be read.
    pub(super) fn sboms(&self) -> Result<Vec<Sbom>> {
        let read = |kept: &KeptSbom| {
            let document = read_small(&self.path.join(&kept.file), "SBOM", Sbom::LARGEST)?;
            let format = if kept.spdx { SbomFormat::Spdx } else { SbomFormat::CycloneDx };
            Ok(Sbom { name: kept.name.clone(), format, document: document.into() })
        };
        self.build.sboms.iter().map(read).collect()
    }

    /// Whether this is another record than `other`.
    pub(super) fn is_not(&self, other: &KeptRecord) -> bool {
        self.path != other.path
    }

    /// Removes the record: the build is done, or all that was left of it is gone.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> std::io::Result<()> {
        // First what makes it one.
        std::fs::remove_file(self.path.join(RECORD))?;
        std::fs::remove_dir_all(&self.path)?;
        // Only if there are no others.
        let _ = self.path.parent().map(std::fs::remove_dir);
        Ok(())
    }
}

/// Where records are.
fn directory() -> PathBuf {
    journal::directory().join(KEPT)
}

/// What is written down of kept builds.
#[derive(Debug, Default)]
pub struct Listing {
    /// The builds, the oldest first.
    pub records: Vec<KeptRecord>,
    /// What cannot be read, or must not be believed.
    pub unreadable: Vec<Unreadable>,
}

/// All that is kept. Costs a look into few directories when there is nothing.
pub fn look() -> Listing {
    let mut listing = Listing::default();
    journal::directories().iter().for_each(|state| look_into(state.join(KEPT), &mut listing));
    listing.records.sort_by_key(|record| record.build.kept_at);
    listing
}

fn look_into(all: PathBuf, listing: &mut Listing) {
    if matches!(std::fs::symlink_metadata(&all), Err(error) if error.kind() == NotFound) {
        return;
    }
    let reading = || format!("reading {}", all.display());
    let entries = only_ours(&all).and_then(|()| std::fs::read_dir(&all).with_context(reading));
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            listing.unreadable.push(Unreadable::kept(&all, error));
            return;
        }
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let unfinished = path.file_name().is_some_and(|name| {
            let named = name.to_string_lossy().starts_with('.');
            named || std::fs::symlink_metadata(path.join(RECORD)).is_err()
        });
        if unfinished {
            continue;
        }
        match only_ours(&path).and_then(|()| read(&path)) {
            Ok(record) => listing.records.push(record),
            // Another run may have removed it meanwhile.
            Err(_) if std::fs::symlink_metadata(path.join(RECORD)).is_err() => {}
            Err(error) => listing.unreadable.push(Unreadable::kept(&path, error)),
        }
    }
}

/// Refuses a directory into which somebody else can have put something: what records say is removed.
fn only_ours(directory: &Path) -> Result<()> {
    let found = std::fs::symlink_metadata(directory)
        .with_context(|| format!("reading {}", directory.display()))?;
    let own = rustix::process::geteuid().as_raw();
    let wrong = if found.is_symlink() {
        "is a link"
    } else if !found.is_dir() {
        "is not a directory"
    } else if ![own, 0].contains(&found.uid()) {
        "belongs to another user"
    } else if found.mode() & 0o022 != 0 {
        "can be written by other users"
    } else {
        return Ok(());
    };
    Err(Error::new(format!("{} {wrong}: its content is not trusted", directory.display())))
}

/// All builds that are kept, as far as that can be read, the oldest first.
pub(super) fn list() -> Vec<KeptRecord> {
    look().records
}

/// The builds of a template that are kept, and all that cannot be read, which may be of it.
pub fn of_template(template: &Path) -> Listing {
    let template = recorded_template(template);
    let mut listing = look();
    listing.records.retain(|record| record.build.template == template);
    listing
}

/// The builds that are kept of what may be this template under another name: of a file in the directory
/// `template`, or of the directory that the file `template` is in.
pub fn under_other_names(template: &Path) -> Vec<KeptRecord> {
    let is_file = template.is_file();
    let template = recorded_template(template);
    let mut records = list();
    records.retain(|record| {
        let other = &record.build.template;
        let (file, directory) = if is_file { (&template, other) } else { (other, &template) };
        Path::new(file).parent() == Some(Path::new(directory)) && Path::new(file).is_file()
    });
    records
}

/// How a template is known in records: its absolute path, without links and `.` in it.
pub(super) fn recorded_template(template: &Path) -> String {
    std::fs::canonicalize(template).map_or_else(|_| shown_path(template), |path| shown_path(&path))
}

/// The kinds and ids of all that is left for kept builds.
pub fn resources() -> BTreeSet<(String, String)> {
    let left = list().into_iter().flat_map(|record| record.build.left);
    left.map(|resource| (resource.kind, resource.id)).collect()
}

fn read(path: &Path) -> Result<KeptRecord> {
    let file = path.join(RECORD);
    let bytes = read_small(&file, "record", LARGEST_RECORD)?;
    let reading = || format!("reading {}", file.display());
    let build: KeptBuild = serde_json::from_slice(&bytes).with_context(reading)?;
    if !(OLDEST_FORMAT..=FORMAT).contains(&build.format) {
        return Err(Error::new(format!(
            "{} was written by another version of Ingot (format {})",
            file.display(),
            build.format
        )));
    }
    Ok(KeptRecord { path: path.to_owned(), build })
}

fn write_into(
    directory: &Path,
    build: &mut KeptBuild,
    secrets: Option<&serde_json::Value>,
    sboms: &[Sbom],
) -> Result<()> {
    match secrets {
        Some(secrets) => write_file(directory, SECRETS, secrets.to_string().as_bytes())?,
        None => match std::fs::remove_file(directory.join(SECRETS)) {
            Err(error) if error.kind() != NotFound => {
                return Err(error).context("removing secrets that are not needed any more");
            }
            _ => {}
        },
    }
    build.sboms.clear();
    for (index, sbom) in sboms.iter().enumerate() {
        let file = format!("sbom-{index}");
        write_file(directory, &file, &sbom.document)?;
        let spdx = sbom.format == SbomFormat::Spdx;
        build.sboms.push(KeptSbom { name: sbom.name.clone(), spdx, file });
    }
    let text = serde_json::to_vec(build).map_err(Error::caused_by)?;
    write_file(directory, RECORD, &text)
}

/// Writes a file of a record: whole or not at all, and for its owner only.
fn write_file(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = directory.join(name);
    whole_file::write(&path, bytes, &Options::default())
        .with_context(|| format!("writing {}", path.display()))
}

/// Removes what killed processes began to write.
fn remove_unfinished(all: &Path) {
    for path in std::fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.strip_prefix(UNFINISHED).is_some_and(|owner| !owner_runs(Path::new(owner))) {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}
