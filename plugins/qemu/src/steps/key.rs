//! The key pair that the build logs in with.

use ingot_communicator::{CommunicatorKind, KeyPair};
use ingot_sdk::{Error, Result, RunContext, Step, async_trait};

use super::State;

/// Makes the key pair that the build logs in with, or reads the user's.
pub(super) struct MakeKey;

#[async_trait]
impl Step<State> for MakeKey {
    fn name(&self) -> &'static str {
        "create key pair"
    }

    async fn run(&self, ctx: &RunContext, state: &mut State) -> Result<()> {
        make_key(ctx, state).await
    }
}

/// Makes the key pair, or reads the user's.
///
/// # Errors
/// It cannot be made or read.
pub(super) async fn make_key(ctx: &RunContext, state: &mut State) -> Result<()> {
    let CommunicatorKind::Ssh(ssh) = &state.settings.communication.kind else { return Ok(()) };
    let pair = match &ssh.login.key {
        Some(file) => {
            ctx.ui.say("Using existing SSH private key");
            let key = file.read().map_err(|problem| {
                let error = Error::new(problem.message);
                problem.hint.into_iter().fold(error, Error::hint)
            })?;
            KeyPair { private: key.text, public: key.public }
        }
        None => {
            let kind = ssh.temporary_key_pair_type;
            let kind_name = kind.name();
            ctx.ui.say(format!("Creating temporary {kind_name} SSH key for instance..."));
            KeyPair::generate(kind, &ssh.temporary_key_pair_name).await?
        }
    };
    state.key = Some(pair);
    Ok(())
}
