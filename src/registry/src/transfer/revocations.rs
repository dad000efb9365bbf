//! Revocations on their way from one registry to the other: what is revoked in the file is revoked here, and
//! what is valid there is valid here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ingot_base::Result;
use ingot_base::retry::Retry;
use tokio_util::sync::CancellationToken;

use super::error::about;
use super::file::{Export, ExportedVersion};
use super::key::{Key, key};
use crate::api::{self, Code, RevocationType, Timestamp, UpdateVersionBody, Version};
use crate::client::Registry;
use crate::poll::poll;

/// How long all together are waited for that inherit revocations which were just imported.
const HEIRS: Duration = Duration::from_secs(10);

/// How often a version is restored at the most: it may inherit from several others.
const RESTORES: u32 = 8;

/// The bucket and fingerprint of the version that another has inherited its revocation from.
fn inherited_from(version: &Version) -> Option<Key> {
    let from = version.revocation_inherited_from.as_ref()?;
    Some((from.bucket_name.clone(), from.version_fingerprint.clone()))
}

/// The bucket and fingerprint of each version that another was built from.
fn parents(exported: &ExportedVersion) -> impl Iterator<Item = Key> + '_ {
    let parents = exported.parents.iter();
    parents.map(|parent| (parent.bucket_name.clone(), parent.version_fingerprint.clone()))
}

/// What a whole file says of revocations, also of buckets that are not imported.
#[derive(Debug, Default)]
struct FileRevocations {
    /// The versions that are revoked, or are to be: when, and why.
    revoked: BTreeMap<Key, (Timestamp, String)>,
    /// Those from which others inherited.
    heirs_of: BTreeSet<Key>,
    /// Of versions that others were built from, directly or not, which have not inherited a revocation:
    /// until when the last of these is valid.
    valid_below: BTreeMap<Key, Validity>,
}

/// Until when a version is valid, the shortest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Validity {
    Until(Timestamp),
    Unlimited,
}

impl Validity {
    fn of(version: &Version) -> Self {
        match version.revoke_at.is_set() {
            true => Validity::Until(version.revoke_at),
            false => Validity::Unlimited,
        }
    }
}

impl FileRevocations {
    fn of(export: &Export) -> Self {
        let versions = || export.buckets.iter().flat_map(|bucket| &bucket.versions);
        let by_key: BTreeMap<Key, &ExportedVersion> =
            versions().map(|exported| (key(&exported.version), exported)).collect();
        let mut own: Vec<&ExportedVersion> = versions()
            .filter(|exported| exported.version.revocation_type != RevocationType::Inherited)
            .collect();
        // The longest first: each ancestor is looked at once.
        own.sort_by_key(|exported| Reverse(Validity::of(&exported.version)));
        let mut valid_below = BTreeMap::new();
        for exported in own {
            let validity = Validity::of(&exported.version);
            let mut open: Vec<Key> = parents(exported).collect();
            while let Some(ancestor) = open.pop() {
                if valid_below.contains_key(&ancestor) {
                    continue;
                }
                open.extend(by_key.get(&ancestor).into_iter().flat_map(|it| parents(it)));
                valid_below.insert(ancestor, validity);
            }
        }
        let revoked = || versions().map(|it| &it.version).filter(|it| it.revoke_at.is_set());
        let how = |version: &Version| (version.revoke_at, version.revocation_message.clone());
        FileRevocations {
            revoked: revoked().map(|version| (key(version), how(version))).collect(),
            heirs_of: revoked().filter_map(inherited_from).collect(),
            valid_below,
        }
    }

    /// Whether what was built from a version is revoked with it. The file does not say so; but what is
    /// valid for longer, or was revoked by itself later, has not inherited it. Where neither is there,
    /// what is being built from it has to be revoked, too.
    fn reaches_descendants(&self, version: &Key) -> bool {
        let outlived = || {
            let (at, _) = self.revoked.get(version)?;
            Some(self.valid_below.get(version)? > &Validity::Until(*at))
        };
        self.heirs_of.contains(version) || outlived() != Some(true)
    }
}

