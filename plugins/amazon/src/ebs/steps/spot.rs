//! Spot instances: a launch template and a fleet of one instance, as Packer requests them.

use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest,
    FleetLaunchTemplateOverridesRequest, FleetLaunchTemplateSpecificationRequest, FleetType,
    InstanceType, LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest,
    LaunchTemplateHttpTokensState, LaunchTemplateIamInstanceProfileSpecificationRequest,
    LaunchTemplateInstanceMarketOptionsRequest, LaunchTemplateInstanceMetadataEndpointState,
    LaunchTemplateInstanceMetadataOptionsRequest, LaunchTemplateInstanceMetadataTagsState,
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest, LaunchTemplatePlacementRequest,
    LaunchTemplateSpotMarketOptionsRequest, MarketType, RequestLaunchTemplateData, ResourceType,
    SpotAllocationStrategy, SpotOptionsRequest, TargetCapacitySpecificationRequest,
};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::instance::{Launched, find};
use super::launch_options::{credits, has_temporary_key, not_seen_yet, user_data};
use super::{State, once};
use crate::ebs::creation::{Creation, create};
use crate::ebs::devices;
use crate::ebs::options::given;
use crate::ebs::region_access::note_account;
use crate::ebs::removal::{find_launch_template, look_for, remove_launch_template};
use crate::ebs::resources::LAUNCH_TEMPLATE;
use crate::ebs::tags::{marked, report, specification, template_specification};
use crate::failure::{During, Failure, Kind};

/// Makes the launch template.
pub(super) struct MakeLaunchTemplate;

#[async_trait]
impl Step<State> for MakeLaunchTemplate {
    fn name(&self) -> &'static str {
        "launch template"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        ctx.ui.say("Launching a spot AWS instance...");
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("packer-fleet-launch-template-{unique}");
        let data = template(ctx, state).await?;
        ctx.ui.say("Creating Spot Fleet launch template...");
        let tags = state.info.tags(ctx, "spot_tags", &state.settings.raw.spot.spot_tags)?;
        let tags = specification(ResourceType::LaunchTemplate, marked(ctx, &tags));
        let ec2 = state.ec2.clone();
        let request = once(&ec2)
            .create_launch_template()
            .launch_template_name(&name)
            .version_description("for one image build")
            .client_token(&unique)
            .launch_template_data(data)
            .set_tag_specifications(tags.map(|tags| vec![tags]));
        let (wanted, run) = (name.clone(), ctx.prepare.run_uuid.clone());
        let (cancel, journal) = (state.patience(ctx), ctx.journal.clone());
        let call = async move {
            let attempt = || async {
                let response =
                    request.clone().send().await.during("creating the launch template")?;
                let created = response.launch_template;
                note_account(&journal, created.as_ref().and_then(|created| created.created_by()));
                Ok(created.and_then(|created| created.launch_template_id).unwrap_or_default())
            };
            let find = || look_for(|| find_launch_template(&ec2, &wanted, &run));
            create(&cancel, attempt, find, |_| false).await
        };
        let creation = Creation::begin(ctx, &state.resource(LAUNCH_TEMPLATE, &name), call)?;
        let id = state.created_template.insert((name, creation)).1.created().await?;
        ctx.ui.say(format!("Created Spot Fleet launch template: {id}"));
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        let Some((name, mut creation)) = state.created_template.take() else { return };
        let known = creation.settle().await.is_some();
        let removed = async {
            let run = &ctx.prepare.run_uuid;
            let find = || find_launch_template(&state.ec2, &name, run);
            if known || look_for(find).await?.is_some() {
                let removed = remove_launch_template(&state.ec2, &name).await;
                // It may be gone although the answer that said so was lost.
                if let Err(failure) = removed
                    && find_launch_template(&state.ec2, &name, run).await?.is_some()
                {
                    return Err(failure);
                }
            }
            Ok::<(), Failure>(())
        };
        match removed.await {
            Ok(()) => creation.done(),
            Err(failure) => {
                super::left_behind(ctx, &format!("the launch template {name}"), failure);
            }
        }
    }
}

