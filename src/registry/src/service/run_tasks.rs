//! The run task for Terraform: who may see and change its key and what it does.

use super::Session;
use crate::api::*;
use crate::store::{Role, RunTaskKey, Tx, transaction};

/// What a new run task gets: an id for its URL and a key.
#[derive(Debug)]
pub struct Fresh {
    /// The id, which nobody guesses.
    pub api_id: String,
    /// The key.
    pub hmac_key: String,
}

impl Session {
    /// The project's run task, made if there is none.
    ///
    /// # Errors
    /// The caller may not write: the key is a secret.
    pub async fn run_task(&self, fresh: &Fresh) -> Result<RunTaskKey> {
        self.need(Role::Contributor)?;
        transaction!(self.store, |tx| self.ensure(tx, fresh))
    }

    /// Gives the project's run task a new key.
    ///
    /// # Errors
    /// The caller is not an administrator.
    pub async fn rotate_run_task(&self, fresh: &Fresh) -> Result<RunTaskKey> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            self.ensure(tx, fresh).await?;
            let key = tx.rotate_run_task(self.project_id(), &fresh.hmac_key).await?;
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
        fresh: &Fresh,
        change: &UpdateRunTaskConfigBody,
    ) -> Result<RunTaskConfig> {
        self.need(Role::Admin)?;
        transaction!(self.store, |tx| async {
            self.ensure(tx, fresh).await?;
            let key = tx.configure_run_task(self.project_id(), change).await?;
            self.audit(tx, "configure", "run task".into()).await?;
            Ok(key.config)
        })
    }

    /// What the project's run task does about images.
    ///
    /// # Errors
    /// The caller may not read.
    pub async fn run_task_config(&self, fresh: &Fresh) -> Result<RunTaskConfig> {
        self.need(Role::Viewer)?;
        Ok(transaction!(self.store, |tx| self.ensure(tx, fresh))?.config)
    }

    async fn ensure(&self, tx: &mut Tx, fresh: &Fresh) -> Result<RunTaskKey> {
        tx.ensure_run_task(self.project_id(), &fresh.api_id, &fresh.hmac_key).await
    }
}
