//! What the environment says of logins by browser.

use std::os::unix::fs::MetadataExt as _;

use ingot_base::{Error, Result};
use reqwest::Url;

use super::Login;
use crate::environment::{Environment, set, variable};
use crate::geography::Geography;
use crate::settings::{
    CLIENT_ID, CLIENT_SECRET, CRED_FILE, INGOT_REGISTRY, Tls, auth_address, auth_url,
    default_cred_file, tls, token_path,
};

/// Names the client to log in as, at another place than HCP too.
const OAUTH_CLIENT_ID: &str = "HCP_OAUTH_CLIENT_ID";

/// What logging in by browser needs.
#[derive(Debug, Clone)]
pub struct LoginSettings {
    /// Where tokens are given out.
    pub token: Url,
    /// Whether the certificate there is not checked.
    pub auth_insecure: bool,
    /// The login to be.
    pub login: Login,
}

/// What logging in to HCP by browser needs, as this process's environment says.
///
/// # Errors
/// It names another registry, or something in it does not make sense; the text says what to set.
pub fn for_login() -> Result<LoginSettings> {
    let environment: Environment = &variable;
    if set(environment, INGOT_REGISTRY).is_some() {
        return Err(Error::new(format!(
            "{INGOT_REGISTRY} names a registry of your own, and only HCP is logged in to by browser"
        ))
        .hint(format!(
            "unset it to log in to HCP; for a server, set {CLIENT_ID} and {CLIENT_SECRET} to a key of it"
        )));
    }
    let mut token = auth_url(&auth_address(environment)?)?;
    if set(environment, OAUTH_CLIENT_ID).is_none() && !is_hcps_auth(environment, &token)? {
        return Err(Error::new("HCP_AUTH_URL names another server than HCP's").hint(format!(
            "unset it to log in to HCP, or set {OAUTH_CLIENT_ID} to the client to log in there as"
        )));
    }
    token_path(&mut token);
    let auth_insecure = tls("HCP_AUTH_TLS", environment)? == Tls::Insecure;
    let login = login(environment)?.ok_or_else(no_home)?;
    Ok(LoginSettings { token, auth_insecure, login })
}

/// The login that may be kept on this machine, whichever registry is used now.
///
/// # Errors
/// There is no home directory.
pub fn kept_login() -> Result<Login> {
    login(&variable)?.ok_or_else(no_home)
}

fn no_home() -> Error {
    Error::new("there is no home directory to keep a login in").hint("set HOME")
}

/// What of the environment is used before a login by browser, if something is.
pub fn before_login() -> Option<&'static str> {
    let named = [CLIENT_ID, CRED_FILE].into_iter().find(|name| set(&variable, name).is_some());
    let default = || default_cred_file(&variable).map(|_| "~/.config/hcp/cred_file.json");
    named.or_else(default).or_else(|| in_ci(&variable).then_some("CI"))
}

/// The login to use where the API is at `api` and tokens come from `auth`. Somebody's tokens go to HCP
/// only, unless a client of another place is named; and no CI works as somebody.
pub(crate) fn usable(environment: Environment, api: &Url, auth: &Url) -> Result<Option<Login>> {
    if in_ci(environment) || api.scheme() != "https" {
        return Ok(None);
    }
    let own_client = set(environment, OAUTH_CLIENT_ID).is_some();
    let hcps = Url::parse(&format!("https://{}", Geography::of(environment)?.api)).ok();
    let is_hcp = hcps.is_some_and(|hcps| hcps == *api)
        && is_hcps_auth(environment, auth)?
        && tls("HCP_API_TLS", environment)? == Tls::Checked
        && tls("HCP_AUTH_TLS", environment)? == Tls::Checked;
    match is_hcp || own_client {
        true => login(environment),
        false => Ok(None),
    }
}

fn in_ci(environment: Environment) -> bool {
    set(environment, "CI").is_some_and(|value| value != "false" && value != "0")
}

fn is_hcps_auth(environment: Environment, auth: &Url) -> Result<bool> {
    let hcps = auth_url(Geography::of(environment)?.auth)?;
    Ok(hcps.origin() == auth.origin())
}

/// Where somebody's login to HCP is kept; none without a home directory.
fn login(environment: Environment) -> Result<Option<Login>> {
    let geography = Geography::of(environment)?;
    let client_id =
        set(environment, OAUTH_CLIENT_ID).unwrap_or_else(|| geography.login_client.to_owned());
    Ok(set(environment, "HOME").map(|home| Login::new(&home, client_id, geography.name)))
}

/// That HOME is the home directory of whoever runs this: `sudo -E` keeps another's.
pub(super) fn check_home() -> Result<()> {
    let Some(home) = set(&variable, "HOME") else { return Ok(()) };
    let Ok(found) = std::fs::metadata(&home) else { return Ok(()) };
    match found.uid() == rustix::process::geteuid().as_raw() {
        true => Ok(()),
        false => Err(Error::new(format!("HOME is {home}, which belongs to another user"))
            .hint("log in as that user, without sudo")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_users_go_to_hcp_only() {
        let usable = |pairs: &[(&str, &str)], api: &str, auth: &str| {
            let home = [("HOME", "/home/x")];
            let pairs = [&home[..], pairs].concat();
            let environment = |name: &str| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let (api, auth) = (Url::parse(api).unwrap(), Url::parse(auth).unwrap());
            usable(&environment, &api, &auth).unwrap().is_some()
        };
        let (api, auth) = ("https://api.cloud.hashicorp.com:443", "https://auth.idp.hashicorp.com");
        assert!(usable(&[], api, auth));
        assert!(!usable(&[("CI", "true")], api, auth));
        assert!(!usable(&[("HCP_API_TLS", "insecure")], api, auth));
        assert!(!usable(&[("HCP_GEOGRAPHY", "eu")], api, auth));
        assert!(!usable(&[], "https://registry.example", auth));
        assert!(!usable(&[], api, "https://auth.example"));
        assert!(!usable(&[], "http://api.cloud.hashicorp.com", auth));
        let own = [(OAUTH_CLIENT_ID, "c")];
        assert!(usable(&own, "https://registry.example", "https://auth.example"));
        assert!(!usable(&own, "http://registry.example", "https://auth.example"));
    }
}
