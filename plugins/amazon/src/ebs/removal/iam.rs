//! Instance profiles with their roles.

use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::config::retry::RetryConfig;
use tokio::time::sleep;

use super::{FIRST_PAUSE, LONGEST_PAUSE, in_use, look_for, persist};
use crate::access::Access;
use crate::ebs::wait::may_pass;
use crate::failure::{During, Failure, Kind};

/// How often a part of a profile is taken out at most.
const TRIES: u32 = 8;

/// Removes an instance profile and the role and policy of the same name. `known` says that all of
/// it was made, so that what is not seen is not taken for gone at once.
pub(crate) async fn remove_profile(iam: &Iam, name: &str, known: bool) -> Result<(), Failure> {
    let single = once_iam(iam);
    let is_attached = || async {
        let call = iam.get_instance_profile().instance_profile_name(name).send().await;
        let response = call.during("looking for the temporary instance profile")?;
        let roles = response.instance_profile().map(|profile| profile.roles()).unwrap_or_default();
        Ok(roles.iter().any(|role| role.role_name() == name).then_some(()))
    };
    let detach = || async {
        let request = single.remove_role_from_instance_profile();
        let call = request.instance_profile_name(name).role_name(name).send().await;
        call.during("detaching the temporary role").map(drop)
    };
    take_out(known, is_attached, detach).await?;
    let has_policy = || async {
        let call = iam.get_role_policy().role_name(name).policy_name(name).send().await;
        call.during("looking for the policy of the temporary role").map(|_| Some(()))
    };
    let policy = || async {
        let call = single.delete_role_policy().role_name(name).policy_name(name).send().await;
        call.during("removing the policy of the temporary role").map(drop)
    };
    take_out(known, has_policy, policy).await?;
    let role = || async {
        iam.delete_role().role_name(name).send().await.during("deleting the temporary role")
    };
    remove(known, role).await?;
    let profile = || async {
        let call = iam.delete_instance_profile().instance_profile_name(name).send().await;
        call.during("deleting the temporary instance profile")
    };
    remove(known, profile).await
}

/// Takes out a part, with a client that does not repeat calls. Unless it is `known` to be there it
/// is looked for before, and always before the call is made again: the part may be gone although
/// the response that said so was lost, and nobody knows how AWS responds to a second call.
async fn take_out<L, C>(
    known: bool,
    mut look: impl FnMut() -> L,
    mut call: impl FnMut() -> C,
) -> Result<(), Failure>
where
    L: Future<Output = Result<Option<()>, Failure>>,
    C: Future<Output = Result<(), Failure>>,
{
    let mut pause = FIRST_PAUSE;
    for tried in 1.. {
        let sure = known && tried == 1;
        let found = match (sure, known) {
            (true, _) => Ok(Some(())),
            (false, true) => look_for(&mut look).await,
            (false, false) => persist(&mut look).await.map(Option::flatten),
        };
        let found = match found {
            // Then it has to be tried.
            Err(failure) if failure.kind == Kind::Denied => Some(()),
            found => found?,
        };
        if found.is_none() {
            break;
        }
        let failure = match call().await {
            Ok(()) => break,
            Err(failure) => failure,
        };
        let again = failure.kind == Kind::NotFound || may_pass(&failure) || in_use(&failure);
        if !again || tried >= TRIES {
            return Err(failure);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

async fn remove<T, F>(known: bool, mut call: impl FnMut() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    if known {
        let call = || {
            let call = call();
            async { call.await.map(Some) }
        };
        return look_for(call).await.map(drop);
    }
    persist(call).await.map(drop)
}

/// The client for IAM. The environment says where that is, unless `endpoint` does.
pub(crate) fn iam(access: &Access, endpoint: Option<&str>) -> Iam {
    let mut config = aws_sdk_iam::config::Builder::from(access.config());
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    Iam::from_conf(config.build())
}

/// The same client, but for calls that are not to be repeated without looking first.
pub(crate) fn once_iam(iam: &Iam) -> Iam {
    Iam::from_conf(iam.config().to_builder().retry_config(RetryConfig::disabled()).build())
}
