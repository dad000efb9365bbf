//! Finding mistakes that only AWS can tell, before anything is made.

use aws_sdk_ec2::types::Image;
use futures_util::future::join_all;
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::{State, fast_launch};
use crate::access::Ec2;
use crate::ebs::checks::{
    DEFAULT_KEY_HINT, LEFT_NOWHERE, LEFT_NOWHERE_HINT, default_key_message, is_left_nowhere,
    unshareable,
};
use crate::ebs::options::given;
use crate::failure::{During, Failure};
use crate::filter::filter;

/// Looks whether the regions exist, whether the VPC needs a subnet, whether the AMI's name is free
/// in all regions that it goes to, and whether the launch templates of `fast_launch` exist.
pub(super) struct Prevalidate;

#[async_trait]
impl Step<State> for Prevalidate {
    fn name(&self) -> &'static str {
        "prevalidate"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let ami = &state.settings.raw.ami;
        if ami.skip_create_ami {
            ctx.ui.say("skip_create_ami was set; not prevalidating AMI name");
            return vpc(state).await;
        }
        // At `validate` the region may not have been known.
        if let Some(region) = unshareable(&state.settings.raw, Some(&state.region)) {
            return Err(Error::new(default_key_message(&region)).hint(DEFAULT_KEY_HINT));
        }
        if is_left_nowhere(&state.settings.raw, Some(&state.region)) {
            return Err(Error::new(LEFT_NOWHERE).hint(LEFT_NOWHERE_HINT));
        }
        if !ami.skip_region_validation && !ami.ami_regions.is_empty() {
            regions(state).await?;
        }
        state.launch_templates = fast_launch::templates(state).await?;
        let ami = &state.settings.raw.ami;
        if ami.force_deregister {
            ctx.ui.say("Force Deregister flag found, skipping prevalidating AMI Name");
            return vpc(state).await;
        }
        ctx.ui.say("Prevalidating any provided VPC information");
        vpc(state).await?;
        ctx.ui.say(format!("Prevalidating AMI Name: {}", ami.ami_name));
        name(state).await
    }
}

async fn regions(state: &State) -> Result<()> {
    let response = state.ec2.describe_regions().send().await.during("listing the regions")?;
    let known: Vec<&str> =
        response.regions().iter().filter_map(|region| region.region_name()).collect();
    let wanted = state.settings.raw.ami.ami_regions.iter();
    let unknown: Vec<&str> =
        wanted.map(String::as_str).filter(|region| !known.contains(region)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let text = format!("ami_regions: this account does not know {}", unknown.join(", "));
    Err(Error::new(text).hint(format!(
        "it knows {}; skip_region_validation = true leaves out this check",
        known.join(", ")
    )))
}

/// Only the default VPC finds a subnet by itself.
async fn vpc(state: &State) -> Result<()> {
    let network = &state.settings.raw.network;
    let filter = network.subnet_filter.as_ref();
    let has_subnet = given(&network.subnet_id).is_some()
        || filter.is_some_and(|filter| !filter.all().is_empty());
    let Some(vpc) = given(&network.vpc_id).filter(|_| !has_subnet) else { return Ok(()) };
    let response = state.ec2.describe_vpcs().vpc_ids(vpc).send().await;
    let response = response.during(format!("looking for the VPC {vpc}"))?;
    match response.vpcs() {
        [one] if one.is_default() != Some(true) => {
            Err(Error::new(format!("{vpc} is not the default VPC, so it needs a subnet"))
                .hint("set subnet_id, or find one with a subnet_filter block"))
        }
        _ => Ok(()),
    }
}

/// Looks in all regions of the build whether the AMI's name is free: that one of the last copies
/// cannot be made would be known at the very end only.
async fn name(state: &State) -> Result<()> {
    let name = &state.settings.raw.ami.ami_name;
    let regions = state.settings.regions(&state.region);
    let looks = regions.iter().map(|region| async move {
        let found = images_called(&state.access.client(region), name).await;
        found.map_err(|failure| match *region == state.region {
            true => failure,
            false => failure.during(format!("in {region}")),
        })
    });
    let mut taken = Vec::new();
    for (region, found) in regions.iter().zip(join_all(looks).await) {
        let image = found?.into_iter().next().and_then(|image| image.image_id);
        taken.extend(image.map(|id| match *region == state.region {
            true => id,
            false => format!("{id} in {region}"),
        }));
    }
    if taken.is_empty() {
        return Ok(());
    }
    let by = taken.join(" and ");
    Err(Error::new(format!("the AMI name {name} is taken by {by}")).hint(
        "choose another name, such as \"name-{{timestamp}}\", or replace that AMI with \
         force_deregister = true or -force",
    ))
}

/// The account's own AMIs of that name in the region of `ec2`, also those that are disabled, whose
/// names are not free either.
pub(super) async fn images_called(ec2: &Ec2, name: &str) -> Result<Vec<Image>, Failure> {
    let quoted = format!("\"{name}\"");
    let request = ec2.describe_images().owners("self").filters(filter("name", &quoted));
    let request = request.include_deprecated(true).include_disabled(true);
    let response = request.send().await.during("looking whether the AMI's name is free")?;
    Ok(response.images.unwrap_or_default())
}
