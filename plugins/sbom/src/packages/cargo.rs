//! Rust: `Cargo.lock`, and `.crates2.json`, in which `cargo install` writes down what it installed.

use serde::de::MapAccess;

use super::file_packages::FilePackages;
use super::text::read_json;
use super::{Ecosystem, Package};
use crate::json::{Field, Fields, OnField, OnlyField};

/// The packages of a lock file. Cargo writes one `key = "value"` on a line.
pub(super) fn lock_file(text: &str) -> impl Iterator<Item = Package> {
    text.split("[[package]]").skip(1).filter_map(|part| {
        let value = |name: &str| {
            let lines = part.lines().take_while(|line| !line.starts_with('['));
            let value = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            value.map(|value| value.trim_end().trim_end_matches('"')).next()
        };
        Some(Package::new(Ecosystem::Cargo, value("name")?, value("version")?))
    })
}

/// The installed programs: keys such as `ripgrep 14.1.0 (registry+https://…)`.
pub(super) fn installed(text: &str, found: &mut FilePackages) -> Result<(), String> {
    read_json(text, OnlyField::new("installs", Fields(Installs(found)))).map(drop)
}

struct Installs<'f>(&'f mut FilePackages);

impl<'de> OnField<'de> for Installs<'_> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        key: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        let mut words = key.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            self.0.push(Package::new(Ecosystem::Cargo, name, version));
        }
        value.skip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_and_installed() {
        let lock = "version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\nsource = \
                    \"registry+x\"\ndependencies = [\n \"syn\",\n]\n\n[[package]]\nname = \"me\"\n\
                    version = \"0.1.0\"\n";
        let mut found = FilePackages::default();
        found.extend(lock_file(lock));
        assert_eq!(found.names(), ["serde 1.0.0", "me 0.1.0"]);
        let file =
            r#"{"v": 1, "installs": {"ripgrep 14.1.0 (registry+https://x)": {"bins": ["rg"]}}}"#;
        let mut found = FilePackages::default();
        installed(file, &mut found).unwrap();
        assert_eq!(found.names(), ["ripgrep 14.1.0"]);
    }
}
