//! What could not be published is kept on disk until it can be: one file for each build, in the
//! directory `unpublished` beside the journals.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ingot_sdk::{Context, Result};
use serde::{Deserialize, Serialize};

use super::channels::{Late, assign_late};
use super::sboms::{SbomUpload, upload};
use super::version::{Target, complete_error, deliver, is_final};
use crate::engine::journal;
use ingot_registry::Connected;
use ingot_registry::api::{
    self, CreateBucketBody, Location, TemplateType, Timestamp, UpdateBuildBody, Version,
};

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
    pub sboms: Vec<SbomUpload>,
    /// Channels that are assigned the version when it is complete.
    pub channels: Vec<String>,
    /// Since when it waits.
    pub queued_at: Timestamp,
    /// Why it was not published at once.
    pub reason: String,
}

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
        warning: Option<&'static str>,
        /// What became of the template's channels.
        channels: Late,
    },
    /// The registry will never take it.
    Refused(api::Error),
    /// It is for another registry than the one in use.
    OtherRegistry,
}

fn directory() -> PathBuf {
    journal::directory().join("unpublished")
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
/// The directory cannot be read.
pub fn list() -> Result<Waiting> {
    let directory = directory();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", directory.display()));
        }
    };
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for path in entries.flatten().map(|entry| entry.path()) {
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
    let text = std::fs::read(path).context("reading it")?;
    serde_json::from_slice(&text).context("this is no unpublished build")
}

impl Queued {
    /// Writes it down; where.
    pub(super) fn keep(&self) -> Result<PathBuf> {
        let directory = directory();
        let writing = || format!("writing to {}", directory.display());
        std::fs::create_dir_all(&directory).with_context(writing)?;
        // For its owner only, and whole or not at all.
        let file = tempfile::Builder::new().prefix(".new-").tempfile_in(&directory);
        let mut file = file.with_context(writing)?;
        let text = serde_json::to_vec_pretty(self).with_context(writing)?;
        file.write_all(&text).with_context(writing)?;
        file.as_file().sync_all().with_context(writing)?;
        let name = format!("{}-{}.json", self.bucket.name, uuid::Uuid::new_v4().simple());
        let path = directory.join(name);
        file.persist(&path).map_err(|failed| failed.error).with_context(writing)?;
        if let Ok(directory) = std::fs::File::open(&directory) {
            // The name has to last too.
            let _ = directory.sync_all();
        }
        Ok(path)
    }

    /// Publishes it to `connected`, if it is for that one. A bucket that is there keeps its
    /// description and labels, and a channel what it was assigned in the meantime.
    ///
    /// # Errors
    /// The registry does not answer, or does not take it now.
    pub async fn push(&self, connected: &Connected) -> api::Result<Pushed> {
        let registry = &*connected.registry;
        if registry.address() != self.address || *registry.location() != self.location {
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
        upload(registry, bucket, fingerprint, id, &self.sboms).await?;
        let warning = deliver(registry, bucket, fingerprint, id, &self.update).await?;
        let version: Version = registry.get_version(bucket, fingerprint).await?;
        let channels = match version.is_complete() {
            true => {
                let since = self.queued_at;
                assign_late(registry, bucket, &version, &self.channels, since).await
            }
            false => Late::default(),
        };
        Ok(Pushed::Done { version_id: version.id, warning, channels })
    }
}
