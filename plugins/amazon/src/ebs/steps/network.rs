//! Where the instance runs.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, LocationType, Subnet as Ec2Subnet};
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::{State, Subnet};
use crate::ebs::options::given;
use crate::failure::{During, Failure};
use crate::filter::filter;

/// Finds the VPC, the subnet and the availability zone, as far as they need to be known.
pub(super) struct FindNetwork;

#[async_trait]
impl Step<State> for FindNetwork {
    fn name(&self) -> &'static str {
        "find network"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let network = &state.settings.raw.network;
        let mut found = Subnet {
            vpc: given(&network.vpc_id).map(str::to_owned),
            id: given(&network.subnet_id).map(str::to_owned),
            zone: given(&network.availability_zone).map(str::to_owned),
        };
        let vpc_filter = network.vpc_filter.as_ref().map(|filter| filter.all()).unwrap_or_default();
        if found.vpc.is_none() && !vpc_filter.is_empty() {
            found.vpc = Some(find_vpc(ctx, state, vpc_filter).await?);
        }
        if found.id.is_none() {
            find_subnet(ctx, state, &mut found).await?;
        }
        if let Some(public) = network.associate_public_ip_address
            && found.id.is_none()
        {
            ctx.ui.say(format!(
                "Setting public IP address to {public} on instance without a subnet ID"
            ));
            if let Err(error) = infer_subnet(ctx, state, &mut found).await {
                ctx.ui.say("associate_public_ip_address is set without a subnet_id.");
                ctx.ui.say(format!(
                    "No subnet could be inferred from the VPC: {error}. \
                     associate_public_ip_address is ignored; whether the instance gets a public \
                     address is up to its subnet."
                ));
            }
        }
        if let Some(id) = &found.id
            && (found.zone.is_none() || found.vpc.is_none())
        {
            let response = state.ec2.describe_subnets().subnet_ids(id).send().await;
            let response = response.during(format!("looking for the subnet {id}"))?;
            let subnet = response.subnets().first();
            let text = |value: Option<&str>| value.map(str::to_owned);
            found.zone = found.zone.or(subnet.and_then(|one| text(one.availability_zone())));
            found.vpc = found.vpc.or(subnet.and_then(|one| text(one.vpc_id())));
        }
        state.subnet = found;
        Ok(())
    }
}

fn filters(of: &BTreeMap<String, String>) -> Vec<Filter> {
    of.iter().map(|(name, values)| filter(name, values)).collect()
}

fn in_words(of: &BTreeMap<String, String>) -> String {
    let parts: Vec<String> = of.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    parts.join(", ")
}

async fn find_vpc(
    ctx: &RunContext,
    state: &State,
    mut wanted: BTreeMap<String, String>,
) -> Result<String> {
    wanted.insert("state".to_owned(), "available".to_owned());
    let request = state.ec2.describe_vpcs().set_filters(Some(filters(&wanted)));
    let response = request.send().await.during("looking for the VPC")?;
    let ids: Vec<&str> = response.vpcs().iter().filter_map(|vpc| vpc.vpc_id()).collect();
    let [id] = ids[..] else {
        let wanted = in_words(&wanted);
        return Err(Error::new(format!(
            "vpc_filter: one VPC has to match, but {} do: {wanted}",
            ids.len()
        )));
    };
    ctx.ui.say(format!("Found VPC ID: {id}"));
    Ok(id.to_owned())
}

async fn find_subnet(ctx: &RunContext, state: &State, found: &mut Subnet) -> Result<()> {
    let Some(options) = &state.settings.raw.network.subnet_filter else { return Ok(()) };
    let mut wanted = options.all();
    if wanted.is_empty() {
        return Ok(());
    }
    wanted.insert("state".to_owned(), "available".to_owned());
    if let Some(vpc) = &found.vpc {
        wanted.insert("vpc-id".to_owned(), vpc.clone());
    }
    if let Some(zone) = &found.zone {
        wanted.insert("availability-zone".to_owned(), zone.clone());
    }
    let request = state.ec2.describe_subnets().set_filters(Some(filters(&wanted)));
    let subnets = request.send().await.during("looking for the subnet")?.subnets;
    let subnets = subnets.unwrap_or_default();
    let chosen = match &subnets[..] {
        [] => {
            let wanted = in_words(&wanted);
            return Err(Error::new(format!("subnet_filter: no subnet matches {wanted}")));
        }
        [one] => one,
        several if !options.most_free && !options.random => {
            let text = format!("subnet_filter: {} subnets match", several.len());
            return Err(Error::new(text).hint("say more, or set most_free or random to true"));
        }
        several => {
            let fitting = match offering(state, several).await {
                Ok(fitting) => fitting,
                Err(failure) => {
                    tracing::warn!(%failure, "a subnet is chosen whatever its zone offers");
                    several.iter().collect()
                }
            };
            if fitting.is_empty() {
                return Err(Error::new(format!(
                    "subnet_filter: {} subnets match, and none is in a zone that has instances of \
                     the type {}",
                    several.len(),
                    kinds(state).join(" or ")
                )));
            }
            let random = || fitting[uuid::Uuid::new_v4().as_u128() as usize % fitting.len()];
            match options.most_free {
                true => most_free(&fitting).ok_or_else(|| {
                    Error::new("subnet_filter: no subnet reports its free addresses")
                })?,
                false => random(),
            }
        }
    };
    take(found, chosen);
    ctx.ui.say(format!("Found Subnet ID: {}", found.id.as_deref().unwrap_or_default()));
    Ok(())
}

