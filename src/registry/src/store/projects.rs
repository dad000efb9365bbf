//! Organizations, projects, who may use them, and settings.

use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use super::{Columns, Store, Tx, new_id};
use crate::api::{Location, Result, Timestamp};

/// A project and the registry in it.
#[derive(Debug, Clone)]
pub struct Project {
    /// Where it is.
    pub location: Location,
    /// The organization's name.
    pub organization_name: String,
    /// When the organization was made.
    pub organization_created_at: Timestamp,
    /// Its name.
    pub name: String,
    /// The registry's id.
    pub registry_id: String,
    /// Whether the registry can be used.
    pub activated: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a principal may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read, but not restricted channels.
    Viewer,
    /// Publish, promote, revoke.
    Contributor,
    /// Everything, as removing buckets.
    Admin,
}

impl Role {
    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Contributor => "contributor",
            Role::Admin => "admin",
        }
    }

    /// The role of a name; the least for a name that is none's.
    pub fn parse(text: &str) -> Self {
        match text {
            "admin" => Role::Admin,
            "contributor" => Role::Contributor,
            _ => Role::Viewer,
        }
    }
}

/// A service principal: a program that may use the registry.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Its client id.
    pub id: String,
    /// Its organization.
    pub organization_id: String,
    /// Its project; none for all of the organization.
    pub project_id: Option<String>,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its secret, in hexadecimal.
    pub secret_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

const PROJECT: &str = "SELECT p.id, p.organization_id, p.name, p.registry_id, p.activated, \
    p.created_at, p.updated_at, o.name AS organization_name, o.created_at AS organization_created_at \
    FROM projects p JOIN organizations o ON o.id = p.organization_id";

