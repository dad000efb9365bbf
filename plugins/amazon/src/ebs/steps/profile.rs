//! The instance profile.

use std::sync::Arc;

use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::types::Tag as IamTag;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Context, Journal, Result, RunContext, Step, async_trait};

use super::State;
use crate::ebs::creation::{Creation, Patience, create};
use crate::ebs::options::given;
use crate::ebs::region_access::note_account;
use crate::ebs::removal::{iam, once_iam, remove_profile};
use crate::ebs::resources::PROFILE;
use crate::ebs::tags::marked;
use crate::failure::{During, Failure, Kind};

/// Lets EC2 instances take the role.
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// Looks whether the instance profile exists, or makes one for the build.
pub(super) struct MakeProfile;

#[async_trait]
impl Step<State> for MakeProfile {
    fn name(&self) -> &'static str {
        "instance profile"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let instance = &state.settings.raw.instance;
        if let Some(name) = given(&instance.iam_instance_profile) {
            if !instance.skip_profile_validation {
                let request = iam(&state.access, None).get_instance_profile();
                let found = request.instance_profile_name(name).send().await;
                found.during(format!("looking for the instance profile {name}"))?;
            }
            state.profile = Some(name.to_owned());
            return Ok(());
        }
        let Some(policy) = &instance.temporary_iam_instance_profile_policy_document else {
            return Ok(());
        };
        let policy = serde_json::to_string(policy).context("writing the policy")?;
        let name = format!("packer-{}", uuid::Uuid::new_v4());
        ctx.ui.say(format!("Creating temporary instance profile for this instance: {name}"));
        ctx.ui.say(format!("Creating temporary role for this instance: {name}"));
        ctx.ui.say(format!("Attaching policy to the temporary role: {name}"));
        let tags = marked(ctx, &state.run_tags(ctx)?).into_iter().map(|tag| {
            let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
            IamTag::builder().key(key).value(value).build()
        });
        let tags = tags.collect::<Result<Vec<_>, _>>().map_err(|error| {
            ingot_sdk::Error::new(format!("run_tags: IAM takes no such tags: {error}"))
        })?;
        let iam = iam(&state.access, None);
        let (single, called) = (once_iam(&iam), name.clone());
        let (cancel, journal) = (state.patience(ctx), ctx.journal.clone());
        let call =
            async move { make(&cancel, &journal, &single, &iam, &called, &policy, tags).await };
        let creation = Creation::begin(ctx, &state.resource(PROFILE, &name), call)?;
        state.created_profile.insert((name.clone(), creation)).1.created().await?;
        state.profile = Some(name);
        Ok(())
    }

    async fn cleanup(&self, ctx: &RunContext, state: &mut State, _: Outcome) {
        let Some((name, mut creation)) = state.created_profile.take() else { return };
        // How far it got does not matter, as long as it goes no further.
        let known = creation.settle().await.is_some();
        ctx.ui.say("Deleting temporary role and instance profile...");
        match remove_profile(&iam(&state.access, None), &name, known).await {
            Ok(()) => creation.done(),
            Err(failure) => {
                super::left_behind(ctx, &format!("the instance profile {name}"), failure);
            }
        }
    }
}

/// Makes a profile, and a role with a policy in it, all of one name. The name is unique, so that
/// what exists already was made by a call whose answer was lost.
async fn make(
    cancel: &Patience,
    journal: &Arc<dyn Journal>,
    single: &Iam,
    iam: &Iam,
    name: &str,
    policy: &str,
    tags: Vec<IamTag>,
) -> Result<(), Failure> {
    // What was just made is not seen by all of IAM at once.
    let soon = |failure: &Failure| failure.kind == Kind::NotFound;
    let nothing = || async { Ok(None) };
    let exists = |failure: Failure| match failure.is("EntityAlreadyExists") {
        true => Ok(()),
        false => Err(failure),
    };
    let profile = || async {
        let request = single.create_instance_profile().instance_profile_name(name);
        let call = request.set_tags(Some(tags.clone())).send().await;
        let response = call.during("creating the temporary instance profile");
        let created = response.as_ref().ok().and_then(|response| response.instance_profile());
        note_account(journal, created.map(|profile| profile.arn()));
        response.map(drop).or_else(exists)
    };
    create(cancel, profile, nothing, soon).await?;
    let role = || async {
        let request = single.create_role().role_name(name).assume_role_policy_document(TRUST);
        let request = request.description("Temporary role for an image build");
        let call = request.set_tags(Some(tags.clone())).send().await;
        call.during("creating the temporary role").map(drop).or_else(exists)
    };
    create(cancel, role, nothing, soon).await?;
    let put = || async {
        let request = iam.put_role_policy().role_name(name).policy_name(name);
        let call = request.policy_document(policy).send().await;
        call.during("attaching the policy to the temporary role").map(drop)
    };
    create(cancel, put, nothing, soon).await?;
    let add = || async {
        let request = single.add_role_to_instance_profile().instance_profile_name(name);
        match request.role_name(name).send().await.during("adding the role to the profile") {
            // A profile takes one role: ours is in it.
            Err(failure) if failure.is("LimitExceeded") => Ok(()),
            response => response.map(drop),
        }
    };
    create(cancel, add, nothing, soon).await
}
