//! Buckets.

use super::{Session, no_bucket, page, rules};
use crate::api::*;
use crate::store::{BucketRow, Tx};

impl Session {
    pub(super) async fn find_bucket(&self, tx: &mut Tx, name: &str) -> Result<BucketRow> {
        let row = tx.bucket(self.project_id(), name).await?;
        row.ok_or_else(|| no_bucket(name))
    }

    pub(super) async fn bucket_id(&self, tx: &mut Tx, name: &str) -> Result<String> {
        let id = tx.bucket_id(self.project_id(), name).await?;
        id.ok_or_else(|| no_bucket(name))
    }

    pub(super) async fn bucket_in(&self, tx: &mut Tx, name: &str) -> Result<Bucket> {
        let row = self.find_bucket(tx, name).await?;
        let mut seen = self.see_buckets(tx, vec![row]).await?;
        seen.pop().ok_or_else(|| no_bucket(name))
    }

    pub(super) async fn buckets_in(&self, tx: &mut Tx, page: &Page) -> Result<ListBucketsResponse> {
        let mut keys = page::keys(page)?;
        let sizes = tx.bucket_sizes(self.project_id(), &keys).await?;
        page::fit(tx, &sizes, &mut keys, |(bytes, version)| (*bytes, version.as_ref())).await?;
        let rows = tx.buckets(self.project_id(), &keys).await?;
        let (rows, pagination) = page::cut(rows, &keys, |row| row.name.clone());
        let buckets = self.see_buckets(tx, rows).await?;
        Ok(ListBucketsResponse { buckets, pagination: Some(pagination) })
    }

    pub(super) async fn create_bucket_in(
        &self,
        tx: &mut Tx,
        body: &CreateBucketBody,
    ) -> Result<Bucket> {
        rules::bucket_name(&body.name)?;
        rules::description(&body.description)?;
        rules::labels(&body.labels)?;
        let inserted =
            tx.insert_bucket(self.project_id(), &body.name, &body.description, &body.labels).await;
        let id = inserted.map_err(|error| match error.code {
            Code::AlreadyExists => {
                let name = rules::quoted(&body.name);
                Error::new(error.code, format!("there is a bucket {name} already"))
            }
            _ => error,
        })?;
        tx.insert_channel(&id, LATEST_CHANNEL, true, false, &self.caller.name).await?;
        self.audit(tx, "create bucket", body.name.clone()).await?;
        self.bucket_in(tx, &body.name).await
    }

    pub(super) async fn update_bucket_in(
        &self,
        tx: &mut Tx,
        name: &str,
        body: &UpdateBucketBody,
    ) -> Result<Bucket> {
        rules::description(&body.description)?;
        rules::labels(&body.labels)?;
        let id = self.lock(tx, name).await?;
        tx.update_bucket(&id, &body.description, &body.labels).await?;
        self.audit(tx, "update bucket", name.to_owned()).await?;
        self.bucket_in(tx, name).await
    }

    pub(super) async fn delete_bucket_in(&self, tx: &mut Tx, name: &str) -> Result<()> {
        let id = self.lock(tx, name).await?;
        tx.delete_bucket(&id).await?;
        self.audit(tx, "delete bucket", name.to_owned()).await
    }
}
