//! The HTTP client of everything here, in the form that AWS's SDK takes one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use ingot_sdk::file_work::read_small;
use ingot_sdk::http::is_bad_certificate;
use ingot_sdk::tls::{self, Tls, Trust};
use ingot_sdk::{Context, Error, Result, environment, http};
use parking_lot::Mutex;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// The largest file of certificates, in bytes.
const LARGEST: u64 = 16 << 20;
/// The largest answer of AWS that is read, in bytes. Lists of all images of an account are long.
const LARGEST_ANSWER: usize = 256 << 20;
/// How long an answer of AWS may take to begin and to go on.
const SILENCE: Duration = Duration::from_secs(60);

/// Lends [`http::client`] to the SDK.
#[derive(Debug, Clone)]
pub(crate) struct CommonClient {
    /// For services.
    client: Client,
    insecure: bool,
    trust: Trust,
    /// For the sources of credentials on this machine and this network: they want other limits
    /// of time, and no proxy.
    near: Arc<Mutex<HashMap<Limits, Client>>>,
}

type Limits = (Option<Duration>, Option<Duration>);

impl CommonClient {
    /// A client that trusts the certificates in the file that `AWS_CA_BUNDLE` names, else the system's.
    /// `insecure` trusts all.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate.
    pub(crate) fn new(insecure: bool) -> Result<CommonClient> {
        let trust = bundle()?.unwrap_or_default();
        let client = services(&trust, insecure, |builder| builder.read_timeout(SILENCE))?;
        Ok(CommonClient { client, insecure, trust, near: Arc::default() })
    }

    /// A client for uploads, which limit their own time: an answer does not begin before all is sent.
    /// It follows no redirects, as a signature is good for one host.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub(crate) fn uploads(&self) -> Result<Client> {
        services(&self.trust, self.insecure, |builder| builder.redirect(Policy::none()))
    }

    /// The client for services, for calls that are not made through the SDK.
    pub(crate) fn plain(&self) -> &Client {
        &self.client
    }

    fn near(&self, limits: Limits) -> Option<Client> {
        let mut clients = self.near.lock();
        if let Some(client) = clients.get(&limits) {
            return Some(client.clone());
        }
        let tls = Tls { insecure: self.insecure, ..Tls::default() };
        let client = http::client_with_tls(tls, |mut builder| {
            if let Some(limit) = limits.0 {
                builder = builder.connect_timeout(limit);
            }
            if let Some(limit) = limits.1 {
                builder = builder.read_timeout(limit);
            }
            builder.no_proxy()
        });
        let client = client.ok()?;
        clients.insert(limits, client.clone());
        Some(client)
    }
}

/// The certificates in the file that `AWS_CA_BUNDLE` names, which count alone, as in all programs of AWS; none
/// if it is not set.
///
/// # Errors
/// The file cannot be read, or has no certificate.
fn bundle() -> Result<Option<Trust>> {
    let Some(path) = environment::set("AWS_CA_BUNDLE") else { return Ok(None) };
    let reading = || format!("reading AWS_CA_BUNDLE, {}", path.display());
    let pem =
        read_small(Path::new(&path), "list of certificates", LARGEST).with_context(reading)?;
    let own = tls::certificates(&pem).with_context(reading)?;
    if own.is_empty() {
        let error = Error::new("it has no certificate in PEM").context(reading());
        return Err(
            error.hint("`openssl x509 -inform der -in FILE` prints that of a file in DER as PEM")
        );
    }
    Ok(Some(Trust::Only(own)))
}

fn services(
    trust: &Trust,
    insecure: bool,
    adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client> {
    let tls = Tls { trust: trust.clone(), insecure, ..Tls::default() };
    http::client_with_tls(tls, adjust)
}

impl HttpClient for CommonClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let limits = (settings.connect_timeout(), settings.read_timeout());
        SharedHttpConnector::new(Connector { clients: self.clone(), limits })
    }
}

#[derive(Debug)]
struct Connector {
    clients: CommonClient,
    limits: Limits,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = match is_near(request.uri()) {
            true => self.clients.near(self.limits).unwrap_or_else(|| self.clients.client.clone()),
            false => self.clients.client.clone(),
        };
        HttpConnectorFuture::new(async move {
            let user = |text: &'static str| ConnectorError::user(text.into());
            let request =
                request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let (parts, body) = request.into_parts();
            let bytes = body.bytes().ok_or_else(|| user("a body that is a stream"))?.to_vec();
            let request = reqwest::Request::try_from(::http::Request::from_parts(parts, bytes));
            let answer = client.execute(request.map_err(failure)?).await.map_err(failure)?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            // Read to its end here, so that an answer that is cut off counts as a failure of the
            // network, which is tried again, and not as one that makes no sense.
            let bytes = http::bounded(answer, LARGEST_ANSWER).await.map_err(failure)?;
            let bytes = bytes
                .ok_or_else(|| ConnectorError::other("the response is too long".into(), None))?;
            let mut response = HttpResponse::new(status.into(), SdkBody::from(bytes));
            for (name, value) in &headers {
                if let Ok(value) = value.to_str() {
                    response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(response)
        })
    }
}

/// Whether this is the metadata service of an instance or a container.
fn is_near(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| url.host_str());
    host.is_some_and(|host| host.starts_with("169.254.") || host.starts_with("[fd00:ec2:"))
}

/// What failed, so that the SDK knows whether to try again.
fn failure(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        return ConnectorError::timeout(error.into());
    }
    if error.is_builder() || error.is_redirect() {
        return ConnectorError::user(error.into());
    }
    if is_bad_certificate(&error) {
        return ConnectorError::other(error.into(), None);
    }
    ConnectorError::io(error.into())
}
