//! The packages that a software bill of materials lists. Both formats name them by a package URL
//! (purl), whose version is what is compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The versions of each package, by its kind and name: `deb curl`. There can be several at once, as
/// of libraries of programs.
pub type Packages = BTreeMap<String, Versions>;

/// The versions of a package, in order, with commas between them.
pub type Versions = String;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    bom_format: Option<String>,
    spdx_version: Option<String>,
    #[serde(default)]
    components: Vec<Component>,
    #[serde(default)]
    packages: Vec<SpdxPackage>,
}

/// A component of CycloneDX.
#[derive(Deserialize)]
struct Component {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    version: Option<String>,
    purl: Option<String>,
    #[serde(default)]
    components: Vec<Component>,
}

/// A package of SPDX.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpdxPackage {
    #[serde(default)]
    name: String,
    version_info: Option<String>,
    primary_package_purpose: Option<String>,
    #[serde(default)]
    external_refs: Vec<ExternalRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    #[serde(default)]
    reference_type: String,
    #[serde(default)]
    reference_locator: String,
}

/// How deep components of components are looked at.
const DEPTH: usize = 32;

/// The packages that a document lists, CycloneDX or SPDX 2 in JSON.
///
/// # Errors
/// It is neither, as a sentence without full stop.
pub fn packages_of(document: &[u8]) -> Result<Packages, String> {
    let document: Document =
        serde_json::from_slice(document).map_err(|error| format!("it is no SBOM: {error}"))?;
    if document.bom_format.is_none() && document.spdx_version.is_none() {
        return Err("it is neither CycloneDX nor SPDX 2 in JSON".to_owned());
    }
    let mut found = BTreeMap::new();
    add_components(&document.components, 0, &mut found);
    for package in &document.packages {
        let purl = package.external_refs.iter().find(|one| one.reference_type == "purl");
        let purl = purl.map(|one| one.reference_locator.as_str());
        let purpose = package.primary_package_purpose.as_deref().unwrap_or_default();
        let system = purpose == "OPERATING-SYSTEM" || purpose == "OPERATING_SYSTEM";
        // What the document is about is no package in it.
        if purl.is_none() && !system && matches!(purpose, "CONTAINER" | "FILE" | "DEVICE") {
            continue;
        }
        let kind = if system { "operating system" } else { "" };
        add(kind, &package.name, package.version_info.as_deref(), purl, &mut found);
    }
    Ok(joined(found))
}

/// The packages of several documents, as of the builds of a version.
pub fn merged(all: impl IntoIterator<Item = Packages>) -> Packages {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, versions) in all.into_iter().flatten() {
        found.entry(key).or_default().extend(versions.split(", ").map(str::to_owned));
    }
    joined(found)
}

fn joined(found: BTreeMap<String, BTreeSet<String>>) -> Packages {
    let join = |versions: BTreeSet<String>| versions.into_iter().collect::<Vec<_>>().join(", ");
    found.into_iter().map(|(key, versions)| (key, join(versions))).collect()
}

fn add_components(
    components: &[Component],
    depth: usize,
    found: &mut BTreeMap<String, BTreeSet<String>>,
) {
    for one in components {
        let kind = match one.kind.as_str() {
            "operating-system" => "operating system",
            "file" => continue,
            _ => "",
        };
        add(kind, &one.name, one.version.as_deref(), one.purl.as_deref(), found);
        if depth < DEPTH {
            add_components(&one.components, depth + 1, found);
        }
    }
}

fn add(
    kind: &str,
    name: &str,
    version: Option<&str>,
    purl: Option<&str>,
    found: &mut BTreeMap<String, BTreeSet<String>>,
) {
    if name.is_empty() {
        return;
    }
    // `pkg:deb/debian/curl@7.88`: the type is what stands first.
    let of_purl = purl.and_then(|purl| purl.strip_prefix("pkg:")?.split('/').next());
    let kind = if kind.is_empty() { of_purl.unwrap_or_default() } else { kind };
    let key = format!("{kind} {name}");
    let version = version.unwrap_or_default();
    found.entry(key.trim_start().to_owned()).or_default().insert(version.to_owned());
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
        assert_eq!(merged([packages.clone(), packages.clone()]), packages);
        assert!(packages_of(b"{}").unwrap_err().contains("neither"));
        assert!(packages_of(b"<bom/>").unwrap_err().contains("no SBOM"));
    }
}
