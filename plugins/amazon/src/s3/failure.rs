//! What S3 answered when a request failed.

use reqwest::header::HeaderMap;
use roxmltree::Document;

use crate::failure::{Failure, Kind, Subject};
use crate::xml;

/// The header that names the region of a bucket, also where that is not the one that was asked.
const REGION: &str = "x-amz-bucket-region";

/// The bucket that a response is about, and its region.
pub(super) struct BucketLocation<'a> {
    pub bucket: &'a str,
    pub region: &'a str,
}

/// The failure in an answer that is none of success.
pub(super) fn failure(
    bucket: &BucketLocation<'_>,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Failure {
    let text = String::from_utf8_lossy(body);
    let document = Document::parse(&text).ok();
    let failure = match &document {
        Some(document) => xml::failure(document, status),
        // The answer to HEAD has no body.
        None => bare(status),
    };
    let told = document.as_ref().and_then(xml::error).and_then(|error| xml::child(error, "Region"));
    let header = headers.get(REGION).and_then(|region| region.to_str().ok());
    explained(failure, bucket, status, header.or(told))
}

fn bare(status: u16) -> Failure {
    match status {
        403 => Failure::from_code("AccessDenied", "Access Denied"),
        404 => Failure::from_code("NotFound", ""),
        _ => Failure::new(Kind::Refused, format!("AWS returned {status}")).with_status(status),
    }
}

/// The same with what the user can do about the bucket. `region` is that of the bucket, as far as it
/// is known.
fn explained(
    failure: Failure,
    bucket: &BucketLocation<'_>,
    status: u16,
    region: Option<&str>,
) -> Failure {
    let BucketLocation { bucket, region: own } = bucket;
    let elsewhere = region.filter(|region| region != own);
    if elsewhere.is_some() || matches!(status, 301 | 307) {
        let place = elsewhere.unwrap_or("another region");
        let message = format!("the bucket {bucket} is in {place}, not in {own}");
        let hint = match elsewhere {
            Some(region) => format!(
                "EC2 imports from a bucket of its own region: set region = \"{region}\", or name a \
                 bucket in {own}"
            ),
            None => format!("name a bucket in {own}, or set `region` to that of the bucket"),
        };
        return Failure { message, hint: Some(hint), kind: Kind::Refused, ..failure };
    }
    if failure.is_about(Subject::Clock) {
        let hint = "this machine's clock is wrong: set it, as by `timedatectl set-ntp true`";
        return Failure { hint: Some(hint.to_owned()), ..failure };
    }
    let hint = match failure.code.as_deref() {
        Some("NoSuchBucket") => format!(
            "create it before, as with `aws s3 mb s3://{bucket} --region {own}`, or check \
             s3_bucket_name and the account"
        ),
        Some("AccessDenied" | "AllAccessDisabled") => format!(
            "the credentials need s3:PutObject, s3:AbortMultipartUpload, s3:GetObject and \
             s3:DeleteObject on arn:aws:s3:::{bucket}/*, s3:ListBucket and \
             s3:ListBucketMultipartUploads on the bucket, whose policy must not deny them, nor refuse \
             presigned requests (s3:authType, s3:signatureAge), and the use of the KMS key where one \
             encrypts: see the permissions in docs/amazon.md"
        ),
        _ => return failure,
    };
    Failure { hint: Some(hint), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, header: Option<&'static str>, body: &str) -> Failure {
        let mut headers = HeaderMap::new();
        if let Some(region) = header {
            headers.insert(REGION, region.parse().unwrap());
        }
        let bucket = BucketLocation { bucket: "disks", region: "us-east-1" };
        failure(&bucket, status, &headers, body.as_bytes())
    }

    fn error(code: &str, more: &str) -> String {
        format!("<Error><Code>{code}</Code><Message>no.</Message>{more}</Error>")
    }

    #[test]
    fn a_bucket_of_another_region_has_its_own_error() {
        let said = "the bucket disks is in eu-west-1, not in us-east-1";
        let redirect = read(301, Some("eu-west-1"), &error("PermanentRedirect", ""));
        let malformed =
            read(400, None, &error("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"));
        for failure in [redirect, malformed, read(400, Some("eu-west-1"), "")] {
            assert_eq!((failure.message.as_str(), failure.kind), (said, Kind::Refused));
            assert!(failure.hint.unwrap().contains("set region = \"eu-west-1\""));
        }
        assert!(read(301, None, "").message.contains("is in another region"));
        // It names its region in all answers.
        let denied = read(403, Some("us-east-1"), &error("AccessDenied", ""));
        assert_eq!((denied.kind, denied.message.as_str()), (Kind::Denied, "no (AccessDenied)"));
    }

    #[test]
    fn a_wrong_clock_has_its_own_error() {
        for message in ["Request has expired", "Request is not yet valid"] {
            let body =
                format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
            let failure = read(403, None, &body);
            assert_eq!(failure.kind, Kind::Denied);
            assert!(failure.hint.is_some_and(|hint| hint.contains("clock is wrong")), "{message}");
        }
    }

    #[test]
    fn failures_say_what_to_do() {
        for (status, body, kind, hint) in [
            (404, error("NoSuchBucket", ""), Kind::NotFound, "aws s3 mb s3://disks"),
            (403, error("AccessDenied", ""), Kind::Denied, "s3:PutObject"),
            (403, String::new(), Kind::Denied, "arn:aws:s3:::disks/*"),
            (403, error("SignatureDoesNotMatch", ""), Kind::Denied, "does not know these"),
        ] {
            let failure = read(status, None, &body);
            assert_eq!(failure.kind, kind, "{body}");
            assert!(failure.hint.as_deref().is_some_and(|text| text.contains(hint)), "{failure:?}");
        }
        assert_eq!(read(404, None, "").kind, Kind::NotFound);
        assert_eq!(read(503, None, "busy").kind, Kind::Broken);
        assert_eq!(read(503, None, &error("SlowDown", "")).kind, Kind::Throttled);
    }
}
