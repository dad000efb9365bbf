//! Instance profiles with their roles.

use aws_sdk_iam::Client as Iam;

use super::{look_for, persist};
use crate::access::Access;
use crate::failure::{During, Failure};

/// Removes an instance profile and the role and policy of the same name. `known` says that all of
/// it was made, so that what is not seen is not taken for gone at once.
pub async fn remove_profile(iam: &Iam, name: &str, known: bool) -> Result<(), Failure> {
    let detach = || async {
        let request = iam.remove_role_from_instance_profile();
        let call = request.instance_profile_name(name).role_name(name).send().await;
        call.during("detaching the temporary role")
    };
    remove(known, detach).await?;
    let policy = || async {
        let call = iam.delete_role_policy().role_name(name).policy_name(name).send().await;
        call.during("removing the policy of the temporary role")
    };
    remove(known, policy).await?;
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

async fn remove<T, F>(known: bool, mut call: impl FnMut() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    if known {
        return look_for(|| {
            let call = call();
            async { call.await.map(Some) }
        })
        .await
        .map(drop);
    }
    persist(call).await.map(drop)
}

/// The client for IAM. The environment says where that is, unless `endpoint` does.
pub fn iam(access: &Access, endpoint: Option<&str>) -> Iam {
    let mut config = aws_sdk_iam::config::Builder::from(access.config());
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    Iam::from_conf(config.build())
}
