//! The order of the steps.

use ingot_sdk::{DoneBefore, ProvisionStep, Step};

use super::resume::{KeptInstance, ResumeInstance};
use super::state::State;
use super::{
    attributes, connect, copy, create_image, deregister, fast_launch, image_tags, key_pair, launch,
    network, password, prevalidate, profile, protection, register, security_group, snapshot,
    source_ami, spot, states, stop, swap, tunnel, volumes,
};
use crate::ebs::choices::Product;
use crate::ebs::settings::Settings;

/// The steps that create the instance, and what it needs.
fn creations(settings: &Settings) -> Vec<Box<dyn Step<State>>> {
    let mut steps: Vec<Box<dyn Step<State>>> = vec![
        Box::new(key_pair::MakeKeyPair),
        Box::new(security_group::MakeSecurityGroup),
        Box::new(profile::MakeProfile),
    ];
    if settings.is_spot() {
        steps.push(Box::new(spot::MakeLaunchTemplate));
    }
    steps.push(Box::new(launch::Launch));
    steps
}

/// The steps of a build with these options; of one that goes on with an instance that was kept, if
/// there is one.
pub(crate) fn steps(settings: &Settings, kept: Option<KeptInstance>) -> Vec<Box<dyn Step<State>>> {
    let mut steps: Vec<Box<dyn Step<State>>> = Vec::new();
    if settings.uses_session_manager() {
        steps.push(Box::new(tunnel::FindPlugin));
    }
    let makes_image = settings.volumes().is_none();
    if makes_image {
        steps.push(Box::new(prevalidate::Prevalidate));
    }
    steps.push(Box::new(source_ami::FindSourceAmi));
    match kept {
        None => {
            if let Product::Image = settings.product {
                steps.push(Box::new(states::FindState));
            }
            steps.push(Box::new(network::FindNetwork));
            steps.extend(creations(settings));
        }
        Some(kept) => {
            // In this order all is removed as ever, should this fail.
            let done = creations(settings).into_iter();
            let done = done.map(|step| Box::new(DoneBefore(step)) as Box<dyn Step<State>>);
            steps.extend(done);
            steps.push(Box::new(ResumeInstance(kept)));
        }
    }
    if !makes_image {
        // Again where a build goes on, which may have failed at it.
        steps.push(Box::new(volumes::TagVolumes));
    }
    if settings.raw.communicator.kind() == "winrm" {
        steps.push(Box::new(password::GetPassword));
    }
    if settings.uses_session_manager() {
        steps.push(Box::new(tunnel::OpenTunnel));
    }
    steps.push(Box::new(connect::Connect));
    steps.push(Box::new(ProvisionStep));
    steps.push(Box::new(stop::Stop));
    steps.push(Box::new(stop::Modify));
    let registers = settings.product.is_registered();
    match &settings.product {
        Product::Volumes(_) => {
            steps.push(Box::new(snapshot::SnapshotVolumes));
            steps.push(Box::new(volumes::KeepVolumes));
            return steps;
        }
        Product::Surrogate(_) if registers => steps.push(Box::new(snapshot::SnapshotVolumes)),
        Product::Surrogate(_) => steps.push(Box::new(swap::SwapVolumes)),
        Product::Image => {}
    }
    if settings.raw.ami.force_deregister {
        steps.push(Box::new(deregister::Deregister));
    }
    match registers {
        true => steps.push(Box::new(register::RegisterImage)),
        false => steps.push(Box::new(create_image::CreateImage)),
    }
    steps.push(Box::new(copy::CopyImage));
    if settings.fast_launch().is_some() {
        steps.push(Box::new(fast_launch::EnableFastLaunch));
    }
    steps.push(Box::new(protection::Deprecate));
    steps.push(Box::new(attributes::ModifyAttributes));
    steps.push(Box::new(image_tags::TagImages));
    // Last, so that nothing can fail any more when an AMI cannot be removed.
    steps.push(Box::new(protection::Protect));
    steps
}
