//! `ingot registry ancestry`: what was built from what, as a tree.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use ingot_sdk::{Error, Result};
use serde::Serialize;

use super::form::Form;
use super::output::{json, line, plain, shown_version};
use super::session::Session;
use ingot_registry::api::{
    AncestryStatus, Bucket, BucketAncestry, BucketAncestryType, Child, Version, VersionStatus,
};
use ingot_registry::{all_relations, version_children};

#[derive(Debug, Args)]
pub(super) struct AncestryArgs {
    /// The bucket; all buckets without parents unless it is given
    bucket: Option<String>,
    #[command(flatten)]
    form: Form,
}

/// A bucket in the tree.
#[derive(Debug, Serialize)]
struct Tree {
    bucket_name: String,
    /// The version that was built from the parent; the latest for the root.
    version_name: String,
    version_fingerprint: String,
    /// How it was built from what stands above it; none for the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<From>,
    /// Whether what was built from it is shown where the bucket stands first, and not here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shown_above: bool,
    children: Vec<Tree>,
}

/// How a version is related to the one that it was built from.
#[derive(Debug, Serialize)]
struct From {
    bucket_name: String,
    version_name: String,
    version_fingerprint: String,
    channel_name: String,
    /// What the channel points at now.
    channel_version_name: String,
    status: AncestryStatus,
}

impl From {
    fn of(relation: &BucketAncestry) -> From {
        let parent = relation.parent.clone().unwrap_or_default();
        From {
            bucket_name: parent.bucket_name,
            version_name: parent.version_name,
            version_fingerprint: parent.version_fingerprint,
            channel_name: parent.channel_name,
            channel_version_name: parent.channel_version.unwrap_or_default().name,
            status: relation.status,
        }
    }

    /// `from v1, channel production — OUT OF DATE: the channel is at v2`
    fn shown(&self) -> String {
        let mut text = format!("from {} {}", self.bucket_name, self.version_name);
        if !self.channel_name.is_empty() {
            text.push_str(&format!(" (channel {})", self.channel_name));
        }
        if self.status == AncestryStatus::OutOfDate {
            text.push_str(" OUT OF DATE");
            if !self.channel_version_name.is_empty() {
                text.push_str(&format!(": the channel is at {}", self.channel_version_name));
            }
        }
        text
    }
}

/// What is shown of one bucket.
#[derive(Debug, Serialize)]
struct Ancestry {
    parents: Vec<From>,
    #[serde(flatten)]
    tree: Tree,
    /// Revoked versions of the bucket that something was built from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revoked: Vec<Revoked>,
    /// Whether some version of the bucket is revoked.
    #[serde(skip)]
    has_revoked: bool,
}

/// A revoked version, and what was built from it.
#[derive(Debug, Serialize)]
struct Revoked {
    version_name: String,
    version_fingerprint: String,
    reason: String,
    built_from_it: Vec<Built>,
}

/// A version that was built from a revoked one.
#[derive(Debug, Serialize)]
struct Built {
    bucket_name: String,
    version_name: String,
    version_fingerprint: String,
    revoked: bool,
}

/// How many revoked versions are looked at, the newest first.
const MOST_REVOKED: usize = 20;

/// The revoked versions of a bucket that something was built from.
async fn revoked(session: &Session, bucket: &str, versions: &[Version]) -> Result<Vec<Revoked>> {
    let mut all = Vec::new();
    let of = versions.iter().filter(|version| version.status == VersionStatus::Revoked);
    for version in of.take(MOST_REVOKED) {
        let look = |child: Child| async move {
            let (bucket, fingerprint) = (&child.bucket_name, &child.version_fingerprint);
            let now = session.registry().get_version(bucket, fingerprint).await;
            Built {
                revoked: now.is_ok_and(|now| now.status == VersionStatus::Revoked),
                bucket_name: child.bucket_name,
                version_name: child.version_name,
                version_fingerprint: child.version_fingerprint,
            }
        };
        let children = version_children(session.registry(), bucket, &version.fingerprint).await?;
        let looked_at = stream::iter(children).map(look).buffered(AT_ONCE);
        let built_from_it: Vec<Built> = looked_at.collect().await;
        if !built_from_it.is_empty() {
            all.push(Revoked {
                version_name: version.name.clone(),
                version_fingerprint: version.fingerprint.clone(),
                reason: version.revocation_message.clone(),
                built_from_it,
            });
        }
    }
    Ok(all)
}

pub(super) async fn run(args: &AncestryArgs, session: &Session) -> Result<()> {
    let all = match &args.bucket {
        Some(bucket) => {
            let root = session.registry().get_bucket(bucket).await?;
            let parents = relations(session, bucket, BucketAncestryType::Parents).await?;
            let mut forest = Forest::from(session, vec![bucket.clone()]).await?;
            let parents = parents.iter().map(From::of).collect();
            let versions = session.versions(bucket).await?;
            let revoked = revoked(session, bucket, &versions).await?;
            let has_revoked =
                versions.iter().any(|version| version.status == VersionStatus::Revoked);
            vec![Ancestry { parents, tree: forest.tree(&root), revoked, has_revoked }]
        }
        None => {
            let buckets = session.buckets().await?;
            let names = buckets.iter().map(|bucket| bucket.name.clone()).collect();
            let mut forest = Forest::from(session, names).await?;
            let built = forest.built();
            let (children, roots): (Vec<_>, Vec<_>) =
                buckets.iter().partition(|bucket| built.contains(&bucket.name));
            let mut all = Vec::new();
            // Those that were built from each other stand below no root.
            for bucket in roots.into_iter().chain(children) {
                if !forest.shown.contains(&bucket.name) {
                    let tree = forest.tree(bucket);
                    let (parents, revoked) = (Vec::new(), Vec::new());
                    all.push(Ancestry { parents, tree, revoked, has_revoked: false });
                }
            }
            all
        }
    };
    if args.form.json {
        return match args.bucket {
            Some(_) => json(&all.first()),
            None => json(&all),
        };
    }
    for ancestry in &all {
        show(ancestry);
    }
    Ok(())
}