async fn template(ctx: &RunContext, state: &State) -> Result<RequestLaunchTemplateData> {
    let raw = &state.settings.raw;
    let user_data = user_data(state)?;
    let tags = state.run_tags(ctx)?;
    let volume_tags = state.info.tags(ctx, "run_volume_tags", &raw.tags.run_volume_tags)?;
    report(ctx, &tags);
    report(ctx, &volume_tags);
    let mut own = marked(ctx, &tags);
    own.push(state.mark.tag());
    let specifications = [
        template_specification(ResourceType::Instance, own),
        template_specification(ResourceType::NetworkInterface, tags),
        template_specification(ResourceType::Volume, volume_tags),
    ];
    // "auto" leaves EC2's limit, the price on demand.
    let price = given(&raw.spot.spot_price).filter(|&price| price != "auto");
    let market = LaunchTemplateInstanceMarketOptionsRequest::builder()
        .market_type(MarketType::Spot)
        .spot_options(
            LaunchTemplateSpotMarketOptionsRequest::builder()
                .set_max_price(price.map(str::to_owned))
                .build(),
        );
    let zone = &state.subnet.zone;
    let placement =
        LaunchTemplatePlacementRequest::builder().set_availability_zone(zone.clone()).build();
    let kind = given(&raw.instance.instance_type);
    let profile = state.profile.as_ref().map(|name| {
        LaunchTemplateIamInstanceProfileSpecificationRequest::builder().name(name).build()
    });
    let mut data = RequestLaunchTemplateData::builder()
        .set_image_id(state.source()?.image_id().map(str::to_owned))
        .set_instance_type(kind.map(InstanceType::from))
        .set_block_device_mappings(disks(state))
        .disable_api_termination(false)
        .ebs_optimized(raw.instance.ebs_optimized)
        .set_iam_instance_profile(profile)
        .instance_market_options(market.build())
        .set_placement(zone.is_some().then_some(placement))
        .user_data(user_data)
        .set_key_name(state.key_name.clone())
        .set_credit_specification(credits(state, kind.unwrap_or_default()))
        .set_metadata_options(metadata(state))
        .set_tag_specifications(Some(specifications.into_iter().flatten().collect()));
    match &state.subnet.id {
        Some(subnet) => {
            let public = raw.network.associate_public_ip_address;
            if let Some(public) = public {
                ctx.ui.say(format!(
                    "changing public IP address config to {public} for instance on subnet \
                     {subnet:?}"
                ));
            }
            data = data.network_interfaces(
                LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
                    .device_index(0)
                    .subnet_id(subnet)
                    .set_groups(Some(state.security_groups.clone()))
                    .set_associate_public_ip_address(public)
                    .delete_on_termination(true)
                    .build(),
            );
        }
        None => data = data.set_security_group_ids(Some(state.security_groups.clone())),
    }
    Ok(data.build())
}

fn disks(state: &State) -> Option<Vec<LaunchTemplateBlockDeviceMappingRequest>> {
    let instance = &state.settings.raw.instance;
    let mappings = devices::mappings(&instance.launch_block_device_mappings, instance.no_ephemeral);
    let disks = mappings.into_iter().map(|mapping| {
        let ebs = mapping.ebs.map(|ebs| {
            LaunchTemplateEbsBlockDeviceRequest::builder()
                .set_delete_on_termination(ebs.delete_on_termination)
                .set_encrypted(ebs.encrypted)
                .set_iops(ebs.iops)
                .set_kms_key_id(ebs.kms_key_id)
                .set_snapshot_id(ebs.snapshot_id)
                .set_throughput(ebs.throughput)
                .set_volume_size(ebs.volume_size)
                .set_volume_type(ebs.volume_type)
                .build()
        });
        LaunchTemplateBlockDeviceMappingRequest::builder()
            .set_device_name(mapping.device_name)
            .set_virtual_name(mapping.virtual_name)
            .set_no_device(mapping.no_device)
            .set_ebs(ebs)
            .build()
    });
    let disks: Vec<LaunchTemplateBlockDeviceMappingRequest> = disks.collect();
    Some(disks).filter(|disks| !disks.is_empty())
}

fn metadata(state: &State) -> Option<LaunchTemplateInstanceMetadataOptionsRequest> {
    let options = state.settings.raw.instance.metadata_options.clone().unwrap_or_default();
    let endpoint = given(&options.http_endpoint).unwrap_or("enabled");
    let builder = LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::from(endpoint));
    if endpoint != "enabled" {
        return Some(builder.build());
    }
    let tokens = given(&options.http_tokens).unwrap_or("optional");
    let hops = options.http_put_response_hop_limit.filter(|&hops| hops != 0).unwrap_or(1);
    let tags = given(&options.instance_metadata_tags).filter(|&tags| tags == "enabled");
    let builder = builder
        .http_tokens(LaunchTemplateHttpTokensState::from(tokens))
        .http_put_response_hop_limit(hops)
        .set_instance_metadata_tags(tags.map(LaunchTemplateInstanceMetadataTagsState::from));
    Some(builder.build())
}

