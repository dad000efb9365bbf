//! What the web pages show that the API does not have: buckets found by a word, in a list that is
//! made with a handful of statements however long it is; and changes that are made only if what the
//! person saw is still so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::view::version_status;
use super::{Session, page, rules};
use crate::api::*;
use crate::store::{
    BucketFilter, BucketLine, BucketOrder, BuildLine, BuildRow, ChannelRow, RelativesLine, Role,
    Tx, VersionRow, transaction,
};

/// A version, as others name it.
#[derive(Debug, Clone)]
pub struct VersionName {
    /// Its bucket.
    pub bucket: String,
    /// `v0` until it is complete, then `v1`, `v2`….
    pub name: String,
    /// What identifies it in its bucket.
    pub fingerprint: String,
    /// How far it is.
    pub status: VersionStatus,
}

/// How many buckets are related to one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Relatives {
    /// All of them.
    pub count: i64,
    /// Those of them where the child was built from what is not to be used any more.
    pub out_of_date: i64,
}

/// A bucket in a list.
#[derive(Debug, Clone)]
pub struct BucketSummary {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What the channel `latest` points at.
    pub latest: Option<VersionName>,
    /// The version made last, where it is none that `latest` could point at: not complete, or
    /// revoked.
    pub newest: Option<VersionName>,
    /// The platforms of the newest complete version.
    pub platforms: Vec<String>,
    /// What its newest complete version was built from.
    pub parents: Relatives,
    /// What was built from it.
    pub children: Relatives,
    /// How many versions it has.
    pub version_count: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where a channel would go.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// Whether it points at the version that is asked about, not at what was built from it.
    pub own: bool,
    /// The channel's bucket.
    pub bucket: String,
    /// The channel.
    pub channel: String,
    /// The version; nowhere if there is none that is valid.
    pub to: Option<VersionName>,
}

/// A part of a list of buckets.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The buckets.
    pub buckets: Vec<BucketSummary>,
    /// How many there are in all parts.
    pub total: i64,
    /// How many there are before these.
    pub before: i64,
    /// How to go on.
    pub pagination: PaginationResponse,
}

/// How long what is searched for may be, in characters, and how many words of it count.
const TEXT: usize = 200;
const WORDS: usize = 5;

/// The words of what is searched for.
pub fn words(text: &str) -> Vec<String> {
    let text: String = text.chars().filter(|char| *char != '\0').take(TEXT).collect();
    text.split_whitespace().take(WORDS).map(str::to_owned).collect()
}

impl Session {
    /// The buckets that a filter leaves, in an order.
    ///
    /// # Errors
    /// The caller may not read, the page's token is wrong, or the database failed.
    pub async fn overview(
        &self,
        filter: &BucketFilter,
        order: BucketOrder,
        page: &Page,
    ) -> Result<Overview> {
        self.need(Role::Viewer)?;
        let filter = &BucketFilter { all: self.sees_all(), ..filter.clone() };
        let keys = page::keys(page)?;
        // Words are looked for in all that the project has, which keeps a connection busy.
        let _turn = self.store.search_turn().await?;
        let tx = &mut self.store.read().await?;
        let project = self.project_id();
        let (rows, total) = tx.search_buckets(project, filter, order, &keys).await?;
        let (rows, pagination) = page::cut(rows, &keys, |row| order.key(row));
        let first = rows.first().map(|row| order.key(row)).filter(|_| keys.key.is_some());
        let (total, before) = match total {
            Some(total) => (total, 0),
            None => tx.count_buckets(project, filter, order, first.as_deref()).await?,
        };

        let latest: Vec<String> =
            rows.iter().filter_map(|row| row.latest_version_id.clone()).collect();
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let (versions, builds) = lines(tx, &rows).await?;
        let parents = tx.count_parents(&latest, self.sees_all()).await?;
        let children = tx.count_children(&ids, self.sees_all()).await?;

        let see = |row: BucketLine| {
            let name = |id: &Option<String>| {
                let version = versions.get(id.as_ref()?)?;
                Some((version, version_name(version, &builds, tx.now)))
            };
            let latest = row.latest_version_id.as_ref();
            let platforms: BTreeSet<&String> = builds
                .iter()
                .filter(|build| Some(&build.version_id) == latest && !build.platform.is_empty())
                .map(|build| &build.platform)
                .collect();
            let newest = name(&row.newest_version_id)
                .filter(|(version, _)| version.number.is_none() || row.latest_version_id.is_none());
            BucketSummary {
                latest: name(&row.latest_version_id).map(|(_, name)| name),
                newest: newest.map(|(_, name)| name),
                platforms: platforms.into_iter().cloned().collect(),
                parents: latest.map(|id| relatives(&parents, id)).unwrap_or_default(),
                children: relatives(&children, &row.id),
                name: row.name,
                description: row.description,
                version_count: row.version_count,
                updated_at: row.updated_at,
            }
        };
        let buckets = rows.into_iter().map(see).collect();
        Ok(Overview { buckets, total, before, pagination })
    }

