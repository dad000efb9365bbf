//! AMIs and their snapshots.

use std::collections::BTreeSet;

use aws_sdk_ec2::operation::describe_images::builders::DescribeImagesFluentBuilder;
use aws_sdk_ec2::types::{Image, Snapshot};
use serde::{Deserialize, Serialize};

use super::{look_for, persist};
use crate::access::Ec2;
use crate::failure::{During, Failure, Kind};
use crate::filter::filter;

/// What an AMI of a build is known by besides its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageMark {
    /// Its name.
    pub name: String,
    /// The instance or AMI it is made from.
    pub source: String,
    /// No AMI of an older date is it; by AWS's clock, in AWS's form.
    pub not_before: String,
    /// Snapshots that the template names for its disks: they are the user's.
    pub kept: BTreeSet<String>,
}

impl ImageMark {
    /// Whether `image` is it. Where AWS tells what an AMI was made from, that decides.
    fn is(&self, image: &Image) -> bool {
        if image.name() != Some(self.name.as_str()) {
            return false;
        }
        let sources = [image.source_instance_id(), image.source_image_id()];
        if sources.iter().any(Option::is_some) {
            return sources.contains(&Some(self.source.as_str()));
        }
        // Dates of AWS are of one form and in UTC, so that text sorts as time.
        let new = image.creation_date().is_some_and(|date| date >= self.not_before.as_str());
        new && !self.not_before.is_empty()
    }
}

/// All AMIs that a request asks for, on however many pages EC2 answers.
pub(crate) async fn all_images(
    request: DescribeImagesFluentBuilder,
    doing: &str,
) -> Result<Vec<Image>, Failure> {
    request.into_paginator().items().send().try_collect().await.during(doing)
}

/// The ids of the AMIs that a build made under a name.
pub(crate) async fn find_images(ec2: &Ec2, mark: &ImageMark) -> Result<Vec<String>, Failure> {
    let request = ec2.describe_images().owners("self").include_deprecated(true);
    let name = format!("\"{}\"", mark.name.replace('"', "\"\""));
    let images = all_images(request.filters(filter("name", &name)), "looking for the AMI").await?;
    let mine = images.into_iter().filter(|image| mark.is(image));
    Ok(mine.filter_map(|image| image.image_id).collect())
}

/// Which snapshots go with an AMI.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// These, also when it is gone.
    pub known: BTreeSet<String>,
    /// Not these.
    pub kept: BTreeSet<String>,
    /// Only those that EC2 says were made for it: which others it refers to are the user's is not
    /// known.
    pub only_created: bool,
}

/// Removes an AMI and its snapshots, also those that it does not list yet. `about` gets all of them
/// before anything is removed.
pub(crate) async fn remove_image(
    ec2: &Ec2,
    id: &str,
    which: Snapshots,
    about: impl FnOnce(&BTreeSet<String>),
) -> Result<(), Failure> {
    let describe = || async {
        let request = ec2.describe_images().image_ids(id).include_deprecated(true);
        let response = request.send().await.during(format!("describing the AMI {id}"))?;
        Ok(response.images.unwrap_or_default().into_iter().next())
    };
    let image = look_for(describe).await?;
    let mut snapshots = which.known;
    snapshots.extend(snapshots_created_for(ec2, id).await?);
    if !which.only_created {
        snapshots.extend(image.iter().flat_map(snapshots_of));
    }
    snapshots.retain(|snapshot| !which.kept.contains(snapshot));
    about(&snapshots);
    // Also where it was not seen.
    deregister(ec2, id).await?;
    for snapshot in snapshots {
        remove_snapshot(ec2, &snapshot).await?;
    }
    Ok(())
}

/// The ids of AMIs that were made of `mark`'s source and are gone, though their snapshots are not:
/// EC2 writes both ids in the descriptions of snapshots.
pub(crate) async fn orphans(ec2: &Ec2, mark: &ImageMark) -> Result<BTreeSet<String>, Failure> {
    if mark.source.is_empty() {
        return Ok(BTreeSet::new());
    }
    let source = &mark.source;
    let descriptions = format!(
        "Created by CreateImage({source}) for *,\
         Copied for DestinationAmi * from SourceAmi {source} *"
    );
    let mut ids = BTreeSet::new();
    for snapshot in described_as(ec2, &descriptions).await? {
        let text = snapshot.description().unwrap_or_default();
        // One that is copied names its source too, after it.
        let id = text.split([' ', ',']).find(|word| word.starts_with("ami-"));
        ids.extend(id.map(str::to_owned));
    }
    if ids.is_empty() {
        return Ok(ids);
    }
    // Those that are there are found by their name, or are somebody else's.
    let list: Vec<&str> = ids.iter().map(String::as_str).collect();
    let request = ec2.describe_images().owners("self").include_deprecated(true);
    let request = request.filters(filter("image-id", &list.join(",")));
    for image in all_images(request, "looking for AMIs").await? {
        if let Some(id) = image.image_id() {
            ids.remove(id);
        }
    }
    Ok(ids)
}

