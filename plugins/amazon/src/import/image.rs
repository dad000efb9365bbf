//! The AMI under its final name, and its description and tags.

use std::collections::BTreeSet;

use ingot_sdk::{Resource, Result, RunContext};

use super::options::Options;
use crate::access::{Access, Ec2};
use crate::ebs::creation::{Creation, Patience, create};
use crate::ebs::options::given;
use crate::ebs::region_access::RegionAccess;
use crate::ebs::removal::{ImageMark, Snapshots, find_images, look_for, remove_image};
use crate::ebs::resources::{IMAGE, image_resource, known_image};
use crate::ebs::steps::{
    Attributes, CreatedImage, add_tags, available, created, find_one, left_behind, modify,
    nameless, once,
};
use crate::ebs::tags::{report, tag};
use crate::failure::{During as _, Failure};

/// A copy that is being made, or was.
pub(super) struct AmiCopy {
    mark: ImageMark,
    resource: Resource,
    call: Creation<String>,
}

impl AmiCopy {
    /// Starts copying `source` to the name of the options.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) fn begin(
        ctx: &RunContext,
        place: &RegionAccess,
        (access, ec2): (&Access, &Ec2),
        options: &Options,
        (name, source): (&str, &CreatedImage),
    ) -> Result<AmiCopy> {
        let encrypted = options.ami_encrypt;
        let kms_key = given(&options.ami_kms_key).filter(|_| encrypted);
        let request = once(ec2)
            .copy_image()
            .client_token(uuid::Uuid::new_v4().to_string())
            .name(name)
            .source_image_id(&source.id)
            .source_region(access.region())
            .set_encrypted(encrypted.then_some(true))
            .set_kms_key_id(kms_key.map(str::to_owned));
        let mark = ImageMark {
            name: name.to_owned(),
            source: source.id.clone(),
            not_before: source.date.clone(),
            kept: BTreeSet::new(),
        };
        let patience = Patience::new(&ctx.cancel, access.tries());
        let (ec2, sought) = (ec2.clone(), mark.clone());
        let call = async move {
            let attempt = || async {
                let response = request.clone().send().await.during("copying the AMI")?;
                response.image_id.ok_or_else(nameless)
            };
            create(&patience, attempt, || look_for(|| find_one(&ec2, &sought)), |_| false).await
        };
        let resource = image_resource(place.resource(IMAGE, name), &mark);
        let call = Creation::begin(ctx, &resource, call)?;
        Ok(AmiCopy { mark, resource, call })
    }

    /// Waits until it can be used.
    ///
    /// # Errors
    /// It never will, or takes too long.
    pub(super) async fn available(
        &mut self,
        ctx: &RunContext,
        access: &Access,
        ec2: &Ec2,
    ) -> Result<CreatedImage> {
        let id = self.call.created().await?;
        self.known(&id, &BTreeSet::new());
        let image = available(&ctx.ui, access, ec2, &id).await?;
        let image = created(id, &image);
        self.known(&image.id, &image.snapshots.iter().cloned().collect());
        Ok(image)
    }

    fn known(&self, id: &str, snapshots: &BTreeSet<String>) {
        self.call.amend(&known_image(&self.resource, id, snapshots));
    }

    /// The AMI stays: it is the user's.
    pub(super) fn leave(self) {
        self.call.done();
    }

    /// Removes it with its snapshots.
    pub(super) async fn remove(mut self, ctx: &RunContext, ec2: &Ec2) {
        let known = self.call.settle().await;
        match self.gone(ec2, known).await {
            Ok(()) => self.call.done(),
            Err(failure) => left_behind(ctx, &format!("the AMI {}", self.mark.name), failure),
        }
    }

    async fn gone(&self, ec2: &Ec2, known: Option<String>) -> Result<(), Failure> {
        let ids = match known {
            Some(id) => vec![id],
            // What is found by the name is somebody else's.
            None if self.call.is_taken() => Vec::new(),
            None => {
                let find = || async {
                    let found = find_images(ec2, &self.mark).await?;
                    Ok(Some(found).filter(|found| !found.is_empty()))
                };
                look_for(find).await?.unwrap_or_default()
            }
        };
        for id in ids {
            let about = |snapshots: &BTreeSet<String>| self.known(&id, snapshots);
            remove_image(ec2, &id, Snapshots::default(), about).await?;
        }
        Ok(())
    }
}

/// Tags the AMI and its snapshots, and sets what it says about itself.
///
/// # Errors
/// EC2 refuses one of these.
pub(super) async fn describe(
    ctx: &RunContext,
    (access, ec2): (&Access, &Ec2),
    options: &Options,
    image: &CreatedImage,
) -> Result<()> {
    if !options.tags.is_empty() {
        ctx.ui.say(format!("Adding tags to AMI ({})...", image.id));
        for snapshot in &image.snapshots {
            ctx.ui.say(format!("Tagging snapshot: {snapshot}"));
        }
        let tags: Vec<_> = options.tags.iter().map(|(key, value)| tag(key, value)).collect();
        report(ctx, &tags);
        let all = std::iter::once(&image.id).chain(&image.snapshots).cloned().collect();
        add_tags(&Patience::new(&ctx.cancel, access.tries()), ec2, all, &tags).await?;
    }
    let attributes = Attributes {
        description: options.ami_description.clone().unwrap_or_default(),
        groups: &options.ami_groups,
        users: &options.ami_users,
        org_arns: &options.ami_org_arns,
        ou_arns: &options.ami_ou_arns,
        product_codes: &[],
        imds: given(&options.imds_support),
    };
    Ok(modify(ctx, ec2, &image.id, &attributes).await?)
}