/// Notes what is known about a subnet, so that it need not be asked for again.
fn take(found: &mut Subnet, subnet: &Ec2Subnet) {
    let text = |value: Option<&str>| value.map(str::to_owned);
    found.id = text(subnet.subnet_id());
    found.vpc = found.vpc.take().or(text(subnet.vpc_id()));
    found.zone = found.zone.take().or(text(subnet.availability_zone()));
}

fn most_free<'a>(subnets: &[&'a Ec2Subnet]) -> Option<&'a Ec2Subnet> {
    subnets.iter().copied().max_by_key(|subnet| subnet.available_ip_address_count())
}

/// Finds a subnet of the VPC, or of the default one, that has the instance's type.
async fn infer_subnet(ctx: &RunContext, state: &State, found: &mut Subnet) -> Result<()> {
    let vpc = match &found.vpc {
        Some(vpc) => vpc.clone(),
        None => {
            ctx.ui.say("No VPC ID provided, the default VPC will be used");
            let request = state.ec2.describe_vpcs().filters(filter("is-default", "true"));
            let response = request.send().await.during("looking for the default VPC")?;
            let vpc = response.vpcs().iter().find_map(|vpc| vpc.vpc_id());
            vpc.ok_or_else(|| Error::new("there is no default VPC"))?.to_owned()
        }
    };
    ctx.ui.say(format!("Inferring subnet from the selected VPC {vpc:?}"));
    let request = state.ec2.describe_subnets().filters(filter("vpc-id", &vpc));
    let request = request.filters(filter("state", "available"));
    let subnets = request.send().await.during("looking for subnets")?.subnets.unwrap_or_default();
    let fitting = match offering(state, &subnets).await {
        Ok(fitting) => fitting,
        Err(failure) => {
            ctx.ui.say(format!(
                "It is not known which zones have instances of the type {}: {failure}. The subnet \
                 may be in one that has none.",
                kinds(state).join(" or ")
            ));
            subnets.iter().collect()
        }
    };
    let chosen = most_free(&fitting);
    let chosen = chosen.ok_or_else(|| Error::new(format!("{vpc} has no subnet that fits")))?;
    found.vpc = Some(vpc);
    // Another zone than the subnet's would make no sense.
    found.zone = None;
    take(found, chosen);
    ctx.ui.say(format!("Set subnet as {:?}", found.id.as_deref().unwrap_or_default()));
    Ok(())
}

/// The types that the instance may be of: one on demand, or several of spot instances.
fn kinds(state: &State) -> Vec<&str> {
    let raw = &state.settings.raw;
    let one = given(&raw.instance.instance_type).into_iter();
    one.chain(raw.spot.spot_instance_types.iter().map(String::as_str)).collect()
}

/// Those of `subnets` that are in zones which have instances of the types that may be used; of
/// several types, in those which have the most of them.
async fn offering<'a>(
    state: &State,
    subnets: &'a [Ec2Subnet],
) -> Result<Vec<&'a Ec2Subnet>, Failure> {
    let kinds = kinds(state);
    if kinds.is_empty() {
        return Ok(subnets.iter().collect());
    }
    let request = state.ec2.describe_instance_type_offerings();
    let request = request.location_type(LocationType::AvailabilityZone);
    let mut pages =
        request.filters(filter("instance-type", &kinds.join(","))).into_paginator().items().send();
    let mut offers: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(offer) = pages.next().await {
        if let Some(zone) = offer.during("looking for zones")?.location {
            *offers.entry(zone).or_default() += 1;
        }
    }
    let offered = |subnet: &&Ec2Subnet| {
        subnet.availability_zone().and_then(|zone| offers.get(zone)).copied().unwrap_or(0)
    };
    let most = subnets.iter().map(|subnet| offered(&subnet)).max().unwrap_or(0);
    Ok(subnets.iter().filter(|subnet| most > 0 && offered(subnet) == most).collect())
}
