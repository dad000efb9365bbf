//! Tokens that principals get for their secrets, and signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ingot_base::hash::hex;
use ring::hmac;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use ingot_registry::api::{Code, Error, Result};
pub(super) use ingot_registry::service::{hash_secret as hash, is_secret_of, random_hex};

/// How long a token is good for, in seconds.
pub const TOKEN_LIFE: i64 = 3600;

/// How the subject of a token begins that is for an SBOM; no principal's id does.
const SBOM: &str = "sbom:";

/// JSON of the header of every token, in base64: `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

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
        self.sign(principal, TOKEN_LIFE)
    }

    /// A token with which an SBOM can be downloaded for `life` seconds.
    pub fn sbom_token(&self, sbom: &str, life: i64) -> String {
        self.sign(&format!("{SBOM}{sbom}"), life)
    }

    fn sign(&self, subject: &str, life: i64) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = Claims { sub: subject.to_owned(), exp: now + life };
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The principal a token is for, if it is one of ours and has not expired.
    pub fn principal(&self, token: &str) -> Option<String> {
        self.subject(token).filter(|subject| !subject.starts_with(SBOM))
    }

    /// The SBOM that a token is for, if it is one of ours and has not expired.
    pub fn sbom(&self, token: &str) -> Option<String> {
        Some(self.subject(token)?.strip_prefix(SBOM)?.to_owned())
    }

    fn subject(&self, token: &str) -> Option<String> {
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
    fn a_token_for_an_sbom_is_for_nothing_else() {
        let key = TokenKey::new(&random_hex()).expect("a key");
        let token = key.sbom_token("bom", 60);
        assert_eq!(key.sbom(&token).as_deref(), Some("bom"));
        assert_eq!(key.principal(&token), None);
        assert_eq!(key.sbom(&key.token("me")), None);
        assert_eq!(key.sbom(&key.sbom_token("bom", 0)), None);
    }

    #[test]
    fn tokens_expire() {
        let key = TokenKey::new(&random_hex()).expect("a key");
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"me","exp":1}"#);
        let signed = format!("{HEADER}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key.0, signed.as_bytes()));
        assert_eq!(key.principal(&format!("{signed}.{signature}")), None);
    }
}
