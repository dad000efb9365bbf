//! Finding what runs left by the tag that all of it carries, for when the journal is lost.
//!
//! An AMI that is not finished cannot be found this way: it has the tags it would have as the
//! user's, and no others.

use std::sync::Arc;

use aws_sdk_ec2::types::{Filter, Tag};
use aws_smithy_types::DateTime;
use ingot_sdk::{Discovered, Resource, Result, Ui};
use time::OffsetDateTime;

use super::place::Place;
use super::reclaim::{
    INSTANCE, KEY_PAIR, LAUNCH_TEMPLATE, SECURITY_GROUP, Silent, instance_resource,
};
use super::removal::{Mark, TOKEN_TAG, is_over};
use super::tags::RUN_TAG;
use crate::access::{Access, AccessOptions};
use crate::failure::During;
use crate::filter::filter;

/// All that runs have made in `region` and that is there, in the order in which it can be removed.
///
/// # Errors
/// AWS does not tell.
pub async fn discover(region: &str) -> Result<Vec<Discovered>> {
    let options = AccessOptions { region: Some(region.to_owned()), ..AccessOptions::default() };
    let access = Access::open(&options, &Ui::new(Arc::new(Silent))).await?;
    let ec2 = access.client(access.region());
    let marked = || -> Filter { filter("tag-key", RUN_TAG) };
    let mut found = Vec::new();
    let mut add =
        |kind: &str, id: &str, tags: &[Tag], since: Option<&DateTime>, mark: Option<Mark>| {
            let Some(run) = value(tags, RUN_TAG) else { return };
            let resource = Place::found(region, run).resource(kind, id);
            let resource: Resource = match mark {
                Some(mark) => instance_resource(resource, &mark),
                None => resource,
            };
            let since =
                since.and_then(|time| OffsetDateTime::from_unix_timestamp(time.secs()).ok());
            found.push(Discovered { resource, run: run.to_owned(), since });
        };

    let answer = ec2.describe_instances().filters(marked()).send().await;
    let answer = answer.during("looking for instances")?;
    let instances = answer.reservations().iter().flat_map(|reservation| reservation.instances());
    for instance in instances.filter(|instance| !is_over(instance)) {
        let Some(token) = value(instance.tags(), TOKEN_TAG) else { continue };
        // Which of its volumes were to stay is not known, so all do that outlive it.
        let devices = instance.block_device_mappings().iter();
        let kept = devices.filter_map(|device| device.device_name().map(str::to_owned)).collect();
        let mark = Mark { token: token.to_owned(), kept };
        add(INSTANCE, token, instance.tags(), instance.launch_time(), Some(mark));
    }
    let answer = ec2.describe_launch_templates().filters(marked()).send().await;
    for template in answer.during("looking for launch templates")?.launch_templates() {
        let name = template.launch_template_name().unwrap_or_default();
        add(LAUNCH_TEMPLATE, name, template.tags(), template.create_time(), None);
    }
    let answer = ec2.describe_security_groups().filters(marked()).send().await;
    for group in answer.during("looking for security groups")?.security_groups() {
        add(SECURITY_GROUP, group.group_name().unwrap_or_default(), group.tags(), None, None);
    }
    let answer = ec2.describe_key_pairs().filters(marked()).send().await;
    for key in answer.during("looking for key pairs")?.key_pairs() {
        add(KEY_PAIR, key.key_name().unwrap_or_default(), key.tags(), key.create_time(), None);
    }
    Ok(found)
}

/// The value of a tag.
fn value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value()
}
