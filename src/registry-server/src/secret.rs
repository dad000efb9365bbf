//! Secrets of principals and the tokens they get for them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use ingot_registry::api::{Code, Error, Result};
use ingot_registry::store::{Principal, Role};

/// How long a token is good for, in seconds.
pub const TOKEN_LIFE: i64 = 3600;

/// JSON of the header of every token, in base64: `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new principal and its secret, which is not kept anywhere.
pub fn new_principal(
    organization_id: &str,
    project_id: Option<&str>,
    name: &str,
    role: Role,
) -> (Principal, String) {
    let secret = URL_SAFE_NO_PAD.encode(random());
    let id = format!("ingot-{}", hex(&random()[..16]));
    let principal = Principal {
        id,
        organization_id: organization_id.to_owned(),
        project_id: project_id.map(str::to_owned),
        name: name.to_owned(),
        role,
        secret_hash: hash(&secret),
        created_at: Default::default(),
    };
    (principal, secret)
}

/// What is kept of a secret. A plain SHA-256: the secret is 256 random bits, which nobody guesses
/// however fast the hash is; a slow one would only make signing in slow, and a way to keep the
/// server busy.
pub(super) fn hash(secret: &str) -> String {
    hex(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
}

/// Whether a secret is the principal's. What the time of the comparison could tell is about the
/// hash, from which nothing follows for the secret.
pub fn is_secret_of(principal: &Principal, secret: &str) -> bool {
    hash(secret) == principal.secret_hash
}

/// Whether `signature` is the HMAC-SHA512 of a body in hexadecimal. How long it takes tells nothing
/// of where they differ.
pub fn is_signature_512(secret: &str, body: &[u8], signature: &str) -> bool {
    let digits = signature.as_bytes();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let plain = digits.len() == 128 && digits.iter().all(u8::is_ascii_hexdigit);
    let key = hmac::Key::new(hmac::HMAC_SHA512, secret.as_bytes());
    plain && bytes.is_some_and(|bytes| hmac::verify(&key, body, &bytes).is_ok())
}

/// HMAC-SHA256 in hexadecimal.
pub fn signature(secret: &str, body: &[u8]) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body).as_ref())
}

/// The key that tokens are signed with: in the database, so that all servers on it take them.
#[derive(Debug)]
pub struct TokenKey(hmac::Key);

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
}

impl TokenKey {
    /// The key of this text.
    ///
    /// # Errors
    /// It is too short to be one.
    pub fn new(text: &str) -> Result<Self> {
        match text.len() >= 64 {
            true => Ok(TokenKey(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))),
            false => Err(Error::new(Code::Internal, "the database's token_key is too short")),
        }
    }

    /// A token for a principal: a JSON Web Token.
    pub fn token(&self, principal: &str) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = Claims { sub: principal.to_owned(), exp: now + TOKEN_LIFE };
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The principal a token is for, if it is one of ours and has not expired.
    pub fn principal(&self, token: &str) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.0, signed.as_bytes(), &signature).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        (claims.exp > OffsetDateTime::now_utc().unix_timestamp()).then_some(claims.sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_is_taken() {
        let key = TokenKey::new(&random_hex()).expect("a key");
        let token = key.token("me");
        assert_eq!(key.principal(&token).as_deref(), Some("me"));
        let other = TokenKey::new(&random_hex()).expect("a key");
        assert_eq!(other.principal(&token), None);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"admin","exp":99999999999}"#);
        let signature = token.rsplit_once('.').expect("a signature").1;
        assert_eq!(key.principal(&format!("{HEADER}.{claims}.{signature}")), None);
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        for wrong in ["", ".", "..", &format!("{none}.{claims}."), &token[..token.len() - 2]] {
            assert_eq!(key.principal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tokens_expire() {
        let key = TokenKey::new(&random_hex()).expect("a key");
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"me","exp":1}"#);
        let signed = format!("{HEADER}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key.0, signed.as_bytes()));
        assert_eq!(key.principal(&format!("{signed}.{signature}")), None);
    }

    #[test]
    fn secrets_are_checked() {
        let (principal, secret) = new_principal("o", None, "ci", Role::Viewer);
        assert!(is_secret_of(&principal, &secret));
        assert!(!is_secret_of(&principal, &principal.secret_hash));
        assert!(!principal.secret_hash.contains(&secret));
    }
}
