//! The order of the steps.

use ingot_sdk::{ProvisionStep, Step};

use super::state::State;
use super::{disks, media, output, run, tpm};
use crate::settings::Settings;

/// The steps of a build with these options.
pub(crate) fn steps(settings: &Settings) -> Vec<Box<dyn Step<State>>> {
    let raw = &settings.raw;
    let mut steps: Vec<Box<dyn Step<State>>> = vec![
        Box::new(media::MakeKey),
        Box::new(media::FindMedium),
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
    steps.push(Box::new(run::StartMachine));
    if !raw.disable_vnc && raw.boot.is_set() {
        steps.push(Box::new(run::TypeBootCommand));
    }
    steps.push(Box::new(run::Connect));
    steps.push(Box::new(ProvisionStep));
    steps.push(Box::new(run::ShutDown));
    if settings.converts {
        steps.push(Box::new(disks::ConvertDisk));
    }
    steps
}
