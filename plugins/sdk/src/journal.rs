//! The list of things a build has created and must remove again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Result;
use crate::recorded_path::{RecordedPath, escaped};

/// Something that exists outside this process and must not outlive the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is, for example `docker-container`; decides which [`Reclaim`] can remove it.
    pub kind: String,
    /// Its name, chosen before it is created, so that it can be found even if the process dies
    /// while the call that creates it is under way.
    pub id: String,
    /// What else is needed to reach it: an endpoint, a region. Never a secret.
    #[serde(default)]
    pub attributes: serde_json::Map<String, serde_json::Value>,
}

/// The attribute with the path of what has one that is not UTF-8.
const PATH: &str = "path";

impl Resource {
    /// A resource without attributes.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Resource { kind: kind.into(), id: id.into(), attributes: Default::default() }
    }

    /// The file or directory at `path`, which is its id. Where that is not UTF-8, an attribute has the
    /// path itself.
    pub fn at(kind: impl Into<String>, path: &Path) -> Self {
        let resource = Resource::new(kind, escaped(path));
        match path.to_str() {
            Some(_) => resource,
            None => resource.with(PATH, json!(RecordedPath(path.to_owned()))),
        }
    }

    /// Where it is, if it is a file or directory.
    pub fn path(&self) -> PathBuf {
        let recorded = self.attributes.get(PATH);
        match recorded.and_then(|path| RecordedPath::deserialize(path).ok()) {
            Some(RecordedPath(path)) => path,
            None => PathBuf::from(&self.id),
        }
    }

    /// Adds an attribute.
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }
}

/// Where resources are recorded. Records are on disk before the call returns.
pub trait Journal: Send + Sync {
    /// Records that `resource` is about to be created.
    ///
    /// # Errors
    /// The record could not be made durable; the resource must then not be created.
    fn record(&self, resource: &Resource) -> Result<u64>;
    /// Resolves a record: the resource is gone, or is now the user's. A second time changes nothing.
    fn resolve(&self, record: u64);
    /// Adds to a record what is known by now, such as an id. This helps whoever removes the
    /// resource, but they find it without it too, so a failure need not stop anything.
    fn amend(&self, _record: u64, _resource: &Resource) {}
    /// Records an attribute of everything that this build has recorded and will record, such as
    /// the account it is in.
    fn note(&self, _name: &str, _value: &str) {}
    /// Resolves all records of this build: what it created stays because the user asked for that
    /// (`-on-error=abort`), so no later run may remove it.
    fn release(&self) {}
}

/// A record in the journal, kept by whoever will remove the resource. Dropping it leaves the
/// record in place, which is right: only [`JournalEntry::done`] and [`JournalEntry::resolve`] say that
/// the thing is gone.
#[must_use]
pub struct JournalEntry {
    journal: Arc<dyn Journal>,
    record: u64,
}

impl JournalEntry {
    /// Records that `resource` is about to be created.
    ///
    /// # Errors
    /// See [`Journal::record`].
    pub fn open(journal: &Arc<dyn Journal>, resource: &Resource) -> Result<Self> {
        let record = journal.record(resource)?;
        Ok(JournalEntry { journal: Arc::clone(journal), record })
    }

    /// Adds to the record what is known by now. See [`Journal::amend`].
    pub fn amend(&self, resource: &Resource) {
        self.journal.amend(self.record, resource);
    }

    /// There is nothing of this build's to remove, though the build goes on to hold this. What is
    /// written down afterwards has no effect.
    pub fn resolve(&self) {
        self.journal.resolve(self.record);
    }

    /// The resource is gone, or has become something the user wants to keep.
    pub fn done(self) {
        self.resolve();
    }
}

/// Removes what a killed run left behind.
#[async_trait]
pub trait Reclaim: Send + Sync {
    /// The kinds of [`Resource`] this can remove.
    fn kinds(&self) -> &'static [&'static str];
    /// Removes `resource`. Not finding it is success.
    ///
    /// # Errors
    /// It may still exist.
    async fn reclaim(&self, resource: &Resource) -> Result<()>;
    /// Whether removing `resource` takes nothing but this machine. The next build removes such
    /// things by itself; others, which take a network, credentials and time, it only mentions.
    fn is_local(&self, _resource: &Resource) -> bool {
        true
    }
    /// When `resource` goes, compared to others that the same run left: those with lower numbers
    /// first, and of those with the same number the newest.
    fn turn(&self, _resource: &Resource) -> u8 {
        0
    }
    /// Where `resource` is, for people: a region, an endpoint. None when its id says that.
    fn place(&self, _resource: &Resource) -> Option<String> {
        None
    }
    /// A sentence that the user reads with `resource`, such as what no journal has and may be left, too.
    fn remark(&self, _resource: &Resource) -> Option<String> {
        None
    }
    /// Whether `resource`, which a builder made, is still there. None if this cannot look for it.
    ///
    /// # Errors
    /// It cannot be found out.
    async fn is_there(&self, _resource: &Resource) -> Result<Option<bool>> {
        Ok(None)
    }
    /// Looks for things that runs left at `place` by what marks them there, for when the journal
    /// is lost. None if this knows no way to look there.
    ///
    /// # Errors
    /// It could not be asked.
    async fn discover(&self, _place: &DiscoveryScope) -> Result<Option<Vec<Discovered>>> {
        Ok(None)
    }
}

/// Where to look for things that are in no journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryScope {
    /// A region of AWS, with the credentials that the environment names.
    Aws {
        /// Such as `eu-west-1`.
        region: String,
    },
}

/// A thing that was found by its mark and not in a journal.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The thing.
    pub resource: Resource,
    /// The id of the run that made it: `run_uuid`.
    pub run: String,
    /// When it was made, where that is known.
    pub since: Option<time::OffsetDateTime>,
}

/// A journal that forgets: where there is no build, and for tests of plugins.
#[derive(Debug, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn record(&self, _: &Resource) -> Result<u64> {
        Ok(0)
    }

    fn resolve(&self, _: u64) {}
}
