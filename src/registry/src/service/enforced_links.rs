//! Which buckets a version of an enforced block is linked to.

use super::{Session, rules};
use crate::api::{limits, *};
use crate::store::{EnforcedLinkRow, Tx};

impl Session {
    /// Links a version to buckets, or unlinks it: what it is linked to then.
    pub(super) async fn link_in(
        &self,
        tx: &mut Tx,
        id: &str,
        version: &str,
        body: &LinkBucketsBody,
    ) -> Result<Vec<EnforcedLinkRow>> {
        let LinkBucketsBody { bucket_names, add_bucket_names, remove_bucket_names } = body;
        let changes = !add_bucket_names.is_empty() || !remove_bucket_names.is_empty();
        let names = if changes { add_bucket_names } else { bucket_names };
        let most = limits::ENFORCED_BUCKETS;
        let too_many = || {
            Error::invalid(format!(
                "an enforced block must not be linked to more than {most} buckets"
            ))
        };
        if names.len() > most || remove_bucket_names.len() > most {
            return Err(too_many());
        }
        let (block, row) = self.find_enforced_version(tx, id, version).await?;
        tx.lock_enforced_block(id).await?;
        let mut there = tx.enforced_links(id).await?;
        let goes = |link: &EnforcedLinkRow| {
            let name = &link.bucket_name;
            let goes = if changes { remove_bucket_names.contains(name) } else { true };
            link.version_id == version && goes && !names.contains(name)
        };
        for link in there.iter().filter(|link| goes(link)) {
            tx.unlink_enforced_version(&link.id).await?;
            let target = format!("{} {} from {}", block.name, row.version, link.bucket_name);
            self.audit(tx, "unlink enforced block", target).await?;
        }
        there.retain(|link| !goes(link));
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                let name = rules::quoted(name);
                return Err(Error::invalid(format!("bucket_names has {name} more than once")));
            }
            let bucket = self.bucket_id(tx, name).await?;
            if there.iter().any(|it| it.bucket_id == bucket && it.version_id == version) {
                continue;
            }
            let moves = there.iter().any(|it| it.bucket_id == bucket);
            let count = tx.enforced_links_of_bucket(&bucket).await?.len();
            if !moves && count >= limits::ENFORCED_OF_BUCKET {
                let (most, name) = (limits::ENFORCED_OF_BUCKET, rules::quoted(name));
                return Err(Error::precondition(format!(
                    "bucket {name} must not be linked to more than {most} enforced blocks"
                )));
            }
            tx.link_enforced_version(id, version, &bucket).await?;
            let target = format!("{} {} to {name}", block.name, row.version);
            self.audit(tx, "link enforced block", target).await?;
        }
        let mut links = tx.enforced_links(id).await?;
        links.retain(|link| link.version_id == version);
        if links.len() > most {
            return Err(too_many());
        }
        Ok(links)
    }
}