/// The versions that are revoked only in the file, or only here.
#[derive(Debug, Default)]
pub(super) struct Differences<'v> {
    /// Valid here, as they were here before and may have been restored.
    pub(super) unrevoked: Vec<&'v Version>,
    /// Revoked here, as they have inherited it.
    pub(super) still_revoked: Vec<&'v Version>,
}

/// The import of a file's revocations into a registry.
pub(super) struct Revocations<'a> {
    registry: &'a dyn Registry,
    in_file: FileRevocations,
}

impl<'a> Revocations<'a> {
    /// Those of a whole file.
    pub(super) fn new(registry: &'a dyn Registry, export: &Export) -> Self {
        Revocations { registry, in_file: FileRevocations::of(export) }
    }

    /// A version whose ancestor was just revoked, once that has reached it. Some registries answer
    /// before they have revoked what was built from a version.
    async fn heir(&self, bucket: &str, fingerprint: &str, until: Instant) -> api::Result<Version> {
        let wait = Retry {
            initial: Duration::from_millis(250),
            max: Duration::from_secs(2),
            tries: None,
            timeout: Some(until.saturating_duration_since(Instant::now())),
        };
        let is_revoked = |version: &Version| version.revoke_at.is_set();
        let look = || self.registry.get_version(bucket, fingerprint);
        // Whoever waits is cancelled as a whole.
        let seen = poll(&wait, &CancellationToken::new(), is_revoked, look).await?;
        Ok(seen.unwrap_or_default())
    }

