//! Logging in by browser: OAuth2's authorization code grant (RFC 6749, section 4.1) with PKCE
//! (RFC 7636), as HCP's tools do it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_base::{Error, Result};
use reqwest::Url;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::Login;
use super::callback::{Callback, URL};
use super::kept::StoredLogin;
use super::settings::{LoginSettings, check_home};
use crate::http::{Mask, code_exchanged};

/// How long somebody has to log in.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(300);
/// What tokens are for: to be renewed as well.
const SCOPE: &str = "openid offline_access";

/// A login that waits for somebody in a browser.
pub struct LogIn {
    settings: LoginSettings,
    callback: Callback,
    state: String,
    verifier: String,
}

impl LogIn {
    /// Waits from now on for the browser to come back.
    ///
    /// # Errors
    /// Another program uses the port that it comes back to.
    pub async fn begin(settings: LoginSettings) -> Result<LogIn> {
        check_home()?;
        // Whether the login can be kept is checked before anybody logs in.
        let kept = StoredLogin::of(&settings.login);
        kept.is_any()?;
        drop(kept.lock().await?);
        Ok(LogIn {
            callback: Callback::listen().await?,
            settings,
            state: random()?,
            verifier: random()?,
        })
    }

    /// The page to open.
    pub fn page(&self) -> Url {
        let challenge = ingot_base::hash::sha256_bytes(&self.verifier);
        let mut url = self.settings.token.clone();
        url.set_path("/oauth2/auth");
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.login.client_id)
            .append_pair("redirect_uri", URL)
            .append_pair("scope", SCOPE)
            .append_pair("audience", crate::http::AUDIENCE)
            .append_pair("access_type", "offline")
            .append_pair("state", &self.state)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Waits until somebody has logged in, and keeps the login.
    ///
    /// # Errors
    /// Nobody does in time, HCP refuses, or the login cannot be kept.
    pub async fn finish(self, mask: Mask) -> Result<Login> {
        let LogIn { settings, callback, state, verifier } = self;
        let response =
            tokio::time::timeout(LOGIN_TIMEOUT, callback.authorization_response(&state)).await;
        let response = response.unwrap_or_else(|_| {
            let minutes = LOGIN_TIMEOUT.as_secs() / 60;
            Err(Error::new(format!("timed out waiting for the login ({minutes} minutes)")))
        })?;
        mask(&response.code);
        let kept = async {
            let entry = code_exchanged(&settings, &response.code, URL, &verifier, mask).await?;
            let kept = StoredLogin::of(&settings.login);
            let _lock = kept.lock().await?;
            kept.keep(Some(&entry))
        };
        let kept = kept.await;
        response.answer(kept.is_ok()).await;
        kept.map(|()| settings.login)
    }
}

/// A text that nobody can guess.
fn random() -> Result<String> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Error::new("this machine gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
