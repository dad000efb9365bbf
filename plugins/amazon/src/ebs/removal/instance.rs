//! Instances.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_ec2::types::{Instance, InstanceStateName};
use ingot_sdk::retry::Retry;
use ingot_sdk::{Result, Ui};
use tokio::time::sleep;

use super::persist;
use super::volume::remove_volume;
use crate::access::Ec2;
use crate::ebs::wait::{Look, until};
use crate::failure::{During, Failure};
use crate::filter::filter;

/// The tag that tells the instance of one build from those of others of the run.
pub const TOKEN_TAG: &str = "ingot-id";
/// How often an instance that may be there is looked for.
const LOOKS: u32 = 3;
/// The pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// What an instance is known by.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    /// A text that no other instance has in its tag `ingot-id`.
    pub token: String,
    /// The devices whose volumes the user wants to keep.
    pub kept: BTreeSet<String>,
}

impl Mark {
    /// The tag that carries it.
    pub fn tag(&self) -> aws_sdk_ec2::types::Tag {
        crate::ebs::tags::tag(TOKEN_TAG, &self.token)
    }

    /// The volumes of an instance that are the build's and stay when it is terminated.
    pub fn lasting_volumes(&self, instance: &Instance) -> Vec<String> {
        let devices = instance.block_device_mappings().iter();
        let mine = devices.filter(|device| {
            device.device_name().is_none_or(|name| !self.kept.contains(name))
                && device.ebs().is_some_and(|ebs| ebs.delete_on_termination() == Some(false))
        });
        mine.filter_map(|device| device.ebs()?.volume_id().map(str::to_owned)).collect()
    }
}

/// Whether an instance is terminated, or on its way there.
pub fn is_over(instance: &Instance) -> bool {
    matches!(
        instance.state().and_then(|state| state.name()),
        Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown)
    )
}

fn is_terminated(instance: &Instance) -> bool {
    instance.state().and_then(|state| state.name()) == Some(&InstanceStateName::Terminated)
}

/// All instances with that mark.
pub async fn find_instances(ec2: &Ec2, mark: &Mark) -> Result<Vec<Instance>, Failure> {
    let request =
        ec2.describe_instances().filters(filter(&format!("tag:{TOKEN_TAG}"), &mark.token));
    let answer = request.send().await.during("looking for the instance")?;
    let reservations = answer.reservations.unwrap_or_default().into_iter();
    Ok(reservations.flat_map(|reservation| reservation.instances.unwrap_or_default()).collect())
}

async fn terminate(ec2: &Ec2, ids: &[String]) -> Result<(), Failure> {
    let call = || async {
        let request = ec2.terminate_instances().set_instance_ids(Some(ids.to_vec()));
        request.send().await.during("terminating the instance")
    };
    persist(call).await.map(drop)
}

/// What a removal of instances has come across.
#[derive(Default)]
struct Found {
    /// Volumes that do not go with them.
    volumes: BTreeSet<String>,
    /// Requests for spot instances.
    requests: BTreeSet<String>,
}

impl Found {
    /// Notes what has to go besides `instance`; its id, if it is to be asked to terminate.
    fn note(&mut self, mark: &Mark, instance: &Instance) -> Option<String> {
        self.requests.extend(instance.spot_instance_request_id().map(str::to_owned));
        if is_over(instance) {
            // It no longer tells of its volumes.
            return None;
        }
        self.volumes.extend(mark.lasting_volumes(instance));
        instance.instance_id().map(str::to_owned)
    }
}

/// Terminates all instances with that mark, waits until they are gone, and removes the volumes
/// that they leave. `known` is the one that is known, if any.
pub async fn remove_instances(
    ui: &Ui,
    ec2: &Ec2,
    pace: Retry,
    mark: &Mark,
    known: Option<&Instance>,
) -> Result<()> {
    let mut found = Found::default();
    if let Some(instance) = known {
        if let Some(id) = found.note(mark, instance) {
            terminate(ec2, &[id]).await?;
        }
    } else {
        // What was asked for a moment ago may not be seen at once.
        for look in 1..=LOOKS {
            let instances = persist(|| find_instances(ec2, mark)).await?.unwrap_or_default();
            if !instances.is_empty() || look == LOOKS {
                break;
            }
            sleep(LOOK_PAUSE).await;
        }
    }
    let found = Mutex::new(found);
    let look = || async {
        let instances = find_instances(ec2, mark).await?;
        // Those that were asked before, too: a call to stop it may have come in between.
        let live: Vec<String> = {
            let mut found = found.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            instances.iter().filter_map(|instance| found.note(mark, instance)).collect()
        };
        if !live.is_empty() {
            terminate(ec2, &live).await?;
        }
        let left = instances.iter().find(|instance| !is_terminated(instance));
        let state = left.and_then(|instance| instance.state()).and_then(|state| state.name());
        Ok(match left {
            None => Look::Done(()),
            Some(_) => Look::NotYet(state.map_or("unknown", |name| name.as_str()).to_owned()),
        })
    };
    until(ui, "the end of the instance", pace, look).await?;
    let found = found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    for volume in found.volumes {
        remove_volume(ec2, &volume).await?;
    }
    cancel(ec2, found.requests).await;
    Ok(())
}

/// Cancels requests for spot instances. EC2 closes those for one instance by itself when that is
/// gone, so that nothing is lost where this fails or is not allowed.
async fn cancel(ec2: &Ec2, requests: BTreeSet<String>) {
    if requests.is_empty() {
        return;
    }
    let ids = requests.into_iter().collect();
    let request = ec2.cancel_spot_instance_requests();
    let call = request.set_spot_instance_request_ids(Some(ids)).send().await;
    if let Err(failure) = call.during("cancelling the spot request") {
        tracing::debug!(%failure, "the spot request is left to EC2");
    }
}
