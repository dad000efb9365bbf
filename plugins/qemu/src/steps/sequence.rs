//! The order of the steps.

use ingot_sdk::{DoneBefore, ProvisionStep, Step};

use super::resume::{KeptMachine, ResumeMachine};
use super::state::State;
use super::{disks, key, media, output, run, states, tpm};
use crate::settings::Settings;

/// The steps of a build with these options; of one that goes on with a machine that was kept, if
/// there is one.
pub(crate) fn steps(settings: &Settings, kept: Option<KeptMachine>) -> Vec<Box<dyn Step<State>>> {
    let raw = &settings.raw;
    if let Some(kept) = kept {
        let mut steps: Vec<Box<dyn Step<State>>> = vec![
            Box::new(ResumeMachine(kept)),
            Box::new(DoneBefore(Box::new(output::PrepareOutput))),
            Box::new(media::StartHttp),
            Box::new(DoneBefore(Box::new(tpm::StartTpm))),
            Box::new(DoneBefore(Box::new(media::MakeDiscs))),
            Box::new(DoneBefore(Box::new(run::StartMachine))),
        ];
        steps.extend(from_connecting(settings));
        return steps;
    }
    let mut steps: Vec<Box<dyn Step<State>>> = vec![
        Box::new(key::MakeKey),
        Box::new(media::FindMedium),
        Box::new(states::FindState),
        Box::new(output::PrepareOutput),
        Box::new(media::StartHttp),
    ];
    if raw.vtpm {
        steps.push(Box::new(tpm::StartTpm));
    }
    steps.push(Box::new(media::MakeDiscs));
    steps.push(Box::new(disks::CreateDisks));
    steps.push(Box::new(run::ReservePorts));
    if settings.efi.enabled {
        steps.push(Box::new(output::CopyEfiVariables));
    }
    steps.push(Box::new(states::StoreStatesOfFailure));
    steps.push(Box::new(run::StartMachine));
    if !raw.disable_vnc && raw.boot.is_set() {
        steps.push(Box::new(run::TypeBootCommand));
    }
    steps.extend(from_connecting(settings));
    steps
}

/// The steps once the machine runs.
fn from_connecting(settings: &Settings) -> Vec<Box<dyn Step<State>>> {
    let mut steps: Vec<Box<dyn Step<State>>> = vec![
        Box::new(run::Connect),
        Box::new(states::KeepInstalled),
        Box::new(ProvisionStep),
        Box::new(run::ShutDown),
        Box::new(states::StoreStates),
    ];
    if settings.converts {
        steps.push(Box::new(disks::ConvertDisk));
    }
    steps
}
