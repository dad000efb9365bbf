//! Launching the instance.

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    CapacityReservationPreference, CapacityReservationSpecification, CapacityReservationTarget,
    EnclaveOptionsRequest, HttpTokensState, IamInstanceProfileSpecification,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceMetadataTagsState,
    InstanceNetworkInterfaceSpecification, InstanceType, LicenseConfigurationRequest, Placement,
    ResourceType, ShutdownBehavior, Tenancy,
};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::instance::{Launched, find, running};
use super::launch_options::{credits, has_temporary_key, not_seen_yet, note_volumes, user_data};
use super::{State, once, spot};
use crate::ebs::creation::{Creation, create};
use crate::ebs::devices;
use crate::ebs::options::given;
use crate::ebs::region_access::ACCOUNT;
use crate::ebs::removal::{KnownInstance, remove_fleet, remove_instances, remove_volume};
use crate::ebs::resources::{INSTANCE, instance_resource};
use crate::ebs::tags::{marked, report, specification};
use crate::ebs::wait_times;
use crate::failure::{During, Failure, Kind};

/// Starts the instance and waits until it runs.
pub(super) struct Launch;

#[async_trait]
impl Step<State> for Launch {
    fn name(&self) -> &'static str {
        "launch instance"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let resource = state.resource(INSTANCE, &state.mark.token);
        let resource = instance_resource(resource, &state.mark);
        let id = loop {
            let creation = if state.settings.is_spot() {
                Creation::begin(ctx, &resource, spot::request(ctx, state)?)?
            } else {
                Creation::begin(ctx, &resource, request(ctx, state).await?)?
            };
            match state.launch.insert(creation).created().await {
                Ok(launched) => break launched.instance,
                Err(failure) if state.states.give_up_if_gone(ctx, &failure) => {
                    state.launch.take().into_iter().for_each(Creation::done);
                }
                Err(failure) => return Err(explained(state, failure)),
            }
        };
        ctx.ui.say(format!("Instance ID: {id}"));
        ctx.ui.say(format!("Waiting for instance ({id}) to become ready..."));
        let instance = running(&ctx.ui, &state.access, &state.ec2, &id).await?;
        note_volumes(ctx, state, &instance).await?;
        if ctx.prepare.debug {
            for (what, value) in [
                ("Public DNS", instance.public_dns_name()),
                ("Public IP", instance.public_ip_address()),
                ("Private IP", instance.private_ip_address()),
            ] {
                if let Some(value) = value.filter(|value| !value.is_empty()) {
                    ctx.ui.say(format!("{what}: {value}"));
                }
            }
        }
        state.instance = Some(instance);
        if state.settings.is_spot() {
            spot::tag_request(ctx, state).await?;
        }
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        let Some(mut creation) = state.launch.take() else { return };
        ctx.ui.say("Terminating the source AWS instance...");
        let launched = creation.settle().await;
        let instance = state.instance.take();
        let known = launched.as_ref().map(|launched| launched.instance.as_str());
        let known = known.map(|id| KnownInstance { id, instance: instance.as_ref() });
        let polling = wait_times::quick(state.access.polling(), wait_times::MACHINE);
        let removed = remove_instances(&ctx.ui, &state.ec2, polling, &state.mark, known).await;
        // Not before the instance lists its volumes.
        if let Some(fleet) = launched.as_ref().and_then(|launched| launched.fleet.as_deref()) {
            remove_fleet(&state.ec2, fleet).await;
        }
        if let Err(error) = removed {
            super::left_behind(ctx, "the instance", error);
            return;
        }
        creation.done();
        remove_volumes(ctx, state).await;
        let stay: Vec<String> =
            instance.iter().flat_map(|one| state.mark.kept_volumes(one)).collect();
        // Those of ebs_volumes are what was made.
        if !stay.is_empty() && state.settings.volumes().is_none() {
            ctx.ui.say(format!(
                "Volumes that stay, as launch_block_device_mappings does not delete them on \
                 termination: {}",
                stay.join(", ")
            ));
        }
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        super::resume::keep(ctx, state).await;
    }
}

