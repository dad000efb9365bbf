//! What an error of the database means to whoever asked.

use crate::api::{Code, Error};

/// What kind of failure of a database an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another transaction came between: the same again may go well at once.
    Conflict,
    /// The connection is gone, or the database does not take any.
    Lost,
    /// There is no room on the database's disk.
    Full,
    /// The database, its file or its file system can only be read.
    ReadOnly,
    /// The user of the database may not do this.
    Denied,
    /// It took longer than it may.
    Slow,
    /// A string holds what the database cannot keep, as PostgreSQL a NUL character.
    Unstorable,
    /// The file is damaged, or is no database of SQLite's.
    Damaged,
    /// A prepared statement is not there, or is there already: of several clients that share
    /// connections, each finds what the others left.
    Pooled,
    /// Anything else.
    Other,
}

impl Failure {
    /// Codes: PostgreSQL's SQLSTATE, of five characters (its documentation, appendix A), and
    /// SQLite's extended result codes, of fewer, whose lowest byte is the result code.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let database = match error {
            sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                return Failure::Full;
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => return Failure::Lost,
            sqlx::Error::Database(database) => database,
            _ => return Failure::Other,
        };
        let code = database.code().unwrap_or_default();
        match &*code {
            "40001" | "40P01" => Failure::Conflict,
            "22021" => Failure::Unstorable,
            "53100" => Failure::Full,
            "25006" => Failure::ReadOnly,
            "42P05" | "26000" => Failure::Pooled,
            "42501" => Failure::Denied,
            // A statement was cancelled, a lock not had in time, a transaction left alone.
            "57014" | "55P03" | "25P03" | "25P04" => Failure::Slow,
            // Shut down or starting, too many connections, out of memory, connection failures.
            "57P01" | "57P02" | "57P03" | "57P05" => Failure::Lost,
            code if code.len() == 5 && (code.starts_with("08") || code.starts_with("53")) => {
                Failure::Lost
            }
            code if code.len() < 5 => match code.parse::<u32>().map(|code| code & 0xff) {
                Ok(5 | 6) => Failure::Conflict,
                Ok(13) => Failure::Full,
                Ok(8) => Failure::ReadOnly,
                Ok(9) => Failure::Slow,
                Ok(11 | 26) => Failure::Damaged,
                // The file cannot be read or written, or be opened.
                Ok(10 | 14) => Failure::Lost,
                _ => Failure::Other,
            },
            _ => Failure::Other,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let failure = Failure::of(&error);
        match (&error, failure) {
            (_, Failure::Conflict) => {
                return Error::new(Code::Aborted, "another change came between; try again");
            }
            (_, Failure::Unstorable) => {
                return Error::invalid("a string must not contain NUL characters");
            }
            (sqlx::Error::RowNotFound, _) => return Error::not_found("there is no such thing"),
            (sqlx::Error::Database(database), _) if database.is_unique_violation() => {
                return Error::new(Code::AlreadyExists, "there is one of this name already");
            }
            (sqlx::Error::Database(database), _) if database.is_foreign_key_violation() => {
                return Error::precondition("something that it refers to is gone, or refers to it");
            }
            _ => {}
        }
        // What the database says may hold values; it is for the log only.
        tracing::error!(%error, ?failure, "the registry's database failed");
        let unavailable = |message: &str| Error::new(Code::Unavailable, message);
        match failure {
            Failure::Full => {
                unavailable("the registry's disk is full, so nothing was changed; make room on it")
            }
            Failure::ReadOnly => unavailable(
                "the registry's database can only be read, so nothing was changed; see its \
                 permissions, or whether it is a standby",
            ),
            Failure::Denied => unavailable(
                "the registry's database refuses this to its user, so nothing was changed; the user must \
                 own the database",
            ),
            Failure::Slow => unavailable("the registry's database took too long; try again"),
            Failure::Lost => unavailable("the registry's database does not respond"),
            Failure::Damaged => Error::new(
                Code::Internal,
                "the registry's database is damaged; restore a backup into a new one",
            ),
            Failure::Pooled => unavailable(
                "the registry's database is behind a pooler that gives each transaction another \
                 connection; use the pooler's session mode, or the database itself",
            ),
            Failure::Conflict | Failure::Unstorable | Failure::Other => {
                Error::new(Code::Internal, "the registry's database failed")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of PostgreSQL's.
    #[derive(Debug)]
    struct Reported(&'static str);

    impl std::fmt::Display for Reported {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str(self.0)
        }
    }

    impl std::error::Error for Reported {}

    impl sqlx::error::DatabaseError for Reported {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    /// PgBouncer in its transaction mode answers with these, if it keeps no prepared statements for clients.
    #[test]
    fn a_pooler_of_transactions_is_told() {
        for code in ["42P05", "26000"] {
            let error = sqlx::Error::Database(Box::new(Reported(code)));
            assert_eq!(Failure::of(&error), Failure::Pooled, "{code}");
            let error = Error::from(error);
            assert_eq!(error.code, Code::Unavailable);
            assert!(error.message.contains("session mode"), "{error}");
        }
    }
}
