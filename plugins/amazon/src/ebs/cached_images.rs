//! The AMIs that keep states of instances and have a record: one small file for each, so
//! that nobody has to ask AWS in all regions.
//!
//! The records may be in a directory that others write to. So no more is taken from one than where the
//! AMI is, and all of it is checked. Which credentials to go there with is only told by those in the
//! user's own directory: a profile may run a program.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_ec2::types::Image;
use ingot_sdk::file_work::read_small;
use ingot_sdk::whole_file::{self, Options};
use ingot_sdk::{
    Context as _, Error, Resource, Result, StateDirectories, StateKey, StateStore, StoredState,
    StoredStates, async_trait,
};
use serde::{Deserialize, Serialize};

use super::reclaim::EbsReclaim;
use super::region_access::{ACCOUNT, attribute};
use super::resources::IMAGE;
use super::state_images::{AT_ONCE, STATE_TAG, find_own};
use super::state_removal::remove_orphans;
use crate::access::Ec2;

/// Which attributes say where the AMI is.
const PLACE: &[&str] = &["region", ACCOUNT, "image_id"];
/// Which say what credentials the build had.
const CREDENTIALS: &[&str] = &["profile", "role_arn", "external_id"];
/// The directory beside the index of the step cache.
const DIRECTORY: &str = "amazon-ebs";
/// The largest record that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// What is written down of an AMI that keeps a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// When it was written, in seconds since 1970.
    created: i64,
    /// How large the AMI's volumes are.
    bytes: u64,
    /// The AMI, as the journal describes one, but no more than where it is and which profile or role
    /// the build had.
    pub image: Resource,
}

impl Record {
    /// The record of `image`, which `resource` describes.
    pub(super) fn new(image: &Image, resource: Resource) -> Record {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let disks = image.block_device_mappings().iter();
        let sizes = disks.filter_map(|disk| u64::try_from(disk.ebs()?.volume_size()?).ok());
        Record {
            created: i64::try_from(now.as_secs()).unwrap_or_default(),
            bytes: sizes.map(|gibibytes| gibibytes << 30).sum(),
            image: only(&resource, &[PLACE, CREDENTIALS].concat()),
        }
    }

    /// The record without what nobody may decide who writes to the directory: `own` says whether that is
    /// the user alone.
    ///
    /// # Errors
    /// It does not say where the AMI is.
    fn checked(self, own: bool) -> Result<Record> {
        let image = match own {
            true => only(&self.image, &[PLACE, CREDENTIALS].concat()),
            false => only(&self.image, PLACE),
        };
        let text = |name: &str| attribute(&image, name).unwrap_or_default();
        let region = text("region");
        let letters = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if region.is_empty() || region.len() > 63 || !region.bytes().all(letters) {
            return Err(Error::new("it names no region"));
        }
        let account = text(ACCOUNT);
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::new("it names no account"));
        }
        let digits = text("image_id").strip_prefix("ami-").unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::new("it names no AMI"));
        }
        Ok(Record { image, ..self })
    }
}

/// The record of an AMI with these attributes and no others.
fn only(resource: &Resource, names: &[&str]) -> Resource {
    let id = attribute(resource, "image_id").unwrap_or_default();
    let mut kept = Resource::new(IMAGE, id);
    for &name in names {
        if let Some(value) = attribute(resource, name) {
            kept = kept.with(name, value);
        }
    }
    kept
}

/// The records of one cache.
#[derive(Debug, Clone)]
pub(super) struct Records {
    directory: PathBuf,
    own: bool,
}

impl Records {
    /// Those beside the index of the cache in `cache`, which others may write to.
    pub(super) fn new(cache: &Path) -> Records {
        Records { directory: cache.join(DIRECTORY), own: false }
    }

    /// Those beside the index of the user's own cache.
    fn own(cache: &Path) -> Records {
        Records { own: true, ..Records::new(cache) }
    }

    fn path(&self, key: &StateKey) -> PathBuf {
        self.directory.join(format!("{key}.json"))
    }

