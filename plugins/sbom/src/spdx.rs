//! SPDX 2.3 in JSON: the part of it that lists packages. See <https://spdx.github.io/spdx-spec/v2.3/>.

use serde::Serialize;
use time::OffsetDateTime;

use crate::creation::{TOOL, timestamp};
use crate::packages::{Inventory, Package};

/// What SPDX has for what nobody says.
const NO_ASSERTION: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const ROOT: &str = "SPDXRef-root";

/// A document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<SpdxPackage>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpdxPackage {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version_info: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<String>,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    license_concluded: &'static str,
    license_declared: &'static str,
    /// The licence in the package's own words, which need not be SPDX's.
    #[serde(skip_serializing_if = "Option::is_none")]
    license_comments: Option<String>,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef>,
    primary_package_purpose: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: &'static str,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document of an inventory.
pub(crate) fn document(inventory: &Inventory, name: &str, now: OffsetDateTime) -> Document {
    let (tool, version) = TOOL;
    let (root_name, root_version, purpose) = match &inventory.os {
        Some(os) if os.id.is_empty() => (os.name.clone(), os.version.clone(), "OPERATING-SYSTEM"),
        Some(os) => (os.id.clone(), os.version.clone(), "OPERATING-SYSTEM"),
        None => (name.to_owned(), String::new(), "FILE"),
    };
    let root = SpdxPackage {
        version_info: root_version,
        primary_package_purpose: purpose,
        ..of(ROOT.to_owned(), root_name)
    };
    let mut packages = vec![root];
    for (index, package) in inventory.packages.iter().enumerate() {
        packages.push(spdx_package(index, package, inventory));
    }
    for (index, (path, sha256)) in inventory.files.iter().enumerate() {
        let checksum = Checksum { algorithm: "SHA256", checksum_value: sha256.clone() };
        packages.push(SpdxPackage {
            checksums: vec![checksum],
            primary_package_purpose: "FILE",
            ..of(format!("SPDXRef-file-{index}"), path.clone())
        });
    }
    let describes = Relationship {
        spdx_element_id: DOCUMENT,
        relationship_type: "DESCRIBES",
        related_spdx_element: ROOT.to_owned(),
    };
    let contains = packages.iter().skip(1).map(|package| Relationship {
        spdx_element_id: ROOT,
        relationship_type: "CONTAINS",
        related_spdx_element: package.id.clone(),
    });
    let relationships = std::iter::once(describes).chain(contains).collect();
    Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: name.to_owned(),
        document_namespace: format!("urn:uuid:{}", uuid::Uuid::new_v4()),
        creation_info: CreationInfo {
            created: timestamp(now),
            creators: [format!("Tool: {tool}-{version}")],
        },
        packages,
        relationships,
    }
}

/// A package of which nothing is known but its name.
fn of(id: String, name: String) -> SpdxPackage {
    SpdxPackage {
        id,
        name,
        download_location: NO_ASSERTION,
        license_concluded: NO_ASSERTION,
        license_declared: NO_ASSERTION,
        copyright_text: NO_ASSERTION,
        primary_package_purpose: "LIBRARY",
        ..SpdxPackage::default()
    }
}

fn spdx_package(index: usize, package: &Package, inventory: &Inventory) -> SpdxPackage {
    let purl = package.purl(inventory.os.as_ref()).map(|purl| ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: purl,
    });
    let found = package.locations.join(", ");
    SpdxPackage {
        version_info: package.version.clone(),
        supplier: package.supplier.as_ref().map(|name| format!("Organization: {name}")),
        license_comments: package.license.as_ref().map(|text| format!("declared as: {text}")),
        source_info: (!found.is_empty()).then(|| format!("found in {found}")),
        external_refs: purl.into_iter().collect(),
        ..of(format!("SPDXRef-package-{index}"), package.name.clone())
    }
}