    /// The platforms that there are images of.
    ///
    /// # Errors
    /// The caller may not read, or the database failed.
    pub async fn platforms(&self) -> Result<Vec<String>> {
        self.need(Role::Viewer)?;
        let _turn = self.store.search_turn().await?;
        self.store.read().await?.platforms(self.project_id()).await
    }

    /// The versions that were built from this one, directly or not: the first of them by their
    /// buckets' names, and how many there are.
    ///
    /// # Errors
    /// The caller may not read, there is no such version, or the database failed.
    pub async fn descendants(
        &self,
        bucket: &str,
        fingerprint: &str,
        most: u32,
    ) -> Result<(Vec<VersionName>, i64)> {
        self.need(Role::Viewer)?;
        let _turn = self.store.search_turn().await?;
        let tx = &mut self.store.read().await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let (ids, count) = tx.descendants(&version.id, most).await?;
        let builds = tx.build_lines(&ids).await?;
        let rows = tx.versions_by_id(&ids).await?;
        let mut names: Vec<VersionName> =
            rows.iter().map(|row| version_name(row, &builds, tx.now)).collect();
        names.sort_by(|a, b| (&a.bucket, &a.name).cmp(&(&b.bucket, &b.name)));
        Ok((names, count))
    }

    /// Where each channel that points at a version or at what was built from it would go if they
    /// were revoked and channels rolled back; the first of them, those of the version before others,
    /// and how many there are.
    ///
    /// # Errors
    /// The caller may not read, there is no such version, or the database failed.
    pub async fn rollbacks_of(
        &self,
        bucket: &str,
        fingerprint: &str,
        most: u32,
    ) -> Result<(Vec<Rollback>, i64)> {
        self.need(Role::Contributor)?;
        let _turn = self.store.search_turn().await?;
        let tx = &mut self.store.read().await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        let mut found = Vec::new();
        let (channels, count) = tx.channels_of_family(&version.id, most).await?;
        for (channel, bucket) in channels {
            let back = match channel.managed {
                true => tx.newest_valid_outside(&channel.bucket_id, &version.id).await?,
                false => tx.last_valid_outside(&channel.id, &version.id).await?,
            };
            let rows = tx.versions_by_id(&back.into_iter().collect::<Vec<_>>()).await?;
            found.push(Rollback {
                own: channel.version_id.as_ref() == Some(&version.id),
                bucket,
                channel: channel.name,
                to: rows.first().map(|row| version_name(row, &[], tx.now)),
            });
        }
        Ok((found, count))
    }

    /// Whether channels go back, and whether descendants are revoked, too: of the revocation that a
    /// version has or is to have by itself; none if it has none.
    ///
    /// # Errors
    /// The caller may not read, there is no such version, or the database failed.
    pub async fn revocation_choices(
        &self,
        bucket: &str,
        fingerprint: &str,
    ) -> Result<Option<(bool, bool)>> {
        self.need(Role::Viewer)?;
        let tx = &mut self.store.read().await?;
        let version = self.find_version(tx, bucket, fingerprint).await?;
        tx.own_revocation_choices(&version.id).await
    }

    /// The version that a channel goes back to.
    ///
    /// # Errors
    /// The caller may not read the channel, or the database failed.
    pub async fn previous_of(&self, bucket: &str, channel: &str) -> Result<Option<VersionName>> {
        self.need(Role::Viewer)?;
        let tx = &mut self.store.read().await?;
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let row = self.find_channel(tx, bucket, &bucket_id, channel).await?;
        let back = tx.rollbacks(&bucket_id, Some(&row.id)).await?.remove(&row.id);
        let rows = tx.versions_by_id(&back.into_iter().collect::<Vec<_>>()).await?;
        Ok(rows.first().map(|row| version_name(row, &[], tx.now)))
    }

