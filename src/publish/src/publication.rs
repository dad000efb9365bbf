//! A run as its registry sees it: the version it fills, and the builds that it tells about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use ingot_engine::graph::Node;
use ingot_engine::inputs::InputsRecord;
use ingot_engine::{Publisher, Start, Unpublished};
use ingot_sdk::{Artifact, Error, PluginSet, RegistryImage, RegistryVersion, Result, Sbom, Ui};
use ingot_template::EnforcedBlock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::builds::KnownBuilds;
use super::changes::add_inputs;
use super::channels::{self, assign, assign_forgotten, unassigned};
use super::enforced::enforced_blocks;
use super::fingerprint;
use super::labels;
use super::metadata::{CommandOptions, Metadata};
use super::plan::{Parent, Plan};
use super::published::{Published, images_of};
use super::queue::{self, QueueEntry, Queued};
use super::sboms::{self, SbomUpload};
use super::version::{Target, all_builds, complete_error, deliver, is_final};
use ingot_registry::api::{
    self, ArtifactCreateBody, Build, BuildStatus, Code, CreateBucketBody, Labels, Timestamp,
    UpdateBuildBody,
};
use ingot_registry::{Completion, Connected, completion};

/// A run that is published.
pub struct Publication {
    registry: Connected,
    plan: Plan,
    bucket: CreateBucketBody,
    metadata: Metadata,
    plugins: PluginSet,
    version_id: String,
    enforced: Vec<EnforcedBlock>,
    builds: KnownBuilds,
    /// What the builds are made from, by their components, once that is known.
    inputs: OnceLock<BTreeMap<String, InputsRecord>>,
}

/// Says of which registry an error is, and how to do without it.
fn about(registry: &Connected, error: Error) -> Error {
    error
        .context(format_args!("the {} registry", registry.name))
        .further_hint("HCP_PACKER_REGISTRY=off builds without publishing")
}

impl Publication {
    /// Opens the version that `plan` names, or one that another run has opened; [`Self::begin`] comes
    /// next. None if that one is complete and only the template's channels had to be assigned, which was
    /// done and told.
    ///
    /// # Errors
    /// The registry refuses or does not answer, or the version is complete.
    pub async fn open(
        registry: Connected,
        plan: Plan,
        options: &CommandOptions,
        plugins: PluginSet,
        ui: &Ui,
    ) -> Result<Option<Publication>> {
        let bucket = CreateBucketBody {
            name: plan.bucket.clone(),
            description: plan.description.clone(),
            labels: plan.bucket_labels.clone(),
        };
        let wrong = |error: api::Error| about(&registry, error.into());
        if !registry.is_hcp() {
            // The registry sees them only when all has been built.
            labels::check("build_labels", &plan.build_labels)
                .map_err(|error| error.hint("they are in hcp_packer_registry"))?;
        }
        let target = Target {
            bucket: &bucket,
            fingerprint: &plan.fingerprint,
            template_type: plan.template_type,
            describes: true,
        };
        // The bucket comes first, so that channels can be created in it where they are missing.
        target.bucket(&*registry.registry).await.map_err(wrong)?;
        let checked = channels::check(&*registry.registry, &plan.bucket, &plan.channels).await;
        checked.map_err(|error| about(&registry, error))?;
        let version = target.open_version(&*registry.registry).await.map_err(wrong)?;
        if version.is_complete() {
            let builds = all_builds(&*registry.registry, &plan.bucket, &plan.fingerprint).await;
            let builds = builds.map_err(wrong)?;
            let late = assign_forgotten(&registry, &plan, &version, &builds).await;
            if late.assigned.is_empty() && late.failed.is_empty() {
                let error = wrong(complete_error(&plan.fingerprint));
                return Err(match plan.fingerprint_of_commit {
                    true => error.further_hint(fingerprint::COMMIT_IS_BUILT),
                    false => error,
                });
            }
            let fingerprint = &plan.fingerprint;
            ui.say(format!("The version `{fingerprint}` is complete: nothing is left to build."));
            for channel in late.assigned {
                ui.say(format!("Assigned version `{fingerprint}` to channel `{channel}`"));
            }
            for (channel, why) in late.skipped {
                ui.say(format!("The channel `{channel}` is left as it is: {why}"));
            }
            return unassigned(&plan.bucket, fingerprint, late.failed).map(|()| None);
        }
        let metadata = Metadata::gather(options, &plan.template_dir);
        if let Some(why) = &metadata.unreadable {
            ui.error(format!(
                "Warning: the Git repository cannot be read, so nothing of it is published: {why}"
            ));
        }
        // Where the run ends before the registry knows its builds, these are what the version lacks.
        let unset = plan.components.iter().map(|component| (component.clone(), Build::default()));
        let known = version.builds.into_iter();
        let known = unset.chain(known.map(|build| (build.component_type.clone(), build)));
        let builds: BTreeMap<String, Build> = known.collect();
        Ok(Some(Publication {
            registry,
            plan,
            bucket,
            metadata,
            plugins,
            version_id: version.id,
            enforced: Vec::new(),
            builds: KnownBuilds::new(builds),
            inputs: OnceLock::new(),
        }))
    }

