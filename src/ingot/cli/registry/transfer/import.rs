//! `ingot registry import`

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use ingot_registry::api::{
    ArtifactCreateBody, Build, BuildStatus, Channel, CreateBucketBody, CreateBuildBody,
    CreateChannelBody, CreateVersionBody, LATEST_CHANNEL, Parent, RevocationType, UpdateBuildBody,
    UpdateChannelBody, UpdateVersionBody, Version,
};
use ingot_registry::client::Registry;
use ingot_sdk::{Context as _, Error, Result};

use super::super::output::line;
use super::super::session::Session;
use super::file::{Export, ExportedBucket, ExportedVersion, read, sentence_list};
use super::order::in_order;
use super::{enforced, sboms};

#[derive(Debug, Args)]
pub(in crate::cli::registry) struct ImportArgs {
    /// A file that `ingot registry export` wrote
    file: PathBuf,
    /// A bucket of the file; all unless it is given; can be given again
    #[arg(long, value_name = "BUCKET")]
    bucket: Vec<String>,
}

/// Reads a file of buckets into the registry in use. What is there already stays as it is, so that
/// an import that was interrupted is gone on with.
pub(in crate::cli::registry) async fn import(args: &ImportArgs, session: &Session) -> Result<()> {
    // On another thread: what is to be read may be a pipe, and a signal is to be heard meanwhile.
    let file = args.file.clone();
    let mut export =
        tokio::task::spawn_blocking(move || read(&file)).await.context("reading")??;
    let known: BTreeSet<&str> =
        export.buckets.iter().map(|bucket| bucket.bucket.name.as_str()).collect();
    if let Some(name) = args.bucket.iter().find(|name| !known.contains(name.as_str())) {
        return Err(Error::new(format!("{} has no bucket {name}", args.file.display())));
    }
    if !args.bucket.is_empty() {
        export.buckets.retain(|bucket| args.bucket.contains(&bucket.bucket.name));
    }
    let mut import = Import::new(session.registry(), &export);
    for bucket in &export.buckets {
        import.bucket(bucket).await?;
    }
    let versions = in_order(&export);
    for exported in &versions {
        import.version(exported).await?;
    }
    for bucket in &export.buckets {
        for channel in &bucket.channels {
            import.assign(channel).await?;
        }
    }
    let left = import.revocations(&versions).await?;
    let names: BTreeSet<&str> = export.buckets.iter().map(|it| it.bucket.name.as_str()).collect();
    let (registry, blocks) = (session.registry(), &export.enforced_blocks);
    let blocks = enforced::import(registry, blocks, &names, args.bucket.is_empty()).await?;
    line(format!(
        "Imported {} versions of {} into {}; {} were there already.",
        import.created.len(),
        export.registry,
        session.connected.name,
        import.there
    ));
    if import.renumbered > 0 {
        let count = import.renumbered;
        line(format!("{count} of them have other numbers here; their fingerprints are the same."));
    }
    if let Some(why) = blocks.out_of_reach {
        line(format!("Enforced blocks were left behind, so that builds do not run them: {why}."));
    }
    if !blocks.others.is_empty() {
        line(
            "Enforced blocks that are others here stay as they are, and no bucket was linked to them:",
        );
        for other in blocks.others {
            line(format!("  {other}"));
        }
    }
    if import.sboms_left > 0 {
        let count = import.sboms_left;
        line(format!("{count} SBOMs were left behind: this registry does not take them."));
    }
    if !import.sboms_refused.is_empty() {
        let count = import.sboms_refused.len();
        line(format!("{count} SBOMs were left behind, as this registry refuses them:"));
        for refused in &import.sboms_refused {
            line(format!("  {refused}"));
        }
    }
    if !import.latest_open.is_empty() {
        line(format!(
            "The channel {LATEST_CHANNEL} is restricted in the file and not here. To restrict it, too:"
        ));
        for bucket in &import.latest_open {
            line(format!("  ingot registry channels update {bucket} {LATEST_CHANNEL} -restricted"));
        }
    }
    if !import.lost.is_empty() {
        let buckets = sentence_list(&import.lost);
        line(format!(
            "Some were built from versions of {buckets} that are not here: that ancestry is lost. To keep \
             it, remove the buckets that were imported (`ingot registry buckets delete`), and import the \
             parents before."
        ));
    }
    if !left.is_empty() {
        line(format!(
            "Of those that were there, {} are revoked in the file and not here. To revoke them, too:",
            left.len()
        ));
        for Version { bucket_name, fingerprint, .. } in left {
            line(format!("  ingot registry revoke {bucket_name} {fingerprint}"));
        }
    }
    Ok(())
}

