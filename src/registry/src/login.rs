//! Somebody's own login to HCP, by browser: where it is kept, and how it is made.
//!
//! HCP's command line, `hcp auth login`, and Terraform's provider keep theirs in the same file in the
//! same form (hcp-sdk-go, `auth/tokencache`), so that one login serves all of them.

mod authorization;
mod callback;
mod kept;
mod settings;

use std::path::PathBuf;

use ingot_base::Result;

pub use authorization::{LOGIN_TIMEOUT, LogIn};
pub(crate) use kept::{Entry, StoredLogin};
pub(crate) use settings::usable;
pub use settings::{LoginSettings, before_login, for_login, kept_login};

/// Where HCP's tools keep logins, from the home directory.
const CACHE: &str = ".config/hcp/creds-cache.json";

/// A login that may be kept on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The file that it is kept in.
    pub path: PathBuf,
    /// What HCP calls the program that asks; HCP's own tools share one name.
    pub client_id: String,
    /// Which HCP it is for: `us` or `eu`.
    pub geography: String,
}

impl Login {
    /// The login for one geography, kept below the home directory `home`.
    pub(crate) fn new(home: &str, client_id: String, geography: &str) -> Login {
        let path = PathBuf::from(home).join(CACHE);
        Login { path, client_id, geography: geography.to_owned() }
    }

    /// Whether one is kept, good or not.
    ///
    /// # Errors
    /// The file cannot be read, or is something else.
    pub fn is_kept(&self) -> Result<bool> {
        Ok(StoredLogin::of(self).entry()?.is_some())
    }

    /// Forgets it, of whichever geography; false where there was none.
    ///
    /// # Errors
    /// The file cannot be read or written, or is something else.
    pub async fn remove(&self) -> Result<bool> {
        let kept = StoredLogin::of(self);
        if !kept.is_any()? {
            return Ok(false);
        }
        // One that is being renewed would come back.
        let _lock = kept.lock().await?;
        kept.keep(None)?;
        Ok(true)
    }
}
