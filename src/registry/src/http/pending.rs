//! Operations that a registry goes on with after it has answered, as HCP Packer does when it revokes a
//! version and what was built from it.

use std::time::Duration;

use ingot_base::retry::Retry;
use reqwest::Method;
use tokio_util::sync::CancellationToken;

use super::{Call, HttpRegistry};
use crate::api::{Code, Error, Operation, OperationResponse, Result};
use crate::poll::poll;

/// How long one request waits for an operation: less than a request may take.
const TIMEOUT: &str = "5s";

/// How long an operation is waited for.
const WAIT: Retry = Retry {
    initial: Duration::from_millis(250),
    max: Duration::from_secs(2),
    tries: None,
    timeout: Some(Duration::from_secs(120)),
};

impl HttpRegistry {
    /// Waits until an operation is over; whether it was not when it was answered. Whoever may start one
    /// may not be allowed to look at it, or the registry may not tell: then nothing is waited for.
    ///
    /// # Errors
    /// The operation failed, or takes too long; or the registry does not answer.
    pub(super) async fn wait_for(&self, operation: Option<&Operation>) -> Result<bool> {
        let Some(operation) = operation else { return Ok(false) };
        let id = operation.id.as_str();
        if is_over(operation) || id.is_empty() {
            return failure(operation).map_or(Ok(false), Err);
        }
        // Whoever waits is cancelled as a whole.
        let never = CancellationToken::new();
        let now = poll(&WAIT, &never, is_over, || self.operation(id)).await?.unwrap_or_default();
        match failure(&now) {
            Some(error) => Err(error),
            None if is_over(&now) => Ok(true),
            None => {
                let text = format!(
                    "the registry has begun it and is not done after two minutes (operation {id})"
                );
                let advice = "`ingot registry versions list` shows later what became of it";
                Err(Error::new(Code::Unavailable, text).advise(Some(advice)))
            }
        }
    }

    /// An operation, once it is over or a while has passed. One that cannot be looked at is over for all
    /// that is known.
    async fn operation(&self, id: &str) -> Result<Operation> {
        let (organization, project) = (&self.location.organization_id, &self.location.project_id);
        let path = vec![
            "operation",
            "2020-05-05",
            "organizations",
            organization,
            "projects",
            project,
            "operations",
            id,
            "wait",
        ];
        let query = vec![("timeout".to_owned(), TIMEOUT.to_owned())];
        let call = Call { method: Method::GET, path, query, body: None, repeatable: true };
        let response: Result<OperationResponse> = self.call(call).await.result;
        match response {
            Err(error) if is_not_told(error.code) => Ok(Operation::default()),
            response => Ok(response?.operation.unwrap_or_default()),
        }
    }
}

/// Whether an error says that operations cannot be looked at.
fn is_not_told(code: Code) -> bool {
    matches!(code, Code::NotFound | Code::Unimplemented | Code::PermissionDenied)
}

/// Whether an operation is over. Registries that have none say nothing of its state.
fn is_over(operation: &Operation) -> bool {
    matches!(operation.state.as_str(), "" | "DONE") || failure(operation).is_some()
}

/// Why an operation failed, if it did.
fn failure(operation: &Operation) -> Option<Error> {
    let error = Error::from(operation.error.clone().filter(|error| error.code != 0)?);
    let message = format!("the registry could not do all of it: {}", error.message);
    Some(Error { message, ..error })
}
