//! An AMI of snapshots.

use aws_sdk_ec2::types::{ArchitectureValues, BootModeValues, TpmSupportValues};
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Result, RunContext, Step, async_trait};

use super::create_image::{find_one, image_name, launched_at, make, nameless, remove_or_keep};
use super::{State, once};
use crate::ebs::choices::Product;
use crate::ebs::creation::create;
use crate::ebs::devices;
use crate::ebs::options::given;
use crate::ebs::removal::{ImageMark, look_for};
use crate::failure::During;

/// Registers the AMI, or the one that is only there to be copied.
pub(super) struct RegisterImage;

#[async_trait]
impl Step<State> for RegisterImage {
    fn name(&self) -> &'static str {
        "register AMI"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let Product::Surrogate(own) = &state.settings.product else { return Ok(()) };
        ctx.ui.say("Registering the AMI...");
        let ami = &state.settings.raw.ami;
        let name = image_name(ctx, state);
        let mappings = devices::surrogate_mappings(
            &ami.ami_block_device_mappings,
            &state.settings.raw.instance.launch_block_device_mappings,
            &own.ami_root_device,
            &state.snapshots_by_device,
        );
        let text = |option: &Option<String>| given(option).map(str::to_owned);
        let architecture = given(&own.ami_architecture).unwrap_or("x86_64");
        let request = once(&state.ec2)
            .register_image()
            .name(&name)
            .architecture(ArchitectureValues::from(architecture))
            .set_root_device_name(text(&own.ami_root_device.device_name))
            .set_virtualization_type(text(&ami.ami_virtualization_type))
            .set_block_device_mappings(Some(mappings))
            .set_sriov_net_support(ami.sriov_support.then(|| "simple".to_owned()))
            .set_ena_support(ami.ena_support.filter(|&enabled| enabled))
            .set_boot_mode(given(&own.boot_mode).map(BootModeValues::from))
            .set_uefi_data(text(&own.uefi_data))
            .set_tpm_support(given(&own.tpm_support).map(TpmSupportValues::from));
        // EC2 does not tell what it was made of, so that name and date are all to go by.
        let mark = ImageMark {
            name,
            source: String::new(),
            not_before: launched_at(state),
            kept: state.settings.own_snapshots(),
        };
        let (ec2, sought, patience) = (state.ec2.clone(), mark.clone(), state.patience(ctx));
        let call = async move {
            let attempt = || async {
                let response = request.clone().send().await.during("registering the AMI")?;
                response.image_id.ok_or_else(nameless)
            };
            create(&patience, attempt, || look_for(|| find_one(&ec2, &sought)), |_| false).await
        };
        make(ctx, state, mark, call).await
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        state.first = None;
        let own = std::mem::take(&mut state.created_images);
        remove_or_keep(ctx, state, own, outcome).await;
    }

    async fn leave(&self, ctx: &RunContext, state: &mut State) {
        super::resume::keep_only_instance(self, ctx, state).await;
    }
}
