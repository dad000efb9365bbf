//! The run task for Terraform: its keys, and the calls of it.

use sqlx::any::AnyRow;

use super::{Columns, Tx};
use crate::api::{
    Error, Location, Result, RunTaskBehaviour, RunTaskConfig, Timestamp, UpdateRunTaskConfigBody,
};

/// What belongs to a project's run task.
#[derive(Debug, Clone)]
pub struct RunTaskKey {
    /// The project.
    pub location: Location,
    /// What stands for the project in the URL.
    pub api_id: String,
    /// What Terraform signs its calls with.
    pub hmac_key: String,
    /// What it does about images.
    pub config: RunTaskConfig,
}

/// A call to be remembered.
#[derive(Debug, Clone)]
pub struct RunTaskCall {
    /// The project.
    pub project_id: String,
    /// Terraform's id of the result that it wants.
    pub task_result_id: String,
    /// Terraform's id of the run.
    pub run_id: String,
    /// When the run was made.
    pub run_created_at: Timestamp,
    /// What is to be done, as JSON. It holds a token.
    pub call: String,
}

/// A call to be worked on.
#[derive(Debug, Clone)]
pub struct RunTaskJob {
    /// The project.
    pub location: Location,
    /// Terraform's id of the result that it wants.
    pub task_result_id: String,
    /// What is to be done, as JSON. It holds a token.
    pub call: String,
    /// How often it was tried, this time included.
    pub attempts: i64,
    /// What to do about images.
    pub config: RunTaskConfig,
}

const KEY: &str = "SELECT k.api_id, k.hmac_key, k.on_untracked, k.on_outdated, k.project_id, \
    p.organization_id FROM run_task_keys k JOIN projects p ON p.id = k.project_id";

fn location(row: &AnyRow) -> Result<Location> {
    Ok(Location {
        organization_id: row.text("organization_id")?,
        project_id: row.text("project_id")?,
    })
}

fn config(row: &AnyRow) -> Result<RunTaskConfig> {
    Ok(RunTaskConfig {
        on_untracked_image: row.value("on_untracked")?,
        on_outdated_image: row.value("on_outdated")?,
    })
}

fn key(row: &AnyRow) -> Result<RunTaskKey> {
    Ok(RunTaskKey {
        location: location(row)?,
        api_id: row.text("api_id")?,
        hmac_key: row.text("hmac_key")?,
        config: config(row)?,
    })
}

