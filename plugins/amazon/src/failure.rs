//! What AWS answered when a call failed, and what kind of failure that is.

use std::error::Error as StdError;
use std::fmt::Display;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ingot_sdk::Error;
use ingot_sdk::retry::Stopped;

/// Why a call of AWS failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: Kind,
    /// AWS's name for it, such as `InvalidGroup.NotFound`. None where AWS did not answer.
    pub code: Option<String>,
    /// What it is about, where AWS has one code for many things.
    pub subject: Option<Subject>,
    /// What happened, in one sentence.
    pub message: String,
    /// What the user can do about it, where that follows from the kind.
    pub hint: Option<String>,
}

/// Kinds of failures, by what can be done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Too many calls in too short a time. The SDK has tried `max_retries` times already.
    Throttled,
    /// It does not exist, or does not exist yet: what was just created takes a moment to be seen
    /// by all of AWS.
    NotFound,
    /// The credentials are wrong, or do not allow this.
    Denied,
    /// AWS could not be reached, or did not answer.
    Unreachable,
    /// AWS itself has failed.
    Broken,
    /// Anything else: what was asked for makes no sense to AWS.
    Refused,
    /// What was to be created has the name of something that is there and is somebody else's. No code
    /// of AWS says the latter: it follows from the calls that were made.
    Taken,
    /// The build was cancelled.
    Cancelled,
}

/// What a failure is about that AWS tells in words only. They are read here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The instance, which is not in the right state.
    InstanceState,
    /// The instance profile.
    InstanceProfile,
    /// The role by which EC2 imports.
    ImportRole,
    /// What was asked for, which is deleted.
    Deleted,
    /// The time of the request, by the clock of this machine.
    Clock,
    /// How many bytes a volume moves in a second.
    Throughput,
    /// How many operations a volume does in a second.
    Iops,
    /// How large a volume is.
    VolumeSize,
    /// The type of a volume.
    VolumeType,
}

impl Subject {
    fn of(code: &str, message: &str) -> Option<Subject> {
        let message = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|part| message.contains(*part));
        let value = code == "InvalidParameterValue";
        Some(match () {
            () if value && says(&["instance is not in state"]) => Subject::InstanceState,
            () if value && says(&["iaminstanceprofile", "iam instance profile"]) => {
                Subject::InstanceProfile
            }
            () if code == "InvalidParameter" && says(&["role"]) => Subject::ImportRole,
            () if says(&["because it was deleted"]) => Subject::Deleted,
            // In the form of requests that are made here, S3 has no code of its own for it.
            () if says(&["request has expired", "x-amz-date must be", "not yet valid"]) => {
                Subject::Clock
            }
            () if says(&["throughput"]) => Subject::Throughput,
            () if says(&["iops"]) => Subject::Iops,
            () if says(&["volume"]) && says(&["size"]) => Subject::VolumeSize,
            () if says(&["volumetype", "volume type"]) => Subject::VolumeType,
            () => return None,
        })
    }
}

impl Kind {
    /// The kind of a code in AWS's answer. Codes are named in the API reference of each service.
    pub fn of(code: &str) -> Kind {
        match code {
            "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "EC2ThrottledException"
            | "BandwidthLimitExceeded"
            | "SlowDown" => Kind::Throttled,
            "AuthFailure"
            | "UnauthorizedOperation"
            | "AccessDenied"
            | "AccessDeniedException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "IncompleteSignature"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "Blocked"
            | "OptInRequired"
            | "NotAuthorized"
            | "InvalidAccessKeyId"
            | "InvalidToken"
            | "RequestTimeTooSkewed" => Kind::Denied,
            "InternalError"
            | "InternalFailure"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "Unavailable"
            | "InternalServiceError"
            // S3's for a body that is slow, or that was damaged on its way.
            | "RequestTimeout"
            | "BadDigest" => Kind::Broken,
            "InvalidAMIID.Unavailable"
            | "NoSuchBucket"
            | "NoSuchEntity"
            | "NoSuchKey"
            | "NoSuchUpload"
            | "ResourceNotFoundException" => Kind::NotFound,
            code if code.ends_with("NotFound") || code.ends_with("NotFoundException") => {
                Kind::NotFound
            }
            _ => Kind::Refused,
        }
    }

    fn hint(self, code: Option<&str>) -> Option<&'static str> {
        Some(match (self, code) {
            (Kind::Throttled, _) => {
                "AWS limits how fast an account may call: run fewer builds at a time, or raise \
                 max_retries"
            }
            (
                Kind::Denied,
                Some(
                    "ExpiredToken"
                    | "ExpiredTokenException"
                    | "RequestExpired"
                    | "RequestTimeTooSkewed",
                ),
            ) => "the credentials have expired, or this machine's clock is wrong: log in again",
            (
                Kind::Denied,
                Some("UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException"),
            ) => {
                "the credentials are good but their policies do not allow this: see the \
                 permissions in docs/amazon.md; decode_authorization_messages = true tells more"
            }
            (Kind::Denied, Some("OptInRequired")) => {
                "the account has not enabled this service or accepted the product's terms"
            }
            (Kind::Denied, _) => {
                "AWS does not know these credentials: check access_key and secret_key, the \
                 profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            }
            (Kind::Unreachable, _) => {
                "check the region, the network, the proxy settings and AWS_ENDPOINT_URL"
            }
            _ => return None,
        })
    }
}