async fn remove_volumes(ctx: &RunContext, state: &mut State) {
    ctx.ui.say("Cleaning up any extra volumes...");
    if state.volumes.is_empty() {
        ctx.ui.say("No volumes to clean up, skipping");
    }
    for (volume, entry) in std::mem::take(&mut state.volumes) {
        ctx.ui.say(format!("Destroying volume ({volume})..."));
        match remove_volume(&state.ec2, &volume).await {
            Ok(()) => entry.done(),
            Err(failure) => super::left_behind(ctx, &format!("the volume {volume}"), failure),
        }
    }
}

/// Adds what to do to refusals that are common.
fn explained(state: &State, failure: Failure) -> Error {
    let disks = &state.settings.raw.instance.launch_block_device_mappings;
    let option = match state.settings.volumes() {
        Some(_) => "ebs_volumes",
        None => "launch_block_device_mappings",
    };
    if let Some(hint) = devices::refused(&failure, option, disks) {
        return Error::from(failure).hint(hint);
    }
    let hint = match failure.code.as_deref() {
        Some("VPCIdNotSpecified") => "this region has no default VPC; set subnet_id",
        Some("InsufficientInstanceCapacity") => {
            "EC2 has no room for this type in the zone now; try another availability_zone, subnet \
             or instance_type"
        }
        Some("VcpuLimitExceeded" | "InstanceLimitExceeded" | "MaxSpotInstanceCountExceeded") => {
            "the account's limit is reached; ask AWS for more, or use a smaller instance_type"
        }
        Some("Unsupported") => "the zone does not have this instance_type; name another one",
        _ => return failure.into(),
    };
    Error::from(failure).hint(hint)
}

/// The call that starts an instance on demand.
async fn request(
    ctx: &RunContext,
    state: &State,
) -> Result<impl Future<Output = Result<Launched, Failure>> + Send + 'static> {
    let user_data = user_data(state)?;
    ctx.ui.say("Launching a source AWS instance...");
    let tags = state.run_tags(ctx)?;
    let volume_tags = &state.settings.raw.tags.run_volume_tags;
    let volume_tags = state.info.tags(ctx, "run_volume_tags", volume_tags)?;
    report(ctx, &tags);
    report(ctx, &volume_tags);
    let mut own = marked(ctx, &tags);
    own.push(state.mark.tag());
    let specifications = [
        specification(ResourceType::Instance, own),
        specification(ResourceType::NetworkInterface, tags),
        specification(ResourceType::Volume, volume_tags),
    ];
    let specifications = specifications.into_iter().flatten().collect();
    let request = options(ctx, state, once(&state.ec2).run_instances())?
        .client_token(uuid::Uuid::new_v4().to_string())
        .user_data(user_data)
        .set_tag_specifications(Some(specifications));
    let (ec2, mark) = (state.ec2.clone(), state.mark.clone());
    let (temporary, cancel) = (has_temporary_key(state), state.patience(ctx));
    let journal = ctx.journal.clone();
    Ok(async move {
        let attempt = || async {
            let response = request.clone().send().await.during("launching the instance")?;
            response.owner_id().into_iter().for_each(|owner| journal.note(ACCOUNT, owner));
            let id = response.instances().iter().find_map(|instance| instance.instance_id());
            match id {
                Some(id) => Ok(Launched { instance: id.to_owned(), fleet: None }),
                None => Err(Failure::new(Kind::Broken, "AWS did not return the instance's id")),
            }
        };
        create(&cancel, attempt, || find(&ec2, &mark), |failure| not_seen_yet(temporary, failure))
            .await
    })
}

