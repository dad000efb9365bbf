//! Who has signed in to the web pages: sessions, and links that start one. Tokens come as hashes.

use sqlx::any::AnyRow;

use super::{Columns, Tx};
use crate::api::{Result, Timestamp};

impl Tx {
    /// Adds a session of a principal, and removes what has expired.
    pub async fn insert_web_session(
        &mut self,
        token_hash: &str,
        principal: &str,
        expires_at: Timestamp,
    ) -> Result<()> {
        for sql in [
            "DELETE FROM web_sessions WHERE expires_at <= $1",
            "DELETE FROM sign_in_links WHERE expires_at <= $1",
        ] {
            sqlx::query(sql).bind(self.now_micros()).execute(self.raw()).await?;
        }
        sqlx::query(
            "INSERT INTO web_sessions (token_hash, principal_id, expires_at, created_at) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(token_hash)
        .bind(principal)
        .bind(expires_at.micros())
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// The principal of a session that has not expired, and when it began.
    pub async fn web_session(&mut self, token_hash: &str) -> Result<Option<(String, Timestamp)>> {
        let sql = "SELECT principal_id, created_at FROM web_sessions \
                   WHERE token_hash = $1 AND expires_at > $2";
        let query = sqlx::query(sql).bind(token_hash).bind(self.now_micros());
        let session = |row: &AnyRow| -> Result<_> {
            Ok((row.text("principal_id")?, row.time("created_at")?))
        };
        query.fetch_optional(self.raw()).await?.as_ref().map(session).transpose()
    }

    /// Ends a session.
    pub async fn delete_web_session(&mut self, token_hash: &str) -> Result<()> {
        let sql = "DELETE FROM web_sessions WHERE token_hash = $1";
        sqlx::query(sql).bind(token_hash).execute(self.raw()).await?;
        Ok(())
    }

    /// Adds a link that signs a principal in.
    pub async fn insert_sign_in_link(
        &mut self,
        token_hash: &str,
        principal: &str,
        expires_at: Timestamp,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO sign_in_links (token_hash, principal_id, expires_at, created_at) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(token_hash)
        .bind(principal)
        .bind(expires_at.micros())
        .bind(self.now_micros())
        .execute(self.raw())
        .await?;
        Ok(())
    }

    /// The principal of a link that can still be used.
    pub async fn sign_in_link(&mut self, token_hash: &str) -> Result<Option<String>> {
        let sql =
            "SELECT principal_id FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2";
        let query = sqlx::query_scalar(sql).bind(token_hash).bind(self.now_micros());
        Ok(query.fetch_optional(self.raw()).await?)
    }

    /// Uses a link up; the principal it was for, if it could still be used.
    pub async fn take_sign_in_link(&mut self, token_hash: &str) -> Result<Option<String>> {
        let sql = "DELETE FROM sign_in_links WHERE token_hash = $1 AND expires_at > $2 \
                   RETURNING principal_id";
        let query = sqlx::query_scalar(sql).bind(token_hash).bind(self.now_micros());
        Ok(query.fetch_optional(self.raw()).await?)
    }
}
