//! Security groups.

use super::{look_for, of_run};
use crate::access::Ec2;
use crate::failure::{During, Failure};
use crate::filter::filter;

/// The id of the security group of this name that the run has made.
pub(crate) async fn find_security_group(
    ec2: &Ec2,
    name: &str,
    run: &str,
) -> Result<Option<String>, Failure> {
    let request = ec2.describe_security_groups().filters(filter("group-name", name));
    let response =
        request.filters(of_run(run)).send().await.during("looking for the security group")?;
    Ok(response.security_groups().iter().find_map(|group| group.group_id()).map(str::to_owned))
}

/// Removes a security group. Waits for an instance that is on its way out.
pub(crate) async fn remove_security_group(ec2: &Ec2, id: &str) -> Result<(), Failure> {
    let delete = || async {
        let call = ec2.delete_security_group().group_id(id).send().await;
        call.during("deleting the security group").map(Some)
    };
    look_for(delete).await.map(drop)
}
