//! The family of a bucket: what its newest complete version was built from, what was built from the
//! bucket, and so on both ways. The API has one generation, this has all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Session;
use super::overview::{VersionName, lines, version_name};
use super::view::relation_status;
use crate::api::*;
use crate::store::{BucketLine, RelationRow, Role, Tx, VersionRow};

/// How many buckets a family may have; more would not be a picture.
const MOST: usize = 60;

/// A bucket in a family.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub bucket: String,
    /// What the channel `latest` points at.
    pub latest: Option<VersionName>,
    /// How many generations it is below the bucket asked for; negative for ancestors.
    pub generation: i32,
}

/// A relation in a family: the child's newest complete version was built from the parent.
#[derive(Debug, Clone)]
pub struct AncestryEdge {
    /// The parent, as a place in [`Lineage::members`].
    pub parent: usize,
    /// The child, as a place in [`Lineage::members`].
    pub child: usize,
    /// The version that was built from.
    pub parent_version: VersionName,
    /// The version that was built.
    pub child_version: VersionName,
    /// The channel that the parent's version was found by, if one was and the caller may see it.
    pub channel: Option<String>,
    /// Whether the child is out of date.
    pub status: AncestryStatus,
}

/// A family.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// The buckets; the one that was asked for is the first.
    pub members: Vec<Member>,
    /// How they are related.
    pub kin: Vec<AncestryEdge>,
    /// Whether there are more than are listed here: there is no room for them.
    pub more: bool,
    /// Whether there are generations beyond those that were asked for.
    pub deeper: bool,
}

/// Which part of a family is wanted.
#[derive(Debug, Clone, Copy)]
pub struct LineageQuery {
    /// How many generations up and down; 0 for all.
    pub depth: u32,
    /// Whether ancestors are wanted.
    pub parents: bool,
    /// Whether descendants are.
    pub children: bool,
    /// Whether only relations are wanted where the child is out of date.
    pub out_of_date: bool,
}

/// What has been found so far: buckets' ids and their generations, and relations.
#[derive(Debug, Default)]
struct Search {
    generations: BTreeMap<String, i32>,
    order: Vec<String>,
    relations: Vec<(RelationRow, String)>,
    more: bool,
    deeper: bool,
}

impl Search {
    /// Takes a bucket in; whether it is new and there is room for it.
    fn visit(&mut self, bucket: &str, generation: i32) -> bool {
        if self.generations.contains_key(bucket) {
            return false;
        }
        if self.order.len() == MOST {
            self.more = true;
            return false;
        }
        self.generations.insert(bucket.to_owned(), generation);
        self.order.push(bucket.to_owned());
        true
    }

    /// Forgets relations that are not out of date, and buckets that are in no other.
    fn keep_out_of_date(&mut self, start: &str) {
        self.relations
            .retain(|(relation, _)| relation_status(relation) == AncestryStatus::OutOfDate);
        let kept: BTreeSet<&str> = self
            .relations
            .iter()
            .flat_map(|(relation, child)| [relation.parent_bucket_id.as_str(), child.as_str()])
            .chain([start])
            .collect();
        self.order.retain(|bucket| kept.contains(bucket.as_str()));
    }
}

impl Session {
    /// The family of a bucket.
    ///
    /// # Errors
    /// The caller may not read, there is no such bucket, or the database failed.
    pub async fn lineage(&self, bucket: &str, query: LineageQuery) -> Result<Lineage> {
        self.need(Role::Viewer)?;
        let _turn = self.store.search_turn().await?;
        let tx = &mut self.store.read().await?;
        let start = self.bucket_id(tx, bucket).await?;
        let mut search = Search::default();
        search.visit(&start, 0);
        let (depth, all) = (i32::try_from(query.depth).unwrap_or(i32::MAX), self.sees_all());
        if query.parents {
            ancestors(tx, &mut search, &start, depth, all).await?;
        }
        if query.children {
            descendants(tx, &mut search, &start, depth, all).await?;
        }
        if query.out_of_date {
            search.keep_out_of_date(&start);
        }
        self.describe(tx, search).await
    }