    /// What is written down of a state.
    ///
    /// # Errors
    /// It cannot be read, or does not say where the AMI is.
    pub(super) fn read(&self, key: &StateKey) -> Result<Option<Record>> {
        let path = self.path(key);
        match read_small(&path, "record of an AMI", LARGEST) {
            Ok(bytes) => {
                let record = serde_json::from_slice::<Record>(&bytes).context("it is not a record");
                let record = record.and_then(|record| record.checked(self.own));
                let reading = || format!("reading {}", path.display());
                record.map(Some).with_context(reading).map_err(|error| {
                    error.hint(format!(
                        "remove the AMI that has the tag {STATE_TAG} with the value {key}, and the \
                         file"
                    ))
                })
            }
            Err(error) if error.is_io(std::io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether records can be written.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn try_writing(&self) -> Result<()> {
        let probe = self.directory.join(format!(".new-{}", uuid::Uuid::new_v4().simple()));
        let created =
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        let tried =
            created.and_then(|()| std::fs::write(&probe, "").and(std::fs::remove_file(&probe)));
        tried.with_context(|| format!("writing to {}", self.directory.display()))
    }

    /// Writes down where a state is: whole or not at all, and durably, as AWS takes money for it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, key: &StateKey, record: &Record) -> Result<()> {
        let path = self.path(key);
        let writing = || format!("writing {}", path.display());
        let created =
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        created.with_context(writing)?;
        let text = serde_json::to_vec(record).with_context(writing)?;
        whole_file::write(&path, &text, &Options::default()).with_context(writing)
    }

    /// Forgets a state.
    ///
    /// # Errors
    /// Its record cannot be removed.
    pub(super) fn forget(&self, key: &StateKey) -> Result<()> {
        let path = self.path(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// The AMIs of the builder `amazon-ebs` that have a record: AWS is not asked before one is removed.
pub(crate) struct CachedImages;

#[async_trait]
impl StateStore for CachedImages {
    fn builder(&self) -> &'static str {
        "amazon-ebs"
    }

    async fn list(&self, owner: &str, directories: &StateDirectories) -> Result<StoredStates> {
        cached_images(&directories.records, owner)
    }

    fn is_local(&self) -> bool {
        false
    }

    async fn remove(&self, key: &StateKey, directories: &StateDirectories) -> Result<()> {
        // Nobody but the user writes the records, unless machines share them.
        remove_cached_image(&directories.records, directories.shared.is_none(), key).await
    }
}

/// The AMIs that keep states whose keys begin with `owner`, by the records beside the index of the
/// cache in `cache`, and why other records cannot be read. AWS is not asked.
///
/// # Errors
/// The directory cannot be read.
fn cached_images(cache: &Path, owner: &str) -> Result<StoredStates> {
    let records = Records::new(cache);
    let directory = &records.directory;
    let reading = || format!("reading {}", directory.display());
    let mut stored = StoredStates::default();
    let found = match std::fs::read_dir(directory) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(stored);
        }
        Err(error) => return Err(error).with_context(reading),
    };
    for entry in found {
        let name = entry.with_context(reading)?.file_name().to_string_lossy().into_owned();
        let key = name.strip_suffix(".json").filter(|name| name.starts_with(owner));
        let Some(key) = key.and_then(|key| key.parse::<StateKey>().ok()) else { continue };
        match records.read(&key) {
            Ok(Some(record)) => {
                // How large its volumes are. AWS takes money for less: for what is in their blocks, and
                // of states that build on each other for what differs.
                let bytes = record.bytes;
                stored.states.push(StoredState { key, created: record.created, bytes });
            }
            Ok(None) => {}
            Err(error) => stored.unreadable.push(error),
        }
    }
    Ok(stored)
}

/// Deregisters the AMI that keeps a state, deletes its snapshots and forgets its record. One that is
/// gone is fine. `own` says that nobody but the user writes to `cache`: then the profile or role that
/// the build had is used, else the credentials of the environment alone.
///
/// # Errors
/// AWS cannot be reached or refuses, it is in another account, or what the record names is no such
/// AMI: the record stays.
async fn remove_cached_image(cache: &Path, own: bool, key: &StateKey) -> Result<()> {
    let records = if own { Records::own(cache) } else { Records::new(cache) };
    let Some(record) = records.read(key)? else { return Ok(()) };
    let removed = EbsReclaim::default().reclaim_state(&record.image, key).await;
    removed.with_context(|| records.path(key).display().to_string()).map_err(
        |error| match error.advice() {
            Some(_) => error,
            None => error.hint("`ingot cache prune` with AWS credentials for it tries again"),
        },
    )?;
    records.forget(key)
}

/// Forgets the records of states in the region of `ec2` whose AMIs are gone, and deletes the snapshots
/// that they left.
///
/// # Errors
/// EC2 does not say, or refuses.
pub(super) async fn forget_gone(
    ec2: &Ec2,
    records: &Records,
    keys: &[StateKey],
    is_here: impl Fn(&Resource) -> bool,
) -> Result<(), Error> {
    let record = |key: &StateKey| {
        let resource = records.read(key).ok().flatten()?.image;
        let id = attribute(&resource, "image_id")?.to_owned();
        is_here(&resource).then(|| (key.clone(), id))
    };
    let known: Vec<(StateKey, String)> = keys.iter().filter_map(record).collect();
    for known in known.chunks(AT_ONCE) {
        let ids: Vec<&str> = known.iter().map(|(_, id)| id.as_str()).collect();
        let there = find_own(ec2, &ids).await?;
        let is_gone = |id: &str| !there.iter().any(|image| image.image_id() == Some(id));
        for (key, id) in known.iter().filter(|(_, id)| is_gone(id)) {
            remove_orphans(ec2, key, id).await?;
            records.forget(key)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource() -> Resource {
        Resource::new(IMAGE, "ami-0a1")
            .with("region", "eu-west-1")
            .with(ACCOUNT, "123456789012")
            .with("image_id", "ami-0a1")
    }

    fn record(image: Resource) -> Record {
        Record { created: 7, bytes: 8 << 30, image }
    }

    #[test]
    fn records_are_listed_by_their_owner_and_a_damaged_one_hides_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path());
        let key = StateKey::of("test", ["a"]);
        let owner = &key.as_str()[..8];
        assert!(cached_images(dir.path(), owner).unwrap().states.is_empty());
        records.write(&key, &record(resource())).unwrap();
        assert_eq!(records.read(&key).unwrap(), Some(record(resource())));
        let path = records.directory.join(format!("{owner}{}.json", "0".repeat(56)));
        std::fs::write(&path, "{ half").unwrap();
        let StoredStates { states: listed, unreadable } = cached_images(dir.path(), owner).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((&listed[0].key, listed[0].created, listed[0].bytes), (&key, 7, 8 << 30));
        assert_eq!(unreadable.len(), 1);
        let text = unreadable[0].to_string();
        assert!(text.contains(&path.display().to_string()), "{text}");
        let StoredStates { states: listed, unreadable } = cached_images(dir.path(), "zz").unwrap();
        assert!(listed.is_empty() && unreadable.is_empty());
        records.forget(&key).unwrap();
        records.forget(&key).unwrap();
        assert!(records.read(&key).unwrap().is_none());
    }

    #[test]
    fn no_more_is_taken_from_a_record_than_where_the_ami_is() {
        let dir = tempfile::tempdir().unwrap();
        let key = StateKey::of("test", ["a"]);
        let planted = resource()
            .with("profile", "p")
            .with("role_arn", "r")
            .with("external_id", "x")
            .with("shared_credentials_file", "/tmp/credentials")
            .with("endpoint", "http://127.0.0.1:1")
            .with("iam_endpoint", "http://127.0.0.1:1")
            .with("sts_endpoint", "http://127.0.0.1:1")
            .with("insecure_skip_tls_verify", true)
            .with("snapshots", "snap-1");
        let records = Records::new(dir.path());
        records.write(&key, &record(planted.clone())).unwrap();
        assert_eq!(records.read(&key).unwrap(), Some(record(resource())));
        let own = resource().with("profile", "p").with("role_arn", "r").with("external_id", "x");
        let read = Records::own(dir.path()).read(&key).unwrap();
        assert_eq!(read, Some(record(own.clone())));
        // What is not read is not written down either.
        assert_eq!(Record::new(&Image::builder().build(), planted).image, own);
    }

    #[test]
    fn a_record_says_where_the_ami_is() {
        let dir = tempfile::tempdir().unwrap();
        let (key, records) = (StateKey::of("test", ["a"]), Records::new(dir.path()));
        for (name, wrong, part) in [
            ("region", "", "no region"),
            ("region", "evil.example/#", "no region"),
            (ACCOUNT, "", "no account"),
            (ACCOUNT, "12345678901x", "no account"),
            ("image_id", "ami-*", "no AMI"),
            ("image_id", "snap-1", "no AMI"),
        ] {
            records.write(&key, &record(resource().with(name, wrong))).unwrap();
            let error = records.read(&key).unwrap_err();
            assert!(error.to_string().contains(part), "{name} {wrong}: {error}");
        }
    }
}
