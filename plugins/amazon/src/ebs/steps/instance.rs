//! The instance, as EC2 describes it.

use aws_sdk_ec2::types::{Instance, InstanceStateName};
use ingot_sdk::{Error, Result, Ui};

use crate::access::{Access, Ec2};
use crate::ebs::removal::{Mark, find_instances, is_over};
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times;
use crate::failure::{During, Failure, Kind};

/// What a launch has made.
#[derive(Debug, Clone, Default)]
pub(super) struct Launched {
    /// The instance's id.
    pub instance: String,
    /// The fleet it was requested with, for spot instances.
    pub fleet: Option<String>,
}

/// The instance of a launch whose answer was lost.
pub(super) async fn find(ec2: &Ec2, mark: &Mark) -> Result<Option<Launched>, Failure> {
    let found = find_instances(ec2, mark).await?;
    let live = found.into_iter().find(|instance| !is_over(instance));
    let id = live.and_then(|instance| instance.instance_id);
    Ok(id.map(|instance| Launched { instance, fleet: None }))
}

/// Waits until the instance runs, and tells all about it.
pub(super) async fn running(ui: &Ui, access: &Access, ec2: &Ec2, id: &str) -> Result<Instance> {
    let polling = wait_times::quick(access.polling(), wait_times::MACHINE);
    let what = format!("the instance {id}");
    let look = || async {
        let Some(instance) = describe(ec2, id).await? else {
            return Ok(WaitStatus::Pending("not seen yet".to_owned()));
        };
        Ok(match instance.state().and_then(|state| state.name()) {
            // A spot instance may run before EC2 lists its disks. Those that are not known would
            // neither be tagged, nor kept, nor removed.
            Some(InstanceStateName::Running) if instance.block_device_mappings().is_empty() => {
                WaitStatus::Pending("its disks are not seen yet".to_owned())
            }
            Some(InstanceStateName::Running) => WaitStatus::Ready(instance),
            Some(InstanceStateName::Pending) | None => WaitStatus::Pending("pending".to_owned()),
            Some(other) => {
                let message = instance.state_reason().and_then(|reason| reason.message());
                let reason = message.or(instance.state_transition_reason()).unwrap_or_default();
                let text = format!("{what} is {} instead of running: {reason}", other.as_str());
                WaitStatus::Failed(Error::new(text.trim_end_matches(": ").to_owned()))
            }
        })
    };
    until(ui, &what, polling, look).await
}

/// All about an instance; none where it is not seen yet.
pub(super) async fn describe(ec2: &Ec2, id: &str) -> Result<Option<Instance>, Failure> {
    let response = ec2.describe_instances().instance_ids(id).send().await;
    match response.during("describing the instance") {
        Ok(response) => {
            let reservations = response.reservations.unwrap_or_default().into_iter();
            Ok(reservations.flat_map(|one| one.instances.unwrap_or_default()).next())
        }
        Err(failure) if failure.kind == Kind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}
