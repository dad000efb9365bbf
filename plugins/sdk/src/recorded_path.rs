//! Paths in records, which are JSON and thereby text.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path as a record has it: its text, or its bytes where it is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct RecordedPath(pub PathBuf);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<Form> for RecordedPath {
    fn from(form: Form) -> Self {
        RecordedPath(match form {
            Form::Text(text) => text.into(),
            Form::Bytes(bytes) => OsString::from_vec(bytes).into(),
        })
    }
}

impl From<RecordedPath> for Form {
    fn from(RecordedPath(path): RecordedPath) -> Self {
        match path.into_os_string().into_string() {
            Ok(text) => Form::Text(text),
            Err(bytes) => Form::Bytes(bytes.into_vec()),
        }
    }
}

/// A path as records name things by it, for people and to compare: absolute, and [escaped]. It cannot be
/// opened: for that is [`RecordedPath`].
pub fn shown_path(path: &Path) -> String {
    escaped(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// A path as text, for people and to compare: a byte that is not UTF-8 is `\xE9`.
pub fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_path_comes_back_as_it_was() {
        for (bytes, text, form) in [
            (&b"/a/b"[..], "/a/b", json!("/a/b")),
            (&b"/t\xe9"[..], "/t\\xE9", json!([47, 116, 233])),
            (&b"/\xe2\x82/\xc3\xa9"[..], "/\\xE2\\x82/\u{e9}", json!([47, 226, 130, 47, 195, 169])),
        ] {
            let path = RecordedPath(OsStr::from_bytes(bytes).into());
            assert_eq!(escaped(&path.0), text);
            assert_eq!(shown_path(&path.0), text);
            let recorded = serde_json::to_value(&path).unwrap();
            assert_eq!(recorded, form);
            assert_eq!(serde_json::from_value::<RecordedPath>(recorded).unwrap(), path);
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(shown_path(Path::new("t")), escaped(&here.join("t")));
    }
}
