//! Signing with the keys of AWS KMS: joins the plugin that signs and the one that knows AWS, neither
//! of which knows the other.

use async_trait::async_trait;
use ingot_amazon::kms;
use ingot_provenance::KeyService;
use ingot_sdk::{Result, Ui};

/// AWS KMS, with the access that the environment gives.
pub(crate) struct AwsKeys;

#[async_trait]
impl KeyService for AwsKeys {
    async fn public_key(&self, reference: &str) -> Result<Vec<u8>> {
        // Nothing is shown, so that nothing has to be masked.
        kms::public_key(reference, &Ui::silent()).await
    }

    async fn sign(&self, reference: &str, message: &[u8], rsa: bool) -> Result<Vec<u8>> {
        kms::sign(reference, message, rsa, &Ui::silent()).await
    }
}
