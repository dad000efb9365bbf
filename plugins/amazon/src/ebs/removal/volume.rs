//! Volumes.

use super::persist;
use crate::access::Ec2;
use crate::failure::{During, Failure};

/// Removes a volume. Waits until nothing uses it.
pub(crate) async fn remove_volume(ec2: &Ec2, id: &str) -> Result<(), Failure> {
    let delete =
        || async { ec2.delete_volume().volume_id(id).send().await.during("deleting a volume") };
    persist(delete).await.map(drop)
}