    async fn describe(&self, tx: &mut Tx, search: Search) -> Result<Lineage> {
        let buckets = tx.bucket_lines(&search.order).await?;
        let buckets: HashMap<&str, &BucketLine> =
            buckets.iter().map(|line| (line.id.as_str(), line)).collect();
        let owned: Vec<BucketLine> = buckets.values().map(|line| (*line).clone()).collect();
        let (latest, builds) = lines(tx, &owned).await?;
        let named: BTreeSet<&String> = search
            .relations
            .iter()
            .flat_map(|(relation, _)| [&relation.parent_id, &relation.child_id])
            .collect();
        let named: Vec<String> = named.into_iter().cloned().collect();
        let versions: HashMap<String, VersionRow> =
            tx.versions_by_id(&named).await?.into_iter().map(|row| (row.id.clone(), row)).collect();
        let members = search.order.iter().filter_map(|id| {
            let line = buckets.get(id.as_str())?;
            let version = line.latest_version_id.as_ref().and_then(|id| latest.get(id));
            Some(Member {
                bucket: line.name.clone(),
                latest: version.map(|row| version_name(row, &builds, tx.now)),
                generation: search.generations[id],
            })
        });
        let members: Vec<Member> = members.collect();
        let place = |id: &str| search.order.iter().position(|other| other == id);
        let mut kin = Vec::new();
        for (relation, child_bucket) in &search.relations {
            let ends = place(&relation.parent_bucket_id).zip(place(child_bucket));
            let rows = versions.get(&relation.parent_id).zip(versions.get(&relation.child_id));
            let (Some((parent, child)), Some((from, to))) = (ends, rows) else { continue };
            kin.push(AncestryEdge {
                parent,
                child,
                parent_version: version_name(from, &[], tx.now),
                child_version: version_name(to, &[], tx.now),
                channel: relation.channel_name.clone(),
                status: relation_status(relation),
            });
        }
        Ok(Lineage { members, kin, more: search.more, deeper: search.deeper })
    }
}

/// Puts what is out of date before the rest: where there is no room for all, it is what counts.
fn out_of_date_first(relations: &mut [RelationRow]) {
    relations.sort_by_key(|relation| relation_status(relation) != AncestryStatus::OutOfDate);
}

/// Goes up: what the newest complete versions of the last generation were built from.
async fn ancestors(
    tx: &mut Tx,
    search: &mut Search,
    start: &str,
    depth: i32,
    all: bool,
) -> Result<()> {
    let mut buckets = vec![start.to_owned()];
    let mut generation = 0;
    while !buckets.is_empty() {
        generation -= 1;
        let rows = tx.bucket_lines(&buckets).await?;
        let of: HashMap<String, String> =
            rows.into_iter().filter_map(|row| Some((row.latest_version_id?, row.id))).collect();
        let ids: Vec<String> = of.keys().cloned().collect();
        let mut relations = tx.parents_of(&ids, all).await?;
        out_of_date_first(&mut relations);
        if depth != 0 && generation < -depth {
            search.deeper |= !relations.is_empty();
            return Ok(());
        }
        buckets = Vec::new();
        for relation in relations {
            let child = of[&relation.child_id].clone();
            if search.visit(&relation.parent_bucket_id, generation) {
                buckets.push(relation.parent_bucket_id.clone());
            }
            search.relations.push((relation, child));
        }
    }
    Ok(())
}

/// Goes down: what was built from the last generation.
async fn descendants(
    tx: &mut Tx,
    search: &mut Search,
    start: &str,
    depth: i32,
    all: bool,
) -> Result<()> {
    let mut buckets = vec![start.to_owned()];
    let mut generation = 0;
    while !buckets.is_empty() {
        if search.order.len() == MOST {
            // There is no room for anybody else's children.
            search.more = true;
            return Ok(());
        }
        generation += 1;
        let mut relations = tx.children_of(&buckets, all).await?;
        out_of_date_first(&mut relations);
        if depth != 0 && generation > depth {
            search.deeper |= !relations.is_empty();
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        let ids = relations.iter().map(|relation| &relation.child_id);
        // A family that is too large is not read whole.
        let ids: Vec<String> = ids.filter(|id| seen.insert(*id)).take(MOST * 4).cloned().collect();
        let rows = tx.versions_by_id(&ids).await?;
        let of: HashMap<String, String> =
            rows.into_iter().map(|row| (row.id, row.bucket_id)).collect();
        buckets = Vec::new();
        for relation in relations {
            let Some(child) = of.get(&relation.child_id).cloned() else {
                search.more = true;
                continue;
            };
            if search.visit(&child, generation) {
                buckets.push(child.clone());
            }
            search.relations.push((relation, child));
        }
    }
    Ok(())
}
