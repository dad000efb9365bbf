//! The packages that a software bill of materials lists. Both formats name them by a package URL
//! (purl), whose version is what is compared.
//!
//! Documents are others' and large, and what their lists hold may be many times as large in memory as
//! in text. So they are read entry by entry, and only what is compared is kept, within bounds.

mod document;

use std::collections::{BTreeMap, BTreeSet};

/// The versions of each package, by its kind and name: `deb curl`. There can be several at once, as
/// of libraries of programs.
pub type Packages = BTreeMap<String, Versions>;

/// The versions of a package, in order, with commas between them.
pub type Versions = String;

/// How many packages are compared, each version of one counted.
const MOST: usize = 100_000;
/// How long the name or the version of a package may be, in bytes.
const TEXT: usize = 1024;
/// How long the names and versions of all packages may be together, in bytes.
const TEXTS: usize = 16 << 20;

/// The packages of several documents, as of the builds of a version.
#[derive(Debug, Default)]
pub struct PackageList {
    found: BTreeMap<String, BTreeSet<String>>,
    /// How many there are, each version of one counted.
    count: usize,
    /// How long their names and versions are together, in bytes.
    bytes: usize,
}

impl PackageList {
    /// Adds the packages that a document lists, CycloneDX or SPDX 2 in JSON. Of one that is refused
    /// nothing is added.
    ///
    /// # Errors
    /// It is neither, or there would be more than are compared; as a sentence without full stop.
    pub fn add_document(&mut self, document: &[u8]) -> Result<(), String> {
        let list = document::read(document)?;
        if self.found.is_empty() {
            *self = list;
            return Ok(());
        }
        let new = |(key, versions): (&String, &BTreeSet<String>)| {
            let there = self.found.get(key);
            let new = versions.iter().filter(|it| there.is_none_or(|there| !there.contains(*it)));
            let key_bytes = if there.is_none() { key.len() } else { 0 };
            new.fold((0, key_bytes), |(count, bytes), it| (count + 1, bytes + it.len()))
        };
        let (count, bytes) = list
            .found
            .iter()
            .map(new)
            .fold((self.count, self.bytes), |(count, bytes), (more, longer)| {
                (count + more, bytes + longer)
            });
        within_bounds(count, bytes).map_err(|why| format!("with those before it {why}"))?;
        (self.count, self.bytes) = (count, bytes);
        for (key, versions) in list.found {
            self.found.entry(key).or_default().extend(versions);
        }
        Ok(())
    }

    /// The packages, as they are compared.
    pub fn into_packages(self) -> Packages {
        let join = |versions: BTreeSet<String>| versions.into_iter().collect::<Vec<_>>().join(", ");
        self.found.into_iter().map(|(key, versions)| (key, join(versions))).collect()
    }

    /// Adds a version of a package.
    fn add(&mut self, key: String, version: String) -> Result<(), String> {
        let key_bytes = if self.found.contains_key(&key) { 0 } else { key.len() };
        let version_bytes = version.len();
        if self.found.entry(key).or_default().insert(version) {
            self.count += 1;
            self.bytes += key_bytes + version_bytes;
        }
        within_bounds(self.count, self.bytes)
    }
}

/// The packages that a document lists, CycloneDX or SPDX 2 in JSON.
///
/// # Errors
/// It is neither, or lists more than are compared; as a sentence without full stop.
pub fn packages_of(document: &[u8]) -> Result<Packages, String> {
    document::read(document).map(PackageList::into_packages)
}