    /// Makes the builds known to the registry, and asks what it enforces, unless that is to be skipped.
    ///
    /// # Errors
    /// The registry refuses or does not answer. The version stays open, as it does where this is not
    /// waited for.
    pub async fn begin(&mut self, skip_enforcement: bool) -> Result<()> {
        let (registry, plan) = (&*self.registry.registry, &self.plan);
        let target = Target {
            bucket: &self.bucket,
            fingerprint: &plan.fingerprint,
            template_type: plan.template_type,
            describes: true,
        };
        let builds = target.builds(registry, &plan.components, &plan.run_uuid).await;
        let builds = builds.map_err(|error| about(&self.registry, error.into()))?;
        self.builds = KnownBuilds::new(builds);
        if !skip_enforcement {
            self.enforced = enforced_blocks(&self.registry, &self.plan.bucket).await?;
        }
        Ok(())
    }

    /// The version's id.
    pub fn version_id(&self) -> &str {
        &self.version_id
    }

    /// The version's fingerprint.
    pub fn fingerprint(&self) -> &str {
        &self.plan.fingerprint
    }

    /// The blocks that the registry enforces in the bucket, in order; none if that is to be skipped.
    pub fn enforced(&self) -> &[EnforcedBlock] {
        &self.enforced
    }

    /// Says what the builds are made from, by their components, which is published with them. The
    /// first call counts.
    pub fn set_inputs(&self, inputs: BTreeMap<String, InputsRecord>) {
        let _ = self.inputs.set(inputs);
    }

    /// The metadata of how a build was made.
    fn metadata_of(&self, node: &Node) -> api::BuildMetadata {
        let mut metadata = self.metadata.of(node, &self.plugins);
        if let Some(record) = self.inputs.get().and_then(|inputs| inputs.get(&node.component)) {
            add_inputs(&mut metadata, record);
        }
        metadata
    }

    /// Says which builds the version still lacks, if there are any.
    pub async fn report_missing(&self, ui: &Ui) {
        let (bucket, fingerprint) = (&self.plan.bucket, &self.plan.fingerprint);
        // Other runs may have filled in some; who does not answer cannot say so.
        match all_builds(&*self.registry.registry, bucket, fingerprint).await {
            Ok(builds) => {
                let statuses = builds.into_iter().map(|(name, build)| (name, build.status));
                self.builds.report_missing(&statuses.collect(), fingerprint, ui);
            }
            Err(_) => self.report_known_missing(ui),
        }
    }

    /// As [`Self::report_missing`], by what this run knows: the registry is not asked.
    pub fn report_known_missing(&self, ui: &Ui) {
        self.builds.report_missing(&self.builds.statuses(), &self.plan.fingerprint, ui);
    }

    fn status_body(&self, status: BuildStatus) -> UpdateBuildBody {
        UpdateBuildBody {
            packer_run_uuid: self.plan.run_uuid.clone(),
            status,
            ..UpdateBuildBody::default()
        }
    }

