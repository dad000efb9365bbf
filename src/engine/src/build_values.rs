//! `build.*`: what expressions see of the values that only the run knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use ingot_sdk::GeneratedData;
use ingot_template::options::from_json;
use serde_json::Value as Json;

use crate::graph::Node;
use ingot_hcl::Value;
use ingot_hcl::ast::{Block, Body};
use ingot_hcl::types::Type;

/// The names that every builder has, whether it gives them a value or not; Packer's list.
const COMMON: &[&str] = &[
    "ID",
    "Host",
    "Port",
    "User",
    "Password",
    "ConnType",
    "PackerRunUUID",
    "PackerHTTPPort",
    "PackerHTTPIP",
    "PackerHTTPAddr",
    "SSHPublicKey",
    "SSHPrivateKey",
    "WinRMPassword",
];

/// What a name is where the builder gave it no value; Packer's text.
const NO_VALUE: &str = "<unknown>";

/// What builders without an HTTP server say of it; Packer's texts.
const NO_SERVER: [(&str, &str); 3] = [
    ("PackerHTTPIP", "ERR_HTTP_IP_NOT_IMPLEMENTED_BY_BUILDER"),
    ("PackerHTTPPort", "ERR_HTTP_PORT_NOT_IMPLEMENTED_BY_BUILDER"),
    ("PackerHTTPAddr", "ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER"),
];

/// What a builder gave, with what those without an HTTP server say of it: expressions and plugins take it for
/// there. Each step of a run gets its data from here.
pub(super) fn with_no_server(mut data: GeneratedData) -> GeneratedData {
    // A builder that has a machine has an id for it.
    if data.contains_key("ID") {
        for (name, text) in NO_SERVER {
            data.entry(name.to_owned()).or_insert_with(|| text.into());
        }
    }
    data
}

/// The `build.*` of one node.
#[derive(Debug, Clone)]
pub(super) struct BuildValues {
    builder: String,
    build_name: String,
    names: BTreeSet<String>,
    /// Whether `names` are all there are.
    complete: bool,
}

impl BuildValues {
    /// For a node whose builder said that it also gives `generated`; none if it could not be
    /// asked.
    pub(super) fn new(node: &Node, generated: Option<&[String]>) -> Self {
        let common = COMMON.iter().map(|&name| name.to_owned());
        BuildValues {
            builder: node.ty.clone(),
            build_name: node.build_name.clone().unwrap_or_default(),
            names: common.chain(generated.unwrap_or_default().iter().cloned()).collect(),
            complete: generated.is_some(),
        }
    }

    /// The names of the values that are known to come.
    pub(super) fn names(&self) -> Arc<[String]> {
        self.names.iter().cloned().collect()
    }

    /// Before the run.
    pub(super) fn before(&self) -> Value {
        if !self.complete {
            return Value::unknown(Type::Dynamic);
        }
        let unknown = |name: &String| (name.clone(), Value::unknown(Type::String));
        self.object(self.names.iter().map(unknown))
    }

    /// For comparing builds without running them: each value is its own name.
    pub(super) fn placeholders(&self) -> Value {
        if !self.complete {
            return Value::unknown(Type::Dynamic);
        }
        let named = |name: &String| (name.clone(), Value::from(format!("<build.{name}>")));
        self.object(self.names.iter().map(named))
    }

    /// During the run, when the builder has given `data`, made whole by [`with_no_server`].
    pub(super) fn during(&self, data: &GeneratedData) -> Value {
        let nothing = self.names.iter().map(|name| (name.clone(), Value::from(NO_VALUE)));
        let given = data.iter().map(|(name, value)| (name.clone(), from_json(value)));
        self.object(nothing.chain(given))
    }

    fn object(&self, values: impl Iterator<Item = (String, Value)>) -> Value {
        let name = ("name".to_owned(), Value::from(self.build_name.as_str()));
        Value::object([name].into_iter().chain(values).collect())
    }

    /// What to tell the user about the names that `block` mentions and `data` does not have.
    pub(super) fn complaint(&self, block: &Block, data: &GeneratedData) -> Option<String> {
        let mut mentioned = BTreeSet::new();
        mentions(&block.body, &mut mentioned);
        let without: Vec<String> = mentioned
            .into_iter()
            .filter(|name| self.names.contains(*name))
            .filter(|name| data.get(*name).is_none_or(Json::is_null))
            .map(|name| format!("build.{name}"))
            .collect();
        (!without.is_empty()).then(|| {
            let verb = if without.len() == 1 { "is" } else { "are" };
            let names = without.join(", ");
            format!(
                "Warning: {names} {verb} \"{NO_VALUE}\": the {} builder does not say.",
                self.builder
            )
        })
    }
}

/// The names after `build.` in all expressions of a body.
fn mentions<'a>(body: &'a Body, found: &mut BTreeSet<&'a str>) {
    for attribute in &body.attributes {
        for reference in attribute.expr.references() {
            if let Some(["build", name, ..]) = reference.reference().as_deref() {
                found.insert(name);
            }
        }
    }
    body.blocks.iter().for_each(|block| mentions(&block.body, found));
}
