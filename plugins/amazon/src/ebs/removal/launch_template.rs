//! Launch templates, and the fleets that are made with them.

use super::{look_for, of_run};
use crate::access::Ec2;
use crate::failure::{During, Failure};
use crate::filter::filter;

/// The id of the launch template of this name that the run has made.
pub(crate) async fn find_launch_template(
    ec2: &Ec2,
    name: &str,
    run: &str,
) -> Result<Option<String>, Failure> {
    let request = ec2.describe_launch_templates().filters(filter("launch-template-name", name));
    let response =
        request.filters(of_run(run)).send().await.during("looking for the launch template")?;
    let found = response.launch_templates().iter().find(|one| {
        // Not everything that speaks as EC2 does looks at the filters.
        one.launch_template_name() == Some(name)
    });
    Ok(found.and_then(|one| one.launch_template_id()).map(str::to_owned))
}

/// Removes a launch template. Its name has a random part, so it is the build's own.
pub(crate) async fn remove_launch_template(ec2: &Ec2, name: &str) -> Result<(), Failure> {
    let delete = || async {
        let call = ec2.delete_launch_template().launch_template_name(name).send().await;
        call.during("deleting the launch template").map(Some)
    };
    look_for(delete).await.map(drop)
}

/// Removes a fleet with its instances. Once its instances are gone, EC2 removes a fleet of this
/// kind by itself, so that nothing is lost where this fails or is not allowed.
pub(crate) async fn remove_fleet(ec2: &Ec2, id: &str) {
    let call = ec2.delete_fleets().fleet_ids(id).terminate_instances(true).send().await;
    if let Err(failure) = call.during("deleting the fleet") {
        tracing::debug!(%failure, "the fleet {id} is left to EC2");
    }
}
