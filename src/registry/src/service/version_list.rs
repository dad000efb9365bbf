//! A bucket's versions in a list for people.

use super::view::Detail;
use super::{Session, page};
use crate::api::*;
use crate::store::{Role, VersionFilter, VersionOrder};

/// A part of a list of versions.
#[derive(Debug, Clone)]
pub struct VersionList {
    /// The versions, without their builds' metadata.
    pub versions: Vec<Version>,
    /// How many there are in all parts.
    pub total: i64,
    /// How many there are before these.
    pub before: i64,
    /// The platforms that builds of the bucket are of, whatever the filter.
    pub platforms: Vec<String>,
    /// How to go on.
    pub pagination: PaginationResponse,
}

impl Session {
    /// The versions of a bucket that a filter leaves, in an order.
    ///
    /// # Errors
    /// The caller may not read, there is no such bucket, the page's token is invalid, or the
    /// database failed.
    pub async fn version_list(
        &self,
        bucket: &str,
        filter: &VersionFilter,
        order: VersionOrder,
        page: &Page,
    ) -> Result<VersionList> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        let tx = &mut self.store.read().await?;
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let mut keys = page::keys(page)?;
        let rows = tx.search_versions(&bucket_id, filter, order, &keys).await?;
        page::fit(tx, &rows, &mut keys, |row| (1500, Some(&row.id))).await?;
        let (rows, pagination) = page::cut(rows, &keys, |row| order.key(row));
        let first = rows.first().map(|row| order.key(row)).filter(|_| keys.key.is_some());
        let before = match &first {
            Some(key) => tx.count_versions(&bucket_id, filter, order, Some(key)).await?,
            None => 0,
        };
        let versions = self.see_versions(tx, rows, Detail::Builds).await?;
        let total = tx.count_versions(&bucket_id, filter, order, None).await?;
        let platforms = tx.platforms_of(&bucket_id).await?;
        Ok(VersionList { versions, total, before, platforms, pagination })
    }

    /// The versions of a bucket that a filter leaves, by their numbers, the highest first, up to a
    /// number and without their builds: to choose from.
    ///
    /// # Errors
    /// The caller may not read, there is no such bucket, or the database failed.
    pub async fn version_choices(
        &self,
        bucket: &str,
        filter: &VersionFilter,
        most: u32,
    ) -> Result<Vec<Version>> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        let tx = &mut self.store.read().await?;
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let keys = page::keys(&Page { size: most, ..Page::default() })?;
        let order = VersionOrder::Number;
        let rows = tx.search_versions(&bucket_id, filter, order, &keys).await?;
        let (rows, _) = page::cut(rows, &keys, |row| order.key(row));
        self.see_versions(tx, rows, Detail::Outline).await
    }
}
