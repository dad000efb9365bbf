//! What launches on demand and launches of spot instances have in common.

use std::path::Path;

use aws_sdk_ec2::types::{CreditSpecificationRequest, Instance};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::file_work::read_small;
use ingot_sdk::{Context, JournalEntry, Result, RunContext};

use super::State;
use crate::ebs::checks::is_burstable;
use crate::ebs::choices::KeyChoice;
use crate::ebs::options::given;
use crate::ebs::resources::VOLUME;
use crate::ebs::tags::marked;
use crate::failure::{During, Failure, Subject};

/// The largest file of user data, in bytes; EC2 takes 16 KiB of it.
const LARGEST_USER_DATA: u64 = 1 << 20;

/// Refusals that pass: what was just made is not seen by all of AWS at once.
pub(super) fn not_seen_yet(temporary_key: bool, failure: &Failure) -> bool {
    match failure.code.as_deref() {
        Some("InvalidParameterValue") => failure.is_about(Subject::InstanceProfile),
        Some("InvalidKeyPair.NotFound") => temporary_key,
        Some("InvalidGroup.NotFound" | "InvalidSecurityGroupID.NotFound") => true,
        _ => false,
    }
}

/// Whether the build has its own key pair.
pub(super) fn has_temporary_key(state: &State) -> bool {
    matches!(state.settings.key, KeyChoice::Temporary(_))
}

/// How much CPU an instance with credits may use.
pub(super) fn credits(state: &State, kind: &str) -> Option<CreditSpecificationRequest> {
    let instance = &state.settings.raw.instance;
    let unlimited = instance.enable_unlimited_credits || instance.enable_t2_unlimited;
    let credits = match (unlimited, is_burstable(kind)) {
        (true, _) => "unlimited",
        (false, true) => "standard",
        (false, false) => return None,
    };
    Some(CreditSpecificationRequest::builder().cpu_credits(credits).build())
}

/// What the instance runs when it starts, as EC2 takes it.
pub(super) fn user_data(state: &State) -> Result<String> {
    let instance = &state.settings.raw.instance;
    let data = match given(&instance.user_data_file) {
        Some(path) => read_small(Path::new(path), "user data", LARGEST_USER_DATA)
            .with_context(|| format!("reading user_data_file {path}"))?,
        None => instance.user_data.clone().unwrap_or_default().into_bytes(),
    };
    // As in Packer, what is base64 already is left as it is; line breaks do not matter.
    let lines: Vec<u8> = data.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    Ok(match STANDARD.decode(&lines) {
        Ok(_) => String::from_utf8_lossy(&data).into_owned(),
        Err(_) => STANDARD.encode(&data),
    })
}

/// Writes down the volumes that would outlive the instance, such as those that the source AMI
/// says are to stay; and marks them, for when the journal is lost.
///
/// Those of `ebs_volumes` that are to stay get no mark: taking it off them at the end would need a
/// permission that nothing else needs, and with it they would look like what a killed build left.
pub(super) async fn note_volumes(
    ctx: &RunContext,
    state: &mut State,
    instance: &Instance,
) -> Result<()> {
    let volumes = state.mark.lasting_volumes(instance);
    for volume in &volumes {
        let entry = JournalEntry::open(&ctx.journal, &state.resource(VOLUME, volume))?;
        state.volumes.push((volume.clone(), entry));
    }
    let mut mark = state.mark.clone();
    mark.kept.extend(state.settings.staying_devices());
    let temporary = mark.lasting_volumes(instance);
    if !temporary.is_empty() {
        let request = state.ec2.create_tags().set_resources(Some(temporary));
        let call = request.set_tags(Some(marked(ctx, &[]))).send().await;
        if let Err(failure) = call.during("marking the volumes") {
            tracing::warn!(%failure, "the volumes are in the journal only");
        }
    }
    Ok(())
}
