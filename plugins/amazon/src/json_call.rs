//! Calls of services that speak JSON.
//!
//! Some services are asked one or two questions each: Systems Manager, Secrets Manager, ECR, EC2
//! Instance Connect. Their crates in the SDK take minutes to build between them; a call is one
//! signed request.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use ingot_sdk::http;
use ingot_sdk::retry::Retry;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::failure::{Failure, Kind, chain};

/// How long a whole call may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The largest response that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// A service that speaks version 1.1 of AWS's JSON protocol.
#[derive(Debug, Clone, Copy)]
pub struct JsonService {
    /// Its id in the SDK's configuration: `AWS_ENDPOINT_URL_` and this say where it is.
    pub id: &'static str,
    /// The first part of its host's name.
    pub host: &'static str,
    /// Its name in signatures.
    pub signing_name: &'static str,
    /// What stands before the operation in `X-Amz-Target`.
    pub target: &'static str,
}

/// Systems Manager: parameters, and sessions.
pub const SYSTEMS_MANAGER: JsonService =
    JsonService { id: "SSM", host: "ssm", signing_name: "ssm", target: "AmazonSSM" };

/// A response of a service.
pub(crate) struct Response {
    /// The status of HTTP.
    pub status: reqwest::StatusCode,
    /// The header `X-Amzn-ErrorType`.
    kind: Option<String>,
    /// All of the body.
    pub body: Vec<u8>,
}

impl Access {
    /// The answer of a service to one call, tried again as the SDK does.
    ///
    /// # Errors
    /// What AWS answered, or that it did not.
    pub async fn call(
        &self,
        service: &JsonService,
        region: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        self.persist(|| self.call_once(service, region, operation, body)).await
    }

