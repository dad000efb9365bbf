//! What is done, in order, and how it is undone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{
    Artifact, Component, ConfigErrors, Context as _, Decoded, Error, GeneratedData, PostProcess,
    PrepareContext, Prepared, Processed, Resource, Result, RunContext, Schema, async_trait,
};
use serde_json::json;

use super::image::{self, AmiCopy};
use super::object::{self, Object};
use super::options::{Options, bad_key, schema};
use super::task::{self, Task};
use crate::access::{Access, Ec2};
use crate::ebs::artifact::AmiArtifact;
use crate::ebs::options::{clean_function, given};
use crate::ebs::region_access::{ACCOUNT, RegionAccess};
use crate::ebs::removal::ImageMark;
use crate::ebs::resources::{IMAGE, image_resource, known_image};
use crate::ebs::steps::{CreatedImage, available, created};
use crate::s3::S3;

/// The id of what this makes.
const BUILDER_ID: &str = "packer.post-processor.amazon-import";
/// How long it may take to learn the account, which is of use to whoever cleans up only.
const ACCOUNT_LIMIT: Duration = Duration::from_secs(10);

/// `post-processor "amazon-import"`
pub struct AmazonImport;

/// Makes an AMI of a disk.
pub struct ImportDisk {
    options: Options,
}

impl Component for AmazonImport {
    const NAME: &'static str = "amazon-import";
    type Options = Options;
    type Ready = ImportDisk;

    fn schema(&self) -> Schema {
        schema()
    }

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<ImportDisk>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        options.check(&mut errors);
        let warnings = options.warnings();
        Prepared { warnings, ..Prepared::new(ImportDisk { options }) }.or_errors(errors)
    }
}

#[async_trait]
impl PostProcess for ImportDisk {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        data: &GeneratedData,
    ) -> Result<Processed> {
        // What is cleaned up after a cancellation is waited for as processes are.
        let _cleaning_up = ctx.processes.running();
        let ctx = &ctx.part();
        let access = ctx.unless_cancelled(Access::open(&self.options.access, &ctx.ui)).await?;
        match self.import(ctx, &access, &*artifact, data).await {
            Ok(imported) => Ok(Processed {
                artifact: Some(Arc::new(imported)),
                keep_input: false,
                force_keep_input: false,
            }),
            Err(error) => Err(access.explain(error).await),
        }
    }
}

/// What an import has created so far.
#[derive(Default)]
struct CreatedResources {
    object: Option<Object>,
    task: Option<Task>,
    copy: Option<AmiCopy>,
}

impl ImportDisk {
    async fn import(
        &self,
        ctx: &RunContext,
        access: &Access,
        artifact: &dyn Artifact,
        data: &GeneratedData,
    ) -> Result<AmiArtifact> {
        let source = self.source(artifact)?;
        let token = object::token();
        let key = self.key(ctx, data, object::own(&token))?;
        let s3 = Arc::new(S3::new(access, &self.options.s3_bucket_name, None)?);
        let ec2 = access.client(access.region());
        let place = RegionAccess::new(&self.options.access, access, ctx);
        let mut progress = CreatedResources::default();
        let run = Run { ctx, access, ec2: &ec2, place: &place, options: &self.options };
        let work = run.import(&mut progress, s3, (&key, &token), source);
        let imported = ctx.unless_cancelled(work).await;
        // A cancellation that comes later finds the AMI to be the user's.
        let imported = imported.and_then(|image| match ctx.cancel.is_cancelled() {
            true => Err(Error::Cancelled),
            false => Ok(image),
        });
        match imported {
            Ok(image) => {
                let CreatedResources { object, task, copy } = progress;
                task.into_iter().for_each(Task::leave);
                copy.into_iter().for_each(AmiCopy::leave);
                object.into_iter().for_each(Object::leave);
                let resources = vec![resource(&place, &image)];
                let region = access.region().to_owned();
                Ok(AmiArtifact {
                    builder_id: BUILDER_ID,
                    access: access.clone(),
                    images: BTreeMap::from([(region, image.id)]),
                    kept: BTreeSet::new(),
                    resources,
                    data: GeneratedData::new(),
                })
            }
            Err(error) => {
                run.undo(progress).await;
                Err(error)
            }
        }
    }

    /// The file of the artifact that is imported.
    fn source(&self, artifact: &dyn Artifact) -> Result<PathBuf> {
        let format = self.options.format();
        let ending = format!(".{format}");
        let files = artifact.files();
        let fits = |file: &&PathBuf| file.to_string_lossy().ends_with(&ending);
        files.iter().find(fits).cloned().ok_or_else(|| {
            let shown: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            let has = match shown.is_empty() {
                true => "it has no files".to_owned(),
                false => format!("it has {}", shown.join(", ")),
            };
            Error::new(format!("No {format} image file found in artifact from builder: {has}"))
                .hint(format!("the file's name must end in {ending}; `format` says how"))
        })
    }

