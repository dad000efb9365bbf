//! Stopping and starting the instance.

use aws_sdk_ec2::types::InstanceStateName;
use ingot_sdk::{Error, Result, Ui};

use super::instance::describe;
use crate::access::{Access, Ec2};
use crate::ebs::creation::{Patience, create};
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times;
use crate::failure::{During, Failure, Kind};

/// Asks EC2 to stop an instance. One that is stopped is fine.
///
/// # Errors
/// EC2 refuses, or does not answer.
pub(super) async fn ask_to_stop(ec2: &Ec2, patience: &Patience, id: &str) -> Result<()> {
    let stop = || async {
        let call = ec2.stop_instances().instance_ids(id).send().await;
        call.during("stopping the instance").map(drop)
    };
    let soon = |failure: &Failure| failure.kind == Kind::NotFound;
    Ok(create(patience, stop, || async { Ok(None) }, soon).await?)
}

/// Waits until an instance is stopped.
///
/// # Errors
/// It takes too long, or is terminated.
pub(super) async fn stopped(ui: &Ui, access: &Access, ec2: &Ec2, id: &str) -> Result<()> {
    let polling = wait_times::quick(access.polling(), wait_times::MACHINE);
    let look = || async {
        let instance = describe(ec2, id).await?;
        let name = instance.as_ref().and_then(|one| one.state()).and_then(|s| s.name());
        Ok(match name {
            Some(InstanceStateName::Stopped) => WaitStatus::Ready(()),
            Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown) => {
                WaitStatus::Failed(
                    Error::new(format!("the instance {id} was terminated instead of stopped"))
                        .hint("set shutdown_behavior = \"stop\""),
                )
            }
            other => WaitStatus::Pending(other.map_or("unknown", |name| name.as_str()).to_owned()),
        })
    };
    until(ui, &format!("the instance {id} to stop"), polling, look).await
}

/// Starts an instance that is stopped or about to be. One that runs is fine.
///
/// # Errors
/// EC2 refuses, such as for want of room; or it takes too long to stop.
pub(super) async fn start(ui: &Ui, access: &Access, ec2: &Ec2, id: &str) -> Result<()> {
    // EC2 starts none that is about to stop.
    let what = format!("the instance {id} to be stopped");
    let look = || async {
        let found = describe(ec2, id).await?;
        let name = found.as_ref().and_then(|instance| instance.state()?.name());
        Ok(match name {
            Some(InstanceStateName::Stopping) => WaitStatus::Pending("stopping".to_owned()),
            _ => WaitStatus::Ready(()),
        })
    };
    until(ui, &what, wait_times::quick(access.polling(), wait_times::MACHINE), look).await?;
    let call = ec2.start_instances().instance_ids(id).send().await;
    call.during("starting the instance")?;
    Ok(())
}