impl Tx {
    /// A project's run task, which gets this id and this key if it has none.
    pub async fn ensure_run_task(
        &mut self,
        project: &str,
        api_id: &str,
        hmac_key: &str,
    ) -> Result<RunTaskKey> {
        let warn = RunTaskBehaviour::Warn.as_str();
        sqlx::query(
            "INSERT INTO run_task_keys \
             (project_id, api_id, hmac_key, on_untracked, on_outdated, updated_at) \
             VALUES ($1, $2, $3, $4, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(project)
        .bind(api_id)
        .bind(hmac_key)
        .bind(warn)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        self.run_task(project).await
    }

    /// A project's run task, which must have been made.
    async fn run_task(&mut self, project: &str) -> Result<RunTaskKey> {
        let sql = sqlx::AssertSqlSafe(format!("{KEY} WHERE k.project_id = $1"));
        key(&sqlx::query(sql).bind(project).fetch_one(self.raw()).await?)
    }

    /// The run task that an id in a URL stands for.
    pub async fn run_task_of(&mut self, api_id: &str) -> Result<Option<RunTaskKey>> {
        let sql = sqlx::AssertSqlSafe(format!("{KEY} WHERE k.api_id = $1"));
        let row = sqlx::query(sql).bind(api_id).fetch_optional(self.raw()).await?;
        row.as_ref().map(key).transpose()
    }

    /// Gives a project's run task another key.
    pub async fn rotate_run_task(&mut self, project: &str, hmac_key: &str) -> Result<RunTaskKey> {
        sqlx::query(
            "UPDATE run_task_keys SET hmac_key = $1, updated_at = $2 WHERE project_id = $3",
        )
        .bind(hmac_key)
        .bind(self.now_micros())
        .bind(project)
        .execute(self.raw())
        .await?;
        self.run_task(project).await
    }

    /// Changes what a project's run task does about images.
    pub async fn configure_run_task(
        &mut self,
        project: &str,
        change: &UpdateRunTaskConfigBody,
    ) -> Result<RunTaskKey> {
        let (untracked, outdated) = (change.on_untracked_image, change.on_outdated_image);
        if untracked != RunTaskBehaviour::Unset {
            sqlx::query("UPDATE run_task_keys SET on_untracked = $1 WHERE project_id = $2")
                .bind(untracked.as_str())
                .bind(project)
                .execute(self.raw())
                .await?;
        }
        if outdated != RunTaskBehaviour::Unset {
            sqlx::query("UPDATE run_task_keys SET on_outdated = $1 WHERE project_id = $2")
                .bind(outdated.as_str())
                .bind(project)
                .execute(self.raw())
                .await?;
        }
        self.run_task(project).await
    }

    /// Remembers a call.
    ///
    /// # Errors
    /// [`Code::AlreadyExists`](crate::api::Code::AlreadyExists) if this result was asked
    /// for before.
    pub async fn insert_run_task(&mut self, call: &RunTaskCall) -> Result<()> {
        sqlx::query(
            "INSERT INTO run_tasks (project_id, task_result_id, run_id, run_created_at, \
             received_at, call, next_at, attempts, result) \
             VALUES ($1, $2, $3, $4, $5, $6, $5, 0, '')",
        )
        .bind(&call.project_id)
        .bind(&call.task_result_id)
        .bind(&call.run_id)
        .bind(call.run_created_at.micros().unwrap_or_default())
        .bind(self.now_micros())
        .bind(&call.call)
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// What is to be done now and by this server, `count` of it at most: others leave it alone
    /// until `until`. Jobs that were tried often already are taken, too: somebody has to say that
    /// they failed.
    pub async fn take_run_tasks(
        &mut self,
        until: Timestamp,
        count: i64,
    ) -> Result<Vec<RunTaskJob>> {
        let lock = if self.postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
        let sql = format!(
            "SELECT project_id, task_result_id FROM run_tasks \
             WHERE call IS NOT NULL AND next_at <= $1 ORDER BY next_at LIMIT $2{lock}"
        );
        let now = self.now_micros();
        let due = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now).bind(count);
        let due = due.fetch_all(self.raw()).await?;
        let mut taken = Vec::new();
        for row in due {
            let (project, result) = (row.text("project_id")?, row.text("task_result_id")?);
            sqlx::query(
                "UPDATE run_tasks SET next_at = $1, attempts = attempts + 1 \
                 WHERE project_id = $2 AND task_result_id = $3",
            )
            .bind(until.micros())
            .bind(&project)
            .bind(&result)
            .execute(self.raw())
            .await?;
            let row = sqlx::query(
                "SELECT t.project_id, p.organization_id, t.call, t.attempts, k.on_untracked, \
                 k.on_outdated FROM run_tasks t JOIN projects p ON p.id = t.project_id \
                 JOIN run_task_keys k ON k.project_id = t.project_id \
                 WHERE t.project_id = $1 AND t.task_result_id = $2",
            )
            .bind(&project)
            .bind(&result)
            .fetch_one(self.raw())
            .await?;
            taken.push(RunTaskJob {
                location: location(&row)?,
                task_result_id: result,
                call: row.text("call")?,
                attempts: row.int("attempts")?,
                config: config(&row)?,
            });
        }
        Ok(taken)
    }

    /// Puts a call off that failed or was interrupted.
    pub async fn put_off_run_task(&mut self, job: &RunTaskJob, until: Timestamp) -> Result<()> {
        sqlx::query(
            "UPDATE run_tasks SET next_at = $1 WHERE project_id = $2 AND task_result_id = $3",
        )
        .bind(until.micros())
        .bind(&job.location.project_id)
        .bind(&job.task_result_id)
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// Writes down what was answered, and forgets the token.
    pub async fn end_run_task(&mut self, job: &RunTaskJob, result: &str) -> Result<()> {
        sqlx::query(
            "UPDATE run_tasks SET call = NULL, result = $1 \
             WHERE project_id = $2 AND task_result_id = $3",
        )
        .bind(result)
        .bind(&job.location.project_id)
        .bind(&job.task_result_id)
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// Whether there is something to do now.
    pub async fn run_tasks_due(&mut self) -> Result<bool> {
        let now = self.now_micros();
        let sql = "SELECT count(*) FROM run_tasks WHERE call IS NOT NULL AND next_at <= $1";
        let count: i64 = sqlx::query_scalar(sql).bind(now).fetch_one(self.raw()).await?;
        Ok(count > 0)
    }

    /// Forgets calls of runs made before `before`, about which no call is taken any more, so many at
    /// most; how many it were.
    pub async fn forget_run_tasks(&mut self, before: Timestamp, most: u32) -> Result<u64> {
        let before = before.micros().ok_or_else(|| Error::invalid("a time must be given"))?;
        let sql = "DELETE FROM run_tasks WHERE run_created_at < $1 AND call IS NULL \
                   AND task_result_id IN (SELECT task_result_id FROM run_tasks \
                   WHERE run_created_at < $1 AND call IS NULL LIMIT $2)";
        let query = sqlx::query(sql).bind(before).bind(i64::from(most));
        Ok(query.execute(self.raw()).await?.rows_affected())
    }
}