    /// As [`Session::previous_of`], of all channels of a bucket that the caller may read and that
    /// have one, by their names.
    ///
    /// # Errors
    /// The caller may not read, there is no such bucket, or the database failed.
    pub async fn previous_of_all(&self, bucket: &str) -> Result<BTreeMap<String, VersionName>> {
        self.need(Role::Viewer)?;
        let _turn = self.store.search_turn().await?;
        let tx = &mut self.store.read().await?;
        let bucket_id = self.bucket_id(tx, bucket).await?;
        let mut back = tx.rollbacks(&bucket_id, None).await?;
        let channels = tx.channels(&bucket_id).await?.into_iter();
        let channels: Vec<(ChannelRow, String)> = channels
            .filter(|channel| self.may_see(channel))
            .filter_map(|channel| back.remove(&channel.id).map(|previous| (channel, previous)))
            .collect();
        let ids: BTreeSet<String> = channels.iter().map(|(_, previous)| previous.clone()).collect();
        let rows = tx.versions_by_id(&ids.into_iter().collect::<Vec<_>>()).await?;
        let names: HashMap<&str, VersionName> =
            rows.iter().map(|row| (row.id.as_str(), version_name(row, &[], tx.now))).collect();
        let named = |(channel, previous): (ChannelRow, String)| {
            Some((channel.name, names.get(previous.as_str())?.clone()))
        };
        Ok(channels.into_iter().filter_map(named).collect())
    }

    /// Points a channel at the version of a fingerprint, if it still points at what the caller saw:
    /// the fingerprint `from`, empty for nowhere.
    ///
    /// # Errors
    /// The channel has changed since ([`Code::Aborted`]), the version cannot be assigned, or the
    /// caller may not do it.
    pub async fn move_channel(
        &self,
        bucket: &str,
        channel: &str,
        from: &str,
        to: &str,
    ) -> Result<Channel> {
        self.need(Role::Contributor)?;
        let change = UpdateChannelBody {
            update_mask: "versionFingerprint".into(),
            version_fingerprint: to.to_owned(),
            ..UpdateChannelBody::default()
        };
        // Not Code::Aborted inside: the transaction would be tried again.
        let moved = transaction!(self.store, |tx| async {
            self.lock(tx, bucket).await?;
            let seen = self.channel_in(tx, bucket, channel).await?;
            let now = seen.version.map(|version| version.fingerprint).unwrap_or_default();
            match now == from {
                true => self.update_channel_in(tx, bucket, channel, &change).await.map(Some),
                false => Ok(None),
            }
        })?;
        moved.ok_or_else(|| {
            Error::new(
                Code::Aborted,
                format!(
                    "the channel {} has changed since the page was loaded; look at it again",
                    rules::quoted(channel)
                ),
            )
        })
    }
}

/// The versions that a list of buckets names, by id, and their builds.
pub(super) async fn lines(
    tx: &mut Tx,
    rows: &[BucketLine],
) -> Result<(HashMap<String, VersionRow>, Vec<BuildLine>)> {
    let named = rows
        .iter()
        .flat_map(|row| [row.latest_version_id.as_ref(), row.newest_version_id.as_ref()])
        .flatten();
    let ids: BTreeSet<&String> = named.collect();
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    let builds = tx.build_lines(&ids).await?;
    let versions = tx.versions_by_id(&ids).await?;
    Ok((versions.into_iter().map(|row| (row.id.clone(), row)).collect(), builds))
}

pub(super) fn version_name(row: &VersionRow, builds: &[BuildLine], now: Timestamp) -> VersionName {
    let builds: Vec<BuildRow> = builds
        .iter()
        .filter(|build| build.version_id == row.id)
        .map(|build| BuildRow { status: build.status, ..BuildRow::default() })
        .collect();
    VersionName {
        bucket: row.bucket_name.clone(),
        name: row.name(),
        fingerprint: row.fingerprint.clone(),
        status: version_status(row, &builds, now),
    }
}

fn relatives(lines: &[RelativesLine], of: &str) -> Relatives {
    let mut relatives = Relatives::default();
    for line in lines.iter().filter(|line| line.of == of) {
        relatives.count += line.count;
        if line.status == AncestryStatus::OutOfDate {
            relatives.out_of_date += line.count;
        }
    }
    relatives
}
