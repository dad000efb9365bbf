//! Removes what a killed build left behind.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use ingot_sdk::{
    Discovered, DiscoveryScope, Error, Reclaim, Resource, Result, StateKey, Ui, async_trait,
};

use super::region_access::{ACCOUNT, access_options, attribute};
use super::removal::{
    Snapshots, find_images, find_key_pair, find_launch_template, find_security_group, iam,
    look_for, orphans, remove_image, remove_instances, remove_key_pair, remove_launch_template,
    remove_profile, remove_security_group, remove_snapshot, remove_snapshots_of, remove_volume,
};
use super::resources::{
    IMAGE, INSTANCE, KEY_PAIR, LAUNCH_TEMPLATE, PROFILE, SECURITY_GROUP, SNAPSHOT, SNAPSHOT_ID,
    TOKEN, VOLUME, image_mark, instance_mark, list,
};
use super::state_removal::remove_state;
use crate::access::{Access, Ec2};
use crate::failure::During;
use crate::filter::filter;
use crate::import;
use tokio::sync::Mutex;

/// How long a killed build's instance may take to go.
const TERMINATION: Duration = Duration::from_secs(10 * 60);

/// Removes what the journal names.
#[derive(Default)]
pub struct EbsReclaim {
    /// The ways into AWS that were needed so far, by the options for access, and the accounts that
    /// they lead to.
    ways: Mutex<HashMap<String, (Access, Option<String>)>>,
}

impl EbsReclaim {
    /// The way to `resource`.
    ///
    /// # Errors
    /// There is none, or it leads to another account than that which `resource` is in.
    async fn way_to(&self, resource: &Resource, ui: &Ui) -> Result<Access> {
        let options = access_options(resource)?;
        let sts = attribute(resource, "sts_endpoint");
        let mut ways = self.ways.lock().await;
        let key = format!("{options:?} {sts:?}");
        if !ways.contains_key(&key) {
            ways.insert(key.clone(), (Access::open(&options, ui).await?, None));
        }
        let Some((access, account)) = ways.get_mut(&key) else {
            return Err(Error::new("there is no way to it"));
        };
        let Some(needed) = attribute(resource, ACCOUNT) else { return Ok(access.clone()) };
        if account.is_none() {
            // What the source of credentials says is not proof enough to take things for gone.
            *account = Some(access.ask_account(sts).await?);
        }
        match account {
            Some(own) if own != needed => Err(Error::new(format!(
                "it is in the account {needed}, and these credentials are for {own}"
            ))
            .hint(format!("run `ingot cleanup` with credentials for the account {needed}"))),
            _ => Ok(access.clone()),
        }
    }
}

impl EbsReclaim {
    /// Removes the AMI of a record of the step cache, and all others there that keep the same state:
    /// two builds may have made one at the same time. `resource` is as [`Records::read`] returns it.
    ///
    /// # Errors
    /// Some may still be there, or what the record names keeps no state.
    ///
    /// [`Records::read`]: super::cached_images::Records::read
    pub(super) async fn reclaim_state(&self, resource: &Resource, key: &StateKey) -> Result<()> {
        let ui = Ui::silent();
        let access = self.way_to(resource, &ui).await?;
        let ec2 = access.client(access.region());
        let id = attribute(resource, "image_id").unwrap_or_default();
        match remove_state(&ec2, key, id).await {
            Err(error) => Err(access.explain(error).await),
            Ok(()) => Ok(()),
        }
    }
}

#[async_trait]
impl Reclaim for EbsReclaim {
    fn kinds(&self) -> &'static [&'static str] {
        &[
            INSTANCE,
            VOLUME,
            IMAGE,
            SNAPSHOT,
            LAUNCH_TEMPLATE,
            PROFILE,
            SECURITY_GROUP,
            KEY_PAIR,
            import::OBJECT,
            import::TASK,
        ]
    }

    fn is_local(&self, _: &Resource) -> bool {
        false
    }

    fn turn(&self, resource: &Resource) -> u8 {
        match resource.kind.as_str() {
            // All else may be in use by it.
            INSTANCE => 0,
            // AMIs may be made of them.
            SNAPSHOT => 2,
            _ => 1,
        }
    }

    fn place(&self, resource: &Resource) -> Option<String> {
        attribute(resource, "region").map(str::to_owned)
    }

    async fn is_there(&self, resource: &Resource) -> Result<Option<bool>> {
        artifact_is_there(resource).await
    }

    async fn discover(&self, place: &DiscoveryScope) -> Result<Option<Vec<Discovered>>> {
        let DiscoveryScope::Aws { region } = place;
        super::discovery::discover(region).await.map(Some)
    }

    async fn reclaim(&self, resource: &Resource) -> Result<()> {
        let ui = Ui::silent();
        let access = self.way_to(resource, &ui).await?;
        let ec2 = access.client(access.region());
        let removed = remove(&ui, &access, &ec2, resource).await;
        match removed {
            Err(error) => Err(access.explain(error).await),
            Ok(()) => Ok(()),
        }
    }
}

