//! What could not be published is kept on disk until it can be: one file for each build, in the
//! directory `unpublished` beside the journals. Documents of SBOMs, which may be large, are in files of
//! their own beside it, and are read when they are published.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingot_engine::journal;
use ingot_engine::state_file::write;
use ingot_sdk::file_work::read_small;
use ingot_sdk::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::channels::{LateAssignments, assign_late};
use super::sboms::{SbomUpload, upload};
use super::version::{Target, complete_error, deliver, is_final};
use ingot_registry::api::limits::SBOM;
use ingot_registry::api::{
    self, Code, CreateBucketBody, Location, SbomFormat, TemplateType, Timestamp, UpdateBuildBody,
};
use ingot_registry::{Completion, Connected, completion};

/// The exit code of a run whose builds all succeeded, and of which something is kept to be
/// published later: `EX_TEMPFAIL` of sysexits.h.
pub const KEPT_FOR_LATER: u8 = 75;

/// A build that is to be published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Queued {
    /// The registry it is for: its address or file.
    pub address: String,
    /// The organization and project there.
    pub location: Location,
    /// The bucket.
    pub bucket: CreateBucketBody,
    /// The version's fingerprint.
    pub fingerprint: String,
    /// The syntax of the template.
    #[serde(default = "hcl2")]
    pub template_type: TemplateType,
    /// The build's component.
    pub component: String,
    /// What it made.
    pub update: UpdateBuildBody,
    /// What is in it.
    #[serde(default)]
    pub sboms: Vec<KeptSbom>,
    /// Channels that are assigned the version when it is complete.
    pub channels: Vec<String>,
    /// Since when it waits.
    pub queued_at: Timestamp,
    /// Why it was not published at once.
    pub reason: String,
}

/// An SBOM of a build that is to be published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeptSbom {
    /// Its name; the registry finds one where this is empty.
    pub name: String,
    /// Its format.
    pub format: SbomFormat,
    /// The name of the file that its document is in.
    #[serde(default)]
    pub file: Option<String>,
    /// Why its document could not be kept.
    #[serde(default)]
    pub lost: Option<String>,
    /// The document itself, where entries held that.
    #[serde(default, skip_serializing)]
    document: Option<String>,
}

impl KeptSbom {
    /// What people call it.
    fn shown(&self) -> String {
        match self.name.as_str() {
            "" => format!("the {} SBOM", self.format),
            name => format!("the SBOM {name}"),
        }
    }

    /// The document, if it was kept.
    fn upload(&self) -> Result<Option<SbomUpload>> {
        let document = match (&self.file, &self.document) {
            (Some(file), _) => match read_small(&document_path(file), "SBOM", SBOM) {
                // Somebody has removed it; that must not keep the build for ever.
                Err(error) if error.is_io(std::io::ErrorKind::NotFound) => return Ok(None),
                document => document?,
            },
            (None, Some(document)) => document.clone().into_bytes(),
            (None, None) => return Ok(None),
        };
        let (name, format) = (self.name.clone(), self.format);
        Ok(Some(SbomUpload { name, format, document: document.into() }))
    }
}

/// The entry of the queue that a build was written to.
#[derive(Debug)]
pub(super) struct QueueEntry {
    /// Its file.
    pub path: PathBuf,
    /// SBOMs that could not be kept with it, and why.
    pub lost: Vec<String>,
}

/// The largest entry that is read, in bytes. A registry takes no more than 8 MiB of a version.
const LARGEST_ENTRY: u64 = 64 << 20;

/// How old a file has to be that belongs to no entry before it is removed: another run may be about to
/// write the entry.
const ORPHANED: Duration = Duration::from_secs(24 * 60 * 60);

/// The directory, beside the journals.
const UNPUBLISHED: &str = "unpublished";

/// The ending of files with documents.
const DOCUMENT: &str = "sbom";

/// That of all templates, when files did not say it.
fn hcl2() -> TemplateType {
    TemplateType::Hcl2
}

/// What became of a build that waited.
#[derive(Debug)]
pub enum Pushed {
    /// It is published.
    Done {
        /// The version's id.
        version_id: String,
        /// What is not as it should be with what was published.
        warnings: Vec<String>,
        /// What became of the template's channels.
        channels: LateAssignments,
    },
    /// The registry will never take it.
    Refused(api::Error),
    /// It is for another registry than the one in use.
    OtherRegistry,
}

