//! HCP's geographies: their addresses, and the client that HCP's own tools log in as. From hcp-sdk-go,
//! `config/geography`.

use ingot_base::{Error, Result};

use super::environment::Environment;

/// One of HCP's geographies.
pub(crate) struct Geography {
    pub name: &'static str,
    /// Where tokens are given out.
    pub auth: &'static str,
    /// Where the API is.
    pub api: &'static str,
    pub login_client: &'static str,
}

const GEOGRAPHIES: [Geography; 2] = [
    Geography {
        name: "us",
        auth: "https://auth.idp.hashicorp.com",
        api: "api.cloud.hashicorp.com:443",
        login_client: "4edd6521-6eb9-4d78-9039-7ce8569d667c",
    },
    Geography {
        name: "eu",
        auth: "https://auth.idp.eu.hashicorp.com",
        api: "api.cloud.eu.hashicorp.com",
        login_client: "16c79e87-4ec6-4a01-86a0-5693f42a907f",
    },
];

impl Geography {
    /// The one that `HCP_GEOGRAPHY` names.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) fn of(environment: Environment) -> Result<&'static Geography> {
        let name = environment("HCP_GEOGRAPHY");
        let name = name.as_deref().unwrap_or("us");
        let found = GEOGRAPHIES.iter().find(|geography| geography.name == name);
        found.ok_or_else(|| {
            Error::new(format!("HCP_GEOGRAPHY is `{name}`")).hint("it can be `us` or `eu`")
        })
    }
}