impl Failure {
    /// A failure with AWS's code for it.
    pub fn from_code(code: &str, message: &str) -> Failure {
        let kind = Kind::of(code);
        let text = match message {
            "" => format!("AWS returned {code}"),
            message => format!("{} ({code})", message.trim_end().trim_end_matches('.')),
        };
        Failure {
            kind,
            code: Some(code.to_owned()),
            subject: Subject::of(code, message),
            message: text,
            hint: kind.hint(Some(code)).map(str::to_owned),
        }
    }

    /// The same, which came with this status: where the code is none of those that are known, the
    /// server has failed if it says so.
    pub fn with_status(mut self, status: u16) -> Failure {
        if status >= 500 && self.kind == Kind::Refused {
            self.kind = Kind::Broken;
        }
        self
    }

    /// A failure of a kind without an answer of AWS.
    pub fn new(kind: Kind, message: impl Into<String>) -> Failure {
        let hint = kind.hint(None).map(str::to_owned);
        Failure { kind, code: None, subject: None, message: message.into(), hint }
    }

    /// Whether AWS says that it is about this.
    pub fn is_about(&self, subject: Subject) -> bool {
        self.subject == Some(subject)
    }

    /// Whether AWS answered with this code.
    pub fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Prefixes the message with what was being done.
    pub fn during(mut self, doing: impl Display) -> Failure {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        if failure.kind == Kind::Cancelled {
            return Error::Cancelled;
        }
        failure.hint.into_iter().fold(Error::new(failure.message), Error::hint)
    }
}

impl Stopped for Failure {
    fn stopped() -> Failure {
        Failure::new(Kind::Cancelled, "cancelled")
    }

    fn is_stopped(&self) -> bool {
        self.kind == Kind::Cancelled
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Failure {
        match &error {
            SdkError::ServiceError(response) => {
                let said = response.err().meta();
                match said.code() {
                    Some(code) => {
                        let status = response.raw().status().as_u16();
                        Failure::from_code(code, said.message().unwrap_or_default())
                            .with_status(status)
                    }
                    None => Failure::new(Kind::Broken, chain(response.err())),
                }
            }
            SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => {
                Failure::new(Kind::Unreachable, innermost(&error))
            }
            SdkError::ResponseError(_) => {
                let message = format!("invalid response: {}", innermost(&error));
                Failure::new(Kind::Broken, message)
            }
            _ => Failure::new(Kind::Refused, innermost(&error)),
        }
    }
}

/// What an error says with all its causes, each once.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// What an error of the SDK says without the SDK's own words for the part of it that failed.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut at = error;
    while let Some(next) = at.source() {
        if at.is::<reqwest::Error>() {
            break;
        }
        at = next;
    }
    chain(at)
}

/// Says what was being done when a call failed.
pub trait During<T> {
    /// The call's result with a [`Failure`] that begins with `doing`, as in "describing images".
    fn during(self, doing: impl Display) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> During<T> for Result<T, E> {
    fn during(self, doing: impl Display) -> Result<T, Failure> {
        self.map_err(|error| error.into().during(doing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kinds() {
        for (code, kind) in [
            ("RequestLimitExceeded", Kind::Throttled),
            ("InvalidAMIID.NotFound", Kind::NotFound),
            ("InvalidSecurityGroupID.NotFound", Kind::NotFound),
            ("ParameterNotFound", Kind::NotFound),
            ("AuthFailure", Kind::Denied),
            ("InvalidParameterValue", Kind::Refused),
            ("InternalError", Kind::Broken),
        ] {
            assert_eq!(Kind::of(code), kind, "{code}");
        }
    }

    #[test]
    fn what_a_failure_is_about_is_read_once() {
        for (code, message, subject) in [
            (
                "InvalidParameterValue",
                "Value (x) for parameter iamInstanceProfile.name is invalid",
                Some(Subject::InstanceProfile),
            ),
            ("InvalidParameterCombination", "iamInstanceProfile", None),
            ("InvalidRequestException", "... because it was deleted.", Some(Subject::Deleted)),
            ("AccessDenied", "Request has expired", Some(Subject::Clock)),
            ("InvalidParameterValue", "Volume iops of 9 is too low", Some(Subject::Iops)),
            ("InvalidParameterValue", "Volume size is too small", Some(Subject::VolumeSize)),
            ("InvalidParameterValue", "no such zone", None),
        ] {
            let failure = Failure::from_code(code, message).during("asking about a role");
            assert_eq!(failure.subject, subject, "{message}");
        }
    }

    #[test]
    fn the_message_keeps_the_code() {
        let error: Error = Failure::from_code("InvalidAMIID.NotFound", "No ami-1.")
            .during("describing images")
            .into();
        assert_eq!(error.to_string(), "describing images: No ami-1 (InvalidAMIID.NotFound)");
        assert!(Error::from(Failure::stopped()).is_cancelled());
    }
}
