//! The AMIs that keep states of instances, as far as this user's records tell of them: one small file
//! for each, so that nobody has to ask AWS in all regions.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_ec2::types::{Image, ImageState};
use ingot_sdk::file_work::read_small;
use ingot_sdk::{Context as _, Error, Resource, Result, StateKey};
use serde::{Deserialize, Serialize};

use super::reclaim::EbsReclaim;
use super::resources::list;
use crate::access::Ec2;
use crate::failure::{During as _, Failure, Kind};
use crate::filter::filter;

/// The tag of an AMI that keeps a state, and of its snapshots; its value is the state's key.
pub(super) const STATE_TAG: &str = "ingot-state";
/// The directory beside the index of the step cache.
const DIRECTORY: &str = "amazon-ebs";
/// The largest record that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How many states are asked for at once: EC2 takes 200 values of a filter.
const AT_ONCE: usize = 100;

/// What is written down of an AMI that keeps a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// When it was written, in seconds since 1970.
    created: i64,
    /// How large the AMI's volumes are.
    bytes: u64,
    /// The AMI, as the journal describes one.
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
            image: resource,
        }
    }
}

/// The records of one cache.
#[derive(Debug, Clone)]
pub(super) struct Records(PathBuf);

impl Records {
    /// Those beside the index of the cache in `cache`.
    pub(super) fn new(cache: &Path) -> Records {
        Records(cache.join(DIRECTORY))
    }

    fn path(&self, key: &StateKey) -> PathBuf {
        self.0.join(format!("{key}.json"))
    }

