//! Signing with the keys of AWS KMS: joins the plugin that signs and the one that knows AWS, neither
//! of which knows the other.

use std::sync::Arc;

use async_trait::async_trait;
use ingot_amazon::kms;
use ingot_provenance::KeyService;
use ingot_sdk::{Event, EventSink, Result, Ui};

/// AWS KMS, with the access that the environment gives.
pub(crate) struct AwsKeys;

#[async_trait]
impl KeyService for AwsKeys {
    async fn public_key(&self, reference: &str) -> Result<Vec<u8>> {
        kms::public_key(reference, &silent()).await
    }

    async fn sign(&self, reference: &str, message: &[u8], rsa: bool) -> Result<Vec<u8>> {
        kms::sign(reference, message, rsa, &silent()).await
    }
}

/// For the access to AWS, which says nothing but masks its secrets, which nobody is shown here.
fn silent() -> Ui {
    Ui::new(Arc::new(Silent))
}

struct Silent;

#[async_trait]
impl EventSink for Silent {
    fn emit(&self, _: Event) {}

    async fn ask(&self, _: Option<Arc<str>>, _: &str) -> std::io::Result<String> {
        Err(std::io::Error::other("nobody can be asked"))
    }

    fn mask(&self, _: &str) {}
}
