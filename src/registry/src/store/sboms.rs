//! SBOMs of builds.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::{CHUNK, Columns, Tx, marks, new_id};
use crate::api::{Result, SbomFormat, Timestamp};

/// An SBOM, without its document.
#[derive(Debug, Clone)]
pub struct SbomRow {
    /// A ULID.
    pub id: String,
    /// Its build.
    pub build_id: String,
    /// Its name; unique in its build.
    pub name: String,
    /// Its format.
    pub format: SbomFormat,
    /// How large it is when it is compressed, in bytes.
    pub compressed_size: i64,
    /// How large it is, in bytes.
    pub size: i64,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// All columns but the document, which is large.
const SBOM: &str = "SELECT s.id, s.build_id, s.name, s.format, s.compressed_size, s.size, \
                    s.created_at FROM sboms s";

fn sbom(row: &AnyRow) -> Result<SbomRow> {
    Ok(SbomRow {
        id: row.text("id")?,
        build_id: row.text("build_id")?,
        name: row.text("name")?,
        format: row.value("format")?,
        compressed_size: row.int("compressed_size")?,
        size: row.int("size")?,
        created_at: row.time("created_at")?,
    })
}

impl Tx {
    /// Adds an SBOM with its document to a build, in place of the one of this name.
    pub async fn put_sbom(&mut self, row: &SbomRow, document: &str) -> Result<()> {
        let sql = "DELETE FROM sboms WHERE build_id = $1 AND name = $2";
        sqlx::query(sql).bind(&row.build_id).bind(&row.name).execute(self.raw()).await?;
        sqlx::query(
            "INSERT INTO sboms (id, build_id, name, format, document, compressed_size, size, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(new_id())
        .bind(&row.build_id)
        .bind(&row.name)
        .bind(row.format.as_str())
        .bind(document)
        .bind(row.compressed_size)
        .bind(row.size)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// The SBOMs of these versions' builds, in the order in which they were uploaded.
    pub async fn sboms(&mut self, versions: &[String]) -> Result<Vec<SbomRow>> {
        let mut found = Vec::new();
        for ids in versions.chunks(CHUNK) {
            let sql = AssertSqlSafe(format!(
                "{SBOM} JOIN builds d ON d.id = s.build_id WHERE d.version_id IN ({}) \
                 ORDER BY s.id",
                marks(0, ids.len())
            ));
            let query = ids.iter().fold(sqlx::query(sql), |query, id| query.bind(id));
            for row in query.fetch_all(self.raw()).await? {
                found.push(sbom(&row)?);
            }
        }
        Ok(found)
    }

    /// An SBOM of a build.
    pub async fn sbom(&mut self, build: &str, name: &str) -> Result<Option<SbomRow>> {
        let sql = AssertSqlSafe(format!("{SBOM} WHERE s.build_id = $1 AND s.name = $2"));
        let query = sqlx::query(sql).bind(build).bind(name);
        query.fetch_optional(self.raw()).await?.as_ref().map(sbom).transpose()
    }

    /// An SBOM by its id.
    pub async fn sbom_by_id(&mut self, id: &str) -> Result<Option<SbomRow>> {
        let sql = AssertSqlSafe(format!("{SBOM} WHERE s.id = $1"));
        let query = sqlx::query(sql).bind(id);
        query.fetch_optional(self.raw()).await?.as_ref().map(sbom).transpose()
    }

    /// The document of an SBOM, as it was put.
    pub async fn sbom_document(&mut self, id: &str) -> Result<Option<String>> {
        let query = sqlx::query_scalar("SELECT document FROM sboms WHERE id = $1").bind(id);
        Ok(query.fetch_optional(self.raw()).await?)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;
    use crate::store::{Location, Store};

    #[tokio::test]
    async fn a_list_reads_no_documents() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("registry.db");
        let store = Store::open(&Location::Sqlite(file), 2).await.unwrap();
        let mut tx = store.read().await.unwrap();
        let sql = AssertSqlSafe(format!(
            "EXPLAIN QUERY PLAN {SBOM} JOIN builds d ON d.id = s.build_id WHERE d.version_id IN \
             ('a', 'b') ORDER BY s.id"
        ));
        let plan = sqlx::query(sql).fetch_all(tx.raw()).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        // The index has all that is asked for.
        let covered =
            plan.iter().any(|step| step.contains("s USING COVERING INDEX sboms_by_build"));
        assert!(covered, "{plan:?}");
    }
}
