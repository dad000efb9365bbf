//! Working as a role.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use tokio::sync::Mutex;

use super::options::{AssumeRoleOptions, set};
use crate::failure::Failure;

/// The sessions that were opened with codes of devices. STS takes a code once, so that all blocks of a
/// run which name the same role, device and code share one.
static SESSIONS: Mutex<Vec<Session>> = Mutex::const_new(Vec::new());

/// A session that was opened with the code of a device.
struct Session {
    role: AssumeRoleOptions,
    /// The device's serial number and the code.
    mfa: (String, String),
    credentials: Credentials,
}

/// Credentials of a role, from STS. The SDK has a source of its own for that, which knows neither
/// transitive tags nor devices for multi-factor authentication.
pub(super) struct AssumedRole {
    client: aws_sdk_sts::Client,
    role: AssumeRoleOptions,
    /// The serial number of a device and the code it shows.
    mfa: Option<(String, String)>,
}

impl AssumedRole {
    /// Asks `client` for the role.
    pub(super) fn new(
        client: aws_sdk_sts::Client,
        role: AssumeRoleOptions,
        mfa: Option<(String, String)>,
    ) -> Self {
        AssumedRole { client, role, mfa }
    }

    /// A session of the role: one that was opened with the same code as long as it lasts, else a new
    /// one.
    async fn session(&self) -> provider::Result {
        let Some(mfa) = &self.mfa else { return self.ask().await };
        // Held while STS is asked: blocks that come at the same time wait for its answer.
        let mut sessions = SESSIONS.lock().await;
        let now = SystemTime::now();
        sessions.retain(|one| one.credentials.expiry().is_none_or(|end| end > now));
        let mut known = sessions.iter();
        if let Some(one) = known.find(|one| one.mfa == *mfa && one.role == self.role) {
            return Ok(one.credentials.clone());
        }
        let credentials = self.ask().await?;
        let (role, mfa) = (self.role.clone(), mfa.clone());
        sessions.push(Session { role, mfa, credentials: credentials.clone() });
        Ok(credentials)
    }

    async fn ask(&self) -> provider::Result {
        let role = &self.role;
        let arn = set(&role.role_arn).unwrap_or_default();
        let session = set(&role.session_name).map(str::to_owned).unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("ingot-{}", now.as_secs())
        });
        let mut request = self
            .client
            .assume_role()
            .role_arn(arn)
            .role_session_name(session)
            .set_duration_seconds(role.duration_seconds.filter(|&seconds| seconds != 0))
            .set_external_id(set(&role.external_id).map(str::to_owned))
            .set_policy(set(&role.policy).map(str::to_owned));
        for arn in &role.policy_arns {
            request = request.policy_arns(PolicyDescriptorType::builder().arn(arn).build());
        }
        for (key, value) in &role.tags {
            let tag = Tag::builder().key(key).value(value).build();
            request = request.tags(tag.map_err(CredentialsError::invalid_configuration)?);
        }
        for key in &role.transitive_tag_keys {
            request = request.transitive_tag_keys(key);
        }
        if let Some((serial, code)) = &self.mfa {
            request = request.serial_number(serial).token_code(code);
        }
        let response = request.send().await.map_err(|error| {
            let failure = Failure::from(error);
            CredentialsError::provider_error(format!("assuming the role {arn}: {failure}"))
        })?;
        let found = response.credentials.ok_or_else(|| {
            CredentialsError::unhandled(format!(
                "assuming the role {arn}: no credentials came back"
            ))
        })?;
        let expiry = SystemTime::try_from(found.expiration).ok();
        Ok(Credentials::new(
            found.access_key_id,
            found.secret_access_key,
            Some(found.session_token),
            expiry,
            "role",
        ))
    }
}

impl std::fmt::Debug for AssumedRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AssumedRole").field("role", &self.role.role_arn).finish_non_exhaustive()
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.session())
    }
}
