//! Errors of a registry: gRPC's codes, which the API's answers carry.

use serde::{Deserialize, Serialize};
use serde_json::json;

/// The reason that says of an error that what was asked may have been done all the same.
const PERHAPS_DONE: &str = "PERHAPS_DONE";

/// `Result` with a registry's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; the numbers are gRPC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Nobody knows.
    Unknown = 2,
    /// The request is wrong, whatever the registry holds.
    InvalidArgument = 3,
    /// There is no such thing.
    NotFound = 5,
    /// There is one already.
    AlreadyExists = 6,
    /// Who asks may not do this.
    PermissionDenied = 7,
    /// Too many requests.
    ResourceExhausted = 8,
    /// The registry holds what forbids it.
    FailedPrecondition = 9,
    /// Another change came between.
    Aborted = 10,
    /// The registry cannot do this.
    Unimplemented = 12,
    /// The registry failed.
    Internal = 13,
    /// The registry cannot be reached, or its database cannot.
    Unavailable = 14,
    /// Who asks is not known.
    Unauthenticated = 16,
}

impl Code {
    const ALL: [Code; 12] = [
        Code::Unknown,
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::Unauthenticated,
    ];

    /// The HTTP status that goes with it, as in gRPC's gateway.
    pub fn http_status(self) -> u16 {
        match self {
            Code::InvalidArgument | Code::FailedPrecondition => 400,
            Code::Unauthenticated => 401,
            Code::PermissionDenied => 403,
            Code::NotFound => 404,
            Code::AlreadyExists | Code::Aborted => 409,
            Code::ResourceExhausted => 429,
            Code::Unknown | Code::Internal => 500,
            Code::Unimplemented => 501,
            Code::Unavailable => 503,
        }
    }

    /// The code of a number; unknown ones are [`Code::Unknown`].
    pub fn from_number(number: i32) -> Self {
        Code::ALL.into_iter().find(|code| *code as i32 == number).unwrap_or(Code::Unknown)
    }

    /// Whether the same request may go well later, without anybody's doing.
    pub fn is_transient(self) -> bool {
        matches!(self, Code::Unavailable | Code::Aborted | Code::ResourceExhausted | Code::Internal)
    }
}

/// Why a registry did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind.
    pub code: Code,
    /// One sentence for people, without a trailing full stop.
    pub message: String,
    /// What to do about it, where that is known here; it is not sent to others.
    pub advice: Option<&'static str>,
    /// Whether the request may have been carried out although it is reported as failed.
    pub perhaps_done: bool,
}

impl Error {
    /// An error.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), advice: None, perhaps_done: false }
    }

    /// The error with what to do about it.
    pub fn advise(self, advice: Option<&'static str>) -> Self {
        Error { advice, ..self }
    }

    /// What to do about it: the advice it has, else what its kind suggests to whoever asked.
    pub fn what_to_do(&self) -> Option<&'static str> {
        self.advice.or(match self.code {
            Code::Unauthenticated => Some("check HCP_CLIENT_ID and HCP_CLIENT_SECRET"),
            Code::PermissionDenied => Some(
                "check the service principal's role, and that HCP_ORGANIZATION_ID and \
                 HCP_PROJECT_ID name a project that it may use",
            ),
            _ => None,
        })
    }

    /// The error of what may have been done all the same.
    pub fn perhaps_done(self) -> Self {
        Error { perhaps_done: true, ..self }
    }

    /// Whether it says that something is not there. HCP says of a version that is not there that the
    /// operation was aborted.
    pub fn is_absent(&self) -> bool {
        matches!(self.code, Code::NotFound | Code::Aborted)
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(Code::InvalidArgument, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Error::new(Code::NotFound, message)
    }

    /// What the registry holds forbids it.
    pub fn precondition(message: impl Into<String>) -> Self {
        Error::new(Code::FailedPrecondition, message)
    }
}

/// An error on the wire.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Status {
    /// gRPC's code.
    pub code: i32,
    /// What went wrong.
    pub message: String,
    /// More about it. With the reason `PERHAPS_DONE` what was asked may have been done all the same.
    pub details: Vec<serde_json::Value>,
}

/// For people, with what to do about it.
impl From<Error> for ingot_base::Error {
    fn from(error: Error) -> Self {
        let advice = error.what_to_do();
        let told = ingot_base::Error::new(error.message);
        match advice {
            Some(advice) => told.hint(advice),
            None => told,
        }
    }
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        let details = match error.perhaps_done {
            true => vec![json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": PERHAPS_DONE,
                "domain": "ingot",
            })],
            false => Vec::new(),
        };
        Status { code: error.code as i32, message: error.message.clone(), details }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let perhaps_done = status.details.iter().any(|it| it["reason"] == PERHAPS_DONE);
        let error = Error::new(Code::from_number(status.code), status.message);
        Error { perhaps_done, ..error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_say_what_may_have_been_done() {
        for error in [
            Error::new(Code::Unavailable, "the database was lost").perhaps_done(),
            Error::new(Code::Unavailable, "too busy"),
        ] {
            let text = serde_json::to_string(&Status::from(&error)).expect("JSON");
            let read: Status = serde_json::from_str(&text).expect("a status");
            assert_eq!(Error::from(read), error, "{text}");
        }
    }
}
