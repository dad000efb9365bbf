//! Proof of an AWS identity: a signed call of STS that HCP makes in its turn.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Client;
use ring::hmac;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::{Variables, body, why};

/// How long the metadata service may take for each answer.
const LIMIT: Duration = Duration::from_secs(3);
/// Where the metadata service is, unless AWS's own variable says otherwise.
const METADATA: &str = "http://169.254.169.254";
const METADATA_VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const QUERY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// The header that binds the proof to one identity provider.
const PROVIDER: &str = "x-hcp-workload-identity-provider";

/// Keys of AWS, as the metadata service gives them.
#[derive(Deserialize)]
struct Keys {
    #[serde(rename = "AccessKeyId")]
    id: String,
    #[serde(rename = "SecretAccessKey")]
    secret: String,
    #[serde(rename = "Token", default)]
    token: String,
}

/// The call of `GetCallerIdentity` for the identity provider `resource`, and what is secret in it.
///
/// # Errors
/// The environment and the metadata service give no region or no keys, in words.
pub(super) async fn caller_identity(
    client: &Client,
    imds_v2: bool,
    resource: &str,
    environment: Variables<'_>,
) -> Result<(Value, Vec<String>), String> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
    let keys = match (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            Some(Keys { id, secret, token: set("AWS_SESSION_TOKEN").unwrap_or_default() })
        }
        _ => None,
    };
    let metadata = Metadata {
        client,
        base: set(METADATA_VARIABLE).unwrap_or_else(|| METADATA.to_owned()),
        session: None,
    };
    let (region, keys) = match (region, keys) {
        (Some(region), Some(keys)) => (region, keys),
        (region, keys) => {
            let metadata = if imds_v2 { metadata.with_session().await? } else { metadata };
            let region = match region {
                Some(region) => region,
                None => metadata.get("/latest/meta-data/placement/region").await?,
            };
            let keys = match keys {
                Some(keys) => keys,
                None => metadata.keys().await?,
            };
            (region, keys)
        }
    };
    let request = signed(&region, &keys, resource, OffsetDateTime::now_utc());
    Ok((request, vec![keys.secret, keys.token]))
}

/// The metadata service of an EC2 instance.
struct Metadata<'a> {
    client: &'a Client,
    base: String,
    session: Option<String>,
}

impl Metadata<'_> {
    fn said(&self, path: &str, problem: &str) -> String {
        format!("AWS's metadata service, {}{path}: {problem}", self.base)
    }

    async fn with_session(mut self) -> Result<Self, String> {
        let path = "/latest/api/token";
        let request = self.client.put(format!("{}{path}", self.base));
        let request = request.header("X-aws-ec2-metadata-token-ttl-seconds", "300");
        self.session = Some(self.answer(path, request).await?);
        Ok(self)
    }

    async fn get(&self, path: &str) -> Result<String, String> {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(session) = &self.session {
            request = request.header("X-aws-ec2-metadata-token", session);
        }
        self.answer(path, request).await
    }

    async fn keys(&self) -> Result<Keys, String> {
        let path = "/latest/meta-data/iam/security-credentials";
        let roles = self.get(&format!("{path}/")).await?;
        let role = roles.lines().next().unwrap_or_default().trim();
        let found = self.get(&format!("{path}/{role}")).await?;
        // What serde says may quote a key.
        serde_json::from_str(&found).map_err(|_| self.said(path, "it gave no keys"))
    }

    async fn answer(&self, path: &str, request: reqwest::RequestBuilder) -> Result<String, String> {
        let sent = request.timeout(LIMIT).send().await;
        let response = sent.map_err(|error| self.said(path, &why(&error)))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.said(path, &format!("it returned {status}")));
        }
        let read = body(response).await.map_err(|error| self.said(path, &error))?;
        String::from_utf8(read).map_err(|_| self.said(path, "the response is not UTF-8"))
    }
}

/// The call, signed as AWS's Signature Version 4 has it.
fn signed(region: &str, keys: &Keys, resource: &str, now: OffsetDateTime) -> Value {
    let time = now.format(format_description!("[year][month][day]T[hour][minute][second]Z"));
    let time = time.unwrap_or_default();
    let day = time.get(..8).unwrap_or_default();
    let host = format!("sts.{region}.amazonaws.com");
    // In the order of their names.
    let mut headers = BTreeMap::from([
        ("host", host.as_str()),
        ("x-amz-date", time.as_str()),
        (PROVIDER, resource),
    ]);
    if !keys.token.is_empty() {
        headers.insert("x-amz-security-token", &keys.token);
    }
    let names: Vec<&str> = headers.keys().copied().collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let request = format!("POST\n/\n{QUERY}\n{lines}\n{names}\n{}", hash(""));
    let scope = format!("{day}/{region}/sts/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(&request));
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in [day, region, "sts", "aws4_request", text.as_str()] {
        key =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        keys.id,
        ingot_base::hash::hex(&key)
    );
    let mut message = json!({
        "Authorization": authorization,
        "Host": host,
        "X-Amz-Date": time,
        "X-Hcp-Workload-Identity-Provider": resource,
    });
    if !keys.token.is_empty() {
        message["X-Amz-Security-Token"] = keys.token.as_str().into();
    }
    json!({ "headers": message, "method": "POST", "url": format!("https://{host}?{QUERY}") })
}

fn hash(text: &str) -> String {
    ingot_base::hash::sha256(text)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// What botocore signs with the same keys at the same time.
    #[test]
    fn the_signature_is_that_of_awss_own_library() {
        let keys = Keys { id: "AKID".into(), secret: "secret".into(), token: "session".into() };
        let now = datetime!(2026-01-02 03:04:05 UTC);
        let request = signed("eu-west-1", &keys, "iam/project/p/wip", now);
        let names = "host;x-amz-date;x-amz-security-token;x-hcp-workload-identity-provider";
        let signature = "49c18dc7241961faf844dbb474b81be045aa906a7dc7191039c9fcfdd7a3f80d";
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/sts/aws4_request, \
             SignedHeaders={names}, Signature={signature}"
        );
        assert_eq!(request["headers"]["Authorization"], expected);
        assert_eq!(request["headers"]["X-Amz-Security-Token"], "session");
        let url = "https://sts.eu-west-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15";
        assert_eq!((&request["url"], &request["method"]), (&json!(url), &json!("POST")));
    }
}
