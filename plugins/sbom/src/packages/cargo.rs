//! Rust: `Cargo.lock`, and `.crates2.json`, in which `cargo install` writes down what it installed.

use serde_json::Value;

use super::{Ecosystem, Package};

/// The packages of a lock file. Cargo writes one `key = "value"` on a line.
pub(super) fn lock_file(text: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    for part in text.split("[[package]]").skip(1) {
        let value = |name: &str| {
            let lines = part.lines().take_while(|line| !line.starts_with('['));
            let value = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            value.map(|value| value.trim_end().trim_end_matches('"')).next()
        };
        if let (Some(name), Some(version)) = (value("name"), value("version")) {
            packages.push(Package::new(Ecosystem::Cargo, name, version));
        }
    }
    packages
}

/// The installed programs: keys such as `ripgrep 14.1.0 (registry+https://…)`.
pub(super) fn installed(text: &str) -> Vec<Package> {
    let Ok(file) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let keys = file["installs"].as_object().into_iter().flatten().map(|(key, _)| key);
    keys.filter_map(|key| {
        let mut words = key.split(' ');
        Some(Package::new(Ecosystem::Cargo, words.next()?, words.next()?))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_and_installed() {
        let lock = "version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\nsource = \
                    \"registry+x\"\ndependencies = [\n \"syn\",\n]\n\n[[package]]\nname = \"me\"\n\
                    version = \"0.1.0\"\n";
        let found: Vec<String> =
            lock_file(lock).iter().map(|p| format!("{} {}", p.name, p.version)).collect();
        assert_eq!(found, ["serde 1.0.0", "me 0.1.0"]);
        let file = r#"{"installs": {"ripgrep 14.1.0 (registry+https://x)": {"bins": ["rg"]}}}"#;
        assert_eq!(installed(file)[0].version, "14.1.0");
    }
}
