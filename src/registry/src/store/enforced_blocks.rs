//! Enforced blocks, their versions, and the buckets they are linked to.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::{Columns, Tx, labels_text, new_id};
use crate::api::{Labels, Result, TemplateType, Timestamp};
use crate::id::new_id_after;

/// An enforced block.
#[derive(Debug, Clone)]
pub struct EnforcedBlockRow {
    /// A ULID.
    pub id: String,
    /// Its name; unique in its project.
    pub name: String,
    /// Custom metadata.
    pub labels: Labels,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A version of an enforced block.
#[derive(Debug, Clone, Default)]
pub struct EnforcedVersionRow {
    /// A ULID.
    pub id: String,
    /// Its block.
    pub block_id: String,
    /// What it is called; unique in its block.
    pub version: String,
    /// The syntax of its content.
    pub template_type: TemplateType,
    /// What is enforced; empty where it was not asked for.
    pub content: String,
    /// Its description.
    pub description: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its description last changed.
    pub updated_at: Timestamp,
}

/// That a bucket is linked to a version of an enforced block.
#[derive(Debug, Clone)]
pub struct EnforcedLinkRow {
    /// A ULID.
    pub id: String,
    /// The block.
    pub block_id: String,
    /// The block's name.
    pub block_name: String,
    /// The version.
    pub version_id: String,
    /// What the version is called.
    pub version: String,
    /// The bucket.
    pub bucket_id: String,
    /// The bucket's name.
    pub bucket_name: String,
    /// When they were linked.
    pub created_at: Timestamp,
}

fn block(row: &AnyRow) -> Result<EnforcedBlockRow> {
    Ok(EnforcedBlockRow {
        id: row.text("id")?,
        name: row.text("name")?,
        labels: row.labels("labels")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn version(row: &AnyRow) -> Result<EnforcedVersionRow> {
    Ok(EnforcedVersionRow {
        id: row.text("id")?,
        block_id: row.text("block_id")?,
        version: row.text("version")?,
        template_type: row.value("template_type")?,
        content: row.text("content")?,
        description: row.text("description")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn link(row: &AnyRow) -> Result<EnforcedLinkRow> {
    Ok(EnforcedLinkRow {
        id: row.text("id")?,
        block_id: row.text("block_id")?,
        block_name: row.text("block_name")?,
        version_id: row.text("version_id")?,
        version: row.text("version")?,
        bucket_id: row.text("bucket_id")?,
        bucket_name: row.text("bucket_name")?,
        created_at: row.time("created_at")?,
    })
}

const LINK: &str = "SELECT l.id, l.block_id, e.name AS block_name, l.version_id, n.version, \
    l.bucket_id, b.name AS bucket_name, l.created_at FROM enforced_block_buckets l \
    JOIN enforced_blocks e ON e.id = l.block_id \
    JOIN enforced_block_versions n ON n.id = l.version_id JOIN buckets b ON b.id = l.bucket_id";

impl Tx {
    /// A project's enforced blocks, by name.
    pub async fn enforced_blocks(&mut self, project: &str) -> Result<Vec<EnforcedBlockRow>> {
        let sql = "SELECT * FROM enforced_blocks WHERE project_id = $1 ORDER BY name";
        sqlx::query(sql).bind(project).fetch_all(self.raw()).await?.iter().map(block).collect()
    }

    /// Adds an enforced block; its id.
    pub async fn insert_enforced_block(
        &mut self,
        project: &str,
        name: &str,
        labels: &Labels,
    ) -> Result<String> {
        let id = new_id();
        let sql = "INSERT INTO enforced_blocks (id, project_id, name, labels, created_at, \
                   updated_at) VALUES ($1, $2, $3, $4, $5, $5)";
        let query = sqlx::query(sql).bind(&id).bind(project).bind(name).bind(labels_text(labels));
        query.bind(self.now_micros()).execute(self.raw()).await?;
        Ok(id)
    }

    /// Changes an enforced block's name and labels.
    pub async fn update_enforced_block(
        &mut self,
        id: &str,
        name: &str,
        labels: &Labels,
    ) -> Result<()> {
        let sql =
            "UPDATE enforced_blocks SET name = $1, labels = $2, updated_at = $3 WHERE id = $4";
        let query = sqlx::query(sql).bind(name).bind(labels_text(labels));
        query.bind(self.now_micros()).bind(id).execute(self.raw()).await?;
        Ok(())
    }

    /// Removes an enforced block with its versions and links.
    pub async fn delete_enforced_block(&mut self, id: &str) -> Result<()> {
        let sql = "DELETE FROM enforced_blocks WHERE id = $1";
        sqlx::query(sql).bind(id).execute(self.raw()).await?;
        Ok(())
    }

    /// The versions of an enforced block with their contents, newest first.
    pub async fn enforced_versions(&mut self, block: &str) -> Result<Vec<EnforcedVersionRow>> {
        let sql = "SELECT * FROM enforced_block_versions WHERE block_id = $1 ORDER BY id DESC";
        sqlx::query(sql).bind(block).fetch_all(self.raw()).await?.iter().map(version).collect()
    }

    /// The newest version of each enforced block of a project, without its content.
    pub async fn newest_enforced_versions(
        &mut self,
        project: &str,
    ) -> Result<Vec<EnforcedVersionRow>> {
        let sql = "SELECT n.id, n.block_id, n.version, n.template_type, CAST('' AS TEXT) AS content, \
                   n.description, n.created_at, n.updated_at FROM enforced_block_versions n \
                   JOIN enforced_blocks e ON e.id = n.block_id WHERE e.project_id = $1 \
                   AND n.id = (SELECT max(m.id) FROM enforced_block_versions m \
                   WHERE m.block_id = e.id)";
        sqlx::query(sql).bind(project).fetch_all(self.raw()).await?.iter().map(version).collect()
    }

    /// Adds a version to an enforced block; its id.
    pub async fn insert_enforced_version(&mut self, row: &EnforcedVersionRow) -> Result<String> {
        // The newest is the last by its id, also if an import or two servers add them at once.
        let sql =
            "SELECT id FROM enforced_block_versions WHERE block_id = $1 ORDER BY id DESC LIMIT 1";
        let query = sqlx::query_scalar(sql).bind(&row.block_id);
        let last: Option<String> = query.fetch_optional(self.raw()).await?;
        let id = new_id_after(last.as_deref());
        sqlx::query(
            "INSERT INTO enforced_block_versions (id, block_id, version, template_type, content, \
             description, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        )
        .bind(&id)
        .bind(&row.block_id)
        .bind(&row.version)
        .bind(row.template_type.as_str())
        .bind(&row.content)
        .bind(&row.description)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        let sql = "UPDATE enforced_blocks SET updated_at = $1 WHERE id = $2";
        sqlx::query(sql).bind(self.now_micros()).bind(&row.block_id).execute(self.raw()).await?;
        Ok(id)
    }

    /// Changes the description of a version of an enforced block.
    pub async fn describe_enforced_version(&mut self, id: &str, description: &str) -> Result<()> {
        let sql =
            "UPDATE enforced_block_versions SET description = $1, updated_at = $2 WHERE id = $3";
        let query = sqlx::query(sql).bind(description).bind(self.now_micros()).bind(id);
        query.execute(self.raw()).await?;
        Ok(())
    }

    /// Removes a version of an enforced block with its links.
    pub async fn delete_enforced_version(&mut self, id: &str) -> Result<()> {
        let sql = "DELETE FROM enforced_block_versions WHERE id = $1";
        sqlx::query(sql).bind(id).execute(self.raw()).await?;
        Ok(())
    }

    /// Keeps others from changing an enforced block's links until the transaction ends.
    pub async fn lock_enforced_block(&mut self, id: &str) -> Result<()> {
        // SQLite has one writer at a time anyway.
        if self.postgres {
            let sql = "SELECT id FROM enforced_blocks WHERE id = $1 FOR UPDATE";
            let _: Option<String> =
                sqlx::query_scalar(sql).bind(id).fetch_optional(self.raw()).await?;
        }
        Ok(())
    }

    /// The links of an enforced block, in the order in which they were created.
    pub async fn enforced_links(&mut self, block: &str) -> Result<Vec<EnforcedLinkRow>> {
        let sql = AssertSqlSafe(format!("{LINK} WHERE l.block_id = $1 ORDER BY l.id"));
        sqlx::query(sql).bind(block).fetch_all(self.raw()).await?.iter().map(link).collect()
    }

    /// The links of all enforced blocks of a project, in the order in which they were created.
    pub async fn enforced_links_of_project(
        &mut self,
        project: &str,
    ) -> Result<Vec<EnforcedLinkRow>> {
        let sql = AssertSqlSafe(format!("{LINK} WHERE b.project_id = $1 ORDER BY l.id"));
        sqlx::query(sql).bind(project).fetch_all(self.raw()).await?.iter().map(link).collect()
    }

    /// The links of a bucket, in the order in which they were created.
    pub async fn enforced_links_of_bucket(&mut self, bucket: &str) -> Result<Vec<EnforcedLinkRow>> {
        let sql = AssertSqlSafe(format!("{LINK} WHERE l.bucket_id = $1 ORDER BY l.id"));
        sqlx::query(sql).bind(bucket).fetch_all(self.raw()).await?.iter().map(link).collect()
    }

    /// The versions that a bucket is linked to, with their contents.
    pub async fn enforced_versions_of_bucket(
        &mut self,
        bucket: &str,
    ) -> Result<Vec<EnforcedVersionRow>> {
        let sql = "SELECT n.* FROM enforced_block_versions n JOIN enforced_block_buckets l \
                   ON l.version_id = n.id WHERE l.bucket_id = $1 ORDER BY l.id";
        sqlx::query(sql).bind(bucket).fetch_all(self.raw()).await?.iter().map(version).collect()
    }

    /// Links a bucket to a version of an enforced block, in place of the other version of it.
    pub async fn link_enforced_version(
        &mut self,
        block: &str,
        version: &str,
        bucket: &str,
    ) -> Result<()> {
        // Builds run blocks by the ids of their links, also if an import or two servers link them at once.
        let sql =
            "SELECT id FROM enforced_block_buckets WHERE bucket_id = $1 ORDER BY id DESC LIMIT 1";
        let query = sqlx::query_scalar(sql).bind(bucket);
        let last: Option<String> = query.fetch_optional(self.raw()).await?;
        sqlx::query(
            "INSERT INTO enforced_block_buckets (id, block_id, version_id, bucket_id, created_at) \
             VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (block_id, bucket_id) DO UPDATE SET version_id = excluded.version_id",
        )
        .bind(new_id_after(last.as_deref()))
        .bind(block)
        .bind(version)
        .bind(bucket)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// Removes a link.
    pub async fn unlink_enforced_version(&mut self, id: &str) -> Result<()> {
        let sql = "DELETE FROM enforced_block_buckets WHERE id = $1";
        sqlx::query(sql).bind(id).execute(self.raw()).await?;
        Ok(())
    }
}
