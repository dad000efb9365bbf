//! A call of Terraform's, and whether it is one that may be followed.

use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::RunTaskOptions;
use crate::hosts;
use ingot_registry::api::{Code, Error, Result, Timestamp, null_is_default};

/// Calls about older runs are refused. Those about younger ones are remembered, so that none is
/// taken twice.
pub(super) const OLDEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// How far Terraform's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(600);

/// What Terraform sends in place of a token when it only wants to know whether the endpoint works.
const TEST: &str = "test-token";

/// The longest id that Terraform's are thought to have.
const LONGEST: usize = 200;

/// A call. What is not read here is of no use to a check.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Call {
    payload_version: i64,
    #[serde(deserialize_with = "null_is_default")]
    stage: String,
    #[serde(deserialize_with = "null_is_default")]
    access_token: String,
    #[serde(deserialize_with = "null_is_default")]
    capabilities: Capabilities,
    #[serde(deserialize_with = "null_is_default")]
    pub task_result_id: String,
    #[serde(deserialize_with = "null_is_default")]
    task_result_callback_url: String,
    #[serde(deserialize_with = "null_is_default")]
    pub run_id: String,
    #[serde(deserialize_with = "null_is_default")]
    run_created_at: String,
    #[serde(deserialize_with = "null_is_default")]
    plan_json_api_url: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Capabilities {
    #[serde(deserialize_with = "null_is_default")]
    outcomes: bool,
}

/// What of a call is kept until it is done.
#[derive(Serialize, Deserialize)]
pub(super) struct Work {
    /// Where the plan is; none at stages that come before it.
    pub plan: Option<String>,
    /// Where the result goes.
    pub callback: String,
    /// What Terraform takes for both. It is shown nowhere.
    pub token: String,
    /// Whether Terraform takes a result in parts.
    pub outcomes: bool,
    /// When in the run it was called.
    pub stage: String,
}

impl Call {
    /// Reads a call.
    ///
    /// # Errors
    /// It is none, or of a format that is not known.
    pub(super) fn read(body: &[u8]) -> Result<Self> {
        // What serde says may quote the token.
        let call: Call = serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::invalid(format!("not a run task's request: line {line}, column {column}"))
        })?;
        match call.payload_version {
            1 => Ok(call),
            other => Err(Error::invalid(format!("payload_version is {other} and must be 1"))),
        }
    }

    /// Whether Terraform only wants to know whether the endpoint works.
    pub(super) fn is_test(&self) -> bool {
        self.access_token == TEST
    }

    /// Whether the call is whole and recent and leads to where it may; when the run was made.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check(&self, options: &RunTaskOptions, now: Timestamp) -> Result<Timestamp> {
        for (name, value) in [
            ("access_token", &self.access_token),
            ("task_result_id", &self.task_result_id),
            ("task_result_callback_url", &self.task_result_callback_url),
            ("run_id", &self.run_id),
            ("run_created_at", &self.run_created_at),
        ] {
            if value.is_empty() {
                return Err(Error::invalid(format!("{name} is missing")));
            }
            if value.chars().any(char::is_control) {
                return Err(Error::invalid(format!("{name} must not contain control characters")));
            }
        }
        if self.task_result_id.len() > LONGEST || self.run_id.len() > LONGEST {
            return Err(Error::invalid("task_result_id or run_id is too long"));
        }
        let created: Timestamp = self
            .run_created_at
            .parse()
            .map_err(|_| Error::invalid("run_created_at is not a time of RFC 3339"))?;
        let age =
            now.micros().zip(created.micros()).map(|(now, created)| now.saturating_sub(created));
        let limit = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        if age.is_none_or(|age| age > limit(OLDEST) || age < -limit(AHEAD)) {
            tracing::warn!(run = self.run_id, "refused a run task's call about an old run");
            let message = "the run was created too long ago, or in the future";
            return Err(Error::new(Code::FailedPrecondition, message));
        }
        may_go(options, &self.task_result_callback_url)?;
        if !self.plan_json_api_url.is_empty() {
            may_go(options, &self.plan_json_api_url)?;
        }
        Ok(created)
    }

    /// What is kept of it, as JSON.
    pub(super) fn work(&self) -> String {
        let work = Work {
            plan: Some(self.plan_json_api_url.clone()).filter(|url| !url.is_empty()),
            callback: self.task_result_callback_url.clone(),
            token: self.access_token.clone(),
            outcomes: self.capabilities.outcomes,
            stage: self.stage.clone(),
        };
        serde_json::to_string(&work).unwrap_or_default()
    }
}

