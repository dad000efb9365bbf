//! npm: the `package.json` of installed packages, and `package-lock.json`.

use serde::de::MapAccess;

use super::file_packages::FilePackages;
use super::text::read_json;
use super::{Ecosystem, Package};
use crate::json::{Field, Fields, OnField};

/// The package that is installed at `path`; none where the file belongs to something else inside of
/// a package, such as a test's.
pub(super) fn installed(path: &str, text: &str, found: &mut FilePackages) -> Result<(), String> {
    let directory = path.strip_suffix("/package.json");
    let Some((_, name)) = directory.and_then(|it| it.rsplit_once("/node_modules/")) else {
        return Ok(());
    };
    let parts = name.split('/').count();
    if parts != 1 + usize::from(name.starts_with('@')) {
        return Ok(());
    }
    let mut manifest = read_json(text, Manifest::new(&mut *found))?;
    if let Some(name) = manifest.name.take() {
        manifest.add(&name);
    }
    Ok(())
}

/// The packages that a lock file of any version names, but for the project's own.
pub(super) fn lock_file(text: &str, found: &mut FilePackages) -> Result<(), String> {
    let (has_packages, nested) = (false, FilePackages::default());
    let lock = read_json(text, LockFile { found: &mut *found, has_packages, nested })?;
    if !lock.has_packages {
        *found = lock.nested;
    }
    Ok(())
}

/// What describes a package: its `package.json`, or an entry of a lock file.
struct Manifest<'f> {
    name: Option<String>,
    version: Option<String>,
    license: Option<String>,
    author: Option<String>,
    /// Where packages that stand inside of this go, those of lock files of version 1.
    found: &'f mut FilePackages,
}

impl<'f> Manifest<'f> {
    fn new(found: &'f mut FilePackages) -> Self {
        Manifest { name: None, version: None, license: None, author: None, found }
    }

    /// Adds the package, under this name.
    fn add(self, name: &str) {
        let Some(version) = self.version.filter(|_| !name.is_empty()) else { return };
        let mut package = Package::new(Ecosystem::Npm, name, &version);
        package.license = self.license;
        package.supplier = self.author;
        self.found.push(package);
    }
}

impl<'de> OnField<'de> for Manifest<'_> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        match name.as_str() {
            "name" => self.name = value.text()?,
            "version" => self.version = value.text()?,
            "license" => self.license = value.text()?,
            "author" => self.author = value.text()?,
            // In a package.json these are texts, and add nothing.
            "dependencies" => {
                value.read(Fields(Nested(&mut *self.found)))?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

/// A lock file. Those of version 2 say the same twice.
struct LockFile<'f> {
    found: &'f mut FilePackages,
    has_packages: bool,
    nested: FilePackages,
}

impl<'de> OnField<'de> for LockFile<'_> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        match name.as_str() {
            "packages" => {
                self.has_packages = true;
                value.read(Fields(Packages(&mut *self.found))).map(drop)
            }
            "dependencies" if !self.has_packages => {
                value.read(Fields(Nested(&mut self.nested))).map(drop)
            }
            _ => value.skip(),
        }
    }
}

/// `packages` of versions 2 and 3: entries by where they are installed.
struct Packages<'f>(&'f mut FilePackages);

impl<'de> OnField<'de> for Packages<'_> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        path: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        // Others are directories of the project.
        let Some((_, name)) = path.rsplit_once("node_modules/").filter(|_| !self.0.is_full())
        else {
            return value.skip();
        };
        // Its dependencies are texts here.
        let mut entry = value.read(Fields(Manifest::new(&mut *self.0)))?;
        let alias = entry.name.take();
        entry.add(alias.as_deref().unwrap_or(name));
        Ok(())
    }
}

/// `dependencies` of version 1, which stand inside of each other.
struct Nested<'f>(&'f mut FilePackages);

impl<'de> OnField<'de> for Nested<'_> {
    fn field<A: MapAccess<'de>>(
        &mut self,
        name: String,
        value: Field<'_, 'de, A>,
    ) -> Result<(), A::Error> {
        match self.0.is_full() {
            true => value.skip()?,
            false => value.read(Fields(Manifest::new(&mut *self.0)))?.add(&name),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(text: &str) -> Vec<String> {
        let mut found = FilePackages::default();
        lock_file(text, &mut found).unwrap();
        let mut names = found.names();
        names.sort();
        names
    }

    #[test]
    fn only_what_is_installed_is_a_package() {
        let text = r#"{"name": "@types/node", "version": "1.2.3", "license": {"type": "MIT"},
            "dependencies": {"a": "^1.0.0"}, "author": {"name": "me"}, "license": {"type": "ISC"}}"#;
        for (path, there) in [
            ("/srv/node_modules/@types/node/package.json", true),
            ("/srv/node_modules/a/node_modules/b/package.json", true),
            ("/srv/node_modules/a/test/package.json", false),
            ("/srv/node_modules/@types/node/x/package.json", false),
            ("/srv/package.json", false),
        ] {
            let mut found = FilePackages::default();
            installed(path, text, &mut found).unwrap();
            let found = found.into_packages().unwrap();
            assert_eq!(!found.is_empty(), there, "{path}");
            for package in found {
                assert_eq!(package.license.as_deref(), Some("ISC"));
                assert_eq!(package.supplier.as_deref(), Some("me"));
            }
        }
    }

    #[test]
    fn lock_files_of_all_versions() {
        let three = r#"{"packages": {"": {"name": "me", "version": "1.0.0"},
            "node_modules/a": {"version": "1.0.0", "license": "ISC", "dependencies": {"b": "1"}},
            "node_modules/a/node_modules/@s/b": {"version": "2.0.0"}, "apps/c": {"version": "3"}}}"#;
        let one = r#"{"dependencies": {"a": {"version": "1.0.0", "dependencies":
            {"@s/b": {"version": "2.0.0"}}}}}"#;
        let two = r#"{"dependencies": {"a": {"version": "9"}}, "packages":
            {"node_modules/a": {"version": "1.0.0"}, "node_modules/x": {"name": "@s/b",
            "version": "2.0.0"}}, "dependencies": {"a": {"version": "8"}}}"#;
        for text in [three, one, two] {
            assert_eq!(lock(text), ["@s/b 2.0.0", "a 1.0.0"]);
        }
        for odd in ["[]", "1", r#"{"packages": []}"#, r#"{"packages": {"node_modules/a": [1]}}"#] {
            assert_eq!(lock(odd), [""; 0], "{odd}");
        }
        let error = lock_file("{", &mut FilePackages::default()).unwrap_err();
        assert!(error.starts_with("it is not valid JSON: "), "{error}");
        // Nobody's lock file is so deep; a reader that follows runs out of its stack.
        let deep = r#"{"dependencies": {"a": "#.repeat(100_000);
        assert!(lock_file(&deep, &mut FilePackages::default()).is_err());
    }
}
