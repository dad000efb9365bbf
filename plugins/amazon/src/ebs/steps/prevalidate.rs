//! Finding mistakes that only AWS can tell, before anything is made.

use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::State;
use crate::ebs::options::given;
use crate::failure::During;
use crate::filter::filter;

/// Looks whether the regions exist, whether the VPC needs a subnet, and whether the AMI's name is
/// free.
pub struct Prevalidate;

#[async_trait]
impl Step<State> for Prevalidate {
    fn name(&self) -> &'static str {
        "prevalidate"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let ami = &state.settings.raw.ami;
        if !ami.skip_region_validation && !ami.ami_regions.is_empty() {
            regions(state).await?;
        }
        let ami = &state.settings.raw.ami;
        for (skip, why) in [
            (ami.force_deregister, "Force Deregister flag found, skipping prevalidating AMI Name"),
            (ami.skip_save_build_region, "skip_build_region was set; not prevalidating AMI name"),
            (ami.skip_create_ami, "skip_create_ami was set; not prevalidating AMI name"),
        ] {
            if skip {
                ctx.ui.say(why);
                return Ok(());
            }
        }
        ctx.ui.say("Prevalidating any provided VPC information");
        vpc(state).await?;
        ctx.ui.say(format!("Prevalidating AMI Name: {}", ami.ami_name));
        name(state).await
    }
}

async fn regions(state: &State) -> Result<()> {
    let answer = state.ec2.describe_regions().send().await.during("listing the regions")?;
    let known: Vec<&str> =
        answer.regions().iter().filter_map(|region| region.region_name()).collect();
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
    let answer = state.ec2.describe_vpcs().vpc_ids(vpc).send().await;
    let answer = answer.during(format!("looking for the VPC {vpc}"))?;
    match answer.vpcs() {
        [one] if one.is_default() != Some(true) => {
            Err(Error::new(format!("{vpc} is not the default VPC, so it needs a subnet"))
                .hint("set subnet_id, or find one with a subnet_filter block"))
        }
        _ => Ok(()),
    }
}

async fn name(state: &State) -> Result<()> {
    let name = &state.settings.raw.ami.ami_name;
    let quoted = format!("\"{name}\"");
    let request = state.ec2.describe_images().owners("self").filters(filter("name", &quoted));
    let answer = request.send().await.during("looking whether the AMI's name is free")?;
    match answer.images() {
        [] => Ok(()),
        [image, ..] => {
            let id = image.image_id().unwrap_or("another one");
            Err(Error::new(format!("the AMI name {name} is taken by {id}")).hint(
                "choose another name, such as \"name-{{timestamp}}\", or replace that AMI with \
                 force_deregister = true or -force",
            ))
        }
    }
}
