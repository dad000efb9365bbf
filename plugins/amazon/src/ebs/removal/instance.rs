//! Instances.

use std::collections::BTreeSet;
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
const TOKEN_TAG: &str = "ingot-id";
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

/// Terminates all instances with that mark, waits until they are gone, and removes the volumes
/// that they leave. `known` is the one that is known, if any.
pub async fn remove_instances(
    ui: &Ui,
    ec2: &Ec2,
    pace: Retry,
    mark: &Mark,
    known: Option<&Instance>,
) -> Result<()> {
    let mut volumes = BTreeSet::new();
    let mut asked = BTreeSet::new();
    if let Some(instance) = known {
        volumes.extend(mark.lasting_volumes(instance));
        if let Some(id) = instance.instance_id() {
            terminate(ec2, &[id.to_owned()]).await?;
            asked.insert(id.to_owned());
        }
    } else {
        // What was asked for a moment ago may not be seen at once.
        for look in 1..=LOOKS {
            let found = persist(|| find_instances(ec2, mark)).await?.unwrap_or_default();
            if !found.is_empty() || look == LOOKS {
                break;
            }
            sleep(LOOK_PAUSE).await;
        }
    }
    let found = std::sync::Mutex::new((volumes, asked));
    let look = || async {
        let instances = find_instances(ec2, mark).await?;
        let live: Vec<&Instance> = instances.iter().filter(|one| !is_over(one)).collect();
        let new: Vec<String> = {
            let mut found = found.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            for instance in &live {
                found.0.extend(mark.lasting_volumes(instance));
            }
            let ids = live.iter().filter_map(|one| one.instance_id().map(str::to_owned));
            ids.filter(|id| found.1.insert(id.clone())).collect()
        };
        if !new.is_empty() {
            terminate(ec2, &new).await?;
        }
        if live.is_empty() && instances.iter().all(is_terminated) {
            return Ok(Look::Done(()));
        }
        let state = instances.iter().find(|one| !is_terminated(one)).and_then(|one| one.state());
        let state = state.and_then(|state| state.name()).map_or("unknown", |name| name.as_str());
        Ok(Look::NotYet(state.to_owned()))
    };
    until(ui, "the end of the instance", pace, look).await?;
    let (volumes, _) = found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    for volume in volumes {
        remove_volume(ec2, &volume).await?;
    }
    Ok(())
}
