//! Removes what a killed build left behind.

use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::{
    Discovered, Error, Event, EventSink, Place, Reclaim, Resource, Result, Ui, async_trait,
};

use super::place::{access_options, attribute};
use super::removal::{
    ImageMark, Mark, find_images, find_key_pair, find_launch_template, find_security_group, iam,
    remove_image, remove_instances, remove_key_pair, remove_launch_template, remove_profile,
    remove_security_group, remove_volume,
};
use crate::access::{Access, Ec2};

/// A key pair; the id is its name.
pub const KEY_PAIR: &str = "amazon-key-pair";
/// A security group; the id is its name.
pub const SECURITY_GROUP: &str = "amazon-security-group";
/// An instance profile with its role and policy; the id is the name of all three.
pub const PROFILE: &str = "amazon-instance-profile";
/// A launch template; the id is its name.
pub const LAUNCH_TEMPLATE: &str = "amazon-launch-template";
/// An instance; the id is what its tag `ingot-id` holds.
pub const INSTANCE: &str = "amazon-instance";
/// A volume that would outlive its instance; the id is its id.
pub const VOLUME: &str = "amazon-volume";
/// An AMI that is not finished, with its snapshots; the id is its name.
pub const IMAGE: &str = "amazon-image";

/// How long a killed build's instance may take to go.
const TERMINATION: Duration = Duration::from_secs(10 * 60);

/// Removes what the journal names.
pub struct EbsReclaim;

/// The journal's record of an instance says which of its volumes are the user's.
pub fn instance_resource(resource: Resource, mark: &Mark) -> Resource {
    let kept: Vec<&str> = mark.kept.iter().map(String::as_str).collect();
    if kept.is_empty() { resource } else { resource.with("kept_devices", kept.join(",")) }
}

fn instance_mark(resource: &Resource) -> Mark {
    let kept = attribute(resource, "kept_devices").unwrap_or_default().split(',');
    let kept = kept.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Mark { token: resource.id.clone(), kept }
}

/// The journal's record of an AMI says how to tell it from others of its name.
pub fn image_resource(resource: Resource, mark: &ImageMark) -> Resource {
    resource.with("source", mark.source.as_str()).with("not_before", mark.not_before.as_str())
}

fn image_mark(resource: &Resource) -> ImageMark {
    let text = |name: &str| attribute(resource, name).unwrap_or_default().to_owned();
    ImageMark { name: resource.id.clone(), source: text("source"), not_before: text("not_before") }
}

#[async_trait]
impl Reclaim for EbsReclaim {
    fn kinds(&self) -> &'static [&'static str] {
        &[INSTANCE, VOLUME, IMAGE, LAUNCH_TEMPLATE, PROFILE, SECURITY_GROUP, KEY_PAIR]
    }

    fn is_local(&self, _: &Resource) -> bool {
        false
    }

    fn place(&self, resource: &Resource) -> Option<String> {
        attribute(resource, "region").map(str::to_owned)
    }

    async fn discover(&self, place: &Place) -> Result<Option<Vec<Discovered>>> {
        let Place::Aws { region } = place;
        super::discovery::discover(region).await.map(Some)
    }

    async fn reclaim(&self, resource: &Resource) -> Result<()> {
        let ui = Ui::new(Arc::new(Silent));
        let access = Access::open(&access_options(resource)?, &ui).await?;
        let ec2 = access.client(access.region());
        let removed = remove(&ui, &access, &ec2, resource).await;
        match removed {
            Err(error) => Err(access.explain(error).await),
            Ok(()) => Ok(()),
        }
    }
}

async fn remove(ui: &Ui, access: &Access, ec2: &Ec2, resource: &Resource) -> Result<()> {
    let id = resource.id.as_str();
    let run = attribute(resource, "run").unwrap_or_default();
    match resource.kind.as_str() {
        KEY_PAIR => {
            if find_key_pair(ec2, id, run).await? {
                remove_key_pair(ec2, id).await?;
            }
        }
        SECURITY_GROUP => {
            if let Some(id) = find_security_group(ec2, id, run).await? {
                remove_security_group(ec2, &id).await?;
            }
        }
        PROFILE => {
            remove_profile(&iam(access, attribute(resource, "iam_endpoint")), id).await?;
        }
        LAUNCH_TEMPLATE => {
            if find_launch_template(ec2, id, run).await?.is_some() {
                remove_launch_template(ec2, id).await?;
            }
        }
        INSTANCE => {
            let pace = super::pace::quick(access.polling(), TERMINATION);
            remove_instances(ui, ec2, pace, &instance_mark(resource), None).await?;
        }
        VOLUME => remove_volume(ec2, id).await?,
        IMAGE => {
            for image in find_images(ec2, &image_mark(resource)).await? {
                remove_image(ec2, &image).await?;
            }
        }
        other => return Err(Error::new(format!("{other} is nothing that this builder makes"))),
    }
    Ok(())
}

/// Whoever reclaims tells what was removed.
pub struct Silent;

#[async_trait]
impl EventSink for Silent {
    fn emit(&self, _: Event) {}

    async fn ask(&self, _: Option<Arc<str>>, _: &str) -> std::io::Result<String> {
        Err(std::io::Error::other("there is nobody to ask"))
    }

    fn mask(&self, _: &str) {}
}
