//! Fast launching of Windows: EC2 starts instances of the AMI and keeps snapshots of them, which
//! have gone through the first start.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ec2::types::{
    DescribeFastLaunchImagesSuccessItem, FastLaunchLaunchTemplateSpecificationRequest,
    FastLaunchSnapshotConfigurationRequest, FastLaunchStateCode, PlatformValues,
};
use futures_util::future::join_all;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::State;
use crate::access::Ec2;
use crate::ebs::creation::create;
use crate::ebs::options::given;
use crate::ebs::wait::{WaitStatus, until};
use crate::ebs::wait_times;
use crate::failure::{During, Failure, Kind};

/// How long a build that fails waits until EC2 has taken back what it did for fast launching.
const UNDOING: Duration = Duration::from_secs(60);

/// A launch template that was found.
#[derive(Debug, Clone)]
pub(super) struct LaunchTemplate {
    id: String,
    version: i64,
}

/// Finds the launch templates that the template names, so that a missing one is reported before
/// anything is created.
///
/// # Errors
/// One does not exist, or not in that version.
pub(super) async fn templates(state: &State) -> Result<BTreeMap<String, LaunchTemplate>> {
    let mut found = BTreeMap::new();
    let Some(options) = state.settings.fast_launch() else { return Ok(found) };
    let own = (
        state.region.as_str(),
        given(&options.template_id),
        given(&options.template_name),
        options.template_version,
    );
    let others = options.region_launch_templates.iter().filter(|one| one.is_enabled());
    let others = others.map(|one| {
        let region = given(&one.region).unwrap_or(&state.region);
        (region, given(&one.template_id), given(&one.template_name), one.template_version)
    });
    for (region, id, name, version) in std::iter::once(own).chain(others) {
        let Some(what) = id.or(name) else { continue };
        let request = state.access.client(region).describe_launch_templates();
        let request = match id {
            Some(id) => request.launch_template_ids(id),
            None => request.launch_template_names(what),
        };
        let doing = format!("fast_launch: looking for the launch template {what} in {region}");
        let response = request.send().await.during(doing)?;
        let template = response.launch_templates().first();
        let (Some(id), Some(latest)) = (
            template.and_then(|template| template.launch_template_id()),
            template.and_then(|template| template.latest_version_number()),
        ) else {
            return Err(Error::new(format!(
                "fast_launch: there is no launch template {what} in {region}"
            )));
        };
        let version = version.filter(|&version| version != 0).unwrap_or(latest);
        if version > latest {
            return Err(Error::new(format!(
                "fast_launch: the launch template {what} in {region} has no version {version}"
            ))
            .hint(format!("its latest one is {latest}")));
        }
        found.insert(region.to_owned(), LaunchTemplate { id: id.to_owned(), version });
    }
    Ok(found)
}

/// Looks whether the source AMI is one of Windows, as EC2 has fast launching for no other.
///
/// # Errors
/// It is not.
pub(super) fn check(state: &State, platform: Option<&PlatformValues>, id: &str) -> Result<()> {
    // AWS's API reference writes `Windows` and its answers `windows`.
    let windows = platform.is_some_and(|one| one.as_str().eq_ignore_ascii_case("windows"));
    if state.settings.fast_launch().is_none() || windows {
        return Ok(());
    }
    Err(Error::new(format!("fast_launch is for Windows, and the source AMI {id} is of Linux"))
        .hint("remove the block, or start from an AMI of Windows"))
}

/// Turns on fast launching for all AMIs, at once, and waits until their snapshots are ready.
pub(super) struct EnableFastLaunch;

