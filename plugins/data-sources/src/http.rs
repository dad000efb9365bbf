//! `data "http"`: what a URL answers.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ingot_sdk::{
    Component, ConfigError, ConfigErrors, Context, Decoded, Error, Fetch, PrepareContext, Prepared,
    Result, Ui, http,
};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, RANGE,
};
use reqwest::{Method, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest response that is read; a value of a template holds it whole.
const LARGEST: usize = 64 << 20;

/// A server that sends nothing for this long has died.
const STALL: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

const METHODS: &[&str] = &["HEAD", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Options {
    /// The URL to request.
    url: String,
    /// How to ask: GET unless said otherwise.
    method: Option<String>,
    /// Headers of the request.
    #[serde(default)]
    request_headers: BTreeMap<String, String>,
    /// The body of the request.
    #[serde(default)]
    request_body: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The URL that was requested.
    url: String,
    /// The body of the response.
    body: String,
    /// The headers of the response. Packer's name for them.
    request_headers: BTreeMap<String, String>,
}

/// `data "http"`
pub struct HttpData;

/// Asks a URL.
pub struct Request {
    options: Options,
}

impl Component for HttpData {
    const NAME: &'static str = "http";
    type Options = Options;
    type Ready = Request;

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<Request>, ConfigErrors> {
        let Options { url, method, request_headers, .. } = &options;
        let mut errors = ConfigErrors::default();
        if let Err(why) = check_url(url) {
            errors
                .push(ConfigError::on("url", why).hint("write url = \"https://example.com/path\""));
        }
        if let Some(method) = method.as_deref()
            && !METHODS.contains(&method)
        {
            errors.push(
                ConfigError::on("method", format!("`{method}` is not a method that can be used"))
                    .hint(format!("methods are {}", METHODS.join(", "))),
            );
        }
        if let Err(why) = headers(request_headers) {
            errors.push(ConfigError::on("request_headers", why));
        }
        errors.into_result(Prepared::new(Request { options }))
    }
}

#[async_trait]
impl Fetch for Request {
    type Output = Output;

    async fn fetch(&self, ui: &Ui) -> Result<Output> {
        let Options { url, method, request_headers, request_body } = &self.options;
        let method = method.as_deref().unwrap_or("GET");
        let asking = || format!("{method} {}", http::shown(url));
        let parsed =
            Method::from_bytes(method.as_bytes()).map_err(|error| Error::new(error.to_string()))?;
        let headers = headers(request_headers).map_err(Error::new)?;
        // As Go's client does by itself.
        let has_body = parsed != Method::HEAD;
        let accepts_gzip =
            has_body && !headers.contains_key(ACCEPT_ENCODING) && !headers.contains_key(RANGE);
        let mut request = http::client()?.request(parsed, url).headers(headers);
        if accepts_gzip {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        if !request_body.is_empty() {
            request = request.body(request_body.clone());
        }
        let answer = http::unless_stalled(STALL, request.send()).await.with_context(asking)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Error::new(format!("{} returned {status}", asking())));
        }
        let is_packed =
            has_body && answer.content_length() != Some(0) && http::is_gzip(answer.headers());
        let is_readable =
            is_packed || !has_body || !answer.headers().contains_key(CONTENT_ENCODING);
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !is_readable || !kind.is_some_and(is_text) {
            ui.error(format!(
                "Warning: {} did not declare its response as text; other content may be damaged.",
                asking()
            ));
        }
        let mut answered: BTreeMap<String, String> = BTreeMap::new();
        // They say nothing of a body that is unpacked.
        let told =
            |name: &HeaderName| !is_packed || ![CONTENT_ENCODING, CONTENT_LENGTH].contains(name);
        for (name, value) in answer.headers().iter().filter(|(name, _)| told(name)) {
            let value = String::from_utf8_lossy(value.as_bytes());
            let joined = answered.entry(canonical(name.as_str())).or_default();
            if !joined.is_empty() {
                joined.push_str(", ");
            }
            joined.push_str(&value);
        }
        let body = http::body_unless_stalled(answer, LARGEST, STALL).await.with_context(asking)?;
        let body = match is_packed {
            true => http::gunzip(body, LARGEST).await.with_context(asking)?,
            false => body,
        };
        Ok(Output {
            url: url.clone(),
            body: String::from_utf8_lossy(&body).into_owned(),
            request_headers: answered,
        })
    }
}

fn check_url(url: &str) -> Result<(), String> {
    if url.is_empty() {
        return Err("`url` must not be empty".into());
    }
    let url = Url::parse(url).map_err(|error| format!("this is not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(()),
        other => Err(format!("`{other}` is not http or https")),
    }
}

fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{name}` is not the name of a header"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of `{name}` has letters that a header cannot hold"))?;
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Whether a content type is text that can be a value.
fn is_text(kind: &str) -> bool {
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let text = essence.starts_with("text/")
        || essence == "application/json"
        || essence == "application/samlmetadata+xml";
    let charset = parts.find_map(|part| part.strip_prefix("charset=").map(str::to_owned));
    text && charset.is_none_or(|set| matches!(set.trim_matches('"'), "" | "utf-8" | "us-ascii"))
}

/// A header's name as Go writes it, which templates rely on: `Content-Type`.
fn canonical(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            start = c == '-';
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;

    use ingot_sdk::testing::RecordedOutput;

    use super::*;

    /// One that answers nothing, and one that begins to.
    #[tokio::test]
    async fn a_server_that_sends_nothing_is_not_waited_for_without_end() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let ui = Ui::new(Arc::<RecordedOutput>::default());
        let options = || Options { url: url.clone(), ..Options::default() };
        let stalled = format!("GET {url}: the server sent nothing for 1 seconds");
        let error = Request { options: options() }.fetch(&ui).await.err().unwrap();
        assert_eq!(error.to_string(), stalled);
        let server = std::thread::spawn(move || {
            // The request before has ended.
            let _ = listener.accept().unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            // A response to what was not asked yet is another error.
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nx";
            stream.write_all(head).unwrap();
            stream
        });
        let error = Request { options: options() }.fetch(&ui).await.err().unwrap();
        assert_eq!(error.to_string(), stalled);
        drop(server.join().unwrap());
    }

    #[test]
    fn text_is_recognized_by_its_content_type() {
        assert!(is_text("text/plain; charset=UTF-8") && is_text("application/json"));
        assert!(!is_text("text/plain; charset=latin1") && !is_text("application/octet-stream"));
        assert_eq!(canonical("x-content-TYPE"), "X-Content-Type");
    }
}
