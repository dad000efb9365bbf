//! Terraform's side: where the plan is and where the result goes.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header};
use serde_json::Value;

use super::RunTaskOptions;
use super::call::{Work, may_go};
use crate::registry::api::Error;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// How large a plan may be, in bytes.
const PLAN: usize = 64 << 20;

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
    pub fn why(&self) -> &str {
        match self {
            Failure::Passing(why) | Failure::Lasting(why) => why,
        }
    }
}

/// Terraform, as a call describes it.
#[derive(Debug)]
pub(super) struct Remote<'a> {
    client: &'a Client,
    options: &'a RunTaskOptions,
}

/// A client that follows nobody anywhere by itself.
pub(super) fn client() -> ingot_sdk::Result<Client> {
    ingot_sdk::http::client_with(|builder| {
        builder.timeout(PATIENCE).redirect(reqwest::redirect::Policy::none())
    })
}

impl<'a> Remote<'a> {
    pub fn new(client: &'a Client, options: &'a RunTaskOptions) -> Self {
        Remote { client, options }
    }

    /// The plan's JSON. Terraform says where it is, for a minute and for everybody who knows the
    /// URL; the token goes only to where the call said.
    pub async fn plan(&self, url: &str, token: &str) -> Result<Vec<u8>, Failure> {
        let mut url = self.url(url)?;
        let first = url.origin();
        for _ in 0..HOPS {
            let mut request = self.client.get(url.clone());
            if url.origin() == first {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(broken)?;
            match response.status() {
                StatusCode::OK => return read(response).await,
                StatusCode::NO_CONTENT => {
                    return Err(Failure::Passing("Terraform has not written the plan yet".into()));
                }
                status if status.is_redirection() => {
                    let to = response.headers().get(header::LOCATION);
                    let to = to.and_then(|to| url.join(to.to_str().ok()?).ok());
                    let to = to.ok_or_else(|| {
                        Failure::Lasting("Terraform says that the plan is nowhere".into())
                    })?;
                    url = self.url(to.as_str())?;
                }
                status => return Err(refused("the plan", status)),
            }
        }
        Err(Failure::Lasting("Terraform says again and again that the plan is elsewhere".into()))
    }

    /// Sends a result.
    pub async fn tell(&self, work: &Work, body: &Value) -> Result<(), Failure> {
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

    fn url(&self, text: &str) -> Result<Url, Failure> {
        may_go(self.options, text).map_err(|error: Error| Failure::Lasting(error.message))
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
    let why = format!("Terraform answered {status} when asked to give or take {what}");
    let passing = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if passing { Failure::Passing(why) } else { Failure::Lasting(why) }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let too_large = || Failure::Lasting(format!("the plan is larger than {} MiB", PLAN >> 20));
    if response.content_length().is_some_and(|length| length > PLAN as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > PLAN {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
