//! Whether a document is a bill of materials, and in which format.

use ingot_sdk::SbomFormat;
use serde::de::MapAccess;

use crate::json::{self, Field, OnField, Shape};

/// The fields of a document that tell its format. Nothing else is kept.
#[derive(Default)]
struct Head {
    spdx_version: Shape,
    spdx_id: Shape,
    bom_format: Shape,
    spec_version: Shape,
    components: Shape,
}

impl<'de> OnField<'de> for Head {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        let place = match name.as_str() {
            "spdxVersion" => &mut self.spdx_version,
            "SPDXID" => &mut self.spdx_id,
            "bomFormat" => &mut self.bom_format,
            "specVersion" => &mut self.spec_version,
            "components" => &mut self.components,
            _ => return value.skip(),
        };
        *place = value.shape()?;
        Ok(())
    }
}

/// The format of a document. It takes a while for a large one.
///
/// # Errors
/// It is neither, with what is missing, as a sentence without full stop.
pub fn format_of(document: &[u8]) -> Result<SbomFormat, String> {
    let first = document.trim_ascii().first().ok_or_else(|| "it is empty".to_owned())?;
    let head = json::read(document, Head::default());
    let head = head.map_err(|error| format!("it is not JSON: {error}"))?;
    if *first != b'{' {
        return Err("it is not a JSON object".to_owned());
    }
    if let Some(version) = head.spdx_version.text() {
        return match version.strip_prefix("SPDX-2.") {
            Some(_) if head.spdx_id.text().is_none() => {
                Err("it is SPDX without `SPDXID`".to_owned())
            }
            Some(_) => Ok(SbomFormat::Spdx),
            None => Err(format!("it is SPDX of version {version:?}, not of 2.2 or 2.3")),
        };
    }
    match head.bom_format.text() {
        Some(format) if format.eq_ignore_ascii_case("CycloneDX") => {
            if head.spec_version.text().is_none() {
                return Err("it is CycloneDX without `specVersion`".to_owned());
            }
        }
        Some(other) => return Err(format!("its `bomFormat` is {other:?}, not \"CycloneDX\"")),
        None => return Err("it has neither `spdxVersion` nor `bomFormat`".to_owned()),
    }
    match head.components {
        Shape::Missing | Shape::List => Ok(SbomFormat::CycloneDx),
        _ => Err("it is CycloneDX whose `components` are not a list".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognized() {
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
            (r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": 1}"#, "not a list"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
