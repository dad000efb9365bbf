//! Enforced blocks: what is to be run in each build of a bucket. They are changed by administrators.

use async_trait::async_trait;

use super::{Session, rules};
use crate::api::{limits, *};
use crate::client::EnforcedBlocks;
use crate::store::{EnforcedBlockRow, EnforcedLinkRow, EnforcedVersionRow, Role, Tx, transaction};

/// What an `update_mask` of an enforced block may name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Name,
    Labels,
}

/// An enforced block and what is linked to it, for lists.
#[derive(Debug, Clone)]
pub struct EnforcedSummary {
    /// The block.
    pub block: EnforcedBlock,
    /// Its links, in the order in which they were created.
    pub links: Vec<EnforcedLinkRow>,
}

fn see_version(row: EnforcedVersionRow) -> EnforcedBlockVersion {
    EnforcedBlockVersion {
        id: row.id,
        enforced_block_id: row.block_id,
        version: row.version,
        block_content: row.content,
        template_type: row.template_type,
        additional_description: row.description,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn detail(name: &str, row: EnforcedVersionRow) -> EnforcedBlockDetail {
    EnforcedBlockDetail {
        id: row.block_id.clone(),
        name: name.to_owned(),
        version: Some(see_version(row)),
    }
}

impl Session {
    fn see_block(
        &self,
        row: EnforcedBlockRow,
        latest: Option<EnforcedVersionRow>,
    ) -> EnforcedBlock {
        EnforcedBlock {
            resource_name: format!(
                "packer/project/{}/enforced-block/{}",
                self.project_id(),
                row.name
            ),
            id: row.id,
            name: row.name,
            labels: row.labels,
            location: Some(self.project.location.clone()),
            latest_version: latest.map(see_version),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }

    async fn find_block(&self, tx: &mut Tx, id: &str) -> Result<EnforcedBlockRow> {
        let blocks = tx.enforced_blocks(self.project_id()).await?;
        let found = blocks.into_iter().find(|block| block.id == id);
        found.ok_or_else(|| {
            let id = rules::quoted(id);
            Error::not_found(format!("there is no enforced block with the id {id}"))
        })
    }

    /// A block and one of its versions.
    pub(super) async fn find_enforced_version(
        &self,
        tx: &mut Tx,
        id: &str,
        version: &str,
    ) -> Result<(EnforcedBlockRow, EnforcedVersionRow)> {
        let block = self.find_block(tx, id).await?;
        let versions = tx.enforced_versions(&block.id).await?;
        let found = versions.into_iter().find(|row| row.id == version).ok_or_else(|| {
            let (name, version) = (rules::quoted(&block.name), rules::quoted(version));
            Error::not_found(format!(
                "the enforced block {name} has no version with the id {version}"
            ))
        })?;
        Ok((block, found))
    }

    async fn block_in(&self, tx: &mut Tx, id: &str) -> Result<EnforcedBlock> {
        let block = self.find_block(tx, id).await?;
        let latest = tx.enforced_versions(&block.id).await?.into_iter().next();
        Ok(self.see_block(block, latest))
    }

    async fn add_version(
        &self,
        tx: &mut Tx,
        block: &EnforcedBlockRow,
        body: &CreateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion> {
        rules::enforced_content(&body.block_content)?;
        rules::description(&body.additional_description)?;
        let there = tx.enforced_versions(&block.id).await?;
        if there.len() >= limits::ENFORCED_VERSIONS {
            let most = limits::ENFORCED_VERSIONS;
            return Err(Error::precondition(format!(
                "an enforced block must not have more than {most} versions; remove old ones"
            )));
        }
        let taken = |version: &str| there.iter().any(|row| row.version == version);
        let version = match body.version.as_str() {
            "" => {
                let mut next = (1..).map(|number: usize| number.to_string());
                let next = next.by_ref().skip(there.len()).find(|next| !taken(next));
                next.unwrap_or_default()
            }
            version => version.to_owned(),
        };
        rules::enforced_version(&version)?;
        if taken(&version) {
            let (name, version) = (rules::quoted(&block.name), rules::quoted(&version));
            return Err(Error::new(
                Code::AlreadyExists,
                format!("the enforced block {name} has a version {version} already"),
            ));
        }
        let row = EnforcedVersionRow {
            block_id: block.id.clone(),
            version,
            template_type: match body.template_type {
                TemplateType::Unset => TemplateType::Hcl2,
                other => other,
            },
            content: body.block_content.clone(),
            description: body.additional_description.clone(),
            ..EnforcedVersionRow::default()
        };
        let id = tx.insert_enforced_version(&row).await?;
        let target = format!("{} {}", block.name, row.version);
        self.audit(tx, "create enforced block version", target).await?;
        let (_, row) = self.find_enforced_version(tx, &block.id, &id).await?;
        Ok(see_version(row))
    }

    async fn create_block_in(
        &self,
        tx: &mut Tx,
        body: &CreateEnforcedBlockBody,
    ) -> Result<EnforcedBlock> {
        rules::enforced_name(&body.name)?;
        rules::labels(&body.labels)?;
        let there = tx.enforced_blocks(self.project_id()).await?;
        if there.iter().any(|block| block.name == body.name) {
            let name = rules::quoted(&body.name);
            let message = format!("there is an enforced block {name} already");
            return Err(Error::new(Code::AlreadyExists, message));
        }
        if there.len() >= limits::ENFORCED_BLOCKS {
            let most = limits::ENFORCED_BLOCKS;
            return Err(Error::precondition(format!(
                "a project must not have more than {most} enforced blocks"
            )));
        }
        let id = tx.insert_enforced_block(self.project_id(), &body.name, &body.labels).await?;
        self.audit(tx, "create enforced block", body.name.clone()).await?;
        let block = self.find_block(tx, &id).await?;
        let version = CreateEnforcedBlockVersionBody {
            version: body.version.clone(),
            block_content: body.block_content.clone(),
            template_type: body.template_type,
            additional_description: body.additional_description.clone(),
        };
        self.add_version(tx, &block, &version).await?;
        self.block_in(tx, &id).await
    }

    async fn update_block_in(
        &self,
        tx: &mut Tx,
        id: &str,
        body: &UpdateEnforcedBlockBody,
    ) -> Result<EnforcedBlock> {
        let known = [("name", Field::Name), ("labels", Field::Labels)];
        let fields = rules::update_mask(&body.update_mask, "an enforced block", &known)?;
        let block = self.find_block(tx, id).await?;
        let (mut name, mut labels) = (block.name.clone(), block.labels);
        for field in fields {
            match field {
                Field::Name => {
                    rules::enforced_name(&body.name)?;
                    name.clone_from(&body.name);
                }
                Field::Labels => {
                    rules::labels(&body.labels)?;
                    labels.clone_from(&body.labels);
                }
            }
        }
        let others = tx.enforced_blocks(self.project_id()).await?;
        if others.iter().any(|other| other.name == name && other.id != id) {
            let name = rules::quoted(&name);
            let message = format!("there is an enforced block {name} already");
            return Err(Error::new(Code::AlreadyExists, message));
        }
        tx.update_enforced_block(id, &name, &labels).await?;
        let target = if name == block.name { name } else { format!("{} to {name}", block.name) };
        self.audit(tx, "update enforced block", target).await?;
        self.block_in(tx, id).await
    }

    async fn delete_block_in(&self, tx: &mut Tx, id: &str) -> Result<()> {
        let block = self.find_block(tx, id).await?;
        unlinked(&tx.enforced_links(id).await?, "the enforced block")?;
        tx.delete_enforced_block(id).await?;
        self.audit(tx, "delete enforced block", block.name).await
    }

    async fn delete_enforced_version_in(&self, tx: &mut Tx, id: &str, version: &str) -> Result<()> {
        let (block, row) = self.find_enforced_version(tx, id, version).await?;
        let mut links = tx.enforced_links(id).await?;
        links.retain(|link| link.version_id == version);
        unlinked(&links, "the version")?;
        if tx.enforced_versions(id).await?.len() == 1 {
            return Err(Error::precondition(
                "the only version of an enforced block cannot be removed; remove the block",
            ));
        }
        tx.delete_enforced_version(version).await?;
        let target = format!("{} {}", block.name, row.version);
        self.audit(tx, "delete enforced block version", target).await
    }

    /// The enforced blocks of the project and what they are linked to, by name; their versions without
    /// contents.
    ///
    /// # Errors
    /// The caller may not read, or the database failed.
    pub async fn enforced_summaries(&self) -> Result<Vec<EnforcedSummary>> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        let tx = &mut self.store.read().await?;
        let mut latest = tx.newest_enforced_versions(self.project_id()).await?;
        let links = tx.enforced_links_of_project(self.project_id()).await?;
        let blocks = tx.enforced_blocks(self.project_id()).await?.into_iter();
        let see = |row: EnforcedBlockRow| {
            let newest = latest.iter().position(|version| version.block_id == row.id);
            let newest = newest.map(|at| latest.swap_remove(at));
            let links = links.iter().filter(|link| link.block_id == row.id).cloned().collect();
            EnforcedSummary { block: self.see_block(row, newest), links }
        };
        Ok(blocks.map(see).collect())
    }

    /// An enforced block by its name with all of its versions, newest first, and links.
    ///
    /// # Errors
    /// The caller may not read, there is none, or the database failed.
    pub async fn enforced_block_by_name(
        &self,
        name: &str,
    ) -> Result<(EnforcedSummary, Vec<EnforcedBlockVersion>)> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        let tx = &mut self.store.read().await?;
        let blocks = tx.enforced_blocks(self.project_id()).await?;
        let block = blocks.into_iter().find(|block| block.name == name).ok_or_else(|| {
            Error::not_found(format!("there is no enforced block {}", rules::quoted(name)))
        })?;
        let links = tx.enforced_links(&block.id).await?;
        let versions = tx.enforced_versions(&block.id).await?;
        let summary = EnforcedSummary { block: self.see_block(block, None), links };
        Ok((summary, versions.into_iter().map(see_version).collect()))
    }

    /// The enforced blocks that a bucket is linked to, in the order in which they run.
    ///
    /// # Errors
    /// The caller may not read, there is no such bucket, or the database failed.
    pub async fn enforced_links_of(&self, bucket: &str) -> Result<Vec<EnforcedLinkRow>> {
        self.need(Role::Viewer)?;
        let tx = &mut self.store.read().await?;
        let id = self.bucket_id(tx, bucket).await?;
        tx.enforced_links_of_bucket(&id).await
    }
}

/// Checks that nothing is linked.
fn unlinked(links: &[EnforcedLinkRow], what: &str) -> Result<()> {
    let Some(first) = links.first() else { return Ok(()) };
    let name = rules::quoted(&first.bucket_name);
    let others = match links.len() {
        1 => String::new(),
        count => format!(" and {} others", count - 1),
    };
    Err(Error::precondition(format!(
        "{what} cannot be removed: it is linked to the bucket {name}{others}; unlink it first"
    )))
}

#[async_trait]
impl EnforcedBlocks for Session {
    async fn list_enforced_blocks(&self) -> Result<Vec<EnforcedBlock>> {
        Ok(self.enforced_summaries().await?.into_iter().map(|it| it.block).collect())
    }

    async fn create_enforced_block(&self, body: &CreateEnforcedBlockBody) -> Result<EnforcedBlock> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| self.create_block_in(tx, body))
    }

    async fn get_enforced_block(&self, id: &str) -> Result<EnforcedBlock> {
        self.need(Role::Viewer)?;
        self.block_in(&mut self.store.read().await?, id).await
    }

    async fn update_enforced_block(
        &self,
        id: &str,
        body: &UpdateEnforcedBlockBody,
    ) -> Result<EnforcedBlock> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| self.update_block_in(tx, id, body))
    }

    async fn delete_enforced_block(&self, id: &str) -> Result<()> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| self.delete_block_in(tx, id))
    }

    async fn enforced_block_versions(&self, id: &str) -> Result<EnforcedBlockDetails> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        let tx = &mut self.store.read().await?;
        let block = self.find_block(tx, id).await?;
        let versions = tx.enforced_versions(&block.id).await?.into_iter();
        let all = versions.map(|row| detail(&block.name, row)).collect();
        Ok(EnforcedBlockDetails { enforced_block_detail: all })
    }

    async fn create_enforced_block_version(
        &self,
        id: &str,
        body: &CreateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            let block = self.find_block(tx, id).await?;
            self.add_version(tx, &block, body).await
        })
    }

    async fn update_enforced_block_version(
        &self,
        id: &str,
        version: &str,
        body: &UpdateEnforcedBlockVersionBody,
    ) -> Result<EnforcedBlockVersion> {
        self.need(Role::Admin)?;
        let known = [("additional_description", ()), ("additionalDescription", ())];
        rules::update_mask(&body.update_mask, "a version of an enforced block", &known)?;
        rules::description(&body.additional_description)?;
        transaction!(self.store, |tx| async {
            let (block, row) = self.find_enforced_version(tx, id, version).await?;
            tx.describe_enforced_version(version, &body.additional_description).await?;
            let target = format!("{} {}", block.name, row.version);
            self.audit(tx, "update enforced block version", target).await?;
            let (_, row) = self.find_enforced_version(tx, id, version).await?;
            Ok(see_version(row))
        })
    }

    async fn delete_enforced_block_version(&self, id: &str, version: &str) -> Result<()> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| self.delete_enforced_version_in(tx, id, version))
    }

    async fn linked_buckets(&self, id: &str, version: &str) -> Result<LinkedBucketsResponse> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        let tx = &mut self.store.read().await?;
        self.find_enforced_version(tx, id, version).await?;
        let mut links = tx.enforced_links(id).await?;
        links.retain(|link| link.version_id == version);
        let lines: Vec<String> = links.iter().map(|link| link.bucket_id.clone()).collect();
        let lines = tx.bucket_lines(&lines).await?;
        let see = |link: EnforcedLinkRow| {
            let line = lines.iter().find(|line| line.id == link.bucket_id);
            EnforcedBlockLinkedBucket {
                id: link.id,
                // Without its latest version, which may be large.
                bucket: line.map(|line| Bucket {
                    id: line.id.clone(),
                    name: line.name.clone(),
                    location: Some(self.project.location.clone()),
                    description: line.description.clone(),
                    version_count: line.version_count.to_string(),
                    updated_at: line.updated_at,
                    ..Bucket::default()
                }),
                enforced_block_id: link.block_id,
                enforced_block_version_id: link.version_id,
                created_at: link.created_at,
            }
        };
        let mut linked_buckets: Vec<_> = links.into_iter().map(see).collect();
        // By name: links that one import made have no order of their own.
        linked_buckets.sort_by(|one, other| {
            let name =
                |link: &EnforcedBlockLinkedBucket| link.bucket.as_ref().map(|it| it.name.clone());
            name(one).cmp(&name(other))
        });
        Ok(LinkedBucketsResponse { linked_buckets })
    }

    async fn link_buckets(
        &self,
        id: &str,
        version: &str,
        body: &LinkBucketsBody,
    ) -> Result<LinkBucketsResponse> {
        self.need(Role::Admin)?;
        let links = transaction!(self.store, |tx| self.link_in(tx, id, version, body))?;
        let see = |link: EnforcedLinkRow| EnforcedBlockBucket {
            id: link.id,
            bucket_id: link.bucket_id,
            enforced_block_id: link.block_id,
            enforced_block_version_id: link.version_id,
            created_at: link.created_at,
        };
        Ok(LinkBucketsResponse { enforced_block_buckets: links.into_iter().map(see).collect() })
    }

    async fn enforced_blocks(&self, bucket: &str) -> Result<EnforcedBlockDetails> {
        self.need(Role::Viewer)?;
        let _turn = self.store.list_turn().await?;
        let tx = &mut self.store.read().await?;
        let bucket = self.bucket_id(tx, bucket).await?;
        let links = tx.enforced_links_of_bucket(&bucket).await?;
        let versions = tx.enforced_versions_of_bucket(&bucket).await?.into_iter();
        let all = versions.map(|row| {
            let link = links.iter().find(|link| link.version_id == row.id);
            detail(link.map_or("", |link| &link.block_name), row)
        });
        Ok(EnforcedBlockDetails { enforced_block_detail: all.collect() })
    }
}
