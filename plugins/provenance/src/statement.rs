//! in-toto statements, and SLSA's provenance as their predicate. See
//! <https://in-toto.io/Statement/v1> and <https://slsa.dev/provenance/v1>.

use std::collections::BTreeMap;

use ingot_sdk::interpolate::COMPATIBLE_PACKER_VERSION;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The type of a statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate that is SLSA's provenance.
pub const SLSA_PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// The type of the predicate that is an SBOM of CycloneDX.
pub const CYCLONE_DX: &str = "https://cyclonedx.org/bom";
/// The type of the predicate that is an SBOM of SPDX.
pub const SPDX: &str = "https://spdx.dev/Document";
/// What a build is, where nothing else is set.
pub const BUILD_TYPE: &str = "https://packer.io/buildtypes/hcl2/v1";
/// Who built, where no CI says so.
pub const LOCAL_BUILDER: &str = "https://packer.io/local-build";

/// Checksums by the name of their function.
pub type Digests = BTreeMap<String, String>;

/// What a predicate says something of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The file's name without its directory, or the artifact's builder and id.
    #[serde(default)]
    pub name: String,
    /// Its checksums.
    #[serde(default)]
    pub digest: Digests,
}

/// A statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`STATEMENT`].
    #[serde(rename = "_type", default)]
    pub kind: String,
    /// What it is about.
    #[serde(default)]
    pub subject: Vec<Subject>,
    /// What the predicate is.
    #[serde(default)]
    pub predicate_type: String,
    /// The predicate, of the type that `predicate_type` names.
    #[serde(default)]
    pub predicate: Value,
}

impl Statement {
    /// A statement about subjects.
    pub fn new(subject: Vec<Subject>, predicate_type: &str, predicate: Value) -> Statement {
        let (kind, predicate_type) = (STATEMENT.to_owned(), predicate_type.to_owned());
        Statement { kind, subject, predicate_type, predicate }
    }
}

/// SLSA's provenance.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was asked for.
    pub build_definition: BuildDefinition,
    /// How it was done.
    pub run_details: RunDetails,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// What kind of build this is: a URI.
    pub build_type: String,
    /// What users gave.
    pub external_parameters: Map<String, Value>,
    /// What the builder gave.
    pub internal_parameters: Map<String, Value>,
    /// What went in: repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resolved_dependencies: Vec<Dependency>,
}

/// Something that went into a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// Where it comes from.
    pub uri: String,
    /// Its checksums: `gitCommit`.
    #[serde(skip_serializing_if = "Digests::is_empty")]
    pub digest: Digests,
}

/// How a build was done.
#[derive(Debug, Clone, Serialize)]
pub struct RunDetails {
    /// Who built.
    pub builder: Builder,
    /// Which run this was.
    pub metadata: Metadata,
    /// What else came of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<Byproduct>,
}

/// Who built.
#[derive(Debug, Clone, Serialize)]
pub struct Builder {
    /// A URI.
    pub id: String,
    /// The versions of what built.
    pub version: BTreeMap<&'static str, &'static str>,
}

/// Which run this was.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The CI job's number, or a UUID.
    pub invocation_id: String,
}

/// What else came of a build.
#[derive(Debug, Clone, Serialize)]
pub struct Byproduct {
    /// What it is.
    pub name: &'static str,
    /// It, in base64.
    pub content: String,
}

/// The versions that provenance names: Packer's, whose templates these are, and Ingot's own.
pub fn versions() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([("packer", COMPATIBLE_PACKER_VERSION), ("ingot", env!("CARGO_PKG_VERSION"))])
}
