//! Which AMIs are in use.

use std::collections::HashMap;

use aws_sdk_ec2::types::LaunchTemplateVersion;

use crate::access::{Access, Ec2};
use crate::auto_scaling::launch_configurations;
use crate::failure::{During as _, Failure};
use crate::filter::filter;

/// The states of instances that are not terminated.
const ALIVE: &str = "pending,running,shutting-down,stopping,stopped";
/// How a launch template begins to name a parameter of Systems Manager in the place of an AMI.
const ALIAS: &str = "resolve:ssm:";

/// What uses AMIs in a region, in words, by their ids: instances, launch configurations, and all
/// versions of launch templates.
pub(super) async fn uses(
    access: &Access,
    ec2: &Ec2,
    resolve_aliases: bool,
) -> Result<HashMap<String, String>, Failure> {
    let mut uses = HashMap::new();
    let request = ec2.describe_instances().filters(filter("instance-state-name", ALIVE));
    let mut pages = request.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.during("describing instances")?;
        for instance in page.reservations().iter().flat_map(|one| one.instances()) {
            if let (Some(image), Some(id)) = (instance.image_id(), instance.instance_id()) {
                uses.insert(image.to_owned(), format!("instance: {id}"));
            }
        }
    }
    for one in launch_configurations(access).await? {
        uses.insert(one.image, format!("launch configuration: {}", one.name));
    }
    let mut aliases = HashMap::new();
    let mut templates = ec2.describe_launch_templates().into_paginator().items().send();
    while let Some(template) = templates.next().await {
        let template = template.during("describing launch templates")?;
        let Some(id) = template.launch_template_id() else { continue };
        let request = ec2.describe_launch_template_versions().launch_template_id(id);
        let mut versions = request.into_paginator().items().send();
        while let Some(version) = versions.next().await {
            let version = version.during(format!("describing the launch template {id}"))?;
            let Some(mut image) = image_of(&version) else { continue };
            let number = version.version_number().unwrap_or_default();
            if resolve_aliases && image.starts_with(ALIAS) {
                image = match aliases.get(&image) {
                    Some(known) => String::clone(known),
                    None => {
                        let resolved = resolve(ec2, id, number).await?;
                        let resolved = resolved.unwrap_or_else(|| image.clone());
                        aliases.insert(image, resolved.clone());
                        resolved
                    }
                };
            }
            let name = version.launch_template_name().unwrap_or(id);
            uses.insert(image, format!("launch template: {name} ({number})"));
        }
    }
    Ok(uses)
}

fn image_of(version: &LaunchTemplateVersion) -> Option<String> {
    version.launch_template_data()?.image_id().map(str::to_owned)
}

/// The AMI that a version of a launch template means: EC2 tells it of one version at a time only.
async fn resolve(ec2: &Ec2, template: &str, version: i64) -> Result<Option<String>, Failure> {
    let request = ec2.describe_launch_template_versions().launch_template_id(template);
    let call = request.versions(version.to_string()).resolve_alias(true).send().await;
    let response = call.during(format!("describing the launch template {template}"))?;
    Ok(response.launch_template_versions().first().and_then(image_of))
}