/// The URL, if this server may connect to it: to a host that its administrator named, by TLS unless
/// the administrator allows plain HTTP.
///
/// # Errors
/// It may not.
pub(super) fn may_go(options: &RunTaskOptions, text: &str) -> Result<Url> {
    let refuse = |why: String| Err(Error::new(Code::PermissionDenied, why));
    let Ok(url) = Url::parse(text) else { return refuse("this is not a URL".into()) };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    match url.scheme() {
        "https" => {}
        "http" if options.http => {}
        _ => return refuse(format!("the run task goes to https URLs only, not to {host}")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("the run task goes to no URL with a password".into());
    }
    let allowed = hosts::names(&options.hosts, &url);
    if !allowed {
        tracing::warn!(host, "a run task's call leads to a host that -run-task-host does not name");
        return refuse(format!("the run task does not go to {host}"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_be_named_with_its_port() {
        let hosts = ["tfe.example.com:8443", "[::1]:80", "*.example.org:444", "::2"];
        let hosts = hosts.map(str::to_owned).to_vec();
        let options = RunTaskOptions { hosts, http: true, ..RunTaskOptions::default() };
        let may = |url| may_go(&options, url).is_ok();
        assert!(may("https://tfe.example.com:8443/x") && !may("https://tfe.example.com/x"));
        assert!(may("http://[::1]/") && !may("http://[::1]:81/") && may("http://[::2]:9/"));
        assert!(may("https://a.example.org:444/") && !may("https://a.example.org/"));
    }

    #[test]
    fn requests_go_only_to_allowed_hosts() {
        let mut options = RunTaskOptions::default();
        let may = |options: &RunTaskOptions, url| may_go(options, url).is_ok();
        assert!(may(&options, "https://app.terraform.io/api/v2/plans/p/json-output"));
        assert!(may(&options, "https://archivist.EU.terraform.io/x"));
        for wrong in [
            "http://app.terraform.io/",
            "https://terraform.io.example.com/",
            "https://evilterraform.io/",
            "https://app.terraform.io@127.0.0.1/",
            "https://me:pw@app.terraform.io/",
            "https://169.254.169.254/latest",
            "https://[::1]/",
            "file:///etc/passwd",
            "app.terraform.io",
            "",
        ] {
            assert!(!may(&options, wrong), "{wrong}");
        }
        options = RunTaskOptions { hosts: vec!["::1".into()], http: true, ..options };
        assert!(may(&options, "http://[::1]:80/") && !may(&options, "https://app.terraform.io/"));
    }

    #[test]
    fn control_characters_are_refused() {
        let options = RunTaskOptions::default();
        let now = Timestamp::now();
        let check = |run: &str| {
            let body = serde_json::json!({
                "payload_version": 1,
                "access_token": "t",
                "task_result_id": "r",
                "task_result_callback_url": "https://app.terraform.io/x",
                "run_id": run,
                "run_created_at": now.to_string(),
            });
            Call::read(body.to_string().as_bytes()).expect("a call").check(&options, now)
        };
        assert!(check("run-1").is_ok());
        assert!(check("run\u{0}").is_err() && check("run\n1").is_err());
    }

    #[test]
    fn what_serde_says_is_not_reported() {
        let body = br#"{"payload_version":1,"access_token":["hidden"]}"#;
        let error = Call::read(body).err().expect("an error");
        assert!(!error.message.contains("hidden"), "{error}");
    }
}
