//! The clients of AWS's services.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_ec2::Client as Ec2;
use ingot_sdk::home::expanded;
use ingot_sdk::{Error, Result, Ui};

use super::credentials;
use super::options::{AccessOptions, set};
use crate::failure::{During, Failure, Kind};
use crate::filter::filter;
use crate::http_client::CommonClient;
use crate::polling::PollingOptions;

/// How often a call is tried where `max_retries` does not say. The SDK's own 3 are too few for
/// accounts that are throttled; Packer's number.
const TRIES: u32 = 10;

/// The way into AWS: credentials that were found, and a region. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Access {
    config: SdkConfig,
    http: CommonClient,
    region: String,
    tries: u32,
    pub(super) custom_endpoint_ec2: Option<String>,
    account: Option<String>,
    decode_messages: bool,
    polling: PollingOptions,
}

impl Access {
    /// Finds the region and the credentials. Secrets among them are masked from here on, also
    /// those that they are renewed to.
    ///
    /// # Errors
    /// There are none, and where they were looked for.
    pub async fn open(options: &AccessOptions, ui: &Ui) -> Result<Access> {
        let http = CommonClient::new(options.insecure_skip_tls_verify)?;
        let files = profile_files(options);
        let near = ProviderConfig::without_region().with_http_client(http.clone());
        let region = region(options, &near, &files).await?;
        let near = near.with_region(Some(region.clone()));
        let tries = options.max_retries.filter(|&tries| tries > 0).unwrap_or(TRIES);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .region(region.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(tries))
            .profile_files(files.clone());
        if let Some(profile) = set(&options.profile) {
            loader = loader.profile_name(profile);
        }
        let loader = loader.no_credentials();
        let config = loader.load().await;
        let (config, account) = credentials::add(config, options, &near, files, ui).await?;
        Ok(Access {
            config,
            http,
            region: region.to_string(),
            tries,
            custom_endpoint_ec2: set(&options.custom_endpoint_ec2).map(str::to_owned),
            account,
            decode_messages: options.decode_authorization_messages,
            polling: options.aws_polling.clone().unwrap_or_default(),
        })
    }

    /// The region of the options, the environment or the profile.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account, where the source of the credentials tells it.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The account, by asking for it. `endpoint` says where STS is if the environment does not.
    ///
    /// # Errors
    /// Nobody tells.
    pub async fn ask_account(&self, endpoint: Option<&str>) -> Result<String> {
        let retry = RetryConfig::standard().with_max_attempts(self.tries.min(3));
        let mut config = aws_sdk_sts::config::Builder::from(&self.config).retry_config(retry);
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        let client = aws_sdk_sts::Client::from_conf(config.build());
        let response = client.get_caller_identity().send().await;
        let failure = match response.during("asking STS for the account") {
            Ok(response) => match response.account {
                Some(account) => return Ok(account),
                None => Failure::new(Kind::Broken, "STS did not return the account"),
            },
            Err(failure) => failure,
        };
        // What speaks as EC2 does may come without STS. There, groups tell whose they are.
        let ec2 = self.client(&self.region);
        let request = ec2.describe_security_groups().filters(filter("group-name", "default"));
        let groups = request.send().await.ok().and_then(|response| response.security_groups);
        let owner = groups.unwrap_or_default().into_iter().find_map(|group| group.owner_id);
        owner.ok_or_else(|| failure.into())
    }

    /// The same way into another region, of which `custom_endpoint_ec2` tells as well.
    pub(crate) fn in_region(&self, region: &str) -> Access {
        Access { region: region.to_owned(), ..self.clone() }
    }

    /// How often a call is tried.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// The client for what is asked without the SDK.
    pub(crate) fn http(&self) -> &reqwest::Client {
        self.http.plain()
    }

    /// A client for uploads.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub(crate) fn upload_client(&self) -> Result<reqwest::Client> {
        self.http.uploads()
    }

    pub(crate) fn config(&self) -> &SdkConfig {
        &self.config
    }

    pub(crate) fn credentials(&self) -> Option<SharedCredentialsProvider> {
        self.config.credentials_provider()
    }

    /// How long and how often to look whether something is done.
    pub fn polling(&self) -> &PollingOptions {
        &self.polling
    }

    /// The client for EC2 in a region. `custom_endpoint_ec2` says where that is in the region of
    /// the options only, `AWS_ENDPOINT_URL_EC2` and `AWS_ENDPOINT_URL` in all regions.
    pub fn client(&self, region: &str) -> Ec2 {
        let mut config =
            aws_sdk_ec2::config::Builder::from(&self.config).region(Region::new(region.to_owned()));
        if let Some(endpoint) = self.custom_endpoint_ec2.as_ref().filter(|_| region == self.region)
        {
            config = config.endpoint_url(endpoint);
        }
        Ec2::from_conf(config.build())
    }

    /// `error` with what AWS tells about an encoded refusal in it, if the options ask for that.
    /// Where it cannot be decoded, `error` as it is.
    pub async fn explain(&self, error: Error) -> Error {
        const MARK: &str = "Encoded authorization failure message: ";
        let message = error.to_string();
        let Some((before, rest)) = message.split_once(MARK).filter(|_| self.decode_messages) else {
            return error;
        };
        let encoded = rest.split([' ', ')']).next().unwrap_or(rest);
        let client = aws_sdk_sts::Client::new(&self.config);
        let response = client.decode_authorization_message().encoded_message(encoded).send().await;
        match response.map(|response| response.decoded_message) {
            Ok(Some(decoded)) => {
                error.reworded(format!("{before}{decoded}{}", &rest[encoded.len()..]))
            }
            Ok(None) => error,
            Err(failed) => {
                let failed = Failure::from(failed);
                tracing::warn!("the authorization message cannot be decoded: {failed}");
                error
            }
        }
    }
}

/// The files of profiles.
pub(super) fn profile_files(options: &AccessOptions) -> EnvConfigFiles {
    let Some(path) = set(&options.shared_credentials_file) else {
        return EnvConfigFiles::default();
    };
    EnvConfigFiles::builder()
        .include_default_config_file(true)
        .with_file(EnvConfigFileKind::Credentials, expanded(path))
        .build()
}

pub(super) async fn region(
    options: &AccessOptions,
    near: &ProviderConfig,
    files: &EnvConfigFiles,
) -> Result<Region> {
    if let Some(region) = set(&options.region) {
        return Ok(Region::new(region.to_owned()));
    }
    let mut profile =
        ProfileFileRegionProvider::builder().configure(near).profile_files(files.clone());
    if let Some(name) = set(&options.profile) {
        profile = profile.profile_name(name);
    }
    let mut chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(profile.build());
    if !options.skip_metadata_api_check {
        let instance = ImdsRegionProvider::builder().configure(near);
        let client = aws_config::imds::Client::builder().configure(near).max_attempts(1).build();
        chain = chain.or_else(instance.imds_client(client).build());
    }
    chain.region().await.ok_or_else(|| {
        Error::new("no AWS region is set").hint(
            "set `region`, as in region = \"us-east-1\", or AWS_REGION, or `region` in the \
             profile",
        )
    })
}
