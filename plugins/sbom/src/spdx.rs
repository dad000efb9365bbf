//! SPDX 2.3 in JSON: the part of it that lists packages. See <https://spdx.github.io/spdx-spec/v2.3/>.

use serde::{Serialize, Serializer};
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
pub(crate) struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Packages<'a>,
    relationships: Relationships<'a>,
}

/// What an inventory lists, after what it is the inventory of. Each package is made when it is written:
/// all together may be larger than the memory, and only so much is written.
struct Packages<'a> {
    inventory: &'a Inventory,
    name: &'a str,
}

impl Serialize for Packages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Packages { inventory, name } = self;
        let packages = inventory.packages.iter().enumerate();
        let packages = packages.map(|(index, package)| spdx_package(index, package, inventory));
        let files = inventory.files.iter().enumerate();
        let files = files.map(|(index, (path, sha256))| SpdxPackage {
            checksums: vec![Checksum { algorithm: "SHA256", checksum_value: sha256.clone() }],
            primary_package_purpose: "FILE",
            ..of(file_id(index), path.clone())
        });
        serializer.collect_seq(std::iter::once(root(inventory, name)).chain(packages).chain(files))
    }
}

/// What contains what, likewise.
struct Relationships<'a>(&'a Inventory);

impl Serialize for Relationships<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Relationships(inventory) = self;
        let describes = Relationship {
            spdx_element_id: DOCUMENT,
            relationship_type: "DESCRIBES",
            related_spdx_element: ROOT.to_owned(),
        };
        let packages = (0..inventory.packages.len()).map(package_id);
        let contained = packages.chain((0..inventory.files.len()).map(file_id));
        let contains = contained.map(|id| Relationship {
            spdx_element_id: ROOT,
            relationship_type: "CONTAINS",
            related_spdx_element: id,
        });
        serializer.collect_seq(std::iter::once(describes).chain(contains))
    }
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
pub(crate) fn document<'a>(
    inventory: &'a Inventory,
    name: &'a str,
    now: OffsetDateTime,
) -> Document<'a> {
    let (tool, version) = TOOL;
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
        packages: Packages { inventory, name },
        relationships: Relationships(inventory),
    }
}

/// What an inventory is of: the operating system, or what is called `name`.
fn root(inventory: &Inventory, name: &str) -> SpdxPackage {
    let (name, version, purpose) = match &inventory.os {
        // In JSON with an underscore: the hyphen is that of the other forms of SPDX.
        Some(os) if os.id.is_empty() => (os.name.clone(), os.version.clone(), "OPERATING_SYSTEM"),
        Some(os) => (os.id.clone(), os.version.clone(), "OPERATING_SYSTEM"),
        None => (name.to_owned(), String::new(), "FILE"),
    };
    SpdxPackage {
        version_info: version,
        primary_package_purpose: purpose,
        ..of(ROOT.to_owned(), name)
    }
}

fn package_id(index: usize) -> String {
    format!("SPDXRef-package-{index}")
}

fn file_id(index: usize) -> String {
    format!("SPDXRef-file-{index}")
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
    let mut found = package.locations.join(", ");
    if package.more_locations > 0 {
        found += &format!(" and {} more files", package.more_locations);
    }
    SpdxPackage {
        version_info: package.version.clone(),
        supplier: package.supplier.as_ref().map(|name| format!("Organization: {name}")),
        license_comments: package.license.as_ref().map(|text| format!("declared as: {text}")),
        source_info: (!found.is_empty()).then(|| format!("found in {found}")),
        external_refs: purl.into_iter().collect(),
        ..of(package_id(index), package.name.clone())
    }
}
