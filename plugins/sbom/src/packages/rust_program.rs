//! What a Rust program was built of, as cargo-auditable writes it into the section `.dep-v0`: JSON,
//! compressed by zlib. See <https://github.com/rust-secure-code/cargo-auditable>.

use std::io::Read as _;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::file_packages::FilePackages;
use super::{Ecosystem, Package};
use crate::json::{self, Field, Fields, OnField, OnlyField};

/// The most that a section may come to when it is decompressed, in bytes.
const LARGEST: u64 = 8 << 20;

/// Adds the crates that are in the program, its own among them. Those that only built it are not.
///
/// # Errors
/// Why the section cannot be read.
pub(super) fn parse(section: &[u8], found: &mut FilePackages) -> Result<(), String> {
    let mut text = Vec::new();
    let mut limited = flate2::read::ZlibDecoder::new(section).take(LARGEST + 1);
    let read = limited.read_to_end(&mut text);
    read.map_err(|error| format!("its list of crates is damaged: {error}"))?;
    if text.len() as u64 > LARGEST {
        return Err(format!("its list of crates has more than {} MiB", LARGEST >> 20));
    }
    let read = json::read(&text, OnlyField::new("packages", Packages(found)));
    read.map(drop).map_err(|error| format!("its list of crates is not valid JSON: {error}"))
}

/// The list of packages.
struct Packages<'f>(&'f mut FilePackages);

impl<'de> DeserializeSeed<'de> for Packages<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Packages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of packages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(one) = items.next_element_seed(Fields(Crate::default()))? {
            let Crate { name: Some(name), version: Some(version), kind } = one else { continue };
            if kind.as_deref() != Some("build") {
                self.0.push(Package::new(Ecosystem::Cargo, &name, &version));
            }
        }
        Ok(())
    }
}

/// A package.
#[derive(Default)]
struct Crate {
    name: Option<String>,
    version: Option<String>,
    /// `runtime`, which need not be said, or `build`.
    kind: Option<String>,
}

impl<'de> OnField<'de> for Crate {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        match name.as_str() {
            "name" => self.name = value.text()?,
            "version" => self.version = value.text()?,
            "kind" => self.kind = value.text()?,
            _ => value.skip()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn section(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn crates_that_are_in_the_program() {
        let text = r#"{"packages": [
            {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
            {"name": "serde", "version": "1.0.2", "source": "crates.io", "dependencies": [0]},
            {"name": "me", "version": "0.1.0", "source": "local", "root": true}], "format": 1}"#;
        let mut found = FilePackages::default();
        parse(&section(text.as_bytes()), &mut found).unwrap();
        assert_eq!(found.names(), ["serde 1.0.2", "me 0.1.0"]);
    }

    #[test]
    fn damaged_and_oversized_lists_are_reported() {
        let bomb = section(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 1 << 20);
        for (bytes, wanted) in [
            (bomb, "more than 8 MiB"),
            (b"no zlib".to_vec(), "damaged"),
            (section(b"{\"packages\": 1}"), "not valid JSON"),
            (section(b"{"), "not valid JSON"),
        ] {
            let error = parse(&bytes, &mut FilePackages::default()).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
