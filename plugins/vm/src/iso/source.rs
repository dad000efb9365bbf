//! Where a file is: on this machine or on the web.

use std::path::PathBuf;

use ingot_sdk::http;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::unpack::Packing;

/// Endings of archives that Packer unpacks and Ingot does not.
const ARCHIVES: &[&str] =
    &["tar.bz2", "tar.gz", "tar.xz", "tar.zst", "tar", "tbz2", "tgz", "txz", "tzst", "zst"];

/// A place that a file can be fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file on this machine.
    File(PathBuf),
    /// An http or https URL.
    Http(Url),
}

impl Source {
    /// Reads a URL or path.
    ///
    /// # Errors
    /// What is wrong with it, or why it cannot be used.
    pub fn parse(text: &str) -> Result<Source, String> {
        let source = Source::parse_any(text)?;
        let archive = source.archive();
        let ends = |ending: &&&str| archive.as_deref().is_some_and(|a| a == **ending);
        if let Some(ending) = ARCHIVES.iter().find(ends) {
            return Err(format!(
                "{} is a .{ending}, which is not unpacked; only .gz, .bz2, .xz and .zip are, so \
                 unpack the file first",
                shown(text)
            ));
        }
        Ok(source)
    }

    /// Like [`Source::parse`], for files that are never unpacked.
    pub(super) fn parse_any(text: &str) -> Result<Source, String> {
        if text.is_empty() {
            return Err("it must not be empty".to_owned());
        }
        // Other colons may be those of an IPv6 address.
        let is_getter =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if let Some((getter, _)) = text.split_once("::").filter(|(name, _)| is_getter(name)) {
            return Err(format!("`{getter}::` is not supported; use http, https or a file"));
        }
        let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("file") => {
                let rest = &text["file:".len()..];
                let path = rest.strip_prefix("//").unwrap_or(rest);
                let path = path
                    .strip_prefix("localhost/")
                    .map_or(path.to_owned(), |path| format!("/{path}"));
                if path.is_empty() {
                    return Err(format!("{text:?} names no file"));
                }
                Ok(Source::File(PathBuf::from(&*percent_decode_str(&path).decode_utf8_lossy())))
            }
            Some("http" | "https") => Url::parse(text)
                .map(Source::Http)
                .map_err(|error| format!("{} cannot be read: {error}", shown(text))),
            Some(scheme) if text[scheme.len()..].starts_with("://") => Err(format!(
                "the scheme `{scheme}` of {} is not supported; use http, https or a file",
                shown(text)
            )),
            _ => Ok(Source::File(PathBuf::from(text))),
        }
    }

    /// The checksum that Packer's downloader takes from the URL, `?checksum=…`. It is written as
    /// `iso_checksum` is, and wins over it.
    pub(super) fn checksum(&self) -> Option<String> {
        let Source::Http(url) = self else { return None };
        let found = url.query_pairs().find(|(name, _)| name == "checksum");
        found.map(|(_, value)| value.into_owned())
    }

    /// The path of the file in its place, for looking it up in a list of checksums.
    pub(super) fn path(&self) -> String {
        match self {
            Source::File(path) => path.to_string_lossy().into_owned(),
            Source::Http(url) => percent_decode_str(url.path()).decode_utf8_lossy().into_owned(),
        }
    }

    /// How the file is packed, if it is to be unpacked.
    pub(super) fn packing(&self) -> Option<Packing> {
        Packing::of_ending(&self.archive()?)
    }

    /// The ending by which Packer unpacks this: that of the name, unless `?archive=…` names
    /// another, or says that it is not an archive.
    fn archive(&self) -> Option<String> {
        if let Source::Http(url) = self {
            let given = url.query_pairs().find(|(name, _)| name == "archive");
            if let Some((_, value)) = given {
                return Some(value.into_owned());
            }
        }
        let path = self.path();
        let known = ARCHIVES.iter().find(|ending| path.ends_with(&format!(".{ending}")));
        known
            .map(|ending| (*ending).to_owned())
            .or_else(|| path.rsplit_once('.').map(|(_, ending)| ending.to_owned()))
    }
}

/// A URL or path for people, without what may be secret.
pub(super) fn shown(text: &str) -> String {
    if text.contains("://") { http::shown(text) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_files_from_urls() {
        let file = |text: &str| match Source::parse(text) {
            Ok(Source::File(path)) => path.display().to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(file("./a b.iso"), "./a b.iso");
        assert_eq!(file("/isos/a%20b.iso"), "/isos/a%20b.iso");
        assert_eq!(file("file:///isos/a%20b.iso"), "/isos/a b.iso");
        assert_eq!(file("file://./a.iso"), "./a.iso");
        assert_eq!(file("file:a.iso"), "a.iso");
        assert_eq!(file("file://localhost/a.iso"), "/a.iso");
        assert_eq!(file("isos/a::b.iso"), "isos/a::b.iso");
        for url in [
            "HTTPS://example.com/a.iso",
            "http://[fd00::5]:8000/a.iso",
            "https://example.com/a.iso?signature=a::b",
        ] {
            assert!(matches!(Source::parse(url), Ok(Source::Http(_))), "{url}");
        }
    }

    #[test]
    fn packed_files_are_recognized_by_name_or_parameter() {
        for (text, packing) in [
            ("a.iso", None),
            ("a.iso.gz", Some(Packing::Gzip)),
            ("https://h/a.img.xz", Some(Packing::Xz)),
            ("https://h/a.img.xz?archive=false", None),
            ("https://h/download?archive=zip", Some(Packing::Zip)),
            ("file:///isos/a.iso.bz2", Some(Packing::Bzip2)),
        ] {
            assert_eq!(Source::parse(text).unwrap().packing(), packing, "{text}");
        }
    }

    #[test]
    fn names_what_it_cannot_do() {
        let error = |text: &str| Source::parse(text).unwrap_err();
        assert!(error("s3://bucket/a.iso").contains("`s3`"));
        assert!(error("git::https://example.com/a").contains("`git::`"));
        assert!(error("https://me:secret@h/a.tar.xz").contains(".tar.xz"));
        assert!(!error("https://me:secret@h/a.tar.xz").contains("secret"));
        assert!(Source::parse("https://h/a.tgz?archive=false").is_ok());
        assert!(Source::parse_any("https://h/sums.gz").is_ok());
    }
}