/// An import that is under way.
struct Import<'a> {
    registry: &'a dyn Registry,
    /// The ids that channels have in this registry, by bucket and name.
    channels: BTreeMap<(String, String), String>,
    /// The ids that versions have in this registry, by bucket and fingerprint.
    versions: BTreeMap<(String, String), String>,
    /// The images of the versions in the file, by bucket and fingerprint.
    images: BTreeMap<(String, String), BTreeSet<String>>,
    /// The versions that this import brought, by bucket and fingerprint.
    created: BTreeSet<(String, String)>,
    there: usize,
    /// How many SBOMs the registry does not take.
    sboms_left: usize,
    /// Which SBOMs it refuses, and why.
    sboms_refused: Vec<String>,
    /// How many versions have another number here than in the file.
    renumbered: usize,
    /// The buckets whose managed channel is restricted in the file only.
    latest_open: BTreeSet<String>,
    /// The buckets of parents that are not here.
    lost: BTreeSet<String>,
}

/// An error with what it was about.
fn about(what: String) -> impl FnOnce(ingot_registry::api::Error) -> Error {
    move |error| Error::from(error).context(what)
}

impl<'a> Import<'a> {
    fn new(registry: &'a dyn Registry, export: &Export) -> Self {
        let versions = export.buckets.iter().flat_map(|bucket| &bucket.versions);
        let images = versions.map(|ExportedVersion { version, .. }| {
            let artifacts = version.builds.iter().flat_map(|build| &build.artifacts);
            let names = artifacts.map(|artifact| artifact.external_identifier.clone());
            ((version.bucket_name.clone(), version.fingerprint.clone()), names.collect())
        });
        Import {
            registry,
            channels: BTreeMap::new(),
            versions: BTreeMap::new(),
            images: images.collect(),
            created: BTreeSet::new(),
            there: 0,
            sboms_left: 0,
            sboms_refused: Vec::new(),
            renumbered: 0,
            latest_open: BTreeSet::new(),
            lost: BTreeSet::new(),
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
    async fn restrict_latest(&mut self, bucket: &str) -> ingot_registry::api::Result<()> {
        let there = self.registry.get_channel(bucket, LATEST_CHANNEL).await?;
        if there.restricted {
            return Ok(());
        }
        if there.version.is_some_and(|version| !version.fingerprint.is_empty()) {
            self.latest_open.insert(bucket.to_owned());
            return Ok(());
        }
        let body = UpdateChannelBody {
            update_mask: "restricted".to_owned(),
            restricted: true,
            ..UpdateChannelBody::default()
        };
        self.registry.update_channel(bucket, LATEST_CHANNEL, &body).await.map(drop)
    }

    /// Creates a version with its builds, unless it is there.
    async fn version(&mut self, exported: &ExportedVersion) -> Result<()> {
        let ExportedVersion { version, parents, sboms } = exported;
        let (registry, bucket, fingerprint) =
            (self.registry, &version.bucket_name, &version.fingerprint);
        let what = format!("{bucket} {} ({fingerprint})", version.name);
        let key = (bucket.clone(), fingerprint.clone());
        let there = match registry.get_version(bucket, fingerprint).await {
            Ok(there) if there.is_complete() => {
                self.versions.insert(key, there.id);
                self.there += 1;
                return Ok(());
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
            self.know(parent).await?;
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
            let left = sboms::upload(registry, version, &id, own).await;
            let named = format!("{what}, {}", build.component_type);
            let left = left.map_err(|error| error.context(named.clone()))?;
            self.sboms_left += left.unknown;
            let refused = left.refused.into_iter().map(|sbom| format!("{named}, {sbom}"));
            self.sboms_refused.extend(refused);
            let body = self.done(build, self.parent(build, parents));
            let updated = registry.update_build(bucket, fingerprint, &id, &body).await;
            updated.map_err(about(format!("{what}, {}", build.component_type)))?;
        }
        let mut now = registry.get_version(bucket, fingerprint).await?;
        if !now.is_complete() {
            let body = UpdateVersionBody { complete: true, ..UpdateVersionBody::default() };
            let completed = registry.update_version(bucket, fingerprint, &body).await;
            now = completed.map_err(about(what))?;
        }
        let name = match now.name == version.name {
            true => String::new(),
            false => {
                self.renumbered += 1;
                format!(", which is {} here", now.name)
            }
        };
        line(format!("{bucket} {} ({fingerprint}){name}", version.name));
        self.versions.insert(key.clone(), now.id);
        self.created.insert(key);
        Ok(())
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

    /// Learns the ids of a parent that this run does not import and that may be here.
    async fn know(&mut self, parent: &Parent) -> Result<()> {
        let (bucket, fingerprint) = (&parent.bucket_name, &parent.version_fingerprint);
        let key = (bucket.clone(), fingerprint.clone());
        if !self.versions.contains_key(&key) {
            match self.registry.get_version(bucket, fingerprint).await {
                Err(error) if error.is_absent() => {
                    self.lost.insert(bucket.clone());
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

    /// What tells that a build is done.
    fn done(&self, build: &Build, parent: Option<&Parent>) -> UpdateBuildBody {
        let id = |ids: &BTreeMap<(String, String), String>, name: fn(&Parent) -> &String| {
            let key = |parent: &Parent| (parent.bucket_name.clone(), name(parent).clone());
            parent.and_then(|parent| ids.get(&key(parent))).cloned().unwrap_or_default()
        };
        let artifact = |artifact: &ingot_registry::api::Artifact| ArtifactCreateBody {
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
    async fn assign(&self, channel: &Channel) -> Result<()> {
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
        assigned.map_err(about(format!("the channel {name} of {bucket}"))).map(drop)
    }

    /// Revokes what was revoked, or is to be: by hand first, as others inherit that. Returns what
    /// was here before and is not revoked, as somebody may have restored it.
    async fn revocations<'v>(&self, versions: &[&'v ExportedVersion]) -> Result<Vec<&'v Version>> {
        let mut left = Vec::new();
        let revoked = versions.iter().map(|exported| &exported.version);
        let revoked: Vec<&'v Version> = revoked.filter(|one| one.revoke_at.is_set()).collect();
        let heirs: BTreeSet<(&str, &str)> = revoked
            .iter()
            .filter_map(|one| one.revocation_inherited_from.as_ref())
            .map(|from| (from.bucket_name.as_str(), from.version_fingerprint.as_str()))
            .collect();
        let inherited = |one: &&&Version| one.revocation_type == RevocationType::Inherited;
        let by_hand = revoked.iter().filter(|one| !inherited(one));
        for &version in by_hand.chain(revoked.iter().filter(inherited)) {
            let (bucket, fingerprint) = (&version.bucket_name, &version.fingerprint);
            let there = self.registry.get_version(bucket, fingerprint).await?;
            if there.revoke_at.is_set() {
                continue;
            }
            if !self.created.contains(&(bucket.clone(), fingerprint.clone())) {
                left.push(version);
                continue;
            }
            let body = UpdateVersionBody {
                revoke_at: version.revoke_at,
                revocation_message: version.revocation_message.clone(),
                // The channels point where they pointed.
                disable_rollback_channels: true,
                skip_descendants_revocation: !heirs
                    .contains(&(bucket.as_str(), fingerprint.as_str())),
                ..UpdateVersionBody::default()
            };
            let done = self.registry.update_version(bucket, fingerprint, &body).await;
            done.map_err(about(format!("the revocation of {bucket} {}", version.name)))?;
        }
        Ok(left)
    }
}
