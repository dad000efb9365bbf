//! Webhooks, the events to deliver to them, and the audit log.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::{Columns, Tx, new_id};
use crate::api::{Result, Timestamp};

/// A URL that events are posted to.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// A ULID.
    pub id: String,
    /// The project.
    pub project_id: String,
    /// Where to post to.
    pub url: String,
    /// What deliveries are signed with.
    pub secret: String,
    /// Which events, with commas between; empty for all.
    pub events: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What waits for a webhook.
#[derive(Debug, Clone)]
pub struct WaitingDeliveries {
    /// The webhook.
    pub webhook_id: String,
    /// How many events.
    pub count: i64,
    /// Why the last attempt failed at what was tried most often; empty if none failed.
    pub last_error: String,
}

impl WaitingDeliveries {
    /// What waits for a webhook, in words; the webhook may not be among those for which something does.
    pub fn in_words(all: &[WaitingDeliveries], webhook: &str) -> String {
        match all.iter().find(|it| it.webhook_id == webhook) {
            None => "none waiting".into(),
            Some(it) if it.last_error.is_empty() => format!("{} waiting", it.count),
            Some(it) => {
                format!("{} waiting; the last attempt failed: {}", it.count, it.last_error)
            }
        }
    }
}

/// Something to deliver.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// A ULID; the same however often it is tried.
    pub id: String,
    /// The webhook.
    pub webhook_id: String,
    /// The webhook's project.
    pub project_id: String,
    /// Where to.
    pub url: String,
    /// What to sign with.
    pub secret: String,
    /// What happened.
    pub event: String,
    /// JSON.
    pub body: String,
    /// How often it was tried.
    pub attempts: i64,
    /// Whether it may go to the server's own network.
    pub anywhere: bool,
}

/// A line of the audit log.
#[derive(Debug, Clone, Default)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Who: a principal's id.
    pub principal: String,
    /// The principal's name, when lines are read; empty for one that is gone, and what is none.
    pub principal_name: String,
    /// Where.
    pub project_id: String,
    /// What: a method.
    pub action: String,
    /// To what: a path.
    pub target: String,
    /// The HTTP status.
    pub outcome: String,
    /// From where.
    pub address: String,
}

impl AuditRow {
    /// Who it was, to people: the principal's name and id, or what did it.
    pub fn who(&self) -> String {
        match self.principal_name.as_str() {
            "" => self.principal.clone(),
            name => format!("{name} ({})", self.principal),
        }
    }
}

fn webhook(row: &AnyRow) -> Result<Webhook> {
    Ok(Webhook {
        id: row.text("id")?,
        project_id: row.text("project_id")?,
        url: row.text("url")?,
        secret: row.text("secret")?,
        events: row.text("events")?,
        created_at: row.time("created_at")?,
    })
}

