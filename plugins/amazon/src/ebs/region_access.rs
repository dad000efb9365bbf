//! Where a thing at AWS is, as the journal writes it down: what is needed to reach it again, and
//! never a secret.

use std::sync::Arc;

use ingot_sdk::{Error, Journal, Resource, Result, RunContext};

use crate::access::{Access, AccessOptions, AssumeRoleOptions};

/// The attribute that holds the id of the account.
pub(crate) const ACCOUNT: &str = "account";

/// A place to make things in.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegionAccess {
    options: AccessOptions,
    /// The region of the build, whose endpoint the options may name.
    home: String,
    region: String,
    run: String,
}

impl RegionAccess {
    /// The place that a build with these options works in.
    pub(crate) fn new(options: &AccessOptions, access: &Access, ctx: &RunContext) -> RegionAccess {
        let run = ctx.prepare.run_uuid.clone();
        let region = access.region().to_owned();
        if let Some(account) = access.account() {
            ctx.journal.note(ACCOUNT, account);
        }
        RegionAccess { options: options.clone(), home: region.clone(), region, run }
    }

    /// The place in a region where something of the run `run` was found, with the access that the
    /// environment gives.
    pub(super) fn found(region: &str, run: &str) -> RegionAccess {
        let options = AccessOptions::default();
        RegionAccess {
            options,
            home: region.to_owned(),
            region: region.to_owned(),
            run: run.to_owned(),
        }
    }

    /// The same account in another region.
    pub(super) fn in_region(&self, region: &str) -> RegionAccess {
        RegionAccess { region: region.to_owned(), ..self.clone() }
    }

    /// The journal's record of something here.
    pub(crate) fn resource(&self, kind: &str, id: &str) -> Resource {
        let options = &self.options;
        let variable = |names: &[&str]| {
            let values = names.iter().filter_map(|name| std::env::var(name).ok());
            values.filter(|value| !value.is_empty()).collect::<Vec<_>>().into_iter().next()
        };
        let ec2 = variable(&["AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL"]);
        let custom = options.custom_endpoint_ec2.clone().filter(|_| self.region == self.home);
        let endpoint = custom.filter(|url| !url.is_empty()).or(ec2);
        // The environment's keys go before the environment's profile.
        let keyless = variable(&["AWS_ACCESS_KEY_ID"]).is_none();
        let named = || variable(&["AWS_PROFILE"]).filter(|_| keyless);
        let profile = options.profile.clone().or_else(named);
        let role = options.assume_role.clone().unwrap_or_default();
        let facts = [
            ("endpoint", endpoint),
            ("iam_endpoint", variable(&["AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL"])),
            ("sts_endpoint", variable(&["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"])),
            ("profile", profile),
            ("shared_credentials_file", options.shared_credentials_file.clone()),
            ("role_arn", role.role_arn),
            ("external_id", role.external_id),
        ];
        let mut resource = Resource::new(kind, id)
            .with("region", self.region.as_str())
            .with("run", self.run.as_str());
        for (name, value) in facts {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                resource = resource.with(name, value);
            }
        }
        if options.insecure_skip_tls_verify {
            resource = resource.with("insecure_skip_tls_verify", true);
        }
        resource
    }
}

/// A text that the journal wrote down about `resource`.
pub(crate) fn attribute<'a>(resource: &'a Resource, name: &str) -> Option<&'a str> {
    resource.attributes.get(name).and_then(|value| value.as_str())
}

/// Writes down in which account all of the build is, which the ARN of something that it made, or of
/// who made it, tells.
pub(super) fn note_account(journal: &Arc<dyn Journal>, arn: Option<&str>) {
    if let Some(account) = arn.and_then(account_of) {
        journal.note(ACCOUNT, account);
    }
}

/// The account in an ARN.
fn account_of(arn: &str) -> Option<&str> {
    let account = arn.strip_prefix("arn:")?.split(':').nth(3)?;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

/// The access that the journal wrote down.
///
/// # Errors
/// The record names no region.
pub(super) fn access_options(resource: &Resource) -> Result<AccessOptions> {
    let text = |name: &str| attribute(resource, name).map(str::to_owned);
    let region = text("region")
        .ok_or_else(|| Error::new(format!("the journal names no region for {}", resource.id)))?;
    let role_arn = text("role_arn");
    let assume_role = role_arn.map(|role_arn| AssumeRoleOptions {
        role_arn: Some(role_arn),
        external_id: text("external_id"),
        ..AssumeRoleOptions::default()
    });
    Ok(AccessOptions {
        region: Some(region),
        profile: text("profile"),
        shared_credentials_file: text("shared_credentials_file"),
        custom_endpoint_ec2: text("endpoint"),
        insecure_skip_tls_verify: resource.attributes.contains_key("insecure_skip_tls_verify"),
        assume_role,
        ..AccessOptions::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_contain_the_account() {
        for (arn, account) in [
            ("arn:aws:ec2:us-east-1:123456789012:security-group/sg-1", Some("123456789012")),
            ("arn:aws-cn:iam::123456789012:instance-profile/p", Some("123456789012")),
            ("arn:aws:iam::aws:policy/p", None),
            ("sg-1", None),
        ] {
            assert_eq!(account_of(arn), account, "{arn}");
        }
    }
}