/// Whether the AMI, volume or snapshot of a record is there; none if the record is of something else.
///
/// # Errors
/// EC2 does not say, or it is in another account.
async fn artifact_is_there(resource: &Resource) -> Result<Option<bool>> {
    if ![IMAGE, VOLUME, SNAPSHOT].contains(&&*resource.kind) {
        return Ok(None);
    }
    let access = EbsReclaim::default().way_to(resource, &Ui::silent()).await?;
    let ec2 = access.client(access.region());
    let id = resource.id.as_str();
    // An id that is gone is an error if it is asked for by itself.
    let found = match resource.kind.as_str() {
        IMAGE => {
            let id = attribute(resource, "image_id").unwrap_or(id);
            let request = ec2.describe_images().include_deprecated(true);
            let response = request.filters(filter("image-id", id)).send().await;
            response.during("looking for the AMI")?.images.map(|all| all.len())
        }
        VOLUME => {
            let response = ec2.describe_volumes().filters(filter("volume-id", id)).send().await;
            response.during("looking for the volume")?.volumes.map(|all| all.len())
        }
        _ => {
            let response = ec2.describe_snapshots().filters(filter("snapshot-id", id)).send().await;
            response.during("looking for the snapshot")?.snapshots.map(|all| all.len())
        }
    };
    Ok(Some(found.is_some_and(|count| count > 0)))
}

async fn remove(ui: &Ui, access: &Access, ec2: &Ec2, resource: &Resource) -> Result<()> {
    let id = resource.id.as_str();
    let run = attribute(resource, "run").unwrap_or_default();
    match resource.kind.as_str() {
        KEY_PAIR => {
            let token = attribute(resource, TOKEN);
            if look_for(|| find_key_pair(ec2, id, run, token)).await?.is_some() {
                remove_key_pair(ec2, id).await?;
            }
        }
        SECURITY_GROUP => {
            if let Some(id) = look_for(|| find_security_group(ec2, id, run)).await? {
                remove_security_group(ec2, &id).await?;
            }
        }
        PROFILE => {
            remove_profile(&iam(access, attribute(resource, "iam_endpoint")), id, false).await?;
        }
        LAUNCH_TEMPLATE => {
            if look_for(|| find_launch_template(ec2, id, run)).await?.is_some() {
                remove_launch_template(ec2, id).await?;
            }
        }
        INSTANCE => {
            let polling = super::wait_times::quick(access.polling(), TERMINATION);
            remove_instances(ui, ec2, polling, &instance_mark(resource), None).await?;
        }
        VOLUME => remove_volume(ec2, id).await?,
        IMAGE => remove_images(ec2, resource).await?,
        SNAPSHOT => match attribute(resource, SNAPSHOT_ID) {
            Some(id) => remove_snapshot(ec2, id).await?,
            None => remove_snapshots_of(ec2, id).await?,
        },
        import::OBJECT => import::remove_object(access, resource).await?,
        import::TASK => import::remove_task(ec2, resource).await?,
        other => return Err(Error::new(format!("this builder does not create {other}"))),
    }
    Ok(())
}

/// Removes the AMI of a record, and the snapshots of one that is gone already.
async fn remove_images(ec2: &Ec2, resource: &Resource) -> Result<()> {
    let mark = image_mark(resource);
    let known = attribute(resource, "image_id");
    let named = || async {
        let found = find_images(ec2, &mark).await?;
        Ok(Some(found).filter(|found| !found.is_empty()))
    };
    let mut ids: BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
    if known.is_none() {
        ids.extend(look_for(named).await?.unwrap_or_default());
        ids.extend(orphans(ec2, &mark).await?);
    }
    for id in ids {
        let which = Snapshots {
            known: list(resource, "snapshots"),
            kept: mark.kept.clone(),
            only_created: resource.attributes.contains_key("only_made"),
        };
        remove_image(ec2, &id, which, |_| {}).await?;
    }
    Ok(())
}