    /// Tells the registry every now and then that a build runs.
    fn spawn_heartbeat(&self, id: String) -> JoinHandle<()> {
        let registry = Arc::clone(&self.registry.registry);
        let (bucket, fingerprint) = (self.plan.bucket.clone(), self.plan.fingerprint.clone());
        let body = self.status_body(BuildStatus::Running);
        let period = self.plan.heartbeat;
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                match registry.update_build(&bucket, &fingerprint, &id, &body).await {
                    Ok(_) => tracing::trace!(build = id, "notified the registry that a build runs"),
                    Err(error) => {
                        tracing::warn!(%error, "could not notify the registry that a build runs");
                    }
                }
            }
        })
    }

    /// The body that publishes a build with `images`, and warnings.
    fn done_body(
        &self,
        node: &Node,
        before: &Build,
        images: &[RegistryImage],
    ) -> (UpdateBuildBody, Vec<String>) {
        let mut labels: Labels = before.labels.clone();
        labels.extend(self.plan.build_labels.clone());
        let sha = self.metadata.git_sha.iter();
        let mut found: Labels = sha.map(|sha| ("git_sha".to_owned(), sha.clone())).collect();
        let mut parent = Parent::default();
        let mut source = String::new();
        let mut artifacts = BTreeSet::new();
        for image in images {
            found.extend(image.labels.clone());
            artifacts.insert((image.id.clone(), image.region.clone()));
            let Some(id) = image.source_id.as_ref().filter(|id| !id.is_empty()) else { continue };
            source.clone_from(id);
            if let Some(found) = self.plan.parents.get(id) {
                parent = found.clone();
            }
        }
        let mut warnings = Vec::new();
        match self.registry.is_hcp() {
            true => labels.extend(found),
            false => warnings = labels::add_fitting(&mut labels, found),
        }
        let body = UpdateBuildBody {
            packer_run_uuid: self.plan.run_uuid.clone(),
            status: BuildStatus::Done,
            platform: images.first().map(|image| image.provider.clone()).unwrap_or_default(),
            artifacts: artifacts
                .into_iter()
                .map(|(external_identifier, region)| ArtifactCreateBody {
                    external_identifier,
                    region,
                })
                .collect(),
            labels,
            metadata: Some(self.metadata_of(node)),
            source_external_identifier: source,
            parent_version_id: parent.version_id,
            parent_channel_id: parent.channel_id,
        };
        (body, warnings)
    }

    /// Keeps what could not be published, for `ingot registry push`.
    fn keep(
        &self,
        component: &str,
        update: UpdateBuildBody,
        sboms: Vec<SbomUpload>,
        why: api::Error,
    ) -> Unpublished {
        let queued = Queued {
            address: self.registry.registry.address(),
            location: self.registry.registry.location().clone(),
            bucket: self.bucket.clone(),
            fingerprint: self.plan.fingerprint.clone(),
            template_type: self.plan.template_type,
            component: component.to_owned(),
            update,
            sboms: Vec::new(),
            channels: self.plan.channels.clone(),
            queued_at: Timestamp::now(),
            reason: why.to_string(),
        };
        match queued.keep(&sboms) {
            Ok(QueueEntry { path, lost }) => {
                self.builds.keep(component);
                let lost = lost.iter().map(|lost| format!("; {lost}")).collect::<String>();
                let message = format!("built, but not published: {why}{lost}");
                let error = Error::from(why).reworded(message).further_hint(format!(
                    "it is kept in {}: `ingot registry push` publishes it, and \
                     `ingot registry push -drop={}` gives it up",
                    path.display(),
                    queue::id(&path)
                ));
                Unpublished { error, kept: true }
            }
            Err(error) => {
                let message =
                    format!("built, but not published: {why}; nor could it be kept: {error}");
                Unpublished { error: Error::from(why).reworded(message), kept: false }
            }
        }
    }

    /// Gives up what the registry will never take, and says where it is.
    async fn give_up(
        &self,
        node: &Node,
        id: &str,
        update: &UpdateBuildBody,
        why: &api::Error,
        ui: &Ui,
    ) -> Unpublished {
        let component = node.component.clone();
        let (bucket, fingerprint) = (&self.plan.bucket, &self.plan.fingerprint);
        let registry = &*self.registry.registry;
        let there = registry.get_build(bucket, fingerprint, id).await;
        let theirs = there.is_ok_and(|build| build.status == BuildStatus::Done);
        match theirs {
            true => self.builds.settle(&component, BuildStatus::Done),
            false => {
                let error = Error::new(format!("it cannot be published: {why}"));
                self.failed(node, &error, ui).await;
            }
        }
        let created: Vec<String> = update
            .artifacts
            .iter()
            .map(|one| format!("{} ({})", one.external_identifier, one.region))
            .collect();
        let because = match theirs {
            true => format!("another run has published {component} of this version: {why}"),
            false => format!("the registry refuses it: {why}"),
        };
        let error = Error::new(format!("built, but it cannot be published: {because}"));
        let error = error.hint(format!(
            "what was built is there, and the registry does not know it: {}; \
             `ingot registry artifacts create` records it in a version of its own",
            created.join(", ")
        ));
        Unpublished { error, kept: false }
    }

    /// Assigns the template's channels the version, once it is complete.
    async fn assign_channels(&self, ui: &Ui, cancel: &CancellationToken) -> Result<()> {
        let (bucket, fingerprint) = (&self.plan.bucket, &self.plan.fingerprint);
        if self.plan.channels.is_empty() {
            return Ok(());
        }
        let registry = &*self.registry.registry;
        let now = completion(registry, bucket, fingerprint, cancel).await;
        if matches!(now, Ok(Completion::LacksBuilds(_))) {
            // Whoever publishes the last of its builds does it.
            return Ok(());
        }
        for channel in &self.plan.channels {
            ui.say(format!("Assigning version `{fingerprint}` to channel `{channel}`"));
        }
        let failed = assign(registry, bucket, fingerprint, &self.plan.channels).await;
        unassigned(bucket, fingerprint, failed)
    }
}