    /// Revokes what was revoked, or is to be, and restores what has only inherited it here. `created` are
    /// the versions that this import brought.
    pub(super) async fn import<'v>(
        &self,
        versions: &[&'v ExportedVersion],
        created: &BTreeSet<Key>,
    ) -> Result<Differences<'v>> {
        let mut unrevoked = Vec::new();
        let revoked = versions.iter().map(|exported| &exported.version);
        let revoked = revoked.filter(|version| version.revoke_at.is_set());
        let (inherited, mut by_hand): (Vec<&'v Version>, Vec<&'v Version>) =
            revoked.partition(|version| version.revocation_type == RevocationType::Inherited);
        // The earliest first: one that is still to come must not be what others inherit that are
        // revoked by now. What is inherited follows.
        by_hand.sort_by_key(|version| version.revoke_at);
        // Those that were revoked with what was built from them.
        let mut done: BTreeSet<Key> = BTreeSet::new();
        let mut until = None;
        for version in by_hand.into_iter().chain(inherited) {
            let (bucket, fingerprint) = (&version.bucket_name, &version.fingerprint);
            let key = key(version);
            let created = created.contains(&key);
            let follows = created && inherited_from(version).is_some_and(|it| done.contains(&it));
            let there = match follows {
                true => {
                    let until = *until.get_or_insert_with(|| Instant::now() + HEIRS);
                    self.heir(bucket, fingerprint, until).await?
                }
                false => self.registry.get_version(bucket, fingerprint).await?,
            };
            if there.revoke_at.is_set() {
                continue;
            }
            if !created {
                unrevoked.push(version);
                continue;
            }
            let reaches_descendants = self.in_file.reaches_descendants(&key);
            let body = UpdateVersionBody {
                revoke_at: version.revoke_at,
                revocation_message: version.revocation_message.clone(),
                // The channels point where they pointed.
                disable_rollback_channels: true,
                skip_descendants_revocation: !reaches_descendants,
                ..UpdateVersionBody::default()
            };
            let revoked = self.registry.update_version(bucket, fingerprint, &body).await;
            revoked.map_err(about(format!("the revocation of {bucket} {}", version.name)))?;
            if reaches_descendants {
                done.insert(key);
            }
        }
        let still_revoked = self.restore_valid(versions, created, &done).await?;
        Ok(Differences { unrevoked, still_revoked })
    }

    /// Restores what is valid in the file and has inherited a revocation here. Returns what stays revoked.
    /// `done` was revoked with what was built from it.
    async fn restore_valid<'v>(
        &self,
        versions: &[&'v ExportedVersion],
        created: &BTreeSet<Key>,
        done: &BTreeSet<Key>,
    ) -> Result<Vec<&'v Version>> {
        // What was built from a version that is revoked in the file, and from one of `done`. Parents
        // come first.
        let mut below_revoked: BTreeSet<Key> = BTreeSet::new();
        let mut below_done: BTreeSet<Key> = BTreeSet::new();
        let mut valid = Vec::new();
        for exported in versions {
            let key = key(&exported.version);
            if parents(exported)
                .any(|it| self.in_file.revoked.contains_key(&it) || below_revoked.contains(&it))
            {
                below_revoked.insert(key.clone());
            }
            if parents(exported).any(|it| done.contains(&it) || below_done.contains(&it)) {
                below_done.insert(key.clone());
            }
            if !exported.version.revoke_at.is_set() && !exported.parents.is_empty() {
                valid.push((key, &exported.version));
            }
        }
        // All have inherited it before one is restored.
        let until = Instant::now() + HEIRS;
        for (key, version) in &valid {
            if created.contains(key) && below_done.contains(key) {
                self.heir(&version.bucket_name, &version.fingerprint, until).await?;
            }
        }
        let mut still_revoked = Vec::new();
        for (key, version) in valid {
            let created = created.contains(&key);
            if !created && !below_revoked.contains(&key) {
                continue;
            }
            let there =
                self.registry.get_version(&version.bucket_name, &version.fingerprint).await?;
            let stays = match created {
                true => self.restore(version, there).await?.revoke_at.is_set(),
                // It stays as it is. What was revoked here since is no news.
                false => there.revoke_at.is_set() && self.inherited_as_in_file(&there).is_some(),
            };
            if stays {
                still_revoked.push(version);
            }
        }
        Ok(still_revoked)
    }

    /// The version from which one of this registry has inherited a revocation that the file has, too: of the
    /// same version, for the same reason, and carried out or not. Another one was made here.
    fn inherited_as_in_file(&self, there: &Version) -> Option<Key> {
        let from = inherited_from(there)?;
        let (at, message) = self.in_file.revoked.get(&from)?;
        let is_past = *at <= Timestamp::now();
        let is_same = is_past == there.is_revoked() && *message == there.revocation_message;
        is_same.then_some(from)
    }

    /// Restores a version that was just imported and is valid in the file, if it has inherited a revocation
    /// that the file has, too. Others were made here and hold for it. Returns it as it is then.
    pub(super) async fn restore(&self, exported: &Version, mut there: Version) -> Result<Version> {
        let (bucket, fingerprint) = (&exported.bucket_name, &exported.fingerprint);
        // An import never passes on what does not reach descendants.
        let is_of_file = |there: &Version| {
            let from = self.inherited_as_in_file(there);
            from.is_some_and(|from| self.in_file.reaches_descendants(&from))
        };
        for _ in 0..RESTORES {
            if !there.revoke_at.is_set() || !is_of_file(&there) {
                break;
            }
            let body = UpdateVersionBody { restore: true, ..UpdateVersionBody::default() };
            match self.registry.update_version(bucket, fingerprint, &body).await {
                Ok(restored) => there = restored,
                // It is reported as one that stays revoked; the rest need not stay behind.
                Err(error)
                    if matches!(
                        error.code,
                        Code::FailedPrecondition | Code::InvalidArgument | Code::Unimplemented
                    ) =>
                {
                    break;
                }
                Err(error) => {
                    return Err(about(format!("restoring {bucket} {}", exported.name))(error));
                }
            }
        }
        Ok(there)
    }
}
