//! Where credentials come from.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::{Profile, ProfileFileCredentialsProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use ingot_sdk::{Error, Result, Ui};
use parking_lot::Mutex;

use super::options::{AccessOptions, AssumeRoleOptions, set};
use super::role::AssumedRole;
use crate::failure::chain;

/// Credentials that run out sooner than this are fetched anew.
const SPARE: Duration = Duration::from_secs(5 * 60);

/// The shortest text that is hidden, in bytes. AWS's secret keys have 40. What is shorter stands in
/// for one, as "test" does for emulators of AWS, and may be a word of any sentence.
const SHORTEST_SECRET: usize = 16;

/// Hides a secret of the account wherever it would be shown, also one that is written into a
/// template: it opens more than what is built.
fn hide(ui: &Ui, secret: &str) {
    if secret.len() >= SHORTEST_SECRET {
        ui.mask(secret);
    }
}

/// The last source.
const INSTANCE: &str = "the instance's metadata service";

/// `config` with the credentials that `options` lead to, and their account, if their source tells.
///
/// # Errors
/// There are none, or they cannot be had.
pub(super) async fn add(
    config: SdkConfig,
    options: &AccessOptions,
    near: &ProviderConfig,
    files: EnvConfigFiles,
    ui: &Ui,
) -> Result<(SdkConfig, Option<String>)> {
    [&options.secret_key, &options.token].into_iter().filter_map(set).for_each(|it| hide(ui, it));
    let mut role = options.assume_role.clone().filter(|role| set(&role.role_arn).is_some());
    let mut sources = Sources::of(options, near, &files);
    let mut mfa = None;
    if let Some(code) = set(&options.mfa_code) {
        let profile = MfaProfile::read(options, &files).await?;
        // The profile's role is the one that asks for the code. Its credentials are those of the
        // profile it names as its source.
        if set(&options.access_key).is_none() && profile.source.is_some() {
            sources = Sources::profile(profile.source.as_deref(), near, &files);
        }
        role = role.or(profile.role);
        mfa = Some((profile.serial, code.to_owned()));
    }
    let (config, account) = with(config, sources, ui).await?;
    match role {
        Some(role) => {
            let client = aws_sdk_sts::Client::new(&config);
            with(config, AssumedRole::new(client, role, mfa), ui).await
        }
        None => Ok((config, account)),
    }
}

/// `config` with the credentials of `source`, which is asked now so that its failure is not
/// reported as one of the first call.
async fn with(
    config: SdkConfig,
    source: impl ProvideCredentials + 'static,
    ui: &Ui,
) -> Result<(SdkConfig, Option<String>)> {
    let kept =
        PrefetchedCredentials { source: Box::new(source), first: Mutex::default(), ui: ui.clone() };
    let found = kept.fetch().await.map_err(failed)?;
    let account = found.account_id().map(|account| account.as_str().to_owned());
    *kept.first() = Some(found);
    let config = config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(kept))
        .identity_cache(IdentityCache::lazy().build())
        .build();
    Ok((config, account))
}

fn failed(error: CredentialsError) -> Error {
    match &error {
        CredentialsError::CredentialsNotLoaded(_) => {
            Error::new(format!("no AWS credentials were found: tried {}", why(&error))).hint(
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of \
                 `aws configure` with `profile` or AWS_PROFILE, or set access_key and secret_key",
            )
        }
        _ => Error::new(format!("getting AWS credentials failed: {}", why(&error)))
            .hint("check what is named there; SSO needs `aws sso login` before"),
    }
}

/// What a source says, without the words that all sources begin with.
fn why(error: &CredentialsError) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), chain)
}

/// The role and the device that a profile names.
struct MfaProfile {
    role: Option<AssumeRoleOptions>,
    serial: String,
    source: Option<String>,
}

impl MfaProfile {
    async fn read(options: &AccessOptions, files: &EnvConfigFiles) -> Result<MfaProfile> {
        let named = set(&options.profile).map(|name| name.to_owned().into());
        let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), files, named).await;
        let profiles = profiles.map_err(|error| {
            Error::new(format!("the AWS profiles cannot be read: {}", chain(&error)))
        })?;
        let name = profiles.selected_profile().to_owned();
        let profile = profiles.get_profile(&name);
        let get = |key: &str| profile.and_then(|profile: &Profile| profile.get(key));
        let missing = |what: &str| {
            Error::new(format!("mfa_code is set, but {what}")).hint(
                "give the profile `role_arn`, `source_profile` and `mfa_serial`, the ARN of the \
                 device that shows the code",
            )
        };
        let serial = get("mfa_serial")
            .ok_or_else(|| missing(&format!("the profile `{name}` has no mfa_serial")))?;
        let role = get("role_arn").map(|arn| AssumeRoleOptions {
            role_arn: Some(arn.to_owned()),
            external_id: get("external_id").map(str::to_owned),
            session_name: get("role_session_name").map(str::to_owned),
            duration_seconds: get("duration_seconds").and_then(|text| text.parse().ok()),
            ..Default::default()
        });
        if role.is_none() && options.assume_role.is_none() {
            return Err(missing(&format!(
                "neither assume_role nor the profile `{name}` has a role"
            )));
        }
        let source = role.as_ref().and_then(|_| get("source_profile")).map(str::to_owned);
        Ok(MfaProfile { role, serial: serial.to_owned(), source })
    }
}