    /// What is written down of a state.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(&self, key: &StateKey) -> Result<Option<Record>> {
        let path = self.path(key);
        match read_small(&path, "record of an AMI", LARGEST) {
            Ok(bytes) => {
                let record = serde_json::from_slice(&bytes).map(Some);
                record.with_context(|| format!("reading {}", path.display())).map_err(|error| {
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

    /// Writes down where a state is: whole or not at all, and durably, as AWS takes money for it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, key: &StateKey, record: &Record) -> Result<()> {
        let path = self.path(key);
        let writing = || format!("writing {}", path.display());
        let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        created.with_context(writing)?;
        let text = serde_json::to_vec(record).with_context(writing)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.0).with_context(writing)?;
        file.write_all(&text).with_context(writing)?;
        file.as_file().sync_all().with_context(writing)?;
        file.persist(&path).map_err(|failed| failed.error).with_context(writing)?;
        Ok(())
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

/// The account's AMIs in a region that keep one of these states and are whole, the newest first.
///
/// # Errors
/// EC2 does not say.
pub(super) async fn find_states(ec2: &Ec2, keys: &[StateKey]) -> Result<Vec<Image>, Failure> {
    let mut images = Vec::new();
    for keys in keys.chunks(AT_ONCE) {
        let keys: Vec<&str> = keys.iter().map(StateKey::as_str).collect();
        let request = ec2.describe_images().owners("self").include_deprecated(true);
        let request = request.filters(filter(&format!("tag:{STATE_TAG}"), &keys.join(",")));
        let answer = request.send().await.during("looking for AMIs that keep states")?;
        images.extend(answer.images.unwrap_or_default());
    }
    images.retain(|image| image.state() == Some(&ImageState::Available));
    // Dates of AWS are of one form and in UTC, so that text sorts as time.
    images.sort_by(|one, other| other.creation_date().cmp(&one.creation_date()));
    Ok(images)
}

/// An AMI that keeps a state.
#[derive(Debug, Clone)]
pub struct KeptImage {
    /// The state's key.
    pub key: StateKey,
    /// When it was kept, in seconds since 1970.
    pub created: i64,
    /// How large its volumes are, in bytes. AWS takes money for less: for what is in their blocks,
    /// and of states that build on each other for what differs.
    pub bytes: u64,
}

/// The AMIs that keep states whose keys begin with `owner`, as the records beside the index of the
/// cache in `cache` tell. AWS is not asked.
///
/// # Errors
/// A record cannot be read.
pub fn kept_images(cache: &Path, owner: &str) -> Result<Vec<KeptImage>> {
    let records = Records::new(cache);
    let found = match std::fs::read_dir(&records.0) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", records.0.display()));
        }
    };
    let mut images = Vec::new();
    for entry in found.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = name.strip_suffix(".json").filter(|name| name.starts_with(owner));
        let Some(key) = key.and_then(|key| key.parse::<StateKey>().ok()) else { continue };
        if let Some(record) = records.read(&key)? {
            images.push(KeptImage { key, created: record.created, bytes: record.bytes });
        }
    }
    Ok(images)
}

/// Deregisters the AMI that keeps a state, deletes its snapshots and forgets its record. One that is
/// gone is fine.
///
/// # Errors
/// AWS cannot be reached or refuses, or it is in another account: the record stays.
pub async fn remove_kept_image(cache: &Path, key: &StateKey) -> Result<()> {
    let records = Records::new(cache);
    let Some(record) = records.read(key)? else { return Ok(()) };
    let removed = EbsReclaim::default().reclaim_state(&record.image, key).await;
    removed.map_err(|error| match error.advice() {
        Some(_) => error,
        None => error.hint("`ingot cache prune` with AWS credentials for it tries again"),
    })?;
    records.forget(key)
}

/// Forgets the records of states in the region of `ec2` whose AMIs are gone, and deletes their
/// snapshots.
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
        let id = resource.attributes.get("image_id")?.as_str()?.to_owned();
        is_here(&resource).then(|| (key.clone(), id))
    };
    let known: Vec<(StateKey, String)> = keys.iter().filter_map(record).collect();
    if known.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = known.iter().map(|(_, id)| id.as_str()).collect();
    // An id that is gone is an error if it is asked for by itself.
    let request = ec2.describe_images().owners("self").include_deprecated(true);
    let answer = request.filters(filter("image-id", &ids.join(","))).send().await;
    let there = answer.during("looking for AMIs that keep states")?.images.unwrap_or_default();
    for (key, id) in &known {
        if there.iter().any(|image| image.image_id() == Some(id)) {
            continue;
        }
        // Whoever deregistered it may have left them.
        let record = records.read(key)?;
        for snapshot in record.iter().flat_map(|record| list(&record.image, "snapshots")) {
            let call = ec2.delete_snapshot().snapshot_id(&snapshot).send().await;
            match call.during(format!("deleting the snapshot {snapshot}")) {
                Err(failure) if failure.kind == Kind::NotFound => {}
                // Of another AMI, by now.
                Err(failure) if failure.is("InvalidSnapshot.InUse") => {}
                result => result.map(drop)?,
            }
        }
        records.forget(key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_listed_by_their_owner_and_a_damaged_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(dir.path());
        let key = StateKey::of("test", ["a"]);
        let owner = &key.as_str()[..8];
        assert!(kept_images(dir.path(), owner).unwrap().is_empty());
        let record = Record { created: 7, bytes: 8 << 30, image: Resource::new("image", "name") };
        records.write(&key, &record).unwrap();
        assert_eq!(records.read(&key).unwrap(), Some(record));
        let listed = kept_images(dir.path(), owner).unwrap();
        assert_eq!((&listed[0].key, listed[0].created, listed[0].bytes), (&key, 7, 8 << 30));
        assert!(kept_images(dir.path(), "zz").unwrap().is_empty());
        let path = dir.path().join(DIRECTORY).join(format!("{key}.json"));
        std::fs::write(&path, "{ half").unwrap();
        let error = kept_images(dir.path(), owner).unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        records.forget(&key).unwrap();
        records.forget(&key).unwrap();
        assert!(records.read(&key).unwrap().is_none());
    }
}