fn options(
    ctx: &RunContext,
    state: &State,
    request: RunInstancesFluentBuilder,
) -> Result<RunInstancesFluentBuilder> {
    let instance = &state.settings.raw.instance;
    let kind = given(&instance.instance_type).unwrap_or_default();
    let shutdown = given(&instance.shutdown_behavior).unwrap_or("stop");
    let mappings = devices::mappings(&instance.launch_block_device_mappings, instance.no_ephemeral);
    let (image, mappings) = match state.states.found() {
        Some(found) => (found.image_id(), found.mappings(mappings)),
        None => (state.source()?.image_id(), mappings),
    };
    let mut request = request
        .set_image_id(image.map(str::to_owned))
        .instance_type(InstanceType::from(kind))
        .min_count(1)
        .max_count(1)
        .set_block_device_mappings(Some(mappings).filter(|mappings| !mappings.is_empty()))
        .placement(placement(state))
        .ebs_optimized(instance.ebs_optimized)
        .enclave_options(
            EnclaveOptionsRequest::builder().enabled(instance.enable_nitro_enclave).build(),
        )
        .instance_initiated_shutdown_behavior(ShutdownBehavior::from(shutdown))
        .set_key_name(state.key_name.clone())
        .set_credit_specification(credits(state, kind))
        .set_metadata_options(metadata(state))
        .set_license_specifications(licenses(state))
        .capacity_reservation_specification(capacity(state));
    if let Some(name) = &state.profile {
        request = request
            .iam_instance_profile(IamInstanceProfileSpecification::builder().name(name).build());
    }
    let public = state.settings.raw.network.associate_public_ip_address;
    Ok(match (&state.subnet.id, public) {
        (Some(subnet), Some(public)) => {
            ctx.ui.say(format!(
                "changing public IP address config to {public} for instance on subnet {subnet:?}"
            ));
            request.network_interfaces(
                InstanceNetworkInterfaceSpecification::builder()
                    .device_index(0)
                    .associate_public_ip_address(public)
                    .subnet_id(subnet)
                    .set_groups(Some(state.security_groups.clone()))
                    .delete_on_termination(true)
                    .build(),
            )
        }
        (subnet, _) => request
            .set_subnet_id(subnet.clone())
            .set_security_group_ids(Some(state.security_groups.clone())),
    })
}

fn placement(state: &State) -> Placement {
    let instance = &state.settings.raw.instance;
    let options = instance.placement.clone().unwrap_or_default();
    let tenancy = given(&options.tenancy).or(given(&instance.tenancy)).map(Tenancy::from);
    Placement::builder()
        .set_availability_zone(state.subnet.zone.clone())
        .set_host_resource_group_arn(given(&options.host_resource_group_arn).map(str::to_owned))
        .set_host_id(given(&options.host_id).map(str::to_owned))
        .set_tenancy(tenancy)
        .build()
}

/// The settings of the metadata service. Packer leaves it as it is by default where it is to be
/// disabled; it is disabled here.
fn metadata(state: &State) -> Option<InstanceMetadataOptionsRequest> {
    let options = state.settings.raw.instance.metadata_options.clone().unwrap_or_default();
    let endpoint = given(&options.http_endpoint).unwrap_or("enabled");
    let builder = InstanceMetadataOptionsRequest::builder()
        .http_endpoint(InstanceMetadataEndpointState::from(endpoint));
    if endpoint != "enabled" {
        return Some(builder.build());
    }
    let tokens = given(&options.http_tokens).unwrap_or("optional");
    let hops = options.http_put_response_hop_limit.filter(|&hops| hops != 0).unwrap_or(1);
    let tags = given(&options.instance_metadata_tags).filter(|&tags| tags == "enabled");
    let builder = builder
        .http_tokens(HttpTokensState::from(tokens))
        .http_put_response_hop_limit(hops)
        .set_instance_metadata_tags(tags.map(InstanceMetadataTagsState::from));
    Some(builder.build())
}

fn licenses(state: &State) -> Option<Vec<LicenseConfigurationRequest>> {
    let licenses = state.settings.raw.instance.license_specifications.iter();
    let arns = licenses.filter_map(|license| {
        given(&license.license_configuration_request.as_ref()?.license_configuration_arn)
    });
    let requests: Vec<LicenseConfigurationRequest> = arns
        .map(|arn| LicenseConfigurationRequest::builder().license_configuration_arn(arn).build())
        .collect();
    Some(requests).filter(|requests| !requests.is_empty())
}

fn capacity(state: &State) -> CapacityReservationSpecification {
    let instance = &state.settings.raw.instance;
    let id = given(&instance.capacity_reservation_id);
    let group = given(&instance.capacity_reservation_group_arn);
    let builder = CapacityReservationSpecification::builder();
    if id.is_none() && group.is_none() {
        let preference = given(&instance.capacity_reservation_preference).unwrap_or("none");
        let preference = CapacityReservationPreference::from(preference);
        return builder.capacity_reservation_preference(preference).build();
    }
    let target = CapacityReservationTarget::builder()
        .set_capacity_reservation_id(id.map(str::to_owned))
        .set_capacity_reservation_resource_group_arn(group.map(str::to_owned));
    builder.capacity_reservation_target(target.build()).build()
}