impl Tx {
    /// Adds a webhook, which may be in the server's own network if `anywhere`; its id.
    pub async fn insert_webhook(
        &mut self,
        project: &str,
        url: &str,
        secret: &str,
        events: &str,
        anywhere: bool,
    ) -> Result<String> {
        let id = new_id();
        sqlx::query(
            "INSERT INTO webhooks (id, project_id, url, secret, events, anywhere, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&id)
        .bind(project)
        .bind(url)
        .bind(secret)
        .bind(events)
        .bind(i64::from(anywhere))
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(id)
    }

    /// All webhooks, oldest first.
    pub async fn webhooks(&mut self) -> Result<Vec<Webhook>> {
        let sql = "SELECT * FROM webhooks ORDER BY id";
        sqlx::query(sql).fetch_all(self.raw()).await?.iter().map(webhook).collect()
    }

    /// The webhooks of a project.
    pub async fn webhooks_of(&mut self, project: &str) -> Result<Vec<Webhook>> {
        let sql = "SELECT * FROM webhooks WHERE project_id = $1 ORDER BY id";
        sqlx::query(sql).bind(project).fetch_all(self.raw()).await?.iter().map(webhook).collect()
    }

    /// The webhooks of a bucket's project.
    pub async fn webhooks_of_bucket(&mut self, bucket: &str) -> Result<Vec<Webhook>> {
        let sql = "SELECT w.* FROM webhooks w JOIN buckets b ON b.project_id = w.project_id \
                   WHERE b.id = $1 ORDER BY w.id";
        sqlx::query(sql).bind(bucket).fetch_all(self.raw()).await?.iter().map(webhook).collect()
    }

    /// Removes a webhook and what was still to be delivered to it; whether there was one.
    pub async fn delete_webhook(&mut self, id: &str) -> Result<bool> {
        let sql = "DELETE FROM webhooks WHERE id = $1";
        Ok(sqlx::query(sql).bind(id).execute(self.raw()).await?.rows_affected() > 0)
    }

    /// Puts something into the outbox.
    pub async fn post(&mut self, webhook: &str, event: &str, body: &str) -> Result<()> {
        sqlx::query(
            "INSERT INTO outbox \
             (id, webhook_id, event, body, attempts, next_at, last_error, created_at) \
             VALUES ($1, $2, $3, $4, 0, $5, '', $5)",
        )
        .bind(new_id())
        .bind(webhook)
        .bind(event)
        .bind(body)
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// What is to be delivered now and by this server: others leave it alone until `until`. No more
    /// than `each` for one webhook, less what is under way to it already.
    pub async fn take_deliveries(
        &mut self,
        until: Timestamp,
        each: i64,
        under_way: &[(String, i64)],
    ) -> Result<Vec<Delivery>> {
        let cases: String = (0..under_way.len())
            .map(|at| format!(" WHEN ${} THEN ${}", 3 + 2 * at, 4 + 2 * at))
            .collect();
        let free = match under_way {
            [] => "$2".to_owned(),
            _ => format!("CASE webhook_id{cases} ELSE $2 END"),
        };
        let lock = if self.postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
        let sql = format!(
            "SELECT id FROM outbox WHERE next_at <= $1 AND id IN (SELECT id FROM (SELECT id, \
             webhook_id, row_number() OVER (PARTITION BY webhook_id ORDER BY next_at, id) AS place \
             FROM outbox WHERE next_at <= $1) AS due WHERE place <= {free}) \
             ORDER BY next_at, id LIMIT 20{lock}"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(self.now_micros()).bind(each);
        let query = under_way
            .iter()
            .fold(query, |query, (id, count)| query.bind(id).bind(each.saturating_sub(*count)));
        let due: Vec<String> = query.fetch_all(self.raw()).await?;
        let mut taken = Vec::new();
        for id in due {
            sqlx::query("UPDATE outbox SET next_at = $1, attempts = attempts + 1 WHERE id = $2")
                .bind(until.micros())
                .bind(&id)
                .execute(self.raw())
                .await?;
            let row = sqlx::query(
                "SELECT o.id, o.webhook_id, o.event, o.body, o.attempts, w.project_id, w.url, \
                 w.secret, w.anywhere FROM outbox o \
                 JOIN webhooks w ON w.id = o.webhook_id WHERE o.id = $1",
            )
            .bind(&id)
            .fetch_one(self.raw())
            .await?;
            taken.push(Delivery {
                id,
                webhook_id: row.text("webhook_id")?,
                project_id: row.text("project_id")?,
                url: row.text("url")?,
                secret: row.text("secret")?,
                event: row.text("event")?,
                body: row.text("body")?,
                attempts: row.int("attempts")?,
                anywhere: row.flag("anywhere")?,
            });
        }
        Ok(taken)
    }

    /// Takes what was delivered, or given up, out of the outbox.
    pub async fn delivered(&mut self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM outbox WHERE id = $1").bind(id).execute(self.raw()).await?;
        Ok(())
    }

    /// Puts a delivery off that failed.
    pub async fn put_off(&mut self, id: &str, until: Timestamp, error: &str) -> Result<()> {
        sqlx::query("UPDATE outbox SET next_at = $1, last_error = $2 WHERE id = $3")
            .bind(until.micros())
            .bind(error)
            .bind(id)
            .execute(self.raw())
            .await?;
        Ok(())
    }

    /// What is still to be delivered to each webhook of a project, or of all projects.
    pub async fn waiting_deliveries(
        &mut self,
        project: Option<&str>,
    ) -> Result<Vec<WaitingDeliveries>> {
        let only = match project {
            Some(_) => {
                " WHERE o.webhook_id IN (SELECT w.id FROM webhooks w WHERE w.project_id = $1)"
            }
            None => "",
        };
        let sql = format!(
            "SELECT o.webhook_id, count(*) AS waiting, (SELECT f.last_error FROM outbox f \
             WHERE f.webhook_id = o.webhook_id AND f.last_error <> '' \
             ORDER BY f.attempts DESC, f.id LIMIT 1) AS last_error \
             FROM outbox o{only} GROUP BY o.webhook_id"
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = project.into_iter().fold(query, |query, project| query.bind(project));
        let waiting = |row: &AnyRow| {
            Ok(WaitingDeliveries {
                webhook_id: row.text("webhook_id")?,
                count: row.int("waiting")?,
                last_error: row.maybe_text("last_error")?.unwrap_or_default(),
            })
        };
        query.fetch_all(self.raw()).await?.iter().map(waiting).collect()
    }

    /// How much is still to be delivered.
    pub async fn count_outbox(&mut self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(self.raw()).await?)
    }

    /// Writes a line of the audit log.
    pub async fn audit(&mut self, line: &AuditRow) -> Result<()> {
        sqlx::query(
            "INSERT INTO audit (id, at, principal, project_id, action, target, outcome, address) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(new_id())
        .bind(self.now_micros())
        .bind(&line.principal)
        .bind(&line.project_id)
        .bind(&line.action)
        .bind(&line.target)
        .bind(&line.outcome)
        .bind(&line.address)
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// Removes the oldest lines of the audit log from before a time, so many at most; how many it
    /// were.
    pub async fn forget_audit(&mut self, before: Timestamp, most: u32) -> Result<u64> {
        let sql = "DELETE FROM audit WHERE id IN \
                   (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)";
        let query = sqlx::query(sql).bind(before.micros().unwrap_or_default());
        Ok(query.bind(i64::from(most)).execute(self.raw()).await?.rows_affected())
    }

    /// What a principal did this to in a project since a time, last first.
    pub async fn audited(
        &mut self,
        principal: &str,
        project: &str,
        action: &str,
        since: Timestamp,
    ) -> Result<Vec<String>> {
        let sql = "SELECT target FROM audit WHERE at >= $1 AND principal = $2 AND project_id = $3 \
                   AND action = $4 ORDER BY at DESC, id DESC LIMIT 200";
        let query = sqlx::query_scalar(sql).bind(since.micros().unwrap_or_default());
        let query = query.bind(principal).bind(project).bind(action);
        Ok(query.fetch_all(self.raw()).await?)
    }

    /// The newest lines of the audit log since a time, of a project or of all and none.
    pub async fn audit_log(
        &mut self,
        limit: i64,
        since: Timestamp,
        project: Option<&str>,
    ) -> Result<Vec<AuditRow>> {
        let sql = match project {
            None => {
                "SELECT a.*, p.name FROM audit a LEFT JOIN principals p ON p.id = a.principal \
                 WHERE a.at >= $2 ORDER BY a.at DESC, a.id DESC LIMIT $1"
            }
            Some(_) => {
                "SELECT a.*, p.name FROM audit a LEFT JOIN principals p ON p.id = a.principal \
                 WHERE a.at >= $2 AND a.project_id = $3 ORDER BY a.at DESC, a.id DESC LIMIT $1"
            }
        };
        let line = |row: &AnyRow| {
            Ok(AuditRow {
                at: row.time("at")?,
                principal: row.text("principal")?,
                principal_name: row.maybe_text("name")?.unwrap_or_default(),
                project_id: row.text("project_id")?,
                action: row.text("action")?,
                target: row.text("target")?,
                outcome: row.text("outcome")?,
                address: row.text("address")?,
            })
        };
        let mut query = sqlx::query(sql).bind(limit).bind(since.micros().unwrap_or_default());
        if let Some(project) = project {
            query = query.bind(project);
        }
        query.fetch_all(self.raw()).await?.iter().map(line).collect()
    }
}