/// How many requests are made at once.
const AT_ONCE: usize = 8;

/// What was built from what: asked for once for each bucket, and shown once.
struct Forest {
    children: BTreeMap<String, Vec<BucketAncestry>>,
    shown: BTreeSet<String>,
}

impl Forest {
    /// All that was built from some buckets, and from that, and so on.
    async fn from(session: &Session, mut names: Vec<String>) -> Result<Forest> {
        let mut children = BTreeMap::new();
        while !names.is_empty() {
            let ask = |name: String| async move {
                let found = relations(session, &name, BucketAncestryType::Children).await?;
                Ok::<_, Error>((name, found))
            };
            let asked = stream::iter(names).map(ask).buffered(AT_ONCE);
            let found: Vec<(String, Vec<BucketAncestry>)> = asked.try_collect().await?;
            children.extend(found.iter().cloned());
            let below = found.iter().flat_map(|(_, relations)| relations).filter_map(child_name);
            let new: BTreeSet<String> = below.filter(|name| !children.contains_key(name)).collect();
            names = new.into_iter().collect();
        }
        Ok(Forest { children, shown: BTreeSet::new() })
    }

    /// The buckets that were built from another.
    fn built(&self) -> BTreeSet<String> {
        self.children.values().flatten().filter_map(child_name).collect()
    }

    /// A bucket as a root.
    fn tree(&mut self, bucket: &Bucket) -> Tree {
        let latest = bucket.latest_version.clone().unwrap_or_default();
        self.grow(Tree {
            bucket_name: bucket.name.clone(),
            version_name: latest.name,
            version_fingerprint: latest.fingerprint,
            from: None,
            shown_above: false,
            children: Vec::new(),
        })
    }

    /// Adds what was built from a bucket, and from that, and so on, unless that was shown already.
    fn grow(&mut self, mut tree: Tree) -> Tree {
        let found = self.children.get(&tree.bucket_name).cloned().unwrap_or_default();
        if !self.shown.insert(tree.bucket_name.clone()) {
            tree.shown_above = !found.is_empty();
            return tree;
        }
        for relation in found {
            let child = relation.child.clone().unwrap_or_default();
            tree.children.push(self.grow(Tree {
                bucket_name: child.bucket_name,
                version_name: child.version_name,
                version_fingerprint: child.version_fingerprint,
                from: Some(From::of(&relation)),
                shown_above: false,
                children: Vec::new(),
            }));
        }
        tree
    }
}

/// The bucket that was built, if it is still there.
fn child_name(relation: &BucketAncestry) -> Option<String> {
    Some(relation.child.as_ref()?.bucket_name.clone()).filter(|name| !name.is_empty())
}

async fn relations(
    session: &Session,
    bucket: &str,
    kind: BucketAncestryType,
) -> Result<Vec<BucketAncestry>> {
    all_relations(session.registry(), bucket, kind, "").await.map_err(Error::from)
}

fn show(Ancestry { parents, tree, revoked, has_revoked }: &Ancestry) {
    let version = match tree.version_name.as_str() {
        "" if *has_revoked => "no valid version",
        "" => "no complete version",
        name => name,
    };
    line(plain(format!("{} {version}", tree.bucket_name)));
    for parent in parents {
        line(plain(format!("↑ {}", parent.shown())));
    }
    show_children(tree, "");
    for Revoked { version_name, reason, built_from_it, .. } in revoked {
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        line(plain(format!("{} {version_name} REVOKED{why}", tree.bucket_name)));
        let last = built_from_it.len().saturating_sub(1);
        for (index, built) in built_from_it.iter().enumerate() {
            let branch = if index == last { "└── " } else { "├── " };
            let status = if built.revoked { " REVOKED" } else { "" };
            let version = shown_version(&built.version_name, &built.version_fingerprint);
            line(plain(format!("{branch}{} {version}{status}", built.bucket_name)));
        }
    }
}

fn show_children(tree: &Tree, indent: &str) {
    let last = tree.children.len().saturating_sub(1);
    for (index, child) in tree.children.iter().enumerate() {
        let (branch, below) = match index == last {
            true => ("└── ", "    "),
            false => ("├── ", "│   "),
        };
        let from = child.from.as_ref().map(From::shown).unwrap_or_default();
        let mut text = format!("{} {} {from}", child.bucket_name, child.version_name);
        if child.shown_above {
            text.push_str(" (see above)");
        }
        line(format!("{indent}{branch}{}", plain(text)));
        show_children(child, &format!("{indent}{below}"));
    }
}
