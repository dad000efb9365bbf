//! What one version was built from and what was built from it, with how far each is, and the
//! versions around it: what its page shows.

use std::collections::{BTreeSet, HashMap};

use super::overview::{VersionName, version_name};
use super::view::relation_status;
use super::{Session, rules};
use crate::api::*;
use crate::store::{Role, VersionRow};

/// How many of those that were built from a version are listed.
const MOST: u32 = 100;

/// A version that another was built from, or that was built from it.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The version.
    pub version: VersionName,
    /// The channel that the parent was found by, if one was and the caller may see it.
    pub channel: Option<String>,
    /// What that channel points at now.
    pub channel_version: Option<VersionName>,
    /// Whether the child is out of date.
    pub status: AncestryStatus,
}

/// What is around a version.
#[derive(Debug, Clone, Default)]
pub struct Relations {
    /// What it was built from.
    pub parents: Vec<Relation>,
    /// What was built from it, also what is not the newest of its bucket any more.
    pub children: Vec<Relation>,
    /// Whether there are more children than are listed.
    pub more: bool,
    /// The complete version of its bucket before it.
    pub previous: Option<String>,
    /// The complete version of its bucket after it.
    pub next: Option<String>,
}

impl Session {
    /// What is around a version.
    ///
    /// # Errors
    /// The caller may not read, there is no such version, or the database failed.
    pub async fn relations_of(&self, bucket: &str, fingerprint: &str) -> Result<Relations> {
        self.need(Role::Viewer)?;
        rules::fingerprint(fingerprint)?;
        let _turn = self.store.search_turn().await?;
        let tx = &mut self.store.read().await?;
        let row = self.find_version(tx, bucket, fingerprint).await?;
        let parents = tx.parents_of(std::slice::from_ref(&row.id), self.sees_all()).await?;
        let mut children = tx.built_from(&row.id, self.sees_all(), MOST + 1).await?;
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let more = children.len() > most;
        children.truncate(most);

        let ids: BTreeSet<&String> = parents
            .iter()
            .map(|it| &it.parent_id)
            .chain(children.iter().map(|it| &it.child_id))
            .chain(parents.iter().chain(&children).filter_map(|it| it.channel_version_id.as_ref()))
            .collect();
        let ids: Vec<String> = ids.into_iter().cloned().collect();
        let builds = tx.build_lines(&ids).await?;
        let rows: HashMap<String, VersionRow> =
            tx.versions_by_id(&ids).await?.into_iter().map(|row| (row.id.clone(), row)).collect();
        let name = |id: &String| rows.get(id).map(|row| version_name(row, &builds, tx.now));
        let relation = |id: &String, it: &crate::store::RelationRow| {
            Some(Relation {
                version: name(id)?,
                channel: it.channel_name.clone(),
                channel_version: it.channel_version_id.as_ref().and_then(name),
                status: relation_status(it),
            })
        };
        let mut relations = Relations {
            parents: parents.iter().filter_map(|it| relation(&it.parent_id, it)).collect(),
            children: children.iter().filter_map(|it| relation(&it.child_id, it)).collect(),
            more,
            ..Relations::default()
        };
        relations.children.sort_by(|a, b| {
            (&a.version.bucket, &a.version.name).cmp(&(&b.version.bucket, &b.version.name))
        });
        if let Some(number) = row.number {
            (relations.previous, relations.next) = tx.neighbours(&row.bucket_id, number).await?;
        }
        Ok(relations)
    }
}
