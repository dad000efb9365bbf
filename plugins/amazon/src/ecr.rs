//! Passwords of Amazon's container registry, for `ecr_login` of the docker plugins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::ecr::{EcrAccount, EcrCredentials, EcrLogin};
use ingot_sdk::{Error, Result, Ui, async_trait};
use serde_json::{Value, json};

use crate::access::{Access, AccessOptions};
use crate::failure::Failure;
use crate::json_call::{self, JsonService};

const PRIVATE: JsonService = JsonService {
    id: "ECR",
    host: "api.ecr",
    signing_name: "ecr",
    target: "AmazonEC2ContainerRegistry_V20150921",
};

const PUBLIC: JsonService = JsonService {
    id: "ECR PUBLIC",
    host: "api.ecr-public",
    signing_name: "ecr-public",
    target: "SpencerFrontendService",
};

/// ECR Public has its API in one region.
const PUBLIC_REGION: &str = "us-east-1";

/// The registry in a server's name.
#[derive(Debug, PartialEq, Eq)]
enum Registry {
    Public,
    Private { account: String, region: String },
}

impl Registry {
    /// Reads `[https://]ACCOUNT.dkr.ecr.REGION.amazonaws.com[/…]` and `public.ecr.aws[/…]`.
    fn parse(server: &str, public: bool) -> Option<Registry> {
        let bare = server.split_once("://").map_or(server, |(_, rest)| rest);
        let host = bare.split(['/', ':']).next().unwrap_or(bare).to_ascii_lowercase();
        if public || host == "public.ecr.aws" {
            return Some(Registry::Public);
        }
        let (account, rest) = host.split_once(".dkr.ecr.").or_else(|| {
            host.split_once(".dkr-ecr.").or_else(|| host.split_once(".dkr.ecr-fips."))
        })?;
        let (region, domain) = rest.split_once('.')?;
        let known = domain.starts_with("amazonaws.")
            || domain.starts_with("on.aws")
            || domain == json_call::domain(region);
        let number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        (known && number && !region.is_empty())
            .then(|| Registry::Private { account: account.to_owned(), region: region.to_owned() })
    }
}

/// Asks ECR for passwords.
#[derive(Debug, Default)]
pub struct AmazonEcr {
    credentials_file: Option<String>,
}

impl AmazonEcr {
    /// One that reads another file than `~/.aws/credentials`.
    pub fn with_credentials_file(path: impl Into<String>) -> Self {
        AmazonEcr { credentials_file: Some(path.into()) }
    }
}

#[async_trait]
impl EcrLogin for AmazonEcr {
    fn knows(&self, server: &str, account: &EcrAccount) -> bool {
        Registry::parse(server, account.public).is_some()
    }

    async fn login(&self, server: &str, account: &EcrAccount, ui: &Ui) -> Result<EcrCredentials> {
        let registry = Registry::parse(server, account.public).ok_or_else(|| {
            Error::new(format!("login_server: {server} is not a registry of Amazon ECR"))
                .hint("it is called like 123456789012.dkr.ecr.us-east-1.amazonaws.com")
        })?;
        let (service, region, request) = match &registry {
            Registry::Public => (PUBLIC, PUBLIC_REGION, json!({})),
            Registry::Private { account, region } => {
                (PRIVATE, region.as_str(), json!({ "registryIds": [account] }))
            }
        };
        let access = Access::open(
            &AccessOptions {
                access_key: account.access_key.clone(),
                secret_key: account.secret_key.clone(),
                token: account.token.clone(),
                profile: account.profile.clone(),
                region: Some(region.to_owned()),
                shared_credentials_file: self.credentials_file.clone(),
                ..Default::default()
            },
            ui,
        )
        .await?;
        let response = access.call(&service, region, "GetAuthorizationToken", &request).await;
        let response = response.map_err(|failure: Failure| {
            Error::from(failure).context(format_args!("getting a password for {server}"))
        })?;
        let data = &response["authorizationData"];
        let data = data.as_array().and_then(|all| all.first()).unwrap_or(data);
        let credentials = read(&data["authorizationToken"]).ok_or_else(|| {
            Error::new(format!("getting a password for {server}: AWS returned none"))
        })?;
        ui.mask(&credentials.password);
        Ok(credentials)
    }
}

/// `USER:PASSWORD` in base64.
fn read(token: &Value) -> Option<EcrCredentials> {
    let text = String::from_utf8(STANDARD.decode(token.as_str()?).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(EcrCredentials { username: username.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::Registry;

    #[test]
    fn registries_are_known_by_their_names() {
        let private = |region: &str| {
            Some(Registry::Private { account: "123456789012".into(), region: region.into() })
        };
        for (server, registry) in [
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", private("us-east-1")),
            ("https://123456789012.dkr.ecr.eu-west-2.amazonaws.com/a/b", private("eu-west-2")),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", private("cn-north-1")),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", private("us-gov-west-1")),
            ("123456789012.dkr-ecr.us-west-2.on.aws", private("us-west-2")),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", private("eusc-de-east-1")),
            ("123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov", private("us-isof-south-1")),
            ("123456789012.dkr.ecr.us-east-1.csp.hci.ic.gov", None),
            ("public.ecr.aws/name", Some(Registry::Public)),
            ("12.dkr.ecr.us-east-1.amazonaws.com", None),
            ("docker.io", None),
            ("evil.example/123456789012.dkr.ecr.us-east-1.amazonaws.com", None),
        ] {
            assert_eq!(Registry::parse(server, false), registry, "{server}");
        }
        assert_eq!(Registry::parse("localhost:5000", true), Some(Registry::Public));
    }
}