/// The snapshots that an AMI lists.
pub(crate) fn snapshots_of(image: &Image) -> Vec<String> {
    let devices = image.block_device_mappings().iter();
    devices.filter_map(|device| device.ebs()?.snapshot_id().map(str::to_owned)).collect()
}

/// The snapshots whose descriptions name the AMI, as EC2 writes them. An AMI that is not ready may
/// not list its snapshots.
pub(crate) async fn snapshots_created_for(ec2: &Ec2, id: &str) -> Result<Vec<String>, Failure> {
    let descriptions =
        format!("Created by CreateImage(*) for {id}*,Copied for DestinationAmi {id}*");
    let found = described_as(ec2, &descriptions).await?;
    Ok(found.into_iter().filter_map(|snapshot| snapshot.snapshot_id).collect())
}

/// The account's snapshots with one of these descriptions; none where it may not ask for them.
async fn described_as(ec2: &Ec2, descriptions: &str) -> Result<Vec<Snapshot>, Failure> {
    let search = || async {
        let request = ec2.describe_snapshots().owner_ids("self");
        let response = request.filters(filter("description", descriptions)).send().await;
        response.during("looking for snapshots")
    };
    match persist(search).await {
        Ok(response) => Ok(response.and_then(|response| response.snapshots).unwrap_or_default()),
        // Then only those that AMIs list are known.
        Err(failure) if failure.kind == Kind::Denied => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// Deregisters an AMI, whether it is protected from that or not.
async fn deregister(ec2: &Ec2, id: &str) -> Result<(), Failure> {
    match deregister_unprotected(ec2, id).await {
        Err(failure) if failure.is(PROTECTED) => {
            let unlock = ec2.disable_image_deregistration_protection().image_id(id).send().await;
            unlock.during(format!("lifting the protection of the AMI {id}"))?;
            deregister_unprotected(ec2, id).await
        }
        result => result,
    }
}

/// EC2's code of the error that an AMI is protected from being deregistered.
pub(crate) const PROTECTED: &str = "OperationNotPermitted";

/// Deregisters an AMI that is not protected from that.
pub(crate) async fn deregister_unprotected(ec2: &Ec2, id: &str) -> Result<(), Failure> {
    let call = || async {
        let call = ec2.deregister_image().image_id(id).send().await;
        call.during(format!("deregistering the AMI {id}"))
    };
    persist(call).await.map(drop)
}

/// The ids of the account's snapshots of a volume.
pub(crate) async fn find_snapshots(ec2: &Ec2, volume: &str) -> Result<Vec<String>, Failure> {
    let request = ec2.describe_snapshots().owner_ids("self");
    let response = request.filters(filter("volume-id", volume)).send().await;
    let found = response.during("looking for the snapshot")?.snapshots.unwrap_or_default();
    Ok(found.into_iter().filter_map(|snapshot| snapshot.snapshot_id).collect())
}

/// Removes all snapshots of a volume, which is the build's own.
pub(crate) async fn remove_snapshots_of(ec2: &Ec2, volume: &str) -> Result<(), Failure> {
    let find = || async {
        let found = find_snapshots(ec2, volume).await?;
        Ok(Some(found).filter(|found| !found.is_empty()))
    };
    for snapshot in look_for(find).await?.unwrap_or_default() {
        remove_snapshot(ec2, &snapshot).await?;
    }
    Ok(())
}

/// Removes a snapshot.
pub(crate) async fn remove_snapshot(ec2: &Ec2, id: &str) -> Result<(), Failure> {
    let delete = || async {
        let call = ec2.delete_snapshot().snapshot_id(id).send().await;
        call.during(format!("deleting the snapshot {id}"))
    };
    persist(delete).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ami_of_the_same_name_is_not_enough() {
        let mark = ImageMark {
            name: "web".into(),
            source: "i-1".into(),
            not_before: "2026-01-02T00:00:00.000Z".into(),
            ..ImageMark::default()
        };
        let image = || Image::builder().name("web");
        for (image, matches) in [
            (image().source_instance_id("i-1").build(), true),
            (image().source_instance_id("i-2").build(), false),
            (image().creation_date("2026-01-02T00:00:05.000Z").build(), true),
            (image().creation_date("2026-01-01T23:59:59.000Z").build(), false),
            (image().build(), false),
            (Image::builder().name("web2").source_instance_id("i-1").build(), false),
        ] {
            assert_eq!(mark.is(&image), matches, "{image:?}");
        }
    }
}
