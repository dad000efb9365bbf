//! What requests are made with.

use std::sync::Arc;
use std::time::Duration;

use ingot_base::http;
use ingot_base::tls::Tls;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Serialize;

use crate::api::{Code, Error, Result};

/// Hides a text wherever it would be shown.
pub type Mask = Arc<dyn Fn(&str) + Send + Sync>;

/// How long an answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// A client that may accept any certificate.
pub(super) fn client(insecure: bool, redirects: Policy) -> Result<Client> {
    let tls = Tls { insecure, ..Tls::default() };
    http::client_with_tls(tls, |builder| builder.redirect(redirects))
        .map_err(|error| Error::new(Code::Internal, error.to_string()))
}

/// A client for what gives out tokens: it is sent secrets, and nobody that it names may be.
pub(super) fn client_for_tokens(insecure: bool) -> Result<Client> {
    client(insecure, Policy::none())
}

/// A call's body.
pub(super) fn json<T: Serialize>(body: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(|error| Error::new(Code::Internal, error.to_string()))
}
