//! Where the database is.

use std::path::PathBuf;

use crate::api::{Error, Result};

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file, made if it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL server, as a `postgres://` URL. It may hold a password.
    Postgres(String),
}

impl Location {
    /// Reads what a user wrote: a `postgres://` URL, or a path, also as a `sqlite:` URL.
    ///
    /// # Errors
    /// It is a URL of something else.
    pub fn parse(text: &str) -> Result<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Location::Postgres(text.into()));
        }
        let path = text.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//"));
        match path {
            None if text.contains("://") => Err(Error::invalid(
                "the database must be a postgres:// URL, or the path of a SQLite file",
            )),
            path => Ok(Location::Sqlite(PathBuf::from(path.unwrap_or(text)))),
        }
    }
}
