//! CycloneDX 1.6 in JSON: the part of it that lists packages. See
//! <https://cyclonedx.org/docs/1.6/json/>.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;

use crate::creation::{TOOL, timestamp};
use crate::packages::{Inventory, Package};

/// A document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document<'a> {
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Components<'a>,
}

/// What an inventory lists. Each component is made when it is written: all together may be larger than
/// the memory, and only so much is written.
struct Components<'a>(&'a Inventory);

impl Serialize for Components<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Components(inventory) = self;
        let packages = inventory.packages.iter().enumerate();
        let packages = packages.map(|(index, package)| component(index, package, inventory));
        let files = inventory.files.iter().map(|(path, sha256)| Component {
            kind: "file",
            name: path.clone(),
            hashes: vec![Hash { alg: "SHA-256", content: sha256.clone() }],
            ..Component::default()
        });
        serializer.collect_seq(packages.chain(files))
    }
}

#[derive(Serialize)]
struct Metadata {
    timestamp: String,
    tools: Tools,
    component: Component,
}

#[derive(Serialize)]
struct Tools {
    components: [Component; 1],
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    bom_ref: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<Supplier>,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<LicenseChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Serialize)]
struct Supplier {
    name: String,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct LicenseChoice {
    license: License,
}

/// Package managers do not hold to SPDX's names of licences, so they are not given as such.
#[derive(Serialize)]
struct License {
    name: String,
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

/// The document of an inventory.
pub(crate) fn document<'a>(
    inventory: &'a Inventory,
    name: &str,
    now: OffsetDateTime,
) -> Document<'a> {
    let (tool, version) = TOOL;
    let tool = Component {
        kind: "application",
        name: tool.to_owned(),
        version: version.to_owned(),
        ..Component::default()
    };
    let root = match &inventory.os {
        Some(os) => Component {
            bom_ref: Some("root".to_owned()),
            kind: "operating-system",
            name: if os.id.is_empty() { os.name.clone() } else { os.id.clone() },
            version: os.version.clone(),
            ..Component::default()
        },
        None => Component {
            bom_ref: Some("root".to_owned()),
            kind: "file",
            name: name.to_owned(),
            ..Component::default()
        },
    };
    Document {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", uuid::Uuid::new_v4()),
        version: 1,
        metadata: Metadata {
            timestamp: timestamp(now),
            tools: Tools { components: [tool] },
            component: root,
        },
        components: Components(inventory),
    }
}

fn component(index: usize, package: &Package, inventory: &Inventory) -> Component {
    let purl = package.purl(inventory.os.as_ref());
    let properties = package
        .locations
        .iter()
        .map(|path| Property { name: "ingot:location", value: path.to_string() });
    let more = Some(package.more_locations).filter(|&more| more > 0);
    let more =
        more.map(|more| Property { name: "ingot:locations-omitted", value: more.to_string() });
    let license = package.license.iter();
    let licenses = license.map(|name| LicenseChoice { license: License { name: name.clone() } });
    Component {
        // A package URL may be that of two packages; a reference must not.
        bom_ref: Some(format!("package-{index}")),
        kind: "library",
        supplier: package.supplier.clone().map(|name| Supplier { name }),
        name: package.name.clone(),
        version: package.version.clone(),
        hashes: Vec::new(),
        licenses: licenses.collect(),
        purl,
        properties: properties.chain(more).collect(),
    }
}
