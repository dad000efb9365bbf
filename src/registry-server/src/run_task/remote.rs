//! Terraform's side: where the plan is and where the result goes.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::RunTasks;
use super::call::{Work, may_go};
use ingot_registry::api::Error;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// How large a plan may be, in bytes.
const PLAN: usize = 64 << 20;

/// Of what size on a plan is large, in bytes: of such only one is read at a time.
const LARGE: usize = 4 << 20;

/// How often to follow when the plan is elsewhere.
const HOPS: usize = 4;

/// Why something did not go well.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may go well later.
    Passing(String),
    /// It will not.
    Lasting(String),
}

impl Failure {
    pub(super) fn why(&self) -> &str {
        match self {
            Failure::Passing(why) | Failure::Lasting(why) => why,
        }
    }
}

/// Terraform, as a call describes it.
#[derive(Debug)]
pub(super) struct Remote<'a> {
    client: &'a Client,
    tasks: &'a RunTasks,
}

/// A plan's JSON.
#[derive(Debug)]
pub(super) struct PlanJson {
    pub bytes: Vec<u8>,
    /// What only the reader of a large one has.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// A client that follows nobody anywhere by itself.
///
/// # Errors
/// The system has no certificates to trust, for which run tasks wait.
pub(super) fn client() -> ingot_base::Result<Client> {
    ingot_base::tls::check_system()?;
    ingot_base::http::client_with(|builder| {
        builder.timeout(PATIENCE).redirect(reqwest::redirect::Policy::none())
    })
}

impl<'a> Remote<'a> {
    pub(super) fn new(client: &'a Client, tasks: &'a RunTasks) -> Self {
        Remote { client, tasks }
    }

    /// The plan's JSON. Terraform says where it is, for a minute and for everybody who knows the
    /// URL; the token goes only to where the call said.
    pub(super) async fn plan(&self, url: &str, token: &str) -> Result<PlanJson, Failure> {
        let mut url = self.url(url)?;
        let first = url.origin();
        for _ in 0..HOPS {
            let mut request = self.client.get(url.clone());
            if url.origin() == first {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(broken)?;
            match response.status() {
                StatusCode::OK => return self.read(response).await,
                StatusCode::NO_CONTENT => {
                    return Err(Failure::Passing("Terraform has not written the plan yet".into()));
                }
                status if status.is_redirection() => {
                    let to = response.headers().get(header::LOCATION);
                    let to = to.and_then(|to| url.join(to.to_str().ok()?).ok());
                    let to = to.ok_or_else(|| {
                        Failure::Lasting("Terraform redirected without a URL".into())
                    })?;
                    url = self.url(to.as_str())?;
                }
                status => return Err(refused("the plan", status)),
            }
        }
        Err(Failure::Lasting("Terraform redirected too many times".into()))
    }

    /// Sends a result.
    pub(super) async fn report(&self, work: &Work, body: &Value) -> Result<(), Failure> {
        let url = self.url(&work.callback)?;
        let request = self
            .client
            .patch(url)
            .bearer_auth(&work.token)
            .header(header::CONTENT_TYPE, "application/vnd.api+json")
            .body(body.to_string());
        match request.send().await.map_err(broken)?.status() {
            status if status.is_success() => Ok(()),
            status => Err(refused("the result", status)),
        }
    }

    async fn read(&self, mut response: Response) -> Result<PlanJson, Failure> {
        let too_large = || Failure::Lasting(format!("the plan is larger than {} MiB", PLAN >> 20));
        if response.content_length().is_some_and(|length| length > PLAN as u64) {
            return Err(too_large());
        }
        let (mut bytes, mut permit) = (Vec::new(), None);
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if bytes.len() + chunk.len() > PLAN {
                return Err(too_large());
            }
            if permit.is_none() && bytes.len() + chunk.len() > LARGE {
                let one = Arc::clone(&self.tasks.large).acquire_owned();
                permit = Some(one.await.expect("it is never closed"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(PlanJson { bytes, permit })
    }

    fn url(&self, text: &str) -> Result<Url, Failure> {
        may_go(&self.tasks.options, text).map_err(|error: Error| Failure::Lasting(error.message))
    }
}

/// Without the URL, which may be a secret in itself.
fn broken(error: reqwest::Error) -> Failure {
    let mut why = error.without_url().to_string();
    if why.is_empty() {
        why = "the connection broke".into();
    }
    Failure::Passing(format!("Terraform cannot be reached: {why}"))
}

fn refused(what: &str, status: StatusCode) -> Failure {
    let why = format!("Terraform returned {status} when asked to give or take {what}");
    let passing = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if passing { Failure::Passing(why) } else { Failure::Lasting(why) }
}