#[async_trait]
impl Step<State> for EnableFastLaunch {
    fn name(&self) -> &'static str {
        "enable fast launch"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let Some(options) = state.settings.fast_launch() else { return Ok(()) };
        let off = |region: &str| {
            let mut regions = options.region_launch_templates.iter();
            regions.any(|one| given(&one.region) == Some(region) && !one.is_enabled())
        };
        let images = state.images.iter().filter(|(region, _)| !off(region));
        let work = images.map(|(region, image)| enable(ctx, state, region, &image.id));
        Error::all(join_all(work).await.into_iter().filter_map(Result::err))
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, outcome: Outcome) {
        if outcome != Outcome::Failed {
            return;
        }
        // EC2 makes snapshots of its own for as long as it is on. The AMIs themselves go next.
        let images = state.images.iter();
        let work = images.map(|(region, image)| disable(state.access.client(region), &image.id));
        if tokio::time::timeout(UNDOING, join_all(work)).await.is_err() {
            ctx.ui.error("AWS does not respond when fast launching is turned off.");
        }
    }
}

async fn enable(ctx: &RunContext, state: &State, region: &str, image: &str) -> Result<()> {
    ctx.ui.say(format!("Enabling fast boot for AMI {image} in region {region}"));
    let options = state.settings.raw.ami.fast_launch.clone().unwrap_or_default();
    let ec2 = state.access.client(region);
    let snapshots = options.target_resource_count.filter(|&count| count > 0).map(|count| {
        FastLaunchSnapshotConfigurationRequest::builder().target_resource_count(count).build()
    });
    let template = state.launch_templates.get(region).map(|template| {
        FastLaunchLaunchTemplateSpecificationRequest::builder()
            .launch_template_id(&template.id)
            .version(template.version.to_string())
            .build()
    });
    let most = options.max_parallel_launches.filter(|&most| most > 0);
    let request = ec2
        .enable_fast_launch()
        .image_id(image)
        .set_snapshot_configuration(snapshots)
        .set_launch_template(template)
        .set_max_parallel_launches(most);
    let doing = || format!("turning on fast launching of the AMI {image} in {region}");
    let attempt = || async { request.clone().send().await.during(doing()).map(drop) };
    // A new AMI is not seen by all of AWS at once.
    let soon = |failure: &Failure| failure.kind == Kind::NotFound;
    create(&state.patience(ctx), attempt, || async { Ok(None) }, soon).await?;
    ctx.ui.say(format!(
        "Waiting for fast launch to become ready on AMI {image:?} in region {region}..."
    ));
    let look = || async { Ok(judge(image, describe(&ec2, image).await?)) };
    let polling = wait_times::slow(state.access.polling(), wait_times::FAST_LAUNCH);
    until(&ctx.ui, &format!("fast launching of the AMI {image}"), polling, look).await
}

/// What EC2 tells about fast launching of an AMI; none where it is not on, or not seen yet.
async fn describe(
    ec2: &Ec2,
    image: &str,
) -> Result<Option<DescribeFastLaunchImagesSuccessItem>, Failure> {
    let response = ec2.describe_fast_launch_images().image_ids(image).send().await;
    let response = response.during("looking at fast launching")?;
    Ok(response.fast_launch_images.unwrap_or_default().into_iter().next())
}

fn judge(image: &str, found: Option<DescribeFastLaunchImagesSuccessItem>) -> WaitStatus<()> {
    let Some(found) = found else { return WaitStatus::Pending("not seen yet".to_owned()) };
    let reason = found.state_transition_reason().unwrap_or_default();
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    match found.state() {
        Some(FastLaunchStateCode::Enabled) => WaitStatus::Ready(()),
        Some(FastLaunchStateCode::Enabling) | None => WaitStatus::Pending("enabling".to_owned()),
        Some(other) => WaitStatus::Failed(
            Error::new(format!("fast launching of the AMI {image} is {}{reason}", other.as_str()))
                .hint(
                    "the AMI has to be prepared with Sysprep (EC2Launch), and its instances need \
                     a network that a launch template names where there is no default VPC",
                ),
        ),
    }
}

async fn disable(ec2: Ec2, image: &str) {
    match describe(&ec2, image).await {
        Ok(None) => return,
        Ok(Some(_)) => {}
        Err(failure) => {
            tracing::debug!(%failure, "it is not known whether fast launching is on");
        }
    }
    let call = ec2.disable_fast_launch().image_id(image).force(true).send().await;
    if let Err(failure) = call.during(format!("turning off fast launching of the AMI {image}")) {
        tracing::warn!(%failure, "fast launching ends with the AMI");
    }
}
