//! Where buckets and their objects are.

use rusty_s3::UrlStyle;

use crate::access::Access;
use crate::json_call::domain;

/// Whether a bucket can be called `name`. S3 has some that are older than its rules of today.
pub(crate) fn is_bucket_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (3..=255).contains(&name.len()) && name.bytes().all(letter) && !name.starts_with('.')
}

/// Where S3 is in AWS.
pub(super) fn place(access: &Access, region: &str) -> String {
    let config = access.config();
    let fips = if config.use_fips() == Some(true) { "-fips" } else { "" };
    let dual = if config.use_dual_stack() == Some(true) { ".dualstack" } else { "" };
    format!("https://s3{fips}{dual}.{region}.{}/", domain(region))
}

/// AWS's certificates are for one label before its hosts, and other services may know no hosts of
/// buckets at all.
pub(super) fn style(custom: bool, bucket: &str) -> UrlStyle {
    let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match custom || bucket.len() > 63 || !bucket.bytes().all(label) {
        true => UrlStyle::Path,
        false => UrlStyle::VirtualHost,
    }
}

/// A key as the path of an object: one that begins with a slash must not lead out of the bucket.
pub(super) fn object(key: &str) -> String {
    if key.starts_with('/') { format!("./{key}") } else { key.to_owned() }
}

#[cfg(test)]
mod tests {
    use reqwest::Url;
    use rusty_s3::Bucket;

    use super::*;

    fn url(custom: bool, bucket: &str, key: &str) -> String {
        let place = Url::parse("https://s3.eu-west-1.amazonaws.com/").unwrap();
        let bucket = Bucket::new(place, style(custom, bucket), bucket.to_owned(), "eu-west-1");
        bucket.unwrap().object_url(&object(key)).unwrap().to_string()
    }

    #[test]
    fn buckets_are_hosts_where_certificates_are_good_for_them() {
        let host = "https://disks.s3.eu-west-1.amazonaws.com/a.raw";
        assert_eq!(url(false, "disks", "a.raw"), host);
        for bucket in ["my.disks", "Old_Disks"] {
            let path = format!("https://s3.eu-west-1.amazonaws.com/{bucket}/a.raw");
            assert_eq!(url(false, bucket, "a.raw"), path);
        }
        assert_eq!(url(true, "disks", "a"), "https://s3.eu-west-1.amazonaws.com/disks/a");
    }

    #[test]
    fn keys_stay_in_their_bucket() {
        for (key, path) in [
            ("/a/b", "disks//a/b"),
            ("a//b", "disks/a//b"),
            ("a b+ä?#%", "disks/a%20b%2B%C3%A4%3F%23%25"),
            ("http://x/", "disks/http%3A//x/"),
        ] {
            let whole = format!("https://s3.eu-west-1.amazonaws.com/{path}");
            assert_eq!(url(true, "disks", key), whole, "{key}");
        }
    }

    #[test]
    fn names_of_buckets_are_recognized() {
        for name in ["disks", "my.disks", "Old_Disks", "abc"] {
            assert!(is_bucket_name(name), "{name}");
        }
        for name in ["", "ab", "s3://disks", "disks/a", "..", "a b c", "../x"] {
            assert!(!is_bucket_name(name), "{name}");
        }
    }
}