#[async_trait]
impl Publisher for Publication {
    async fn start(&self, node: &Node, ui: &Ui) -> Start {
        let component = node.component.clone();
        // Opening made all builds of the template known.
        let Some(Build { id, status, artifacts, .. }) = self.builds.get(&component) else {
            return Start::Build;
        };
        if status == BuildStatus::Done || !artifacts.is_empty() {
            return Start::Done;
        }
        let body = self.status_body(BuildStatus::Running);
        let (bucket, fingerprint) = (&self.plan.bucket, &self.plan.fingerprint);
        let registry = &self.registry.registry;
        if let Err(error) = registry.update_build(bucket, fingerprint, &id, &body).await {
            if error.code == Code::FailedPrecondition
                && let Ok(now) = registry.get_build(bucket, fingerprint, &id).await
                && now.status == BuildStatus::Done
            {
                // Another run was faster.
                self.builds.settle(&component, BuildStatus::Done);
                return Start::Done;
            }
            ui.error(format!(
                "Warning: the registry could not be notified that this build runs: {error}"
            ));
        }
        self.builds.running(&component, self.spawn_heartbeat(id));
        Start::Build
    }

    async fn publish(
        &self,
        node: &Node,
        artifacts: &[Arc<dyn Artifact>],
        sboms: &[Sbom],
        ui: &Ui,
        cancel: &CancellationToken,
    ) -> Result<Arc<dyn Artifact>, Unpublished> {
        let component = node.component.clone();
        self.builds.stop_heartbeat(&component);
        let images = match images_of(artifacts) {
            Ok(images) => images,
            Err(error) => {
                self.failed(node, &error, ui).await;
                return Err(Unpublished { error, kept: false });
            }
        };
        let before = self.builds.get(&component).unwrap_or_default();
        let (body, warnings) = self.done_body(node, &before, &images);
        let warn = |warning: &str| ui.error(format!("Warning: {warning}"));
        warnings.iter().for_each(|warning| warn(warning));
        let (bucket, fingerprint) = (&self.plan.bucket, &self.plan.fingerprint);
        let registry = &*self.registry.registry;
        let sboms: Vec<SbomUpload> = sboms.iter().map(SbomUpload::from).collect();
        // A build that is done takes no more.
        let message = match sboms::upload(registry, bucket, fingerprint, &before.id, &sboms).await {
            Ok(()) => deliver(registry, bucket, fingerprint, &before.id, &body).await,
            Err(error) if error.code == api::Code::Unimplemented => {
                warn("this registry keeps no SBOMs: the build is published without them");
                deliver(registry, bucket, fingerprint, &before.id, &body).await
            }
            Err(error) => Err(error),
        };
        match message {
            Ok(warning) => warning.iter().for_each(|warning| warn(warning)),
            Err(why) if is_final(registry, bucket, fingerprint, &why).await => {
                return Err(self.give_up(node, &before.id, &body, &why, ui).await);
            }
            Err(why) => return Err(self.keep(&component, body, sboms, why)),
        }
        self.builds.settle(&component, BuildStatus::Done);
        if let Err(error) = self.assign_channels(ui, cancel).await {
            return Err(Unpublished { error, kept: false });
        }
        Ok(Arc::new(Published {
            text: format!(
                "Published metadata to {} registry packer/{bucket}/versions/{}",
                self.registry.name, self.version_id
            ),
            version: RegistryVersion {
                registry: self.registry.name.to_string(),
                bucket: bucket.clone(),
                version_id: self.version_id.clone(),
                fingerprint: fingerprint.clone(),
            },
        }))
    }

    async fn failed(&self, node: &Node, error: &Error, ui: &Ui) {
        let component = node.component.clone();
        let status = match error.is_cancelled() {
            true => BuildStatus::Cancelled,
            false => BuildStatus::Failed,
        };
        let id = self.builds.get(&component).map(|build| build.id);
        self.builds.settle(&component, status);
        let (bucket, fingerprint) = (&self.plan.bucket, &self.plan.fingerprint);
        let mut body = self.status_body(status);
        if status == BuildStatus::Failed {
            let why = ui.masked(&error.to_string());
            body.metadata = Some(self.metadata.of_failure(node, &self.plugins, &why));
        }
        let id = id.unwrap_or_default();
        let registry = &self.registry.registry;
        let mut message = registry.update_build(bucket, fingerprint, &id, &body).await;
        let answered = !matches!(&message, Err(error) if error.code == Code::Unavailable);
        if message.is_err() && answered && body.metadata.take().is_some() {
            // That it failed matters more than why.
            message = registry.update_build(bucket, fingerprint, &id, &body).await;
        }
        if let Err(error) = message {
            tracing::warn!(%error, component, "could not notify the registry that a build failed");
        }
    }
}