/// Where builds are kept.
fn directory() -> PathBuf {
    journal::directory().join(UNPUBLISHED)
}

/// Where kept builds may be, also those of runs that had another state directory.
fn directories() -> impl Iterator<Item = PathBuf> {
    journal::directories().into_iter().map(|state| state.join(UNPUBLISHED))
}

/// Where the document called `file` is. Names are unique.
fn document_path(file: &str) -> PathBuf {
    let mut places = directories().map(|directory| directory.join(file));
    places.find(|path| path.exists()).unwrap_or_else(|| directory().join(file))
}

/// What is in the directories.
fn files() -> impl Iterator<Item = PathBuf> {
    let found = directories().filter_map(|directory| std::fs::read_dir(directory).ok());
    found.flatten().flatten().map(|entry| entry.path())
}

/// What an entry is called: its file's name without what all end in.
pub fn id(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What waits to be published.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The builds, oldest first, and the files they are in.
    pub found: Vec<(PathBuf, Queued)>,
    /// Files that cannot be read, and why.
    pub broken: Vec<(PathBuf, String)>,
}

/// What waits to be published.
///
/// # Errors
/// A directory cannot be read.
pub fn list() -> Result<Waiting> {
    let mut paths = Vec::new();
    for directory in directories() {
        match std::fs::read_dir(&directory) {
            Ok(entries) => paths.extend(entries.flatten().map(|entry| entry.path())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", directory.display()));
            }
        }
    }
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for path in paths {
        // Others are being written.
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match read(&path) {
            Ok(queued) => found.push((path, queued)),
            // Another push was faster.
            Err(_) if !path.exists() => {}
            Err(error) => broken.push((path, error.to_string())),
        }
    }
    found.sort_by_key(|(_, queued)| queued.queued_at);
    Ok(Waiting { found, broken })
}

fn read(path: &Path) -> Result<Queued> {
    let text = read_small(path, "unpublished build", LARGEST_ENTRY)?;
    serde_json::from_slice(&text).context("this is not an unpublished build")
}

/// Removes an entry, and the documents that belong to it.
///
/// # Errors
/// The entry cannot be removed.
pub fn remove(path: &Path) -> std::io::Result<()> {
    std::fs::remove_file(path)?;
    let of = id(path);
    each_document(|name, document| {
        if name.split('.').next() == Some(&of) {
            // One that stays belongs to nothing, and is removed with the others some day.
            let _ = std::fs::remove_file(document);
        }
    });
    Ok(())
}

/// Removes documents that belong to no entry, as a killed run may leave them.
pub fn remove_orphans() {
    let mut entries = BTreeSet::new();
    for path in files() {
        if path.extension().is_some_and(|extension| extension == "json") {
            entries.insert(id(&path));
        }
    }
    each_document(|name, document| {
        let changed = std::fs::metadata(document).and_then(|found| found.modified());
        let age = changed.ok().and_then(|changed| changed.elapsed().ok());
        let owned = name.split('.').next().is_some_and(|of| entries.contains(of));
        if !owned && age.is_some_and(|age| age > ORPHANED) {
            let _ = std::fs::remove_file(document);
        }
    });
}

/// Calls `with` for each file with a document, with its name and its path.
fn each_document(with: impl Fn(&str, &Path)) {
    for path in files() {
        if path.extension().is_some_and(|extension| extension == DOCUMENT) {
            with(&path.file_name().unwrap_or_default().to_string_lossy(), &path);
        }
    }
}

