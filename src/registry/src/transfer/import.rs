//! Importing buckets.

use std::collections::{BTreeMap, BTreeSet};

use ingot_base::{Error, Result};
use tokio_util::sync::CancellationToken;

use super::enforced::{self, SkippedBlocks};
use super::error::{ImportError, about};
use super::file::{Export, ExportedBucket, ExportedVersion};
use super::key::{Key, key};
use super::order::in_order;
use super::revocations::Revocations;
use super::sboms;
use crate::api::{
    self, Artifact, ArtifactCreateBody, Build, BuildStatus, Channel, Code, CreateBucketBody,
    CreateBuildBody, CreateChannelBody, CreateVersionBody, LATEST_CHANNEL, Parent, UpdateBuildBody,
    UpdateChannelBody, UpdateVersionBody, Version,
};
use crate::client::Registry;
use crate::completion;

/// A version that was imported, as it is reported right after that.
#[derive(Debug, Clone, Copy)]
pub struct ImportedVersion<'a> {
    /// The version, as the export has it.
    pub version: &'a Version,
    /// Its name in this registry, which gives numbers of its own.
    pub new_name: &'a str,
}

/// A version that is revoked in one of the export and this registry, and valid in the other.
#[derive(Debug, Clone)]
pub struct DifferingVersion {
    /// The bucket.
    pub bucket: String,
    /// The fingerprint.
    pub fingerprint: String,
}

/// What was imported, and what was not.
#[derive(Debug)]
pub struct ImportSummary {
    /// What the registry is called that the export is of.
    pub exported_from: String,
    /// How many versions were imported.
    pub imported: usize,
    /// How many were in the registry before.
    pub already_present: usize,
    /// How many got another name here.
    pub renamed: usize,
    /// The enforced blocks that were not imported.
    pub skipped_blocks: SkippedBlocks,
    /// How many SBOMs were not imported, as this registry has none.
    pub unsupported_sboms: usize,
    /// The SBOMs that this registry refuses, and why.
    pub refused_sboms: Vec<String>,
    /// The buckets whose managed channel is restricted in the export and not here, where it may have
    /// been opened since.
    pub open_latest_channels: BTreeSet<String>,
    /// The buckets of parents that this registry does not have, so that the ancestry is lost.
    pub missing_parents: BTreeSet<String>,
    /// The versions that are revoked in the export and not here, where they may have been restored.
    pub unrevoked: Vec<DifferingVersion>,
    /// The versions that are valid in the export and revoked here, as they have inherited it.
    pub still_revoked: Vec<DifferingVersion>,
    /// The channels that were not assigned, as this registry refuses their versions, and why.
    pub unassigned_channels: Vec<String>,
}

