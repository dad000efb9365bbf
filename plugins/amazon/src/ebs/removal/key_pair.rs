//! Key pairs.

use super::{TOKEN_TAG, of_run, persist};
use crate::access::Ec2;
use crate::failure::{During, Failure};
use crate::filter::filter;

/// The name of the key pair of this name if the build with this token has made one: a template can
/// name the key pairs of several builds of a run alike. Without a token, one of any build of the run.
pub(crate) async fn find_key_pair(
    ec2: &Ec2,
    name: &str,
    run: &str,
    token: Option<&str>,
) -> Result<Option<String>, Failure> {
    let request = ec2.describe_key_pairs().filters(filter("key-name", &format!("{name:?}")));
    let mut request = request.filters(of_run(run));
    if let Some(token) = token {
        request = request.filters(filter(&format!("tag:{TOKEN_TAG}"), token));
    }
    let response = request.send().await.during("looking for the key pair")?;
    Ok(response.key_pairs().first().map(|_| name.to_owned()))
}

/// Removes a key pair of the run.
pub(crate) async fn remove_key_pair(ec2: &Ec2, name: &str) -> Result<(), Failure> {
    let delete = || async {
        ec2.delete_key_pair().key_name(name).send().await.during("deleting the key pair")
    };
    persist(delete).await.map(drop)
}
