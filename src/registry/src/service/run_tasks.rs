//! The run task for Terraform: who may see and change its key and what it does.

use super::Session;
use super::credentials::random_hex;
use crate::api::*;
use crate::store::{Role, RunTaskKey, Tx, transaction};

impl Session {
    /// The project's run task, made if there is none.
    ///
    /// # Errors
    /// The caller may not write: the key is a secret.
    pub async fn run_task(&self) -> Result<RunTaskKey> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| ensure(tx, self.project_id()))
    }

    /// Gives the project's run task a new key.
    ///
    /// # Errors
    /// The caller is not an administrator.
    pub async fn rotate_run_task(&self) -> Result<RunTaskKey> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            ensure(tx, self.project_id()).await?;
            let key = tx.rotate_run_task(self.project_id(), &random_hex()).await?;
            self.audit(tx, "rotate_hmac_key", "run task".into()).await?;
            Ok(key)
        })
    }

    /// Changes what the project's run task does about images; nothing if nothing is set.
    ///
    /// # Errors
    /// The caller is not an administrator.
    pub async fn configure_run_task(
        &self,
        change: &UpdateRunTaskConfigBody,
    ) -> Result<RunTaskConfig> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            ensure(tx, self.project_id()).await?;
            let key = tx.configure_run_task(self.project_id(), change).await?;
            self.audit(tx, "configure", "run task".into()).await?;
            Ok(key.config)
        })
    }

    /// What the project's run task does about images.
    ///
    /// # Errors
    /// The caller may not read.
    pub async fn run_task_config(&self) -> Result<RunTaskConfig> {
        self.need(Role::Viewer)?;
        Ok(transaction!(self.store, |tx| ensure(tx, self.project_id()))?.config)
    }
}

/// The run task of a project, created with a new id and a new key if there is none.
pub(super) async fn ensure(tx: &mut Tx, project: &str) -> Result<RunTaskKey> {
    tx.ensure_run_task(project, &random_hex(), &random_hex()).await
}
