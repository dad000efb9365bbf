//! What the AMI and its snapshots say about themselves, and who may use them.

use aws_sdk_ec2::types::{
    AttributeValue, CreateVolumePermission, CreateVolumePermissionModifications, LaunchPermission,
    LaunchPermissionModifications, PermissionGroup,
};
use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::State;
use crate::access::Ec2;
use crate::ebs::options::given;
use crate::failure::{During, Failure};

/// Sets the attributes of all AMIs and snapshots.
pub(super) struct ModifyAttributes;

/// One change of an AMI. EC2 takes one at a time.
enum Change {
    Description(String),
    Launch(Vec<LaunchPermission>),
    ProductCodes(Vec<String>),
    Imds(String),
}

#[async_trait]
impl Step<State> for ModifyAttributes {
    fn name(&self) -> &'static str {
        "modify AMI attributes"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        if state.settings.raw.ami.skip_create_ami {
            ctx.ui.say("Skipping AMI modify attributes...");
            return Ok(());
        }
        let ami = &state.settings.raw.ami;
        let description = match given(&ami.ami_description) {
            Some(text) => state.info.render(ctx, "ami_description", text)?,
            None => String::new(),
        };
        let attributes = Attributes {
            description,
            groups: &ami.ami_groups,
            users: &ami.ami_users,
            org_arns: &ami.ami_org_arns,
            ou_arns: &ami.ami_ou_arns,
            product_codes: &ami.ami_product_codes,
            imds: given(&ami.imds_support),
        };
        let shares = shares(state);
        for (region, image) in &state.images {
            let ec2 = state.access.client(region);
            modify(ctx, &ec2, &image.id, &attributes).await?;
            for snapshot in &image.snapshots {
                share(ctx, &ec2, snapshot, &shares).await?;
            }
        }
        Ok(())
    }
}

/// What an AMI says about itself, and who may use it, as the options tell.
#[derive(Debug, Default)]
pub(crate) struct Attributes<'a> {
    /// The description; an empty one is none.
    pub description: String,
    pub groups: &'a [String],
    pub users: &'a [String],
    pub org_arns: &'a [String],
    pub ou_arns: &'a [String],
    pub product_codes: &'a [String],
    /// `imds_support`.
    pub imds: Option<&'a str>,
}

impl Attributes<'_> {
    fn changes(&self) -> Vec<(&'static str, Change)> {
        let mut changes = Vec::new();
        if !self.description.is_empty() {
            changes.push(("description", Change::Description(self.description.clone())));
        }
        let permission = LaunchPermission::builder;
        let group = |name: &String| permission().group(PermissionGroup::from(name.as_str()));
        let permissions: [(&str, Vec<LaunchPermission>); 4] = [
            ("groups", self.groups.iter().map(|name| group(name).build()).collect()),
            ("users", self.users.iter().map(|id| permission().user_id(id).build()).collect()),
            (
                "ami org arns",
                self.org_arns
                    .iter()
                    .map(|arn| permission().organization_arn(arn).build())
                    .collect(),
            ),
            (
                "ami ou arns",
                self.ou_arns
                    .iter()
                    .map(|arn| permission().organizational_unit_arn(arn).build())
                    .collect(),
            ),
        ];
        let permissions = permissions.into_iter().filter(|(_, list)| !list.is_empty());
        changes.extend(permissions.map(|(name, list)| (name, Change::Launch(list))));
        if !self.product_codes.is_empty() {
            changes.push(("product codes", Change::ProductCodes(self.product_codes.to_vec())));
        }
        if let Some(imds) = self.imds {
            changes.push(("imds_support", Change::Imds(imds.to_owned())));
        }
        changes
    }
}

/// Sets the attributes of an AMI.
///
/// # Errors
/// EC2 does not take one of them.
pub(crate) async fn modify(
    ctx: &RunContext,
    ec2: &Ec2,
    image: &str,
    attributes: &Attributes<'_>,
) -> Result<(), Failure> {
    let changes = attributes.changes();
    if !changes.is_empty() {
        ctx.ui.say(format!("Modifying attributes on AMI ({image})..."));
    }
    for (name, change) in &changes {
        ctx.ui.message(format!("Modifying: {name}"));
        apply(ec2, image, change).await.during(format!("modifying {name} of the AMI {image}"))?;
    }
    Ok(())
}

async fn apply(ec2: &Ec2, image: &str, change: &Change) -> Result<(), Failure> {
    let request = ec2.modify_image_attribute().image_id(image);
    let value = |text: &str| AttributeValue::builder().value(text).build();
    let request = match change {
        Change::Description(text) => request.description(value(text)),
        Change::Launch(list) => {
            let add = LaunchPermissionModifications::builder().set_add(Some(list.clone()));
            request.launch_permission(add.build())
        }
        // Without these two, EC2 does not take codes.
        Change::ProductCodes(codes) => request
            .attribute("productCodes")
            .operation_type(aws_sdk_ec2::types::OperationType::Add)
            .set_product_codes(Some(codes.clone())),
        Change::Imds(version) => request.imds_support(value(version)),
    };
    request.send().await.map(drop).map_err(Failure::from)
}

/// Who may use the snapshots.
fn shares(state: &State) -> Vec<(&'static str, Vec<CreateVolumePermission>)> {
    let ami = &state.settings.raw.ami;
    let permission = CreateVolumePermission::builder;
    let group = |name: &String| permission().group(PermissionGroup::from(name.as_str())).build();
    let users = ami.snapshot_users.iter().map(|id| permission().user_id(id).build());
    let all = [
        ("groups", ami.snapshot_groups.iter().map(group).collect()),
        ("users", users.collect::<Vec<_>>()),
    ];
    all.into_iter().filter(|(_, list)| !list.is_empty()).collect()
}

pub(super) async fn share(
    ctx: &RunContext,
    ec2: &Ec2,
    snapshot: &str,
    shares: &[(&'static str, Vec<CreateVolumePermission>)],
) -> Result<()> {
    if !shares.is_empty() {
        ctx.ui.say(format!("Modifying attributes on snapshot ({snapshot})..."));
    }
    for (name, list) in shares {
        ctx.ui.message(format!("Modifying: {name}"));
        let add = CreateVolumePermissionModifications::builder().set_add(Some(list.clone()));
        let request = ec2.modify_snapshot_attribute().snapshot_id(snapshot);
        let call = request.create_volume_permission(add.build()).send().await;
        call.during(format!("modifying {name} of the snapshot {snapshot}"))?;
    }
    Ok(())
}
