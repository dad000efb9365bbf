//! An instance that a build leaves running for `-resume`, and goes on with.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::InstanceStateName;
use ingot_communicator::KeyPair;
use ingot_sdk::steps::Outcome;
use ingot_sdk::{Error, OnError, Resource, Result, RunContext, Step, async_trait};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::instance::{Launched, describe, running};
use super::launch_options::note_volumes;
use super::{State, power, spot};
use crate::ebs::choices::KeyChoice;
use crate::ebs::creation::Creation;
use crate::ebs::removal::Mark;
use crate::ebs::resources::{
    INSTANCE, KEY_PAIR, LAUNCH_TEMPLATE, PROFILE, SECURITY_GROUP, instance_resource,
    key_pair_resource,
};

/// What a step leaves that makes the AMI, where the instance is kept: it is made again of that.
pub(super) async fn keep_only_instance(
    step: &impl Step<State>,
    ctx: &RunContext,
    state: &mut State,
) {
    if ctx.prepare.on_error == OnError::Keep {
        step.cleanup(ctx, state, Outcome::Failed).await;
    }
}

/// What a later run needs to go on with the instance, and to remove what was made for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeptInstance {
    instance: String,
    fleet: Option<String>,
    /// What its tag `ingot-id` holds, and the devices whose volumes stay.
    token: String,
    kept_devices: BTreeSet<String>,
    /// The temporary key pair.
    key_name: Option<String>,
    /// The name and id of the temporary security group.
    security_group: Option<(String, String)>,
    /// The temporary instance profile.
    profile: Option<String>,
    /// The name and id of the launch template of a spot instance.
    template: Option<(String, String)>,
    #[serde(default)]
    secrets: Secrets,
}

/// What is in a file of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Secrets {
    /// The private key of the temporary key pair.
    private_key: Option<String>,
}

/// Says how the instance is found that a build leaves, where it is to be kept.
pub(super) async fn keep(ctx: &RunContext, state: &mut State) {
    if ctx.prepare.on_error != OnError::Keep {
        return;
    }
    let Some(launch) = &mut state.launch else { return };
    let Some(Launched { instance, fleet }) = launch.settle().await else { return };
    let temporary = match &state.settings.key {
        KeyChoice::Temporary(name) if state.created_key.is_some() => Some(name.clone()),
        _ => None,
    };
    let key = state.key.as_ref().filter(|_| temporary.is_some());
    let named = |thing: &Option<(String, Creation<String>)>| {
        let (name, creation) = thing.as_ref()?;
        Some((name.clone(), creation.known()?))
    };
    let kept = KeptInstance {
        instance,
        fleet,
        token: state.mark.token.clone(),
        kept_devices: state.mark.kept.clone(),
        secrets: Secrets { private_key: key.map(|key| key.private.clone()) },
        key_name: temporary,
        security_group: named(&state.created_group),
        profile: state.created_profile.as_ref().map(|(name, _)| name.clone()),
        template: named(&state.created_template),
    };
    ctx.hook.keep_machine(json!(kept));
}

/// Takes over an instance that was kept, in the place of the steps up to the one that launches it.
pub(super) struct ResumeInstance(pub KeptInstance);

#[async_trait]
impl Step<State> for ResumeInstance {
    fn name(&self) -> &'static str {
        "resume instance"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        let kept = &self.0;
        let id = kept.instance.as_str();
        let gone = |why: &str| {
            Error::new(format!("the instance {id}, which was kept, {why}")).hint(
                "`ingot cleanup -kept` removes what is left of it; then build without -resume",
            )
        };
        let found = describe(&state.ec2, id).await?.ok_or_else(|| gone("is gone"))?;
        match found.state().and_then(|state| state.name()) {
            Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown) => {
                return Err(gone("was terminated"));
            }
            Some(InstanceStateName::Stopped | InstanceStateName::Stopping) => {
                ctx.ui.say(format!("The instance {id} is stopped: starting it again..."));
                power::start(&ctx.ui, &state.access, &state.ec2, id).await.map_err(|error| {
                    error.hint(
                        "start it by other means and try again; or `ingot cleanup -kept` removes \
                         it, and a build without -resume makes a new one",
                    )
                })?;
            }
            _ => {}
        }
        ctx.ui.say(format!("Going on with the instance: {id}"));
        state.mark = Mark { token: kept.token.clone(), kept: kept.kept_devices.clone() };
        let again = |kind: &str, id: &str| state.resource(kind, id);
        let resource = instance_resource(again(INSTANCE, &kept.token), &state.mark);
        let launched = Launched { instance: id.to_owned(), fleet: kept.fleet.clone() };
        let launch = Creation::again(ctx, &resource, launched)?;
        let created = |kind: &str, thing: &Option<(String, String)>| {
            let Some((name, id)) = thing else { return Ok(None) };
            let creation = Creation::again(ctx, &again(kind, name), id.clone())?;
            Ok::<_, Error>(Some((name.clone(), creation)))
        };
        let group = created(SECURITY_GROUP, &kept.security_group)?;
        let template = created(LAUNCH_TEMPLATE, &kept.template)?;
        let profile: Option<Resource> = kept.profile.as_deref().map(|name| again(PROFILE, name));
        let key = kept.key_name.as_deref().map(|name| again(KEY_PAIR, name));
        let key = key.map(|key| key_pair_resource(key, &kept.token));
        state.launch = Some(launch);
        (state.created_group, state.created_template) = (group, template);
        if let (Some(name), Some(resource)) = (&kept.profile, profile) {
            state.created_profile = Some((name.clone(), Creation::again(ctx, &resource, ())?));
        }
        if let (Some(name), Some(resource)) = (&kept.key_name, key) {
            state.settings.key = KeyChoice::Temporary(name.clone());
            let private = kept.secrets.private_key.clone().unwrap_or_default();
            state.created_key = Some(Creation::again(ctx, &resource, private.clone())?);
            let pair = KeyPair::from_private(private, "the key pair that was kept")?;
            pair.mask(&ctx.ui);
            state.key = Some(pair);
        }
        let instance = running(&ctx.ui, &state.access, &state.ec2, id).await?;
        note_volumes(ctx, state, &instance).await?;
        state.instance = Some(instance);
        if state.settings.is_spot() {
            // Again: this may be what failed.
            spot::tag_request(ctx, state).await?;
        }
        Ok(())
    }
}
