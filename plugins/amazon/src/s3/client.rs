//! Signed requests.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ingot_sdk::http::{self, is_bad_certificate};
use ingot_sdk::{Error, Result, hash};
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use roxmltree::Document;
use rusty_s3::actions::CreateMultipartUpload;
use rusty_s3::{Bucket, Credentials, S3Action};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Mutex;

use super::failure::{BucketLocation, failure};
use super::place::{is_bucket_name, object, place, style};
use crate::access::Access;
use crate::failure::{Failure, Kind, chain};
use crate::json_call::JsonService;
use crate::xml;

/// Only its place is of use: it takes no JSON.
const SERVICE: JsonService = JsonService { id: "S3", host: "s3", signing_name: "s3", target: "" };
/// How long a signature is good for; S3 looks when a request begins.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);
/// Credentials that run out sooner than this are asked for anew.
const SPARE: Duration = Duration::from_secs(5 * 60);
/// How long a request may take that carries no part of a file.
const LIMIT: Duration = Duration::from_secs(60);
/// How long S3 may take to put the parts together; it needs minutes for large ones.
const COMPLETION: Duration = Duration::from_secs(15 * 60);
/// The slowest upload that is waited for, in bytes a second, of each of several at a time.
const SLOWEST: u64 = 16 << 10;
/// The largest response that is read, in bytes.
const LARGEST: usize = 4 << 20;
/// How far this machine's clock may be ahead of S3's, which signatures allow.
const CLOCKS: time::Duration = time::Duration::minutes(15);
/// How long it may take to begin an upload, by S3's clock.
const BEGINNING: time::Duration = time::Duration::minutes(5);

/// One bucket. Everything that is sent is signed, and signed anew for each try.
pub(crate) struct S3 {
    access: Access,
    http: reqwest::Client,
    bucket: Bucket,
    /// Where S3 is, if not in AWS.
    custom: Option<String>,
    credentials: Mutex<Option<aws_credential_types::Credentials>>,
}

/// What is asked of S3 about an object.
#[derive(Debug, Clone, Copy)]
enum Operation<'a> {
    Put,
    Create,
    Part { upload: &'a str, number: u16 },
    Complete { upload: &'a str },
    Abort { upload: &'a str },
    Head,
    Delete { version: Option<&'a str> },
    Uploads,
    Bucket,
}

/// A request.
struct Request<'a> {
    operation: Operation<'a>,
    key: &'a str,
    /// Headers that S3 heeds, which are part of the signature.
    headers: &'a [(&'static str, String)],
    body: Bytes,
    limit: Duration,
}

/// A response of S3.
struct Response {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }

    /// The version of the object, in a bucket that keeps versions.
    fn version(&self) -> Option<String> {
        self.header("x-amz-version-id").filter(|version| version != "null")
    }
}

/// The header that says which upload an object is of.
const TOKEN: &str = "x-amz-meta-ingot-id";

/// The headers of an object of the upload `token`.
pub(super) fn token_header(token: &str) -> (&'static str, String) {
    (TOKEN, token.to_owned())
}

impl S3 {
    /// The bucket `name` in the region of `access`. The environment says where S3 is, unless `endpoint`
    /// does.
    ///
    /// # Errors
    /// The place of S3 or the bucket's name make no URL.
    pub(crate) fn new(access: &Access, name: &str, endpoint: Option<&str>) -> Result<S3> {
        let custom = match endpoint {
            Some(endpoint) => Some(endpoint.to_owned()),
            None => access.custom_endpoint(&SERVICE)?,
        };
        let region = access.region();
        let mut place = custom.clone().unwrap_or_else(|| place(access, region));
        if !place.ends_with('/') {
            place.push('/');
        }
        let wrong = |why: String| {
            Error::new(format!("the endpoint of S3, {}: {why}", http::shown(&place)))
                .hint("write AWS_ENDPOINT_URL_S3 as https://s3.example.com")
        };
        if !is_bucket_name(name) {
            return Err(Error::new(format!("{name:?} is not the name of a bucket")));
        }
        let url = Url::parse(&place).map_err(|error| wrong(error.to_string()))?;
        let style = style(custom.is_some(), name);
        let bucket = Bucket::new(url, style, name.to_owned(), region.to_owned());
        Ok(S3 {
            access: access.clone(),
            http: access.upload_client()?,
            bucket: bucket.map_err(|error| wrong(error.to_string()))?,
            custom,
            credentials: Mutex::default(),
        })
    }