    /// Makes a call as often as the SDK would.
    pub(crate) async fn persist<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let retry = Retry {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(20),
            tries: Some(self.tries()),
            timeout: None,
        };
        let again = |failure: &Failure| {
            matches!(failure.kind, Kind::Throttled | Kind::Unreachable | Kind::Broken)
        };
        // Whoever waits for the answer drops this when the run is cancelled.
        let never = CancellationToken::new();
        retry.run_with(&never, again, |_| call()).await
    }

    async fn call_once(
        &self,
        service: &JsonService,
        region: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let target = format!("{}.{operation}", service.target);
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)];
        let response = self.post(service, region, &headers, body.to_string()).await?;
        let body_json = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        if response.status.is_success() {
            return Ok(body_json);
        }
        let kind = response.kind.as_deref().or(body_json["__type"].as_str());
        Err(response_failure(kind, response.status.as_u16(), &body_json))
    }

    /// The answer of a service to one signed request.
    pub(crate) async fn post(
        &self,
        service: &JsonService,
        region: &str,
        headers: &[(&'static str, &str)],
        body: String,
    ) -> Result<Response, Failure> {
        let url = self.endpoint(service, region)?;
        let mut headers = headers.to_vec();
        headers.push(("host", host(&url)?));
        let signature = self.sign(service, region, &url, &headers, body.as_bytes()).await?;
        let mut request = self.http().post(&url).timeout(LIMIT).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in signature {
            request = request.header(name, value);
        }
        let unreachable = |error: reqwest::Error| {
            let bad = http::is_bad_certificate(&error);
            Failure::new(if bad { Kind::Refused } else { Kind::Unreachable }, chain(&error))
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let kind = response.headers().get("x-amzn-errortype");
        let kind = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let body = http::body(response, LARGEST).await.map_err(|error| {
            let kind = if error.is_transient() { Kind::Unreachable } else { Kind::Refused };
            Failure::new(kind, error.to_string())
        })?;
        Ok(Response { status, kind, body: body.to_vec() })
    }

    async fn sign(
        &self,
        service: &JsonService,
        region: &str,
        url: &str,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, Failure> {
        let cannot = |error: &(dyn std::error::Error + 'static)| {
            Failure::new(Kind::Refused, format!("the request cannot be signed: {}", chain(error)))
        };
        let provider = self.credentials().ok_or_else(|| {
            Failure::new(Kind::Denied, "the request cannot be signed: no credentials")
        })?;
        let credentials = provider.provide_credentials().await.map_err(|error| cannot(&error))?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service.signing_name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| cannot(&error))?;
        let given = headers.iter().copied();
        let signable = SignableRequest::new("POST", url, given, SignableBody::Bytes(body))
            .map_err(|error| cannot(&error))?;
        let signed = sign(signable, &parameters.into()).map_err(|error| cannot(&error))?;
        let (instructions, _) = signed.into_parts();
        let signed = instructions.headers();
        Ok(signed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Where a service is: what the environment or the profile says, else its place in AWS.
    ///
    /// # Errors
    /// The service's id makes no sense.
    pub fn endpoint(&self, service: &JsonService, region: &str) -> Result<String, Failure> {
        Ok(self.custom_endpoint(service)?.unwrap_or_else(|| {
            let config = self.config();
            let is_set = |option: Option<bool>| option == Some(true);
            place(service, region, is_set(config.use_fips()), is_set(config.use_dual_stack()))
        }))
    }

    /// Where the environment or the profile says that a service is.
    ///
    /// # Errors
    /// The service's id makes no sense.
    pub(crate) fn custom_endpoint(&self, service: &JsonService) -> Result<Option<String>, Failure> {
        let key = ServiceConfigKey::builder()
            .service_id(service.id)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .map_err(|error| Failure::new(Kind::Refused, error.to_string()))?;
        let config = self.config();
        let set = config.service_config().and_then(|files| files.load_config(key));
        Ok(set.or_else(|| config.endpoint_url().map(str::to_owned)))
    }
}

fn host(url: &str) -> Result<&str, Failure> {
    let after = url.split_once("://").map(|(_, rest)| rest);
    let host = after.and_then(|rest| rest.split('/').next()).filter(|host| !host.is_empty());
    host.ok_or_else(|| Failure::new(Kind::Refused, format!("{url} is not a URL of a service")))
}

/// A part of AWS whose regions have domains of their own.
struct Partition {
    /// How the names of its regions begin.
    regions: &'static str,
    domain: &'static str,
    /// The domain of what is reached by IPv6, too.
    dual_stack: &'static str,
}

const fn partition(
    regions: &'static str,
    domain: &'static str,
    dual_stack: &'static str,
) -> Partition {
    Partition { regions, domain, dual_stack }
}

/// All of them, as in the SDK's list; the last one has all other regions.
static PARTITIONS: [Partition; 7] = [
    partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    partition("", "amazonaws.com", "api.aws"),
];

/// The partition that a region belongs to.
fn partition_of(region: &str) -> &'static Partition {
    let mut all = PARTITIONS.iter();
    all.find(|one| region.starts_with(one.regions)).unwrap_or(&PARTITIONS[PARTITIONS.len() - 1])
}

/// The domain of the part of AWS that a region belongs to.
pub(crate) fn domain(region: &str) -> &'static str {
    partition_of(region).domain
}

/// Where a service is in AWS, by the rules that the SDK's crates of these services have.
fn place(service: &JsonService, region: &str, fips: bool, dual_stack: bool) -> String {
    let partition = partition_of(region);
    // In GovCloud these are FIPS without saying so.
    let implied = region.starts_with("us-gov-") && matches!(service.host, "ssm" | "autoscaling");
    let fips = if fips && (dual_stack || !implied) { "-fips" } else { "" };
    // The ordinary hosts of this one speak IPv6, too.
    let same = service.host == "secretsmanager"
        && matches!(partition.domain, "amazonaws.com" | "amazonaws.com.cn");
    if !dual_stack || same {
        return format!("https://{}{fips}.{region}.{}/", service.host, partition.domain);
    }
    // Those of ECR lose the first part of their name.
    let host = service.host.strip_prefix("api.").unwrap_or(service.host);
    format!("https://{host}{fips}.{region}.{}/", partition.dual_stack)
}

/// The failure in an answer. The code may stand after a namespace and before a URL.
fn response_failure(kind: Option<&str>, status: u16, body_json: &Value) -> Failure {
    let message =
        body_json["message"].as_str().or(body_json["Message"].as_str()).unwrap_or_default();
    let code = kind.map(|kind| kind.split(':').next().unwrap_or(kind));
    let code = code.and_then(|code| code.rsplit('#').next()).filter(|code| !code.is_empty());
    match code {
        Some(code) => Failure::from_code(code, message).with_status(status),
        None if status >= 500 => Failure::new(Kind::Broken, format!("AWS returned {status}")),
        None => Failure::new(Kind::Refused, format!("AWS returned {status} {message}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_are_read_in_all_their_forms() {
        for kind in [
            "ParameterNotFound",
            "com.amazonaws.ssm#ParameterNotFound",
            "ParameterNotFound:http://internal.amazon.com/coral/com.amazonaws.ssm/",
        ] {
            let failure = response_failure(Some(kind), 400, &json!({"message": "no"}));
            assert!(failure.is("ParameterNotFound") && failure.kind == Kind::NotFound, "{kind}");
        }
        assert_eq!(response_failure(None, 503, &Value::Null).kind, Kind::Broken);
    }

    #[test]
    fn regions_have_the_domain_of_their_part_of_aws() {
        for (region, expected) in [
            ("eu-central-1", "amazonaws.com"),
            ("us-gov-west-1", "amazonaws.com"),
            ("cn-north-1", "amazonaws.com.cn"),
            ("eusc-de-east-1", "amazonaws.eu"),
            ("us-iso-east-1", "c2s.ic.gov"),
            ("us-isob-east-1", "sc2s.sgov.gov"),
            ("eu-isoe-west-1", "cloud.adc-e.uk"),
            ("us-isof-south-1", "csp.hci.ic.gov"),
        ] {
            assert_eq!(domain(region), expected, "{region}");
        }
    }

    #[test]
    fn services_are_where_the_sdk_looks_for_them() {
        let service = |host| JsonService { id: "", host, signing_name: "", target: "" };
        for (host, region, fips, dual_stack, expected) in [
            ("ssm", "eu-west-1", false, false, "ssm.eu-west-1.amazonaws.com"),
            ("ssm", "eu-west-1", false, true, "ssm.eu-west-1.api.aws"),
            ("ssm", "us-east-1", true, false, "ssm-fips.us-east-1.amazonaws.com"),
            ("ssm", "us-gov-west-1", true, false, "ssm.us-gov-west-1.amazonaws.com"),
            ("ssm", "us-gov-west-1", true, true, "ssm-fips.us-gov-west-1.api.aws"),
            ("kms", "us-east-1", true, true, "kms-fips.us-east-1.api.aws"),
            ("kms", "cn-north-1", false, true, "kms.cn-north-1.api.amazonwebservices.com.cn"),
            ("kms", "eusc-de-east-1", false, false, "kms.eusc-de-east-1.amazonaws.eu"),
            ("api.ecr", "us-west-2", false, false, "api.ecr.us-west-2.amazonaws.com"),
            ("api.ecr", "us-west-2", false, true, "ecr.us-west-2.api.aws"),
            // Older SDKs went to ecr-fips, which is the same service.
            ("api.ecr", "us-gov-west-1", true, false, "api.ecr-fips.us-gov-west-1.amazonaws.com"),
            ("api.ecr", "us-gov-west-1", true, true, "ecr-fips.us-gov-west-1.api.aws"),
            ("api.ecr-public", "us-east-1", false, true, "ecr-public.us-east-1.api.aws"),
            ("secretsmanager", "us-east-1", false, true, "secretsmanager.us-east-1.amazonaws.com"),
            (
                "secretsmanager",
                "us-isob-east-1",
                false,
                true,
                "secretsmanager.us-isob-east-1.api.aws.scloud",
            ),
        ] {
            let expected = format!("https://{expected}/");
            assert_eq!(place(&service(host), region, fips, dual_stack), expected, "{host}");
        }
    }
}
