//! A caller's view of a project.

use std::time::Duration;

use super::not_found::no_bucket;
use crate::api::*;
use crate::store::{AuditRow, Project, Role, Store, Tx, transaction};

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The principal's id.
    pub id: String,
    /// What it is called where its deeds are shown.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Where it calls from.
    pub address: String,
}

/// A caller's view of a project.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) store: Store,
    pub(super) project: Project,
    pub(super) caller: Caller,
    pub(super) address: String,
}

impl Session {
    /// A view of a project, which the caller must have been found to have access to. `address` is
    /// what to call the registry in messages.
    pub fn new(store: Store, project: Project, caller: Caller, address: String) -> Self {
        Session { store, project, caller, address }
    }

    /// Whether the caller may do what takes a role.
    ///
    /// # Errors
    /// They may not, or nobody may use the registry now.
    pub fn need(&self, role: Role) -> Result<()> {
        if self.caller.role < role {
            return Err(Error::new(
                Code::PermissionDenied,
                format!(
                    "this needs the role {}, and {} has {}",
                    role.as_str(),
                    self.caller.name,
                    self.caller.role.as_str()
                ),
            ));
        }
        if !self.project.activated {
            return Err(Error::precondition("the project's registry is not activated"));
        }
        Ok(())
    }

    /// Whether the caller may know where restricted channels point.
    pub(super) fn sees_all(&self) -> bool {
        self.caller.role >= Role::Contributor
    }

    pub(super) fn project_id(&self) -> &str {
        &self.project.location.project_id
    }

    /// Writes down what is done, with what is done.
    pub(super) async fn audit(&self, tx: &mut Tx, action: &str, target: String) -> Result<()> {
        tracing::info!(principal = self.caller.id, action, target, "registry changed");
        tx.audit(&AuditRow {
            principal: self.caller.id.clone(),
            project_id: self.project_id().to_owned(),
            action: action.to_owned(),
            target,
            outcome: "done".into(),
            address: self.caller.address.clone(),
            ..AuditRow::default()
        })
        .await
    }

    /// Whether the caller did something in the last `within`: an action of the audit log to this
    /// target, which may be followed by more in the log.
    ///
    /// # Errors
    /// The database failed.
    pub async fn did(&self, action: &str, target: &str, within: Duration) -> Result<bool> {
        let now = Timestamp::now().micros().unwrap_or_default();
        let since = now.saturating_sub(within.as_micros() as i64);
        let tx = &mut self.store.read().await?;
        let (caller, project) = (&self.caller.id, self.project_id());
        let targets = tx.audited(caller, project, action, Timestamp::from_micros(Some(since)));
        let is_target = |it: &String| {
            it.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        Ok(targets.await?.iter().any(is_target))
    }

    /// The id of a bucket that nobody else changes until the transaction ends.
    pub(super) async fn lock(&self, tx: &mut Tx, bucket: &str) -> Result<String> {
        let id = tx.lock_bucket(self.project_id(), bucket).await?;
        id.ok_or_else(|| no_bucket(bucket))
    }

    /// The registry itself.
    pub(super) async fn registry_info(&self, tx: &mut Tx) -> Result<RegistryInfo> {
        let project = tx.project(&self.project.location).await?;
        let project = project.ok_or_else(|| Error::not_found("there is no such project"))?;
        Ok(RegistryInfo {
            id: project.registry_id,
            location: Some(project.location),
            config: Some(RegistryConfig {
                activated: project.activated,
                feature_tier: RegistryConfigTier::Plus,
            }),
            created_at: project.created_at,
            updated_at: project.updated_at,
        })
    }

    /// Activates the registry, or puts it out of use.
    ///
    /// # Errors
    /// The caller is not an administrator.
    pub async fn activate(&self, activated: bool) -> Result<RegistryInfo> {
        if self.caller.role < Role::Admin {
            return Err(Error::new(Code::PermissionDenied, "this needs the role admin"));
        }
        transaction!(self.store, |tx| async {
            tx.activate(self.project_id(), activated).await?;
            self.audit(tx, if activated { "activate" } else { "deactivate" }, "registry".into())
                .await?;
            self.registry_info(tx).await
        })
    }
}
