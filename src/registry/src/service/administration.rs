//! What administrators look after: who may use a project, who is told of what happens in it, and
//! what was done.

use super::Session;
use crate::api::{Error, Result, Timestamp};
use crate::store::{AuditRow, Principal, Role, Webhook, transaction};

/// How many lines of the audit log are read.
const AUDIT: i64 = 1000;

impl Session {
    /// The principals that may use the project, oldest first.
    ///
    /// # Errors
    /// The caller is not an administrator, or the database failed.
    pub async fn members(&self) -> Result<Vec<Principal>> {
        self.need(Role::Admin)?;
        let location = &self.project.location;
        let mut members = self.store.read().await?.principals().await?;
        members.retain(|member| {
            member.organization_id == location.organization_id
                && member.project_id.as_ref().is_none_or(|id| *id == location.project_id)
        });
        Ok(members)
    }

    /// The project's webhooks, oldest first.
    ///
    /// # Errors
    /// The caller is not an administrator, or the database failed.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.need(Role::Admin)?;
        self.store.read().await?.webhooks_of(self.project_id()).await
    }

    /// Removes a webhook of the project, and what was still to be delivered to it.
    ///
    /// # Errors
    /// The caller is not an administrator, or there is no such webhook.
    pub async fn delete_webhook(&self, id: &str) -> Result<()> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            let own = tx.webhooks_of(self.project_id()).await?;
            if !own.iter().any(|hook| hook.id == id) {
                return Err(Error::not_found("there is no such webhook"));
            }
            tx.delete_webhook(id).await?;
            self.audit(tx, "delete webhook", id.to_owned()).await
        })
    }

    /// What was done in the project, the newest first, up to a number.
    ///
    /// # Errors
    /// The caller is not an administrator, or the database failed.
    pub async fn audit_log(&self, most: usize) -> Result<Vec<AuditRow>> {
        self.need(Role::Admin)?;
        let mut lines = self.store.read().await?.audit_log(AUDIT, Timestamp::default()).await?;
        lines.retain(|line| line.project_id == self.project_id());
        lines.truncate(most);
        Ok(lines)
    }
}
