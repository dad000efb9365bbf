//! What one version was built from and what was built from it, with how far each is, and the
//! versions around it: what its page shows.

use std::collections::{BTreeSet, HashMap};

use super::overview::{VersionName, version_name};
use super::view::relation_status;
use super::{Session, rules};
use crate::api::*;
use crate::store::{RelationRow, Role, VersionRow};

/// How many of those that were built from a version are listed at once.
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
    /// How many versions were built from it.
    pub child_count: i64,
    /// Which children to ask for next, as there are older ones than these.
    pub older_children: Option<String>,
    /// The complete version of its bucket before it.
    pub previous: Option<String>,
    /// The complete version of its bucket after it.
    pub next: Option<String>,
}

impl Session {
    /// What is around a version, with the newest of what was built from it, or with those that are older
    /// than `before`: a part of the list that [`Relations::older_children`] named.
    ///
    /// # Errors
    /// The caller may not read, there is no such version, or the database failed.
    pub async fn relations_of(
        &self,
        bucket: &str,
        fingerprint: &str,
        before: Option<&str>,
    ) -> Result<Relations> {
        self.need(Role::Viewer)?;
        rules::fingerprint(fingerprint)?;
        let _turn = self.store.search_turn().await?;
        let tx = &mut self.store.read().await?;
        let row = self.find_version(tx, bucket, fingerprint).await?;
        let parents = tx.parents_of(std::slice::from_ref(&row.id), self.sees_all()).await?;
        let child_count = tx.count_built_from(&row.id).await?;
        let mut children = tx.built_from(&row.id, before, self.sees_all(), MOST + 1).await?;
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let older_children = cut(&mut children, most);

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
        let relation = |id: &String, it: &RelationRow| {
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
            child_count,
            older_children,
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

/// Cuts relations to so many, so that no version has some on either side; where to go on.
fn cut(relations: &mut Vec<RelationRow>, most: usize) -> Option<String> {
    let next = relations.get(most)?.child_id.clone();
    relations.truncate(most);
    let whole = relations.iter().rposition(|it| it.child_id != next).map_or(most, |last| last + 1);
    relations.truncate(whole);
    relations.last().map(|it| it.child_id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_of_a_version_stay_together() {
        let relations = |children: &[&str]| -> Vec<RelationRow> {
            let relation = |child: &&str| RelationRow {
                parent_id: "p".into(),
                parent_bucket_id: "b".into(),
                child_id: (*child).to_owned(),
                channel_id: None,
                channel_name: None,
                channel_version_id: None,
            };
            children.iter().map(relation).collect()
        };
        for (children, left, next) in [
            (&["d", "c", "b", "a"][..], &["d", "c", "b"][..], Some("b")),
            (&["d", "c", "b", "b"], &["d", "c"], Some("c")),
            (&["d", "c", "b"], &["d", "c", "b"], None),
            (&["d", "d", "d", "d"], &["d", "d", "d"], Some("d")),
        ] {
            let mut found = relations(children);
            assert_eq!(cut(&mut found, 3).as_deref(), next, "{children:?}");
            assert_eq!(found, relations(left), "{children:?}");
        }
    }
}