    /// The bucket's name.
    pub(crate) fn bucket(&self) -> &str {
        self.bucket.name()
    }

    /// Where S3 is, if it is not in AWS.
    pub(crate) fn custom_endpoint(&self) -> Option<&str> {
        self.custom.as_deref()
    }

    /// Writes an object at once; its version.
    pub(super) async fn put(
        &self,
        key: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Option<String>, Failure> {
        let limit = limit(body.len());
        let request = Request { operation: Operation::Put, key, headers, body, limit };
        Ok(self.once(&request).await?.version())
    }

    /// Begins an object that comes in parts; the id of its upload.
    pub(super) async fn create_upload(
        &self,
        key: &str,
        headers: &[(&'static str, String)],
    ) -> Result<String, Failure> {
        let body = Bytes::new();
        let request = Request { operation: Operation::Create, key, headers, body, limit: LIMIT };
        let response = self.once(&request).await?;
        let text = String::from_utf8_lossy(&response.body);
        let read = CreateMultipartUpload::parse_response(&text);
        let read = read.map_err(|error| Failure::new(Kind::Broken, format!("S3: {error}")))?;
        Ok(read.upload_id().to_owned())
    }

    /// Sends a part; the tag that S3 gives it.
    pub(super) async fn part(
        &self,
        key: &str,
        upload: &str,
        number: u16,
        body: Bytes,
    ) -> Result<String, Failure> {
        let operation = Operation::Part { upload, number };
        let limit = limit(body.len());
        let request = Request { operation, key, headers: &[], body, limit };
        let response = self.access.persist(|| self.once(&request)).await?;
        let missing = || Failure::new(Kind::Broken, "S3 gave a part no ETag");
        response.header("etag").ok_or_else(missing)
    }

    /// Makes the object of its parts, which have these tags; its version.
    pub(super) async fn complete(
        &self,
        key: &str,
        upload: &str,
        tags: &[String],
    ) -> Result<Option<String>, Failure> {
        let tags = tags.iter().map(String::as_str);
        let body = self.bucket.complete_multipart_upload(None, key, upload, tags).body();
        let operation = Operation::Complete { upload };
        let body = body.into();
        let request = Request { operation, key, headers: &[], body, limit: COMPLETION };
        let response = self.once(&request).await?;
        // S3 begins to answer before it knows how it ends.
        let text = String::from_utf8_lossy(&response.body);
        match Document::parse(text.trim_start()) {
            Ok(document) if xml::error(&document).is_some() => Err(xml::failure(&document, 500)),
            Ok(_) => Ok(response.version()),
            Err(_) => Err(Failure::new(Kind::Broken, "S3 returned invalid XML")),
        }
    }

    /// Gives up an upload in parts; whether there was one.
    pub(crate) async fn abort(&self, key: &str, upload: &str) -> Result<bool, Failure> {
        self.gone(key, Operation::Abort { upload }).await
    }

    /// Deletes an object, or one version of it.
    pub(crate) async fn delete(&self, key: &str, version: Option<&str>) -> Result<(), Failure> {
        let deleted = self.gone(key, Operation::Delete { version }).await;
        deleted.map(drop).map_err(|failure| match version {
            // Deleted without its version, it would be hidden, and so would be what is newer.
            Some(version) if failure.kind == Kind::Denied => {
                let about = format!("its version {version} stays without s3:DeleteObjectVersion");
                failure.during(about)
            }
            _ => failure,
        })
    }

    /// Makes sure that the bucket is there, as far as the credentials may see that.
    ///
    /// # Errors
    /// It is not, or S3 cannot be reached.
    pub(crate) async fn check_bucket(&self) -> Result<(), Failure> {
        match self.persist("", Operation::Bucket).await {
            Err(failure) if failure.kind == Kind::NotFound => {
                let place = self.custom.as_deref().map_or_else(|| "AWS".to_owned(), http::shown);
                let message = format!("there is no bucket {} at {place}", self.bucket());
                Err(Failure { message, kind: Kind::Refused, ..failure })
            }
            Err(failure) if failure.kind != Kind::Denied => Err(failure),
            _ => Ok(()),
        }
    }

    /// The version of the object if it is of the upload `token`; none if there is none or another one.
    pub(crate) async fn find(
        &self,
        key: &str,
        token: &str,
    ) -> Result<Option<FoundObject>, Failure> {
        let response = match self.persist(key, Operation::Head).await {
            Err(failure) if failure.kind == Kind::NotFound => return Ok(None),
            response => response?,
        };
        let own = response.header(TOKEN).as_deref() == Some(token);
        Ok(own.then(|| FoundObject { version: response.version() }))
    }

    /// The ids of uploads to `key` that are not complete and may be what began at `at`, as far as clocks
    /// agree.
    pub(crate) async fn uploads(
        &self,
        key: &str,
        at: OffsetDateTime,
    ) -> Result<Vec<String>, Failure> {
        let response = self.persist(key, Operation::Uploads).await?;
        let text = String::from_utf8_lossy(&response.body);
        let broken = |_| Failure::new(Kind::Broken, "S3 returned invalid XML");
        let document = Document::parse(&text).map_err(broken)?;
        let all = document.descendants().filter(|node| xml::is(node, "Upload"));
        let ids =
            all.filter(|upload| xml::child(*upload, "Key") == Some(key)).filter_map(|upload| {
                let began =
                    OffsetDateTime::parse(xml::child(upload, "Initiated")?, &Rfc3339).ok()?;
                let near = (-CLOCKS..=BEGINNING).contains(&(began - at));
                xml::child(upload, "UploadId").filter(|_| near).map(str::to_owned)
            });
        Ok(ids.collect())
    }

    /// Removes something; whether it was there.
    async fn gone(&self, key: &str, operation: Operation<'_>) -> Result<bool, Failure> {
        match self.persist(key, operation).await {
            Err(failure) if failure.kind == Kind::NotFound => Ok(false),
            response => response.map(|_| true),
        }
    }

    async fn persist(&self, key: &str, operation: Operation<'_>) -> Result<Response, Failure> {
        let body = Bytes::new();
        let request = Request { operation, key, headers: &[], body, limit: LIMIT };
        self.access.persist(|| self.once(&request)).await
    }

    /// Makes a call as often as the SDK would.
    pub(super) async fn again<T, F>(&self, call: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.access.persist(call).await
    }

    async fn once(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let credentials = self.credentials().await?;
        // Carries the signature and the session's token: it goes into no message.
        let (method, url) = self.sign(&credentials, request);
        let mut call = self.http.request(method, url).timeout(request.limit);
        for (name, value) in request.headers {
            call = call.header(*name, value);
        }
        if let (false, Some(mut md5)) = (request.body.is_empty(), hash::hasher("md5")) {
            // S3 takes no body that is not what was read.
            md5.update(&request.body);
            call = call.header("content-md5", STANDARD.encode(md5.finalize()));
        }
        let unreachable = |error: reqwest::Error| {
            let bad = is_bad_certificate(&error);
            let kind = if bad { Kind::Refused } else { Kind::Unreachable };
            Failure::new(kind, chain(&error.without_url()))
        };
        let response = call.body(request.body.clone()).send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = http::body(response, LARGEST).await.map_err(|error| {
            let kind = if error.is_transient() { Kind::Unreachable } else { Kind::Refused };
            Failure::new(kind, error.to_string())
        })?;
        if status.is_success() {
            return Ok(Response { headers, body });
        }
        let bucket = BucketLocation { bucket: self.bucket.name(), region: self.bucket.region() };
        Err(failure(&bucket, status.as_u16(), &headers, &body))
    }

    /// Those for a request. They are asked for again only when they are about to run out: a role is
    /// not taken on once for each part.
    async fn credentials(&self) -> Result<Credentials, Failure> {
        let mut kept = self.credentials.lock().await;
        let lasts = |found: &&aws_credential_types::Credentials| {
            found.expiry().is_none_or(|end| end > SystemTime::now() + SPARE)
        };
        let found = match kept.as_ref().filter(lasts) {
            Some(found) => found.clone(),
            None => match self.provided().await {
                Ok(found) => kept.insert(found).clone(),
                Err(failure) => {
                    // They are asked for early, so that those that there are last a while yet.
                    let good = |found: &&aws_credential_types::Credentials| {
                        found.expiry().is_none_or(|end| end > SystemTime::now())
                    };
                    let found = kept.as_ref().filter(good).ok_or_else(|| failure.clone())?;
                    tracing::warn!(%failure, "credentials are not renewed yet");
                    found.clone()
                }
            },
        };
        let (key, secret) = (found.access_key_id(), found.secret_access_key());
        Ok(match found.session_token() {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        })
    }

    async fn provided(&self) -> Result<aws_credential_types::Credentials, Failure> {
        let none = || Failure::new(Kind::Denied, "no credentials");
        let provider = self.access.credentials().ok_or_else(none)?;
        provider.provide_credentials().await.map_err(|error| {
            let late = matches!(error, CredentialsError::ProviderTimedOut(_));
            let kind = if late { Kind::Unreachable } else { Kind::Denied };
            Failure::new(kind, chain(&error))
        })
    }

    fn sign(&self, credentials: &Credentials, request: &Request<'_>) -> (Method, Url) {
        let (bucket, own, headers) = (&self.bucket, Some(credentials), request.headers);
        let key = object(request.key);
        let key = key.as_str();
        match request.operation {
            Operation::Put => signed(bucket.put_object(own, key), headers, &[]),
            Operation::Create => signed(bucket.create_multipart_upload(own, key), headers, &[]),
            Operation::Part { upload, number } => {
                signed(bucket.upload_part(own, key, number, upload), headers, &[])
            }
            Operation::Complete { upload } => {
                let none = std::iter::empty::<&str>();
                signed(bucket.complete_multipart_upload(own, key, upload, none), headers, &[])
            }
            Operation::Abort { upload } => {
                signed(bucket.abort_multipart_upload(own, key, upload), headers, &[])
            }
            Operation::Bucket => signed(bucket.head_bucket(own), headers, &[]),
            Operation::Head => signed(bucket.head_object(own, key), headers, &[]),
            Operation::Delete { version } => {
                let query = version.map(|version| ("versionId", version));
                signed(bucket.delete_object(own, key), headers, query.as_slice())
            }
            Operation::Uploads => {
                let query = [("prefix", request.key), ("uploads", "")];
                signed(bucket.get_object(own, ""), headers, &query)
            }
        }
    }
}

/// An object that exists.
pub(crate) struct FoundObject {
    /// Its version, in a bucket that keeps versions.
    pub version: Option<String>,
}

fn signed<'a, A: S3Action<'a>>(
    mut action: A,
    headers: &'a [(&'static str, String)],
    query: &[(&'static str, &'a str)],
) -> (Method, Url) {
    for (name, value) in headers {
        action.headers_mut().insert(*name, value.as_str());
    }
    for (name, value) in query {
        action.query_mut().insert(*name, *value);
    }
    let method = match A::METHOD {
        rusty_s3::Method::Head => Method::HEAD,
        rusty_s3::Method::Get => Method::GET,
        rusty_s3::Method::Post => Method::POST,
        rusty_s3::Method::Put => Method::PUT,
        rusty_s3::Method::Delete => Method::DELETE,
    };
    (method, action.sign(SIGNED_FOR))
}

/// How long it may take to send so many bytes.
fn limit(length: usize) -> Duration {
    LIMIT + Duration::from_secs(length as u64 / SLOWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_lines_have_time() {
        assert_eq!(limit(0), Duration::from_secs(60));
        assert_eq!(limit(16 << 20), Duration::from_secs(60 + 1024));
    }
}
