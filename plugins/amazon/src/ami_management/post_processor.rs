//! What the post-processor does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_ec2::types::{Image, ImageState};
use ingot_sdk::{
    Artifact, Component, ConfigErrors, ConfigWarning, Decoded, Error, GeneratedData, PostProcess,
    PrepareContext, Prepared, Processed, Result, RunContext, async_trait,
};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::options::Options;
use super::used;
use crate::access::{Access, Ec2};
use crate::failure::{During as _, Failure, Kind};
use crate::filter::filter;

/// The tag that `identifier` is the value of.
const TAG: &str = "Amazon_AMI_Management_Identifier";

/// `post-processor "amazon-ami-management"`
pub struct AmiManagement;

/// Removes AMIs that are not to be kept any more.
pub struct RemoveOldAmis {
    options: Options,
}

impl Component for AmiManagement {
    const NAME: &'static str = "amazon-ami-management";
    type Options = Options;
    type Ready = RemoveOldAmis;

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<RemoveOldAmis>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        options.check(&mut errors);
        let mut warnings = Vec::new();
        if options.identifier().is_some() && !options.tags.is_empty() {
            let message = "`tags` has no effect beside `identifier`";
            warnings.push(ConfigWarning::on("tags", message));
        }
        if options.access.region.is_some() {
            let message = "`region` has no effect: `regions` says where AMIs are removed";
            warnings.push(ConfigWarning::on("region", message));
        }
        let prepared = Prepared::new(RemoveOldAmis { options });
        Prepared { warnings, ..prepared }.or_errors(errors)
    }
}

#[async_trait]
impl PostProcess for RemoveOldAmis {
    async fn process(
        &self,
        ctx: &RunContext,
        artifact: Arc<dyn Artifact>,
        _: &GeneratedData,
    ) -> Result<Processed> {
        let mut options = self.options.access.clone();
        options.region = self.options.regions.first().cloned();
        let access = ctx.unless_cancelled(Access::open(&options, &ctx.ui)).await?;
        let built = ids(&artifact.id());
        for region in &self.options.regions {
            self.say(ctx, format!("Processing in {region}"));
            let access = access.in_region(region);
            if let Err(error) = self.clean(ctx, &access, &built).await {
                let error = error.context(format_args!("removing old AMIs in {region}"));
                return Err(access.explain(error).await);
            }
        }
        // The artifact is as it was; so that nobody removes it, it is kept like the input of others.
        Ok(Processed { artifact: Some(artifact), keep_input: true, force_keep_input: false })
    }
}

impl RemoveOldAmis {
    fn say(&self, ctx: &RunContext, text: String) {
        ctx.ui.message(if self.options.dry_run { format!("[DryRun] {text}") } else { text });
    }

    /// Removes what is old in the region of `access`. `built` are the AMIs that this build has made.
    async fn clean(
        &self,
        ctx: &RunContext,
        access: &Access,
        built: &BTreeSet<String>,
    ) -> Result<()> {
        let ec2 = access.client(access.region());
        let start = ctx.prepare.start.unwrap_or_else(OffsetDateTime::now_utc);
        let found = ctx.unless_cancelled(async {
            let uses = used::uses(access, &ec2, self.options.resolve_aliases).await?;
            Ok((uses, self.candidates(&ec2, built, start).await?))
        });
        let (uses, images) = found.await?;
        for image in images {
            if ctx.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let id = image.image_id().unwrap_or_default();
            self.say(ctx, format!("Deleting image: {id}"));
            if let Some(by) = uses.get(id) {
                ctx.ui.message(format!("[WARN] {id} is used in {by}. Skipped..."));
                continue;
            }
            // To its end, even if the build is cancelled: no later run would find the snapshots of an
            // AMI that is gone.
            self.remove(ctx, &ec2, &image, id).await?;
        }
        Ok(())
    }

    /// The AMIs that are to go, the newest first.
    async fn candidates(
        &self,
        ec2: &Ec2,
        built: &BTreeSet<String>,
        start: OffsetDateTime,
    ) -> Result<Vec<Image>, Failure> {
        let tags: BTreeMap<&str, &str> = match self.options.identifier() {
            Some(identifier) => BTreeMap::from([(TAG, identifier)]),
            None => self.options.tags.iter().map(|(key, value)| (&**key, &**value)).collect(),
        };
        let filters = tags.iter().map(|(key, value)| {
            // In quotes, which keep a comma.
            filter(&format!("tag:{key}"), &format!("\"{}\"", value.replace('"', "\"\"")))
        });
        let request = ec2.describe_images().owners("self").include_deprecated(true);
        let request = request.set_filters(Some(filters.collect()));
        let mut found = request.into_paginator().items().send();
        let mut images = Vec::new();
        while let Some(image) = found.next().await {
            images.push(image.during("describing images")?);
        }
        // For AWS, `*` and `?` in the value of a filter stand for other characters.
        let has = |image: &Image, key: &str, value: &str| {
            image.tags().iter().any(|tag| tag.key() == Some(key) && tag.value() == Some(value))
        };
        images.retain(|image| tags.iter().all(|(key, value)| has(image, key, value)));
        Ok(to_go(images, &self.options, built, start))
    }