/// Imports the buckets of these names, or all if none is given. What is in the registry already stays as
/// it is, so that an import that was interrupted is gone on with. Each version is reported.
///
/// # Errors
/// The export has no such bucket, or the registry fails.
pub async fn import(
    registry: &dyn Registry,
    mut export: Export,
    buckets: &[String],
    report: &mut (dyn FnMut(ImportedVersion<'_>) + Send),
) -> Result<ImportSummary, ImportError> {
    let has = |name: &str| export.buckets.iter().any(|it| it.bucket.name == name);
    if let Some(name) = buckets.iter().find(|name| !has(name.as_str())) {
        return Err(ImportError::UnknownBucket(name.clone()));
    }
    // Of the whole file: what a version was built from may be in a bucket that is not imported now.
    let mut import = Import::new(registry, &export, Revocations::new(registry, &export));
    if !buckets.is_empty() {
        export.buckets.retain(|it| buckets.contains(&it.bucket.name));
    }
    for bucket in &export.buckets {
        import.bucket(bucket).await?;
    }
    let versions = in_order(&export);
    for &exported in &versions {
        if let Some(new_name) = import.version(exported).await? {
            report(ImportedVersion { version: &exported.version, new_name: &new_name });
        }
    }
    for bucket in &export.buckets {
        for channel in &bucket.channels {
            import.assign(channel).await?;
        }
    }
    let revocations = import.revocations.import(&versions, &import.created).await?;
    let differing = |versions: Vec<&Version>| -> Vec<DifferingVersion> {
        versions.into_iter().map(DifferingVersion::of).collect()
    };
    let orders = export.buckets.iter();
    let orders: enforced::Orders<'_> =
        orders.map(|it| (it.bucket.name.as_str(), it.enforced_blocks.as_slice())).collect();
    let blocks = &export.enforced_blocks;
    let skipped_blocks = enforced::import(registry, blocks, &orders, buckets.is_empty()).await;
    Ok(ImportSummary {
        skipped_blocks: skipped_blocks.map_err(Error::from)?,
        imported: import.created.len(),
        already_present: import.already_present,
        renamed: import.renamed,
        unsupported_sboms: import.unsupported_sboms,
        refused_sboms: import.refused_sboms,
        open_latest_channels: import.open_latest_channels,
        missing_parents: import.missing_parents,
        unrevoked: differing(revocations.unrevoked),
        still_revoked: differing(revocations.still_revoked),
        unassigned_channels: import.unassigned_channels,
        exported_from: export.registry.clone(),
    })
}

impl DifferingVersion {
    fn of(version: &Version) -> Self {
        DifferingVersion {
            bucket: version.bucket_name.clone(),
            fingerprint: version.fingerprint.clone(),
        }
    }
}

/// An import that is under way.
struct Import<'a> {
    registry: &'a dyn Registry,
    revocations: Revocations<'a>,
    /// The ids that channels have in this registry, by bucket and name.
    channels: BTreeMap<(String, String), String>,
    /// The ids that versions have in this registry.
    versions: BTreeMap<Key, String>,
    /// The images of the versions in the file.
    images: BTreeMap<Key, BTreeSet<String>>,
    /// The versions that this import brought.
    created: BTreeSet<Key>,
    // As in `ImportSummary`.
    already_present: usize,
    unsupported_sboms: usize,
    refused_sboms: Vec<String>,
    renamed: usize,
    open_latest_channels: BTreeSet<String>,
    missing_parents: BTreeSet<String>,
    unassigned_channels: Vec<String>,
}

impl<'a> Import<'a> {
    fn new(registry: &'a dyn Registry, export: &Export, revocations: Revocations<'a>) -> Self {
        let versions = export.buckets.iter().flat_map(|bucket| &bucket.versions);
        let images = versions.map(|ExportedVersion { version, .. }| {
            let artifacts = version.builds.iter().flat_map(|build| &build.artifacts);
            let names = artifacts.map(|artifact| artifact.external_identifier.clone());
            (key(version), names.collect())
        });
        Import {
            registry,
            revocations,
            channels: BTreeMap::new(),
            versions: BTreeMap::new(),
            images: images.collect(),
            created: BTreeSet::new(),
            already_present: 0,
            unsupported_sboms: 0,
            refused_sboms: Vec::new(),
            renamed: 0,
            open_latest_channels: BTreeSet::new(),
            missing_parents: BTreeSet::new(),
            unassigned_channels: Vec::new(),
        }
    }

    /// Creates a bucket and its channels, which point nowhere yet.
    async fn bucket(&mut self, exported: &ExportedBucket) -> Result<()> {
        let bucket = &exported.bucket;
        let name = &bucket.name;
        let body = CreateBucketBody {
            name: name.clone(),
            description: bucket.description.clone(),
            labels: bucket.labels.clone(),
        };
        match self.registry.get_bucket(name).await {
            Err(error) if error.is_absent() => {
                let created = self.registry.create_bucket(&body).await;
                created.map_err(about(format!("the bucket {name}")))?;
            }
            found => drop(found?),
        }
        if exported.latest_is_restricted {
            let restricted = self.restrict_latest(name).await;
            restricted.map_err(about(format!("the channel {LATEST_CHANNEL} of {name}")))?;
        }
        for channel in &exported.channels {
            let body = CreateChannelBody {
                name: channel.name.clone(),
                restricted: channel.restricted,
                version_fingerprint: String::new(),
            };
            let there = match self.registry.get_channel(name, &channel.name).await {
                Err(error) if error.is_absent() => {
                    let created = self.registry.create_channel(name, &body).await;
                    created.map_err(about(format!("the channel {} of {name}", channel.name)))?
                }
                found => found?,
            };
            self.channels.insert((name.clone(), channel.name.clone()), there.id);
        }
        Ok(())
    }

    /// Restricts a bucket's managed channel while nothing can be read by it: where it leads to a
    /// version somebody may have opened it since.
    async fn restrict_latest(&mut self, bucket: &str) -> api::Result<()> {
        let there = self.registry.get_channel(bucket, LATEST_CHANNEL).await?;
        if there.restricted {
            return Ok(());
        }
        if there.version.is_some_and(|version| !version.fingerprint.is_empty()) {
            self.open_latest_channels.insert(bucket.to_owned());
            return Ok(());
        }
        let body = UpdateChannelBody {
            update_mask: "restricted".to_owned(),
            restricted: true,
            ..UpdateChannelBody::default()
        };
        self.registry.update_channel(bucket, LATEST_CHANNEL, &body).await.map(drop)
    }

    /// Creates a version with its builds, unless it is there. Returns the name that it got.
    async fn version(&mut self, exported: &ExportedVersion) -> Result<Option<String>> {
        let ExportedVersion { version, parents, sboms } = exported;
        let (registry, bucket, fingerprint) =
            (self.registry, &version.bucket_name, &version.fingerprint);
        let what = format!("{bucket} {} ({fingerprint})", version.name);
        let key = key(version);
        let there = match registry.get_version(bucket, fingerprint).await {
            Ok(there) if there.is_complete() => {
                self.versions.insert(key, there.id);
                self.already_present += 1;
                return Ok(None);
            }
            Err(error) if error.is_absent() => {
                let body = CreateVersionBody {
                    fingerprint: fingerprint.clone(),
                    template_type: version.template_type,
                };
                registry.create_version(bucket, &body).await.map_err(about(what.clone()))?
            }
            there => there?,
        };
        for parent in parents {
            self.find_parent(parent).await?;
        }
        // All are made known before one is done: the last one that is done completes the version.
        let mut open = Vec::new();
        for build in &version.builds {
            let component = &build.component_type;
            let known = there.builds.iter().find(|known| known.component_type == *component);
            match known {
                Some(known) if known.status == BuildStatus::Done => {}
                Some(known) => open.push((build, known.id.clone())),
                None => {
                    let body = CreateBuildBody {
                        component_type: component.clone(),
                        packer_run_uuid: build.packer_run_uuid.clone(),
                        status: BuildStatus::Running,
                        platform: build.platform.clone(),
                        ..CreateBuildBody::default()
                    };
                    let created = registry.create_build(bucket, fingerprint, &body).await;
                    let created = created.map_err(about(format!("{what}, {component}")))?;
                    open.push((build, created.id));
                }
            }
        }
        for (build, id) in open {
            // A build that is done takes none any more.
            let own = sboms.iter().filter(|it| it.component_type == build.component_type);
            let skipped = sboms::upload(registry, version, &id, own).await;
            let named = format!("{what}, {}", build.component_type);
            let skipped = skipped.map_err(|error| error.context(named.clone()))?;
            self.unsupported_sboms += skipped.unsupported;
            let refused = skipped.refused.into_iter().map(|sbom| format!("{named}, {sbom}"));
            self.refused_sboms.extend(refused);
            let body = self.completion(build, self.parent(build, parents));
            let updated = registry.update_build(bucket, fingerprint, &id, &body).await;
            updated.map_err(about(format!("{what}, {}", build.component_type)))?;
        }
        let mut now = registry.get_version(bucket, fingerprint).await?;
        if !now.is_complete() {
            let body = UpdateVersionBody { complete: true, ..UpdateVersionBody::default() };
            let asked = registry.update_version(bucket, fingerprint, &body).await;
            // It may have been about to complete it by itself.
            let never = CancellationToken::new();
            let found = completion(registry, bucket, fingerprint, &never).await;
            now = found.map_err(about(what.clone()))?.into_version();
            if !now.is_complete() {
                asked.map_err(about(what))?;
            }
        }
        if !version.revoke_at.is_set() {
            // What it was built from was here before, and was revoked with its descendants.
            now = self.revocations.restore(version, now).await?;
        }
        self.renamed += usize::from(now.name != version.name);
        self.versions.insert(key.clone(), now.id);
        self.created.insert(key);
        Ok(Some(now.name))
    }

    /// Which of its version's parents a build was built from: the one that has its source image in
    /// the file. Where none has, the only one; of several it is not known then.
    fn parent<'p>(&self, build: &Build, parents: &'p [Parent]) -> Option<&'p Parent> {
        let source = &build.source_external_identifier;
        let has_image = |parent: &&Parent| {
            let key = (parent.bucket_name.clone(), parent.version_fingerprint.clone());
            self.images.get(&key).is_some_and(|images| images.contains(source))
        };
        match parents {
            [only] => Some(only),
            several => several.iter().find(has_image),
        }
    }

    /// Finds the ids of a parent that this run does not import and that may be here.
    async fn find_parent(&mut self, parent: &Parent) -> Result<()> {
        let (bucket, fingerprint) = (&parent.bucket_name, &parent.version_fingerprint);
        let key = (bucket.clone(), fingerprint.clone());
        if !self.versions.contains_key(&key) {
            match self.registry.get_version(bucket, fingerprint).await {
                Err(error) if error.is_absent() => {
                    self.missing_parents.insert(bucket.clone());
                    return Ok(());
                }
                found => self.versions.insert(key, found?.id),
            };
        }
        let key = (bucket.clone(), parent.channel_name.clone());
        if !parent.channel_name.is_empty() && !self.channels.contains_key(&key) {
            match self.registry.get_channel(bucket, &parent.channel_name).await {
                Err(error) if error.is_absent() => {}
                found => {
                    self.channels.insert(key, found?.id);
                }
            }
        }
        Ok(())
    }

    /// The request that completes a build.
    fn completion(&self, build: &Build, parent: Option<&Parent>) -> UpdateBuildBody {
        let id = |ids: &BTreeMap<(String, String), String>, name: fn(&Parent) -> &String| {
            let key = |parent: &Parent| (parent.bucket_name.clone(), name(parent).clone());
            parent.and_then(|parent| ids.get(&key(parent))).cloned().unwrap_or_default()
        };
        let artifact = |artifact: &Artifact| ArtifactCreateBody {
            external_identifier: artifact.external_identifier.clone(),
            region: artifact.region.clone(),
        };
        UpdateBuildBody {
            packer_run_uuid: build.packer_run_uuid.clone(),
            status: BuildStatus::Done,
            platform: build.platform.clone(),
            artifacts: build.artifacts.iter().map(artifact).collect(),
            labels: build.labels.clone(),
            metadata: build.metadata.clone(),
            source_external_identifier: build.source_external_identifier.clone(),
            parent_version_id: id(&self.versions, |parent| &parent.version_fingerprint),
            parent_channel_id: id(&self.channels, |parent| &parent.channel_name),
        }
    }

    /// Points a channel where it pointed, unless it points somewhere already.
    async fn assign(&mut self, channel: &Channel) -> Result<()> {
        let Some(version) = &channel.version else { return Ok(()) };
        let (bucket, name) = (&channel.bucket_name, &channel.name);
        let key = (bucket.clone(), version.fingerprint.clone());
        if version.fingerprint.is_empty() || !self.versions.contains_key(&key) {
            return Ok(());
        }
        let there = self.registry.get_channel(bucket, name).await?;
        if there.version.is_some_and(|version| !version.fingerprint.is_empty()) {
            return Ok(());
        }
        let body = UpdateChannelBody {
            update_mask: "versionFingerprint".to_owned(),
            version_fingerprint: version.fingerprint.clone(),
            ..UpdateChannelBody::default()
        };
        let assigned = self.registry.update_channel(bucket, name, &body).await;
        match assigned {
            // Its version is revoked here; the rest need not stay behind.
            Err(error) if error.code == Code::FailedPrecondition => {
                self.unassigned_channels.push(format!("{name} of {bucket}: {error}"));
                Ok(())
            }
            assigned => {
                assigned.map_err(about(format!("the channel {name} of {bucket}"))).map(drop)
            }
        }
    }
}