/// The call that requests a spot instance.
pub(super) fn request(
    ctx: &RunContext,
    state: &State,
) -> Result<impl Future<Output = Result<Launched, Failure>> + Send + 'static> {
    let raw = &state.settings.raw;
    let name = state.created_template.as_ref().map(|(name, _)| name.clone()).unwrap_or_default();
    let overrides = raw.spot.spot_instance_types.iter().map(|kind| {
        let kind = InstanceType::from(kind.as_str());
        FleetLaunchTemplateOverridesRequest::builder().instance_type(kind).build()
    });
    let overrides: Vec<FleetLaunchTemplateOverridesRequest> = overrides.collect();
    let template = FleetLaunchTemplateSpecificationRequest::builder()
        .launch_template_name(name)
        .version("1")
        .build();
    let config = FleetLaunchTemplateConfigRequest::builder()
        .launch_template_specification(template)
        .set_overrides(Some(overrides).filter(|overrides| !overrides.is_empty()))
        .build();
    let capacity = TargetCapacitySpecificationRequest::builder()
        .total_target_capacity(1)
        .default_target_capacity_type(DefaultTargetCapacityType::Spot)
        .build();
    let strategy = given(&raw.spot.spot_allocation_strategy).map(SpotAllocationStrategy::from);
    let strategy = strategy
        .map(|strategy| SpotOptionsRequest::builder().allocation_strategy(strategy).build());
    let tags = state.info.tags(ctx, "fleet_tags", &raw.spot.fleet_tags)?;
    report(ctx, &tags);
    let tags = specification(ResourceType::Fleet, marked(ctx, &tags));
    let request = once(&state.ec2)
        .create_fleet()
        .launch_template_configs(config)
        .replace_unhealthy_instances(false)
        .target_capacity_specification(capacity)
        .r#type(FleetType::Instant)
        .set_spot_options(strategy)
        .set_tag_specifications(tags.map(|tags| vec![tags]));
    let (ec2, mark) = (state.ec2.clone(), state.mark.clone());
    let (temporary, cancel) = (has_temporary_key(state), state.patience(ctx));
    Ok(async move {
        // A fleet without an instance is an answer too; its token would only get it again.
        let attempt = || async {
            let token = uuid::Uuid::new_v4().to_string();
            let response = request.clone().client_token(token).send().await;
            launched(response.during("requesting the spot instance")?)
        };
        let again = |failure: &Failure| failure.is(NO_CAPACITY) || not_seen_yet(temporary, failure);
        create(&cancel, attempt, || look_for(|| find(&ec2, &mark)), again).await
    })
}

/// The instance in the answer, or why there is none.
fn launched(
    response: aws_sdk_ec2::operation::create_fleet::CreateFleetOutput,
) -> Result<Launched, Failure> {
    let fleet = response.fleet_id().map(str::to_owned);
    let instance = response.instances().iter().find_map(|one| one.instance_ids().first());
    if let Some(instance) = instance {
        return Ok(Launched { instance: instance.clone(), fleet });
    }
    let reasons = response.errors().iter().map(|error| {
        let code = error.error_code().unwrap_or_default();
        Failure::from_code(code, error.error_message().unwrap_or_default())
    });
    Err(together(reasons.collect()))
}

/// What EC2 answers while it has no room for an instance.
const NO_CAPACITY: &str = "InsufficientInstanceCapacity";

/// One failure that says why a fleet of several types and zones got no instance. Room may come, so
/// that a type or zone without any decides what is done.
fn together(failures: Vec<Failure>) -> Failure {
    let Some(first) = failures.first() else {
        return Failure::new(Kind::Refused, "AWS did not start a spot instance, nor say why");
    };
    let mut whole = failures.iter().find(|one| one.is(NO_CAPACITY)).unwrap_or(first).clone();
    let mut texts: Vec<&str> = Vec::new();
    for failure in &failures {
        if !texts.contains(&failure.message.as_str()) {
            texts.push(&failure.message);
        }
    }
    whole.message = texts.join("; ");
    whole.subject = whole.subject.or(failures.iter().find_map(|failure| failure.subject));
    whole.during("requesting the spot instance")
}

/// Gives the request for the spot instance its tags.
pub(super) async fn tag_request(ctx: &RunContext, state: &State) -> Result<()> {
    let tags = state.info.tags(ctx, "spot_tags", &state.settings.raw.spot.spot_tags)?;
    let Some(id) = state.instance()?.spot_instance_request_id().filter(|_| !tags.is_empty()) else {
        return Ok(());
    };
    report(ctx, &tags);
    let request = state.ec2.create_tags().resources(id).set_tags(Some(tags));
    request.send().await.during("tagging the spot request")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_asked_again_if_there_is_no_room_in_any_place() {
        let bad = || Failure::from_code("InvalidParameterValue", "no such type");
        let full = || Failure::from_code(NO_CAPACITY, "no room");
        let failure = together(vec![bad(), full(), full()]);
        assert!(failure.is(NO_CAPACITY));
        assert_eq!(
            failure.message,
            "requesting the spot instance: no such type (InvalidParameterValue); no room \
             (InsufficientInstanceCapacity)"
        );
        assert!(together(vec![bad()]).is("InvalidParameterValue"));
        assert!(together(Vec::new()).message.contains("nor say why"));
    }
}
