//! What is known of the states of one build's instance.

use std::sync::Arc;

use ingot_sdk::{Error, GeneratedData, Provisioning, Result, RunContext, Snapshots, StateKey};
use tokio::sync::Mutex;

use super::find::FoundState;
use super::image::StateImage;
use super::keep::{self, Keeper};
use crate::access::{Access, Ec2};
use crate::ebs::cached_images::Records;
use crate::failure::Failure;

/// What is known of the states of one build's instance.
#[derive(Default)]
pub(in crate::ebs::steps) struct States {
    /// The keys after the provisioners; none where nothing is cached.
    pub(super) keys: Vec<StateKey>,
    /// The state that the build starts from.
    pub(super) found: Option<FoundState>,
    /// The account that the states are in.
    pub(super) account: String,
    /// Where it is written down which AMIs there are.
    pub(super) records: Option<Records>,
    /// The AMIs that this build makes.
    pub(super) images: Arc<Mutex<Vec<StateImage>>>,
    /// What keeps states, once the instance is reached.
    pub(super) keeper: Option<Arc<Keeper>>,
}

impl States {
    /// The state that the build starts from.
    pub(in crate::ebs::steps) fn found(&self) -> Option<&FoundState> {
        self.found.as_ref()
    }

    /// See [`ingot_sdk::Provisioned::provisioning`].
    pub(in crate::ebs::steps) fn provisioning(&self) -> Provisioning {
        let Some(keeper) = &self.keeper else { return Provisioning::default() };
        Provisioning {
            done: self.found.as_ref().map_or(0, FoundState::done),
            keys: self.keys.clone(),
            snapshots: Some(Arc::clone(keeper) as Arc<dyn Snapshots>),
            found_in: self
                .found
                .as_ref()
                .and_then(|found| Some(format!("the AMI {}", found.image_id()?))),
        }
    }

    /// Values for `build.*` that are other ones since the instance was started again.
    pub(in crate::ebs::steps) fn moved(&self) -> GeneratedData {
        self.keeper.as_ref().map(|keeper| keeper.moved()).unwrap_or_default()
    }

    /// Starts the instance if it was stopped for a state.
    ///
    /// # Errors
    /// It cannot be started or reached.
    pub(in crate::ebs::steps) async fn go_on(&self, ctx: &RunContext) -> Result<()> {
        match &self.keeper {
            Some(keeper) => keeper.go_on(ctx).await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits until EC2 takes the AMI that is built after those of states.
    ///
    /// # Errors
    /// The build was cancelled.
    pub(in crate::ebs::steps) async fn make_room(
        &self,
        ctx: &RunContext,
        access: &Access,
        ec2: &Ec2,
    ) -> Result<()> {
        keep::make_room(ctx, access, ec2, &mut self.images.lock().await).await
    }

    /// An error of connecting, with what it may come from where the instance started from a state.
    pub(in crate::ebs::steps) fn blame(&self, error: Error) -> Error {
        let Some(id) = self.found.as_ref().and_then(FoundState::image_id) else { return error };
        error.further_hint(format!(
            "the instance started from the AMI {id}, a state of the step cache: if one of its \
             steps locks out whoever comes after a start, build with -no-cache, and give that step \
             `cache = false` in the companion file"
        ))
    }

    /// Closes the connection to the instance.
    pub(in crate::ebs::steps) fn disconnect(&mut self) {
        self.keeper = None;
    }

    /// Whether a launch failed because the AMI of the state is gone: then it is not used.
    pub(in crate::ebs::steps) fn give_up_if_gone(
        &mut self,
        ctx: &RunContext,
        failure: &Failure,
    ) -> bool {
        let gone = failure.code.as_deref().is_some_and(|code| code.starts_with("InvalidAMIID."));
        let given_up = gone && self.found.take().is_some();
        if given_up {
            ctx.ui.say(format!("The cached state is gone, so that all is done again: {failure}"));
        }
        given_up
    }
}
