//! Finding what runs left by the tag that all of it carries, for when the journal is lost.
//!
//! An AMI that is not finished cannot be found this way: it has the tags it would have as the
//! user's, and no others. But one that is only there to be copied has a name that tells.

use aws_sdk_ec2::types::{Filter, Tag};
use aws_smithy_types::DateTime;
use ingot_sdk::{Discovered, Resource, Result, Ui};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::region_access::RegionAccess;
use super::removal::{ImageMark, Mark, TOKEN_TAG, all_images, iam, is_over};
use super::resources::{
    IMAGE, INSTANCE, KEY_PAIR, LAUNCH_TEMPLATE, PROFILE, SECURITY_GROUP, VOLUME, image_resource,
    instance_resource, run_of_intermediary,
};
use super::tags::{RUN_TAG, STARTED_TAG};
use crate::access::{Access, AccessOptions, Ec2};
use crate::failure::{During, Kind};
use crate::filter::filter;

/// All that runs have made in `region` and that is there, in the order in which it can be removed.
///
/// # Errors
/// AWS does not tell.
pub(super) async fn discover(region: &str) -> Result<Vec<Discovered>> {
    let options = AccessOptions { region: Some(region.to_owned()), ..AccessOptions::default() };
    let access = Access::open(&options, &Ui::silent()).await?;
    let ec2 = access.client(access.region());
    let marked = || -> Filter { filter("tag-key", RUN_TAG) };
    let mut found = Vec::new();
    let mut add =
        |kind: &str, id: &str, tags: &[Tag], since: Option<&DateTime>, mark: Option<Mark>| {
            let Some(run) = value(tags, RUN_TAG) else { return };
            let resource = RegionAccess::found(region, run).resource(kind, id);
            let resource: Resource = match mark {
                Some(mark) => instance_resource(resource, &mark),
                None => resource,
            };
            let created =
                since.and_then(|time| OffsetDateTime::from_unix_timestamp(time.secs()).ok());
            let run_began = value(tags, STARTED_TAG)
                .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
            let since = created.or(run_began);
            found.push(Discovered { resource, run: run.to_owned(), since });
        };

    let response = ec2.describe_instances().filters(marked()).send().await;
    let response = response.during("looking for instances")?;
    let instances = response.reservations().iter().flat_map(|reservation| reservation.instances());
    for instance in instances.filter(|instance| !is_over(instance)) {
        let Some(token) = value(instance.tags(), TOKEN_TAG) else { continue };
        // Which of its volumes were to stay is not known, so all do that outlive it.
        let devices = instance.block_device_mappings().iter();
        let kept = devices.filter_map(|device| device.device_name().map(str::to_owned)).collect();
        let mark = Mark { token: token.to_owned(), kept };
        add(INSTANCE, token, instance.tags(), instance.launch_time(), Some(mark));
    }
    let response = ec2.describe_volumes().filters(marked()).send().await;
    for volume in response.during("looking for volumes")?.volumes() {
        add(VOLUME, volume.volume_id().unwrap_or_default(), volume.tags(), None, None);
    }
    let response = ec2.describe_launch_templates().filters(marked()).send().await;
    for template in response.during("looking for launch templates")?.launch_templates() {
        let name = template.launch_template_name().unwrap_or_default();
        add(LAUNCH_TEMPLATE, name, template.tags(), template.create_time(), None);
    }
    let response = ec2.describe_security_groups().filters(marked()).send().await;
    for group in response.during("looking for security groups")?.security_groups() {
        add(SECURITY_GROUP, group.group_name().unwrap_or_default(), group.tags(), None, None);
    }
    let response = ec2.describe_key_pairs().filters(marked()).send().await;
    for key in response.during("looking for key pairs")?.key_pairs() {
        add(KEY_PAIR, key.key_name().unwrap_or_default(), key.tags(), key.create_time(), None);
    }
    found.extend(intermediaries(&ec2, region).await?);
    found.extend(profiles(&access, region).await?);
    Ok(found)
}

/// AMIs that are only there to be copied.
async fn intermediaries(ec2: &Ec2, region: &str) -> Result<Vec<Discovered>> {
    let request = ec2.describe_images().owners("self").filters(filter("name", "ingot-*"));
    let images = all_images(request, "looking for AMIs").await?;
    let found = images.iter().filter_map(|image| {
        let name = image.name()?;
        let run = run_of_intermediary(name)?;
        let mark = ImageMark {
            name: name.to_owned(),
            source: image.source_instance_id().unwrap_or_default().to_owned(),
            not_before: image.creation_date().unwrap_or_default().to_owned(),
            ..ImageMark::default()
        };
        let resource =
            image_resource(RegionAccess::found(region, run).resource(IMAGE, name), &mark);
        // Which snapshots in it are the user's is not known, but EC2 tells which were made for it.
        let resource = resource.with("image_id", image.image_id()?).with("only_made", true);
        let since = image.creation_date();
        let since = since.and_then(|date| OffsetDateTime::parse(date, &Rfc3339).ok());
        Some(Discovered { resource, run: run.to_owned(), since })
    });
    Ok(found.collect())
}

/// Instance profiles, which are in no region. None where IAM does not let these credentials look.
async fn profiles(access: &Access, region: &str) -> Result<Vec<Discovered>> {
    let iam = iam(access, None);
    let mut pages = iam.list_instance_profiles().into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(profile) = pages.next().await {
        let profile = match profile.during("looking for instance profiles") {
            Ok(profile) => profile,
            Err(failure) if failure.kind == Kind::Denied => {
                tracing::warn!(%failure, "instance profiles are not looked for");
                break;
            }
            Err(failure) => return Err(failure.into()),
        };
        let name = profile.instance_profile_name();
        let unique = name.strip_prefix("packer-").map(uuid::Uuid::parse_str);
        if unique.is_none_or(|unique| unique.is_err()) {
            continue;
        }
        // The list of profiles comes without tags.
        let response = iam.get_instance_profile().instance_profile_name(name).send().await;
        let response = match response.during(format!("looking for the tags of {name}")) {
            Ok(response) => response,
            Err(failure) if matches!(failure.kind, Kind::Denied | Kind::NotFound) => continue,
            Err(failure) => return Err(failure.into()),
        };
        let tags = response.instance_profile().map(|profile| profile.tags()).unwrap_or_default();
        let Some(run) = tags.iter().find(|tag| tag.key() == RUN_TAG) else { continue };
        let run = run.value().to_owned();
        let since = OffsetDateTime::from_unix_timestamp(profile.create_date().secs()).ok();
        let resource = RegionAccess::found(region, &run).resource(PROFILE, name);
        found.push(Discovered { resource, run, since });
    }
    Ok(found)
}

/// The value of a tag.
fn value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}
