//! npm: the `package.json` of installed packages, and `package-lock.json`.

use serde_json::Value;

use super::{Ecosystem, Package};

/// The package that is installed at `path`; none where the file belongs to something else inside of
/// a package, such as a test's.
pub(super) fn installed(path: &str, text: &str) -> Option<Package> {
    let directory = path.strip_suffix("/package.json")?;
    let (_, name) = directory.rsplit_once("/node_modules/")?;
    let parts = name.split('/').count();
    if parts != 1 + usize::from(name.starts_with('@')) {
        return None;
    }
    let manifest: Value = serde_json::from_str(text).ok()?;
    package(manifest["name"].as_str()?, &manifest)
}

/// The packages that a lock file of any version names, but for the project's own.
pub(super) fn lock_file(text: &str) -> Vec<Package> {
    let Ok(lock) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let mut found = Vec::new();
    match lock["packages"].as_object() {
        Some(packages) => {
            for (path, entry) in packages {
                // Others are directories of the project.
                let Some((_, name)) = path.rsplit_once("node_modules/") else { continue };
                let name = entry["name"].as_str().unwrap_or(name);
                found.extend(package(name, entry));
            }
        }
        None => nested(&lock["dependencies"], &mut found),
    }
    found
}

/// Version 1 of lock files, where dependencies stand inside of each other.
fn nested(dependencies: &Value, found: &mut Vec<Package>) {
    for (name, entry) in dependencies.as_object().into_iter().flatten() {
        found.extend(package(name, entry));
        nested(&entry["dependencies"], found);
    }
}

fn package(name: &str, manifest: &Value) -> Option<Package> {
    let version = manifest["version"].as_str().filter(|_| !name.is_empty())?;
    let mut package = Package::new(Ecosystem::Npm, name, version);
    let license = &manifest["license"];
    let license = license.as_str().or(license["type"].as_str());
    package.license = license.map(str::to_owned);
    let author = &manifest["author"];
    package.supplier = author.as_str().or(author["name"].as_str()).map(str::to_owned);
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_installed_is_a_package() {
        let text = r#"{"name": "@types/node", "version": "1.2.3", "license": "MIT"}"#;
        for (path, there) in [
            ("/srv/node_modules/@types/node/package.json", true),
            ("/srv/node_modules/a/node_modules/b/package.json", true),
            ("/srv/node_modules/a/test/package.json", false),
            ("/srv/node_modules/@types/node/x/package.json", false),
            ("/srv/package.json", false),
        ] {
            assert_eq!(installed(path, text).is_some(), there, "{path}");
        }
    }

    #[test]
    fn lock_files_of_all_versions() {
        let three = r#"{"packages": {"": {"name": "me", "version": "1.0.0"},
            "node_modules/a": {"version": "1.0.0", "license": "ISC"},
            "node_modules/a/node_modules/@s/b": {"version": "2.0.0"}, "apps/c": {"version": "3"}}}"#;
        let one = r#"{"dependencies": {"a": {"version": "1.0.0", "dependencies":
            {"@s/b": {"version": "2.0.0"}}}}}"#;
        for text in [three, one] {
            let names: Vec<String> =
                lock_file(text).iter().map(|p| format!("{}@{}", p.name, p.version)).collect();
            assert_eq!(names, ["a@1.0.0", "@s/b@2.0.0"]);
        }
        assert!(lock_file("{").is_empty());
    }
}
