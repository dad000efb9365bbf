//! Instances.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Instance, InstanceBlockDeviceMapping, InstanceStateName};
use ingot_sdk::{Result, Ui};
use parking_lot::Mutex;

use super::volume::remove_volume;
use super::{look_for, persist};
use crate::access::Ec2;
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times::Polling;
use crate::failure::{During, Failure};
use crate::filter::filter;

/// The tag that tells the instance and the key pair of one build from those of others of the run.
pub(crate) const TOKEN_TAG: &str = "ingot-id";

/// What an instance is known by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mark {
    /// A text that no other instance has in its tag `ingot-id`.
    pub token: String,
    /// The devices whose volumes the user wants to keep.
    pub kept: BTreeSet<String>,
}

impl Mark {
    /// The tag that carries it.
    pub(crate) fn tag(&self) -> aws_sdk_ec2::types::Tag {
        crate::ebs::tags::tag(TOKEN_TAG, &self.token)
    }

    /// The volumes of an instance that are the build's and stay when it is terminated.
    pub(crate) fn lasting_volumes(&self, instance: &Instance) -> Vec<String> {
        let mine = outliving(instance)
            .filter(|device| device.device_name().is_none_or(|name| !self.kept.contains(name)));
        mine.filter_map(|device| device.ebs()?.volume_id().map(str::to_owned)).collect()
    }

    /// The volumes of an instance that are the user's and stay when it is terminated, each with its
    /// device.
    pub(crate) fn kept_volumes(&self, instance: &Instance) -> Vec<String> {
        let kept = outliving(instance).filter_map(|device| {
            let name = device.device_name().filter(|name| self.kept.contains(*name))?;
            Some(format!("{} ({name})", device.ebs()?.volume_id()?))
        });
        kept.collect()
    }
}

/// The disks of an instance whose volumes stay when it is terminated.
fn outliving(instance: &Instance) -> impl Iterator<Item = &InstanceBlockDeviceMapping> {
    let devices = instance.block_device_mappings().iter();
    devices
        .filter(|device| device.ebs().is_some_and(|ebs| ebs.delete_on_termination() == Some(false)))
}

/// Whether an instance is terminated, or on its way there.
pub(crate) fn is_over(instance: &Instance) -> bool {
    matches!(
        instance.state().and_then(|state| state.name()),
        Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown)
    )
}

fn is_terminated(instance: &Instance) -> bool {
    instance.state().and_then(|state| state.name()) == Some(&InstanceStateName::Terminated)
}

/// All instances with that mark.
pub(crate) async fn find_instances(ec2: &Ec2, mark: &Mark) -> Result<Vec<Instance>, Failure> {
    let request =
        ec2.describe_instances().filters(filter(&format!("tag:{TOKEN_TAG}"), &mark.token));
    let response = request.send().await.during("looking for the instance")?;
    let reservations = response.reservations.unwrap_or_default().into_iter();
    Ok(reservations.flat_map(|reservation| reservation.instances.unwrap_or_default()).collect())
}

/// The instance with an id that a call has returned; none once it is not seen several times.
async fn find_known(ec2: &Ec2, id: &str) -> Result<Option<Instance>, Failure> {
    let describe = || async {
        let response = ec2.describe_instances().instance_ids(id).send().await;
        let response = response.during("describing the instance")?;
        let reservations = response.reservations.unwrap_or_default().into_iter();
        Ok(reservations.flat_map(|one| one.instances.unwrap_or_default()).next())
    };
    look_for(describe).await
}

async fn terminate(ec2: &Ec2, ids: &[String]) -> Result<(), Failure> {
    let call = || async {
        let request = ec2.terminate_instances().set_instance_ids(Some(ids.to_vec()));
        request.send().await.during("terminating the instance")
    };
    persist(call).await.map(drop)
}

/// What instances leave behind, which is removed after them.
#[derive(Default)]
struct DependentResources {
    /// Volumes that do not go with them.
    volumes: BTreeSet<String>,
    /// Requests for spot instances.
    requests: BTreeSet<String>,
}

impl DependentResources {
    /// Notes what has to go besides `instance`; its id, if it is to be asked to terminate.
    fn note(&mut self, mark: &Mark, instance: &Instance) -> Option<String> {
        self.requests.extend(instance.spot_instance_request_id().map(str::to_owned));
        // One that is terminated no longer lists its volumes.
        self.volumes.extend(mark.lasting_volumes(instance));
        if is_over(instance) {
            return None;
        }
        instance.instance_id().map(str::to_owned)
    }
}

/// An instance whose id a call has returned.
#[derive(Clone, Copy)]
pub(crate) struct KnownInstance<'a> {
    /// Its id.
    pub id: &'a str,
    /// All about it, where it was looked at when it ran.
    pub instance: Option<&'a Instance>,
}

/// Terminates all instances with that mark, waits until they are gone, and removes the volumes
/// that they leave. `known` is the id of one, where a call has told it.
pub(crate) async fn remove_instances(
    ui: &Ui,
    ec2: &Ec2,
    polling: Polling,
    mark: &Mark,
    known: Option<KnownInstance<'_>>,
) -> Result<()> {
    let mut found = DependentResources::default();
    if let Some(known) = known {
        // Only an instance that EC2 returns lists its volumes, and is known to exist once it is
        // terminated.
        let seen = match known.instance {
            Some(instance) => Some(instance.clone()),
            None => find_known(ec2, known.id).await?,
        };
        let live = seen.is_none_or(|instance| found.note(mark, &instance).is_some());
        if live {
            terminate(ec2, &[known.id.to_owned()]).await?;
        }
    } else {
        look_for(|| async {
            Ok(Some(find_instances(ec2, mark).await?).filter(|found| !found.is_empty()))
        })
        .await?;
    }
    let found = Mutex::new(found);
    let look = || async {
        let instances = find_instances(ec2, mark).await?;
        // Those that were asked before, too: a call to stop it may have come in between.
        let live: Vec<String> = {
            let mut found = found.lock();
            instances.iter().filter_map(|instance| found.note(mark, instance)).collect()
        };
        if !live.is_empty() {
            terminate(ec2, &live).await?;
        }
        let left = instances.iter().find(|instance| !is_terminated(instance));
        let state = left.and_then(|instance| instance.state()).and_then(|state| state.name());
        Ok(match left {
            None => WaitStatus::Ready(()),
            Some(_) => {
                WaitStatus::Pending(state.map_or("unknown", |name| name.as_str()).to_owned())
            }
        })
    };
    until(ui, "the end of the instance", polling, look).await?;
    let found = found.into_inner();
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
