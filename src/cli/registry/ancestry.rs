//! `ingot registry ancestry`: what was built from what, as a tree.

use clap::Args;
use ingot_sdk::Result;
use serde::Serialize;

use super::output::{json, line, plain};
use super::{Form, Session, told};
use crate::registry::api::{
    AncestryQuery, AncestryStatus, BucketAncestry, BucketAncestryType, Page,
};

#[derive(Debug, Args)]
pub(super) struct AncestryArgs {
    /// The bucket; all that were built from nothing unless it is given
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
}

pub(super) async fn run(args: &AncestryArgs, session: &Session) -> Result<()> {
    let mut roots = Vec::new();
    match &args.bucket {
        Some(bucket) => roots.push((bucket.clone(), parents(session, bucket).await?)),
        None => {
            for bucket in session.buckets().await? {
                if parents(session, &bucket.name).await?.is_empty() {
                    roots.push((bucket.name, Vec::new()));
                }
            }
        }
    }
    let mut all = Vec::new();
    for (bucket, parents) in roots {
        let found = session.registry().get_bucket(&bucket).await.map_err(told)?;
        let latest = found.latest_version.unwrap_or_default();
        let mut tree = Tree {
            bucket_name: bucket,
            version_name: latest.name,
            version_fingerprint: latest.fingerprint,
            from: None,
            children: Vec::new(),
        };
        grow(session, &mut tree).await?;
        all.push(Ancestry { parents, tree });
    }
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

async fn relations(
    session: &Session,
    bucket: &str,
    kind: BucketAncestryType,
) -> Result<Vec<BucketAncestry>> {
    let query = AncestryQuery { kind, ..AncestryQuery::default() };
    let mut all = Vec::new();
    let mut page = Page::default();
    loop {
        let answer = session.registry().list_ancestry(bucket, &query, &page).await;
        let answer = answer.map_err(told)?;
        all.extend(answer.relations);
        page.next = answer.pagination.unwrap_or_default().next_page_token;
        if page.next.is_empty() {
            return Ok(all);
        }
    }
}

async fn parents(session: &Session, bucket: &str) -> Result<Vec<From>> {
    let relations = relations(session, bucket, BucketAncestryType::Parents).await?;
    Ok(relations.iter().map(From::of).collect())
}

/// Adds what was built from a bucket, and from that, and so on. A bucket that was built from
/// itself, however far round, is shown once on each way down.
async fn grow(session: &Session, root: &mut Tree) -> Result<()> {
    // Depth first without recursion, which async functions would have to box: the ways down to the
    // trees whose children are to be found.
    let mut open: Vec<Vec<usize>> = vec![Vec::new()];
    while let Some(way) = open.pop() {
        let mut above = vec![root.bucket_name.clone()];
        let mut tree = &mut *root;
        for &step in &way {
            tree = &mut tree.children[step];
            above.push(tree.bucket_name.clone());
        }
        let found = relations(session, &tree.bucket_name, BucketAncestryType::Children).await?;
        for relation in found {
            let child = relation.child.clone().unwrap_or_default();
            let again = above.contains(&child.bucket_name);
            tree.children.push(Tree {
                bucket_name: child.bucket_name,
                version_name: child.version_name,
                version_fingerprint: child.version_fingerprint,
                from: Some(From::of(&relation)),
                children: Vec::new(),
            });
            if !again {
                let place = tree.children.len() - 1;
                open.push(way.iter().copied().chain([place]).collect());
            }
        }
    }
    Ok(())
}

fn show(Ancestry { parents, tree }: &Ancestry) {
    let version = match tree.version_name.as_str() {
        "" => "no complete version",
        name => name,
    };
    line(plain(format!("{} {version}", tree.bucket_name)));
    for parent in parents {
        line(plain(format!("↑ {}", parent.shown())));
    }
    show_children(tree, "");
}

fn show_children(tree: &Tree, indent: &str) {
    let last = tree.children.len().saturating_sub(1);
    for (index, child) in tree.children.iter().enumerate() {
        let (branch, below) = match index == last {
            true => ("└── ", "    "),
            false => ("├── ", "│   "),
        };
        let from = child.from.as_ref().map(From::shown).unwrap_or_default();
        let text = format!("{} {} {from}", child.bucket_name, child.version_name);
        line(format!("{indent}{branch}{}", plain(text)));
        show_children(child, &format!("{indent}{below}"));
    }
}