fn within_bounds(count: usize, bytes: usize) -> Result<(), String> {
    if count > MOST {
        return Err(format!("it lists more than {MOST} packages"));
    }
    if bytes > TEXTS {
        let most = TEXTS >> 20;
        return Err(format!("the names and versions of its packages are longer than {most} MiB"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_list_the_same_packages() {
        let cyclone = br#"{"bomFormat": "CycloneDX", "components": [
            {"type": "operating-system", "name": "debian", "version": "12"},
            {"type": "library", "name": "curl", "version": "7.88", "purl": "pkg:deb/debian/curl@7.88?arch=amd64",
             "components": [{"type": "library", "name": "dep", "version": "1", "purl": "pkg:npm/dep@1"}]},
            {"type": "library", "name": "dep", "version": "2", "purl": "pkg:npm/dep@2"},
            {"type": "file", "name": "/etc/motd"}]}"#;
        let spdx = br#"{"spdxVersion": "SPDX-2.3", "packages": [
            {"name": "image", "primaryPackagePurpose": "CONTAINER"},
            {"name": "debian", "versionInfo": "12", "primaryPackagePurpose": "OPERATING-SYSTEM"},
            {"name": "curl", "versionInfo": "7.88", "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:deb/debian/curl@7.88"}]},
            {"name": "dep", "versionInfo": "1", "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:npm/dep@1"}]},
            {"name": "dep", "versionInfo": "2", "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:npm/dep@2"}]}]}"#;
        let packages = packages_of(cyclone).unwrap();
        assert_eq!(packages, packages_of(spdx).unwrap());
        let expected =
            [("deb curl", "7.88"), ("npm dep", "1, 2"), ("operating system debian", "12")];
        let shown: Vec<_> = packages.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(shown, expected);
        let mut both = PackageList::default();
        both.add_document(cyclone).unwrap();
        both.add_document(spdx).unwrap();
        assert_eq!(both.into_packages(), packages);
        assert!(packages_of(b"{}").unwrap_err().contains("neither"));
        assert!(packages_of(b"<bom/>").unwrap_err().contains("not an SBOM"));
    }

    #[test]
    fn members_come_in_any_order_and_unknown_ones_are_skipped() {
        let cyclone =
            br#"{"components": [{"components": [{"version": "1", "name": "inner", "x": [{}]}],
            "purl": null, "version": null, "name": "outer", "type": "library"}, {}],
            "metadata": {"component": {"name": "image"}}, "bomFormat": "CycloneDX"}"#;
        let packages = packages_of(cyclone).unwrap();
        assert_eq!(
            packages,
            [("inner".into(), "1".into()), ("outer".into(), String::new())].into()
        );
        let spdx = br#"{"packages": [{"externalRefs": [{"referenceLocator": "cpe:2.3:a:b"},
            {"referenceLocator": "pkg:gem/a@1", "referenceType": "purl", "x": 1}],
            "primaryPackagePurpose": "CONTAINER", "name": "a"}], "spdxVersion": "SPDX-2.3"}"#;
        assert_eq!(packages_of(spdx).unwrap(), [("gem a".into(), String::new())].into());
    }

    fn cyclone(components: impl Iterator<Item = String>) -> Vec<u8> {
        let components: Vec<String> = components.collect();
        let components = components.join(",");
        format!(r#"{{"bomFormat":"CycloneDX","components":[{components}]}}"#).into_bytes()
    }

    #[test]
    fn what_is_kept_of_a_document_is_bounded() {
        // Entries that name nothing are as many as they like, and kept nowhere.
        let nothing = cyclone((0..1_000_000).map(|_| "{}".to_owned()));
        assert_eq!(packages_of(&nothing), Ok(Packages::new()));
        let numbered = |from: usize, to: usize| {
            cyclone((from..to).map(|number| format!(r#"{{"name":"a","version":"{number}"}}"#)))
        };
        let error = packages_of(&numbered(0, MOST + 1)).unwrap_err();
        assert_eq!(error, "it lists more than 100000 packages");
        // The same package again is no other.
        let most = numbered(0, MOST);
        let mut list = PackageList::default();
        list.add_document(&most).unwrap();
        list.add_document(&most).unwrap();
        let error = list.add_document(&numbered(MOST, MOST + 1)).unwrap_err();
        assert_eq!(error, "with those before it it lists more than 100000 packages");
        assert_eq!(list.count, MOST, "nothing of it was added");

        let long = "x".repeat(TEXT + 1);
        let long = cyclone([format!(r#"{{"name":"a","version":"{long}"}}"#)].into_iter());
        let error = packages_of(&long).unwrap_err();
        assert_eq!(error, "it lists a package whose name or version is longer than 1024 bytes");
        let long = "x".repeat(TEXT);
        let long =
            (0..TEXTS / TEXT + 1).map(|at| format!(r#"{{"name":"{at}","version":"{long}"}}"#));
        let error = packages_of(&cyclone(long)).unwrap_err();
        assert_eq!(error, "the names and versions of its packages are longer than 16 MiB");
        // A file's path is no package's name, however long.
        let path = "x".repeat(TEXT + 1);
        let file = [format!(r#"{{"name":"{path}","type":"file"}}"#)];
        assert_eq!(packages_of(&cyclone(file.into_iter())), Ok(Packages::new()));
    }
}