impl Queued {
    /// Writes it down, with its SBOMs. What it made matters more than they: where the disk has room
    /// for the build alone, it is kept without them.
    pub(super) fn keep(mut self, sboms: &[SbomUpload]) -> Result<QueueEntry> {
        let directory = directory();
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("writing to {}", directory.display()))?;
        let stem = format!("{}-{}", self.bucket.name, uuid::Uuid::new_v4().simple());
        let entry = format!("{stem}.json");
        for (index, sbom) in sboms.iter().enumerate() {
            let name = format!("{stem}.{index}.{DOCUMENT}");
            let kept = write(&directory, &name, &sbom.document);
            let (file, lost) = match kept {
                Ok(_) => (Some(name), None),
                Err(error) => (None, Some(error.to_string())),
            };
            let (name, format) = (sbom.name.clone(), sbom.format);
            self.sboms.push(KeptSbom { name, format, file, lost, document: None });
        }
        let path = self.write_to(&directory, &entry).or_else(|error| {
            // Without the documents there may be room for it.
            for sbom in &mut self.sboms {
                if let Some(file) = sbom.file.take() {
                    let _ = std::fs::remove_file(directory.join(file));
                    sbom.lost = Some(error.to_string());
                }
            }
            self.write_to(&directory, &entry)
        })?;
        let lost = self.sboms.iter().filter_map(|sbom| Some((sbom.shown(), sbom.lost.as_ref()?)));
        let lost = lost.map(|(sbom, why)| format!("{sbom} could not be kept: {why}")).collect();
        Ok(QueueEntry { path, lost })
    }

    fn write_to(&self, directory: &Path, name: &str) -> Result<PathBuf> {
        let text = serde_json::to_vec_pretty(self)
            .with_context(|| format!("writing to {}", directory.display()))?;
        write(directory, name, &text)
    }

    /// Whether it is for `connected`. A server may be reached by another address than when it was
    /// built: which project it is the ids tell. A file's are in its copies, too.
    fn is_for(&self, connected: &Connected) -> bool {
        let registry = &*connected.registry;
        *registry.location() == self.location
            && (!connected.is_file() || registry.address() == self.address)
    }

    /// Publishes it to `connected`, if it is for that one. A bucket that is there keeps its
    /// description and labels, and a channel what it was assigned in the meantime.
    ///
    /// # Errors
    /// The registry does not answer, or does not take it now.
    pub async fn push(&self, connected: &Connected) -> api::Result<Pushed> {
        let registry = &*connected.registry;
        if !self.is_for(connected) {
            return Ok(Pushed::OtherRegistry);
        }
        match self.publish(connected).await {
            Ok(pushed) => Ok(pushed),
            Err(error)
                if is_final(registry, &self.bucket.name, &self.fingerprint, &error).await =>
            {
                Ok(Pushed::Refused(error))
            }
            Err(error) => Err(error),
        }
    }

    async fn publish(&self, connected: &Connected) -> api::Result<Pushed> {
        let registry = &*connected.registry;
        let (bucket, fingerprint) = (&self.bucket.name, &self.fingerprint);
        let template_type = self.template_type;
        let target = Target { bucket: &self.bucket, fingerprint, template_type, describes: false };
        let components = [self.component.clone()];
        let opened = target.open(registry, &components, &self.update.packer_run_uuid).await?;
        // A version may be complete because this build has arrived after all.
        let none = || match opened.version.is_complete() {
            true => complete_error(fingerprint),
            false => api::Error::not_found(format!("there is no build {}", self.component)),
        };
        let id = &opened.builds.get(&self.component).ok_or_else(none)?.id;
        let mut warnings = Vec::new();
        for sbom in &self.sboms {
            let unreadable = |error: Error| api::Error::new(Code::Internal, error.to_string());
            match sbom.upload().map_err(unreadable)? {
                // One at a time, as they may be large.
                Some(document) => {
                    upload(registry, bucket, fingerprint, id, &[document]).await?;
                }
                None => warnings.push(format!("it is published without {}", sbom.shown())),
            }
        }
        let warning = deliver(registry, bucket, fingerprint, id, &self.update).await?;
        warnings.extend(warning.map(str::to_owned));
        // The command that waits is cancelled as a whole.
        let never = CancellationToken::new();
        let now = completion(registry, bucket, fingerprint, &never).await?;
        // Of a version that lacks builds whoever publishes the last of them does it.
        let lacks_builds = matches!(now, Completion::LacksBuilds(_));
        let version = now.into_version();
        let channels = match lacks_builds {
            true => LateAssignments::default(),
            false => {
                let since = self.queued_at;
                assign_late(registry, bucket, &version, &self.channels, since).await
            }
        };
        Ok(Pushed::Done { version_id: version.id, warnings, channels })
    }
}