    fn key(&self, ctx: &RunContext, data: &GeneratedData, own: &str) -> Result<String> {
        let renderer = Interpolation::new(&ctx.prepare)
            .with_function("clean_resource_name", Box::new(clean_function));
        let key = renderer.render(&self.options.key_template(own), &json!(data));
        let key = key.context("rendering s3_key_name")?;
        match bad_key(&key) {
            Some(message) => Err(Error::new(format!("s3_key_name: {message}"))),
            None => Ok(key),
        }
    }
}

/// What the parts of an import share.
struct Run<'a> {
    ctx: &'a RunContext,
    access: &'a Access,
    ec2: &'a Ec2,
    place: &'a RegionAccess,
    options: &'a Options,
}

impl Run<'_> {
    /// Makes the AMI. What is made on the way is in `progress` before it is.
    async fn import(
        &self,
        progress: &mut CreatedResources,
        s3: Arc<S3>,
        (key, token): (&str, &str),
        source: PathBuf,
    ) -> Result<CreatedImage> {
        let Run { ctx, access, ec2, place, options } = *self;
        self.note_account().await;
        let shown = source.display().to_string();
        let uri = format!("s3://{}/{key}", s3.bucket());
        ctx.ui.say(format!("Uploading {shown} to {uri}"));
        let object = Object::begin(ctx, place, s3, (key, token), source, options.encryption());
        let object = progress.object.insert(object.await?);
        let written = object.written().await;
        written.map_err(|failure| failure.during(format!("uploading {shown} to {uri}")))?;
        ctx.ui.say(format!("Completed upload of {shown} to {uri}"));

        if let Some(license) = given(&options.license_type) {
            ctx.ui.message(format!("License type: {license}"));
        }
        let seen = object.check(ctx).await?;
        let bucket = options.s3_bucket_name.as_str();
        let request = task::request(ec2, options, key);
        let task = Task::begin(ctx, place, access, request, (bucket, key))?;
        let task = progress.task.insert(task);
        let id = task.started().await.map_err(|error| error.context(format!("importing {uri}")))?;
        ctx.ui.say(format!("Started import of {uri}, task id {id}"));
        ctx.ui.say(format!("Waiting for task {id} to complete (may take a while)"));
        let image = task.completed(ctx, access, ec2, &id).await?;
        if seen {
            object.check(ctx).await?;
        }
        ctx.ui.say(format!("Import task {id} complete: {image}"));
        let found = available(&ctx.ui, access, ec2, &image).await?;
        let mut image = created(image, &found);
        task.made(&image);

        if let Some(name) = given(&options.ami_name) {
            image = self.rename(progress, name, &image).await?;
        }
        image::describe(ctx, (access, ec2), options, &image).await?;
        if !options.skip_clean {
            Object::remove(&mut progress.object, ctx).await;
        }
        Ok(image)
    }

    /// Copies the AMI to its name, as EC2 renames none, and removes the first one.
    async fn rename(
        &self,
        progress: &mut CreatedResources,
        name: &str,
        image: &CreatedImage,
    ) -> Result<CreatedImage> {
        let Run { ctx, access, ec2, place, options } = *self;
        ctx.ui.say(format!("Copying AMI ({}) to the name {name}", image.id));
        let copy = AmiCopy::begin(ctx, place, (access, ec2), options, (name, image))?;
        ctx.ui.say("Waiting for the copy to become ready (may take a while)");
        let copied = progress.copy.insert(copy).available(ctx, access, ec2).await?;
        ctx.ui.say(format!("Removing the intermediary AMI ({})", image.id));
        Task::remove(&mut progress.task, ctx, ec2).await;
        ctx.ui.say(format!("AMI: {}", copied.id));
        Ok(copied)
    }

    /// Writes down in which account all of this is, so that nobody looks for it in another one.
    async fn note_account(&self) {
        if self.access.account().is_none()
            && let Ok(Ok(account)) =
                tokio::time::timeout(ACCOUNT_LIMIT, self.access.ask_account(None)).await
        {
            self.ctx.journal.note(ACCOUNT, &account);
        }
    }

    /// Removes what an import has made that failed or was cancelled.
    async fn undo(&self, progress: CreatedResources) {
        let CreatedResources { mut object, mut task, copy } = progress;
        if object.is_some() {
            self.ctx
                .ui
                .say("Removing what the import has made because of cancellation, or error...");
        }
        if let Some(copy) = copy {
            copy.remove(self.ctx, self.ec2).await;
        }
        Task::remove(&mut task, self.ctx, self.ec2).await;
        Object::remove(&mut object, self.ctx).await;
    }
}

/// What a later process has to remove to remove the AMI.
fn resource(place: &RegionAccess, image: &CreatedImage) -> Resource {
    let resource = image_resource(place.resource(IMAGE, &image.id), &ImageMark::default());
    known_image(&resource, &image.id, &image.snapshots.iter().cloned().collect())
}