/// The sources of credentials in the order they are asked.
#[derive(Debug)]
struct Sources(Vec<(String, SharedCredentialsProvider)>);

impl Sources {
    fn of(options: &AccessOptions, near: &ProviderConfig, files: &EnvConfigFiles) -> Sources {
        if let (Some(key), Some(secret)) = (set(&options.access_key), set(&options.secret_key)) {
            let token = set(&options.token).map(str::to_owned);
            let keys = Credentials::new(key, secret, token, None, "options");
            return Sources(vec![("access_key".into(), SharedCredentialsProvider::new(keys))]);
        }
        // A profile that the template names goes before the environment.
        if let Some(profile) = set(&options.profile) {
            return Sources::profile(Some(profile), near, files);
        }
        let mut sources = vec![(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".into(),
            SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()),
        )];
        sources.append(&mut Sources::profile(None, near, files).0);
        sources.push((
            "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE".into(),
            SharedCredentialsProvider::new(
                WebIdentityTokenCredentialsProvider::builder().configure(near).build(),
            ),
        ));
        sources.push((
            "the container's task role".into(),
            SharedCredentialsProvider::new(
                EcsCredentialsProvider::builder().configure(near).build(),
            ),
        ));
        if !options.skip_metadata_api_check {
            let client =
                aws_config::imds::Client::builder().configure(near).max_attempts(2).build();
            let instance = ImdsCredentialsProvider::builder().configure(near).imds_client(client);
            sources.push((INSTANCE.into(), SharedCredentialsProvider::new(instance.build())));
        }
        Sources(sources)
    }

    fn profile(name: Option<&str>, near: &ProviderConfig, files: &EnvConfigFiles) -> Sources {
        let mut provider =
            ProfileFileCredentialsProvider::builder().configure(near).profile_files(files.clone());
        if let Some(name) = name {
            provider = provider.profile_name(name);
        }
        let shown = name.map(str::to_owned).or_else(|| std::env::var("AWS_PROFILE").ok());
        let shown = format!("the profile `{}`", shown.as_deref().unwrap_or("default"));
        Sources(vec![(shown, SharedCredentialsProvider::new(provider.build()))])
    }

    async fn find(&self) -> provider::Result {
        let mut tried = Vec::new();
        for (name, source) in &self.0 {
            match source.provide_credentials().await {
                Ok(found) => {
                    tracing::info!("AWS credentials come from {name}");
                    return Ok(found);
                }
                // Nobody asks for the instance's: whatever comes from its address on a machine
                // that is none only says that there are no credentials.
                Err(error)
                    if name == INSTANCE
                        || matches!(error, CredentialsError::CredentialsNotLoaded(_)) =>
                {
                    tried.push(format!("{name} ({})", why(&error)));
                }
                Err(error) => {
                    let why = format!("{name}: {}", why(&error));
                    return Err(CredentialsError::provider_error(why));
                }
            }
        }
        Err(CredentialsError::not_loaded(tried.join(", ")))
    }
}

impl ProvideCredentials for Sources {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.find())
    }
}

/// A source whose first credentials are kept for the first call, and all of whose secrets are
/// masked.
struct PrefetchedCredentials {
    source: Box<dyn ProvideCredentials>,
    first: Mutex<Option<Credentials>>,
    ui: Ui,
}

impl PrefetchedCredentials {
    fn first(&self) -> parking_lot::MutexGuard<'_, Option<Credentials>> {
        self.first.lock()
    }

    async fn fetch(&self) -> provider::Result {
        let found = self.source.provide_credentials().await?;
        hide(&self.ui, found.secret_access_key());
        found.session_token().into_iter().for_each(|token| hide(&self.ui, token));
        Ok(found)
    }

    async fn get(&self) -> provider::Result {
        let lasts =
            |found: &Credentials| found.expiry().is_none_or(|end| end > SystemTime::now() + SPARE);
        if let Some(found) = self.first().take().filter(lasts) {
            return Ok(found);
        }
        self.fetch().await
    }
}

impl std::fmt::Debug for PrefetchedCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrefetchedCredentials")
    }
}

impl ProvideCredentials for PrefetchedCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}
