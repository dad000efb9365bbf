//! Signing with asymmetric keys of AWS KMS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ingot_sdk::{Error, Result, Ui, hash};
use serde_json::{Value, json};

use crate::access::{Access, AccessOptions};
use crate::json_call::JsonService;

const KMS: JsonService =
    JsonService { id: "KMS", host: "kms", signing_name: "kms", target: "TrentService" };

/// The public key of the key at `reference`, `awskms:///KEY`, as a SubjectPublicKeyInfo in DER. KEY
/// is the key's id or ARN, or an alias or its ARN. Access comes from the environment alone.
///
/// # Errors
/// There is no such key, it is no key that signs, or AWS refuses.
pub async fn public_key(reference: &str, ui: &Ui) -> Result<Vec<u8>> {
    let response = call(reference, "GetPublicKey", json!({}), ui).await?;
    if response["KeyUsage"].as_str().is_some_and(|usage| usage != "SIGN_VERIFY") {
        return Err(Error::new(format!("{reference} is not a key for SIGN_VERIFY")));
    }
    bytes(&response["PublicKey"])
}

/// The longest message that KMS hashes itself, in bytes; of longer ones it takes the hash.
const LONGEST: usize = 4096;

/// A signature of a message's SHA-256 with the key at `reference`: PKCS #1 v1.5 where `rsa`, else
/// ECDSA.
///
/// # Errors
/// As for [`public_key`].
pub async fn sign(reference: &str, message: &[u8], rsa: bool, ui: &Ui) -> Result<Vec<u8>> {
    let algorithm = if rsa { "RSASSA_PKCS1_V1_5_SHA_256" } else { "ECDSA_SHA_256" };
    let (kind, message) = match message.len() <= LONGEST {
        true => ("RAW", STANDARD.encode(message)),
        false => ("DIGEST", STANDARD.encode(hash::sha256_bytes(message))),
    };
    let request = json!({ "Message": message, "MessageType": kind, "SigningAlgorithm": algorithm });
    bytes(&call(reference, "Sign", request, ui).await?["Signature"])
}

async fn call(reference: &str, operation: &str, mut request: Value, ui: &Ui) -> Result<Value> {
    let key = key_id(reference)?;
    // The region of an ARN is where the key is.
    let region = key.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
    let options = AccessOptions { region: region.map(str::to_owned), ..AccessOptions::default() };
    let access = Access::open(&options, ui).await?;
    request["KeyId"] = key.into();
    let response = access.call(&KMS, access.region(), operation, &request).await;
    response.map_err(|failure| Error::from(failure).context(format_args!("asking KMS for {key}")))
}

/// The key that an address names.
fn key_id(reference: &str) -> Result<&str> {
    let rest = reference.strip_prefix("awskms://").unwrap_or(reference);
    match rest.strip_prefix('/') {
        Some(key) if !key.is_empty() => Ok(key),
        Some(_) => Err(Error::new(format!("{reference} names no key"))
            .hint("it looks like awskms:///alias/NAME or awskms:///ARN")),
        None => Err(Error::new(format!("{reference} names an endpoint, which is not supported"))
            .hint("set AWS_ENDPOINT_URL_KMS to it, and write awskms:///KEY")),
    }
}

fn bytes(value: &Value) -> Result<Vec<u8>> {
    let decoded = value.as_str().and_then(|text| STANDARD.decode(text).ok());
    decoded.ok_or_else(|| Error::new("invalid response from KMS"))
}

#[cfg(test)]
mod tests {
    use super::key_id;

    #[test]
    fn addresses_name_keys() {
        assert_eq!(key_id("awskms:///alias/a").unwrap(), "alias/a");
        let arn = "arn:aws:kms:eu-west-1:123456789012:key/1234";
        assert_eq!(key_id(&format!("awskms:///{arn}")).unwrap(), arn);
        assert!(key_id("awskms:///").is_err());
        let error = key_id("awskms://localhost:4566/1234").unwrap_err();
        assert!(error.advice().unwrap().contains("AWS_ENDPOINT_URL_KMS"));
    }
}
