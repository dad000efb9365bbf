//! Ids and secrets of service principals.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_base::hash::{hex, sha256};
use ring::rand::{SecureRandom, SystemRandom};

use crate::store::{Principal, Role};

/// A new principal and its secret, which is shown once and not kept.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The principal.
    pub principal: Principal,
    /// Its secret, 256 random bits in base64.
    pub secret: String,
}

impl Credentials {
    /// New ones for a principal of an organization, or of one of its projects only.
    pub(super) fn new(
        organization_id: &str,
        project_id: Option<&str>,
        name: &str,
        role: Role,
    ) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(random());
        let principal = Principal {
            id: format!("{ID}{}", hex(&random()[..16])),
            organization_id: organization_id.to_owned(),
            project_id: project_id.map(str::to_owned),
            name: name.to_owned(),
            role,
            secret_hash: hash_secret(&secret),
            created_at: Default::default(),
        };
        Credentials { principal, secret }
    }
}

/// How client ids begin; 32 hexadecimal digits follow.
const ID: &str = "ingot-";

/// Whether a text has the form of a client id.
pub(super) fn is_client_id(text: &str) -> bool {
    let digits = text.strip_prefix(ID).unwrap_or_default();
    digits.len() == 32 && digits.chars().all(|digit| digit.is_ascii_hexdigit())
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Nothing can be done without randomness, and the system has had it since it started.
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// 256 random bits in hexadecimal.
pub fn random_hex() -> String {
    hex(&random())
}

/// What is kept of a secret. A plain SHA-256: the secret is 256 random bits, which nobody guesses
/// however fast the hash is; a slow one would only make signing in slow, and a way to keep the
/// server busy.
pub fn hash_secret(secret: &str) -> String {
    sha256(secret)
}

/// Whether a secret is the principal's. What the time of the comparison could tell is about the
/// hash, from which nothing follows for the secret.
pub fn is_secret_of(principal: &Principal, secret: &str) -> bool {
    hash_secret(secret) == principal.secret_hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_checked() {
        let Credentials { principal, secret } = Credentials::new("o", None, "ci", Role::Viewer);
        assert!(is_secret_of(&principal, &secret));
        assert!(!is_secret_of(&principal, &principal.secret_hash));
        assert!(!principal.secret_hash.contains(&secret));
    }
}