fn project(row: &sqlx::any::AnyRow) -> Result<Project> {
    Ok(Project {
        location: Location {
            organization_id: row.text("organization_id")?,
            project_id: row.text("id")?,
        },
        organization_name: row.text("organization_name")?,
        organization_created_at: row.time("organization_created_at")?,
        name: row.text("name")?,
        registry_id: row.text("registry_id")?,
        activated: row.flag("activated")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn principal(row: &sqlx::any::AnyRow) -> Result<Principal> {
    Ok(Principal {
        id: row.text("id")?,
        organization_id: row.text("organization_id")?,
        project_id: row.maybe_text("project_id")?,
        name: row.text("name")?,
        role: Role::parse(&row.text("role")?),
        secret_hash: row.text("secret_hash")?,
        created_at: row.time("created_at")?,
    })
}

impl Tx {
    /// A setting, which is `value` if it was not set before.
    pub async fn setting(&mut self, name: &str, value: &str) -> Result<String> {
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(value)
            .execute(self.raw())
            .await?;
        let sql = "SELECT value FROM settings WHERE name = $1";
        Ok(sqlx::query_scalar(sql).bind(name).fetch_one(self.raw()).await?)
    }

    /// Sets a setting of the registry.
    pub async fn put_setting(&mut self, name: &str, value: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value)
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// The organization of this name, made if there is none.
    pub async fn ensure_organization(&mut self, name: &str) -> Result<String> {
        let id = uuid::Uuid::new_v4().to_string();
        sqlx::query(
            "INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(name)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        let sql = "SELECT id FROM organizations WHERE name = $1";
        Ok(sqlx::query_scalar(sql).bind(name).fetch_one(self.raw()).await?)
    }

    /// The project of this name, made if there is none.
    pub async fn ensure_project(&mut self, organization: &str, name: &str) -> Result<Project> {
        sqlx::query(
            "INSERT INTO projects \
             (id, organization_id, name, registry_id, activated, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, 1, $5, $5) ON CONFLICT DO NOTHING",
        )
        .bind(uuid::Uuid::new_v4().to_string())
        .bind(organization)
        .bind(name)
        .bind(new_id())
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        let sql = const_format(PROJECT, " WHERE p.organization_id = $1 AND p.name = $2");
        let row = sqlx::query(sql).bind(organization).bind(name).fetch_one(self.raw()).await?;
        project(&row)
    }

    /// All projects, oldest first.
    pub async fn projects(&mut self) -> Result<Vec<Project>> {
        let sql = const_format(PROJECT, " ORDER BY p.created_at, p.id");
        sqlx::query(sql).fetch_all(self.raw()).await?.iter().map(project).collect()
    }

    /// A project by its ids.
    pub async fn project(&mut self, location: &Location) -> Result<Option<Project>> {
        let row = project_query(location).fetch_optional(self.raw()).await?;
        row.as_ref().map(project).transpose()
    }

    /// Activates a project's registry, or puts it out of use.
    pub async fn activate(&mut self, project_id: &str, activated: bool) -> Result<()> {
        sqlx::query("UPDATE projects SET activated = $1, updated_at = $2 WHERE id = $3")
            .bind(i64::from(activated))
            .bind(self.now_micros())
            .bind(project_id)
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// Adds a principal.
    pub async fn insert_principal(&mut self, principal: &Principal) -> Result<()> {
        sqlx::query(
            "INSERT INTO principals \
             (id, organization_id, project_id, name, role, secret_hash, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&principal.id)
        .bind(&principal.organization_id)
        .bind(&principal.project_id)
        .bind(&principal.name)
        .bind(principal.role.as_str())
        .bind(&principal.secret_hash)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// A principal by its client id.
    pub async fn principal(&mut self, id: &str) -> Result<Option<Principal>> {
        if !may_be_id(id) {
            return Ok(None);
        }
        let row = principal_query(id).fetch_optional(self.raw()).await?;
        row.as_ref().map(principal).transpose()
    }

    /// All principals, oldest first.
    pub async fn principals(&mut self) -> Result<Vec<Principal>> {
        let sql = "SELECT * FROM principals ORDER BY created_at, id";
        sqlx::query(sql).fetch_all(self.raw()).await?.iter().map(principal).collect()
    }

    /// Removes a principal by its client id.
    pub async fn delete_principal(&mut self, id: &str) -> Result<()> {
        let sql = "DELETE FROM principals WHERE id = $1";
        sqlx::query(sql).bind(id).execute(self.raw()).await?;
        Ok(())
    }

    /// Gives a project another name.
    pub async fn rename_project(&mut self, id: &str, name: &str) -> Result<()> {
        let sql = "UPDATE projects SET name = $1, updated_at = $2 WHERE id = $3";
        let query = sqlx::query(sql).bind(name).bind(self.now_micros()).bind(id);
        query.execute(self.raw()).await?;
        Ok(())
    }

    /// What a project holds that would be gone with it: buckets, enforced blocks, and principals that
    /// may use no other.
    pub async fn project_contents(&mut self, id: &str) -> Result<[(&'static str, i64); 3]> {
        if self.postgres {
            // Nobody adds to it until the transaction ends.
            let sql = "SELECT id FROM projects WHERE id = $1 FOR UPDATE";
            let _: Option<String> =
                sqlx::query_scalar(sql).bind(id).fetch_optional(self.raw()).await?;
        }
        let mut counts = [("buckets", 0), ("enforced_blocks", 0), ("principals", 0)];
        for (table, count) in &mut counts {
            let sql = format!("SELECT count(*) FROM {table} WHERE project_id = $1");
            let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(id);
            *count = query.fetch_one(self.raw()).await?;
        }
        Ok(counts)
    }

    /// Removes a project with all that is in it.
    pub async fn delete_project(&mut self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM projects WHERE id = $1").bind(id).execute(self.raw()).await?;
        Ok(())
    }
}

/// What every request asks for: single statements, which need no transaction around them.
impl Store {
    /// As [`Tx::project`].
    pub async fn project(&self, location: &Location) -> Result<Option<Project>> {
        self.row(project_query(location)).await?.as_ref().map(project).transpose()
    }

    /// As [`Tx::principal`].
    pub async fn principal(&self, id: &str) -> Result<Option<Principal>> {
        if !may_be_id(id) {
            return Ok(None);
        }
        self.row(principal_query(id)).await?.as_ref().map(principal).transpose()
    }
}

fn project_query(location: &Location) -> Query<'static, Any, AnyArguments> {
    let sql = const_format(PROJECT, " WHERE p.id = $1 AND p.organization_id = $2");
    sqlx::query(sql).bind(&location.project_id).bind(&location.organization_id)
}

fn principal_query(id: &str) -> Query<'static, Any, AnyArguments> {
    sqlx::query("SELECT * FROM principals WHERE id = $1").bind(id)
}

/// Whether PostgreSQL can be asked for it at all.
fn may_be_id(id: &str) -> bool {
    !id.contains('\0')
}

/// Two parts of a statement, both of this file's.
fn const_format(select: &'static str, rest: &'static str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("{select}{rest}"))
}
