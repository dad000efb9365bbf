//! Removing the AMIs that keep states of the step cache, and nothing else.
//!
//! Records of them may be in a directory that others write to. So a record only says where to look: AWS
//! is asked whether what is there keeps the state, and which snapshots were made for it.

use aws_sdk_ec2::types::Snapshot;
use ingot_sdk::{Error, Result, StateKey};

use super::removal::{PROTECTED, deregister_unprotected, remove_snapshot};
use super::state_images::{STATE_TAG, find_own, find_states, is_state_of};
use crate::access::Ec2;
use crate::failure::{During, Failure, Kind};
use crate::filter::filter;

/// Deregisters the account's AMIs that keep the state of `key`, and deletes the snapshots that were made
/// for them. `recorded` is the id of the one that a record names, of which only snapshots may be left.
///
/// # Errors
/// EC2 does not say or refuses: some may still be there. Or the AMI `recorded` keeps no such state:
/// nothing is removed.
pub(super) async fn remove_state(ec2: &Ec2, key: &StateKey, recorded: &str) -> Result<()> {
    let named = find_own(ec2, &[recorded]).await?.into_iter().next();
    if named.as_ref().is_some_and(|image| !is_state_of(image, key)) {
        return Err(Error::new(format!(
            "the AMI {recorded}, which the record of this state names, does not hold it: it has \
             another name, or not the tag {STATE_TAG} with the state's key"
        ))
        .hint("nothing is removed; find out who wrote the record, and remove its file"));
    }
    let is_gone = named.is_none();
    let mut ids: Vec<String> = named.into_iter().filter_map(|image| image.image_id).collect();
    for image in find_states(ec2, std::slice::from_ref(key)).await? {
        ids.extend(image.image_id.filter(|id| !ids.contains(id)));
    }
    for id in ids {
        // Looked up before: EC2 no longer lists them once the AMI is gone.
        let snapshots = snapshots_made_for(ec2, &id).await?;
        deregister_unprotected(ec2, &id).await.map_err(|failure| {
            let protected = failure.is(PROTECTED);
            let error = Error::from(failure);
            match protected {
                true => error.hint(format!(
                    "somebody protects it: `aws ec2 disable-image-deregistration-protection \
                     --image-id {id}` ends that"
                )),
                false => error,
            }
        })?;
        for id in snapshots.iter().filter_map(Snapshot::snapshot_id) {
            remove_snapshot(ec2, id).await?;
        }
    }
    if is_gone {
        remove_orphans(ec2, key, recorded).await?;
    }
    Ok(())
}

/// Deletes the snapshots of an AMI that kept the state of `key` and is gone: whoever deregistered it may
/// have left them. They have the state's tag.
///
/// # Errors
/// EC2 does not say, or refuses.
pub(super) async fn remove_orphans(ec2: &Ec2, key: &StateKey, image: &str) -> Result<(), Failure> {
    for snapshot in snapshots_made_for(ec2, image).await? {
        let Some(id) = snapshot.snapshot_id().filter(|_| has_tag(&snapshot, key)) else { continue };
        let call = ec2.delete_snapshot().snapshot_id(id).send().await;
        match call.during(format!("deleting the snapshot {id}")) {
            Err(failure) if failure.kind == Kind::NotFound => {}
            // Of another AMI, by now.
            Err(failure) if failure.is("InvalidSnapshot.InUse") => {}
            result => result.map(drop)?,
        }
    }
    Ok(())
}

/// The account's snapshots that EC2 has made for an AMI of an instance.
async fn snapshots_made_for(ec2: &Ec2, image: &str) -> Result<Vec<Snapshot>, Failure> {
    let request = ec2.describe_snapshots().owner_ids("self");
    let request =
        request.filters(filter("description", &format!("Created by CreateImage(*) for {image}*")));
    let found = request.into_paginator().items().send().try_collect().await;
    let mut found = found.during(format!("looking for the snapshots of the AMI {image}"))?;
    found.retain(|snapshot| made_for(snapshot) == Some(image));
    Ok(found)
}

/// The AMI that EC2 says a snapshot was made for, as in "Created by CreateImage(i-1) for ami-1".
fn made_for(snapshot: &Snapshot) -> Option<&str> {
    let of_instance = snapshot.description()?.strip_prefix("Created by CreateImage(")?;
    let (_, image) = of_instance.split_once(") for ")?;
    // Once, the volume came after it.
    image.split(' ').next()
}

fn has_tag(snapshot: &Snapshot, key: &StateKey) -> bool {
    let mut tags = snapshot.tags().iter();
    tags.any(|tag| tag.key() == Some(STATE_TAG) && tag.value() == Some(key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebs::tags::tag;

    #[test]
    fn a_snapshot_is_of_the_ami_that_it_was_made_for() {
        let image = |text: &str| {
            let snapshot = Snapshot::builder().description(text).build();
            made_for(&snapshot).map(str::to_owned)
        };
        for (text, expected) in [
            ("Created by CreateImage(i-1) for ami-1", Some("ami-1")),
            ("Created by CreateImage(i-1) for ami-1 from vol-1", Some("ami-1")),
            ("Created by CreateImage(i-1) for ami-12", Some("ami-12")),
            ("Copied for DestinationAmi ami-1 from SourceAmi ami-2", None),
            ("the backup of ami-1", None),
            ("", None),
        ] {
            assert_eq!(image(text).as_deref(), expected, "{text}");
        }
        let key = StateKey::of("test", ["a"]);
        let other = StateKey::of("test", ["b"]);
        let snapshot = Snapshot::builder().tags(tag(STATE_TAG, key.as_str())).build();
        assert!(has_tag(&snapshot, &key) && !has_tag(&snapshot, &other));
    }
}
