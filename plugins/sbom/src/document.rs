//! Whether a document is a bill of materials, and in which format.

use ingot_sdk::SbomFormat;
use serde_json::Value;

/// The format of a document.
///
/// # Errors
/// It is neither, with what is missing, as a sentence without full stop.
pub fn format_of(document: &[u8]) -> Result<SbomFormat, String> {
    let parsed: Value = match serde_json::from_slice(document) {
        Ok(parsed) => parsed,
        Err(_) if document.trim_ascii().is_empty() => return Err("it is empty".to_owned()),
        Err(error) => return Err(format!("it is not JSON: {error}")),
    };
    let Value::Object(fields) = &parsed else {
        return Err("it is not a JSON object".to_owned());
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    if let Some(version) = text("spdxVersion") {
        return match version.strip_prefix("SPDX-2.") {
            Some(_) if text("SPDXID").is_none() => Err("it is SPDX without `SPDXID`".to_owned()),
            Some(_) => Ok(SbomFormat::Spdx),
            None => Err(format!("it is SPDX of version {version:?}, not of 2.2 or 2.3")),
        };
    }
    match text("bomFormat") {
        Some(format) if format.eq_ignore_ascii_case("CycloneDX") => match text("specVersion") {
            Some(_) => {}
            None => return Err("it is CycloneDX without `specVersion`".to_owned()),
        },
        Some(other) => return Err(format!("its `bomFormat` is {other:?}, not \"CycloneDX\"")),
        None => return Err("it has neither `spdxVersion` nor `bomFormat`".to_owned()),
    }
    match fields.get("components") {
        None | Some(Value::Array(_)) => Ok(SbomFormat::CycloneDx),
        Some(_) => Err("it is CycloneDX whose `components` are no list".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        let of = |text: &str| format_of(text.as_bytes());
        assert_eq!(
            of(r#"{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT"}"#),
            Ok(SbomFormat::Spdx)
        );
        assert_eq!(
            of(r#"{"bomFormat": "CycloneDX", "specVersion": "1.6"}"#),
            Ok(SbomFormat::CycloneDx)
        );
        for (text, wanted) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            ("<bom/>", "it is not JSON"),
            ("[]", "not a JSON object"),
            ("{}", "neither `spdxVersion` nor `bomFormat`"),
            (r#"{"bomFormat": "CycloneDX"}"#, "without `specVersion`"),
            (r#"{"bomFormat": "Other", "specVersion": "1"}"#, "\"Other\""),
            (r#"{"spdxVersion": "SPDX-3.0", "SPDXID": "x"}"#, "\"SPDX-3.0\""),
            (r#"{"spdxVersion": "SPDX-2.3"}"#, "without `SPDXID`"),
            (r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": 1}"#, "no list"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