    async fn remove(
        &self,
        ctx: &RunContext,
        ec2: &Ec2,
        image: &Image,
        id: &str,
    ) -> Result<(), Failure> {
        let dry_run = self.options.dry_run;
        let disks = image.block_device_mappings().iter();
        let snapshots: Vec<&str> = disks.filter_map(|disk| disk.ebs()?.snapshot_id()).collect();
        if let Some(first) = snapshots.first() {
            // Whoever may not delete them is not to lose the AMI that leads to them.
            let call = ec2.delete_snapshot().snapshot_id(*first).dry_run(true).send().await;
            match call.during(format!("deleting the snapshot {first}")).map(drop) {
                Err(failure) if failure.kind == Kind::Denied => return Err(failure),
                _ => {}
            }
        }
        let call = ec2.deregister_image().image_id(id).dry_run(dry_run).send().await;
        done(call.during(format!("deregistering the AMI {id}")).map(drop))?;
        let mut first_failure = None;
        for snapshot in snapshots {
            let call = ec2.delete_snapshot().snapshot_id(snapshot).dry_run(dry_run).send().await;
            match call.during(format!("deleting the snapshot {snapshot}")).map(drop) {
                Err(failure) if failure.is("InvalidSnapshot.InUse") => {
                    let said = format!("[WARN] {snapshot} is used in another image. Skipped...");
                    ctx.ui.message(said);
                }
                result => {
                    if let Err(failure) = done(result) {
                        ctx.ui.error(format!("The snapshot {snapshot} of {id} is left: {failure}"));
                        first_failure.get_or_insert(failure);
                    }
                }
            }
        }
        first_failure.map_or(Ok(()), Err)
    }
}

/// What is gone is removed; a dry run ends with an error that says that it would have worked.
fn done(result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err(failure) if failure.is("DryRunOperation") || failure.kind == Kind::NotFound => Ok(()),
        result => result,
    }
}

/// The AMIs in an artifact's id: `us-east-1:ami-1,eu-west-1:ami-2`.
fn ids(artifact: &str) -> BTreeSet<String> {
    let ids = artifact.split(',').filter_map(|part| part.rsplit(':').next());
    ids.filter(|id| id.starts_with("ami-")).map(str::to_owned).collect()
}

/// Those of `images` that are not to be kept in a run that started at `start`, the newest first. What
/// this build made, other builds of the run may have made, or somebody is still making, is kept.
fn to_go(
    mut images: Vec<Image>,
    options: &Options,
    built: &BTreeSet<String>,
    start: OffsetDateTime,
) -> Vec<Image> {
    let date = |image: &Image| OffsetDateTime::parse(image.creation_date()?, &Rfc3339).ok();
    let is_built = |image: &Image| image.image_id().is_some_and(|id| built.contains(id));
    // All builds that share a tag have to agree on what is newest, as far as dates tell; what has none may
    // be.
    images.sort_by_cached_key(|image| {
        let (undated, date) = date(image).map_or((true, start), |date| (false, date));
        Reverse((undated, date, is_built(image)))
    });
    let keep = usize::try_from(options.keep_releases).unwrap_or_default();
    let age = Duration::days(options.keep_days.max(0));
    let images = images.into_iter().enumerate().filter(|(index, image)| {
        let pending = image.state() == Some(&ImageState::Pending);
        let old = date(image).is_some_and(|date| start - date > age);
        *index >= keep && old && !is_built(image) && !pending
    });
    images.map(|(_, image)| image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_or_just_built_stays() {
        let image = |id: &str, date: &str| Image::builder().image_id(id).creation_date(date);
        let images = || {
            let pending = image("ami-pending", "2025-01-01T00:00:00.000Z");
            vec![
                image("ami-old", "2026-01-01T00:00:00.000Z").build(),
                image("ami-new", "2026-01-09T00:00:00.000Z").build(),
                image("ami-then", "2026-01-08T23:59:59.000Z").build(),
                image("ami-built", "2026-01-08T23:59:59.000Z").build(),
                image("ami-older", "2025-12-01T00:00:00.000Z").build(),
                image("ami-of-this-run", "2026-01-10T00:00:01.000Z").build(),
                image("ami-of-no-date", "soon").build(),
                pending.state(ImageState::Pending).build(),
            ]
        };
        let start = OffsetDateTime::parse("2026-01-10T00:00:00Z", &Rfc3339).unwrap();
        let built = ids("eu-west-1:ami-other,us-east-1:ami-built");
        let gone = |releases, days| {
            let options =
                Options { keep_releases: releases, keep_days: days, ..Options::default() };
            let gone = to_go(images(), &options, &built, start).into_iter();
            gone.filter_map(|image| image.image_id).collect::<Vec<_>>()
        };
        // The first is the one without a date, the second of this run.
        assert_eq!(gone(1, 0), ["ami-new", "ami-then", "ami-old", "ami-older"]);
        assert_eq!(gone(4, 0), ["ami-then", "ami-old", "ami-older"]);
        assert_eq!(gone(9, 0), [""; 0]);
        assert_eq!(gone(0, 5), ["ami-old", "ami-older"]);
        assert_eq!(gone(0, 10), ["ami-older"]);
    }
}
