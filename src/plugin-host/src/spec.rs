//! What options a component takes: HCL's decoder specifications, as plugins send them.

use std::collections::BTreeMap;
use std::io;

use ingot_sdk::config::OptionValue;
use ingot_sdk::{OptionSpec, OptionType, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::cty::CtyType;

/// Which of a component's specifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecKind {
    /// The options.
    Config,
    /// The value of a data source.
    Output,
}

impl SpecKind {
    /// What asks for it.
    pub(crate) fn method(self) -> &'static str {
        match self {
            SpecKind::Config => "ConfigSpec",
            SpecKind::Output => "OutputSpec",
        }
    }
}

/// The specification of a block's body.
pub type ObjectSpec = BTreeMap<String, Spec>;

/// What one name of a body stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spec {
    /// An argument.
    Attribute {
        /// Its name in the template.
        name: String,
        /// What it takes.
        ty: CtyType,
        /// Whether it must be there.
        required: bool,
    },
    /// A block that may be there once.
    Block {
        /// Its type in the template.
        name: String,
        /// Whether it must be there.
        required: bool,
        /// What is in it.
        nested: ObjectSpec,
    },
    /// A block that may be there any number of times.
    Blocks {
        /// Its type in the template.
        name: String,
        /// What is in it.
        nested: ObjectSpec,
    },
    /// A block of arguments that are all of one type and have any name.
    FreeBlock {
        /// Its type in the template.
        name: String,
        /// The type of the arguments.
        ty: CtyType,
        /// Whether it must be there.
        required: bool,
    },
}

impl Spec {
    fn name(&self) -> &str {
        match self {
            Spec::Attribute { name, .. }
            | Spec::Block { name, .. }
            | Spec::Blocks { name, .. }
            | Spec::FreeBlock { name, .. } => name,
        }
    }

    /// The type of the value that the plugin is given.
    fn ty(&self) -> CtyType {
        match self {
            Spec::Attribute { ty, .. } => ty.clone(),
            Spec::Block { nested, .. } => object_type(nested),
            Spec::Blocks { nested, .. } => CtyType::List(Box::new(object_type(nested))),
            Spec::FreeBlock { ty, .. } => CtyType::Map(Box::new(ty.clone())),
        }
    }

    fn option(&self) -> OptionSpec {
        let (ty, required) = match self {
            Spec::Attribute { ty, required, .. } => (option_type(ty), *required),
            Spec::Block { nested, required, .. } => (OptionType::Block(schema(nested)), *required),
            Spec::Blocks { nested, .. } => (OptionType::Blocks(schema(nested)), false),
            Spec::FreeBlock { required, .. } => {
                (OptionType::Block(Schema { open: true, ..hosted_schema() }), *required)
            }
        };
        OptionSpec {
            name: self.name().to_owned(),
            ty,
            required,
            default: Json::Null,
            description: String::new(),
            sensitive: false,
            rendered_late: false,
            reads: None,
        }
    }
}

fn hosted_schema() -> Schema {
    Schema { renders_itself: true, ..Schema::default() }
}

/// The type of a block with these options.
pub(crate) fn object_type(spec: &ObjectSpec) -> CtyType {
    CtyType::Object(spec.iter().map(|(key, spec)| (key.clone(), spec.ty())).collect())
}

/// The options as the engine checks them.
pub(crate) fn schema(spec: &ObjectSpec) -> Schema {
    Schema { options: spec.values().map(Spec::option).collect(), ..hosted_schema() }
}

fn option_type(ty: &CtyType) -> OptionType {
    match ty {
        CtyType::Bool => OptionType::Bool,
        CtyType::Number => OptionType::Number,
        CtyType::String => OptionType::String,
        CtyType::List(item) | CtyType::Set(item) => OptionType::List(Box::new(option_type(item))),
        CtyType::Map(item) => OptionType::Map(Box::new(option_type(item))),
        CtyType::Dynamic | CtyType::Tuple(_) | CtyType::Object(_) => OptionType::Any,
    }
}

/// Options as the plugin is given them: a value of go-cty in JSON, with its type.
///
/// # Errors
/// A value that does not have the type of its option, by the option's name.
pub(crate) fn encode(
    spec: &ObjectSpec,
    options: &BTreeMap<String, OptionValue>,
) -> Result<Json, (String, String)> {
    let value = body(spec, options)?;
    Ok(json!({"value": value, "type": object_type(spec).to_json()}))
}

fn body(
    spec: &ObjectSpec,
    options: &BTreeMap<String, OptionValue>,
) -> Result<Json, (String, String)> {
    let one = |(key, spec): (&String, &Spec)| -> Result<(String, Json), (String, String)> {
        let name = spec.name();
        let value = options.get(name).unwrap_or(&OptionValue::Null);
        let value = match (spec, value) {
            (Spec::Block { nested, .. }, OptionValue::Map(options)) => body(nested, options)?,
            (Spec::Blocks { nested, .. }, OptionValue::List(blocks)) => {
                let one = |block: &OptionValue| match block {
                    OptionValue::Map(options) => body(nested, options),
                    // A block whose options are not known.
                    _ => body(nested, &BTreeMap::new()),
                };
                Json::Array(blocks.iter().map(one).collect::<Result<_, _>>()?)
            }
            // No blocks are an empty list.
            (Spec::Blocks { .. }, _) => Json::Array(Vec::new()),
            (spec, value) => {
                spec.ty().conform(value).map_err(|problem| (name.to_owned(), problem))?
            }
        };
        Ok((key.clone(), value))
    };
    Ok(Json::Object(spec.iter().map(one).collect::<Result<_, _>>()?))
}

/// How deep blocks may nest.
const MAX_DEPTH: usize = 32;

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The specification in the form of version 2 of the protocol: protobuf.
///
/// # Errors
/// It is not one.
pub(crate) fn from_protobuf(bytes: &[u8]) -> io::Result<ObjectSpec> {
    use prost::Message;
    let spec = wire::Spec::decode(bytes).map_err(|error| invalid(error.to_string()))?;
    object(&spec, 0)
}

/// The specification of a body; its kind must be an object.
fn object(spec: &wire::Spec, depth: usize) -> io::Result<ObjectSpec> {
    if depth > MAX_DEPTH {
        return Err(invalid("blocks nest too deep"));
    }
    let Some(wire::spec::Block::Object(object)) = &spec.block else {
        return Err(invalid("the options are not those of a block"));
    };
    let attributes = object.attributes.iter();
    attributes.map(|(name, spec)| Ok((name.clone(), from_wire(spec, depth)?))).collect()
}

fn from_wire(spec: &wire::Spec, depth: usize) -> io::Result<Spec> {
    use wire::spec::Block;
    let nested = |nested: &Option<Box<wire::Spec>>| match nested {
        Some(nested) => object(nested, depth + 1),
        None => Err(invalid("a block without its options")),
    };
    match &spec.block {
        Some(Block::Attr(attribute)) => Ok(Spec::Attribute {
            name: attribute.name.clone(),
            ty: type_from_wire(attribute.ty.as_ref(), 0)?,
            required: attribute.required,
        }),
        Some(Block::Single(block)) => Ok(Spec::Block {
            name: block.name.clone(),
            required: block.required,
            nested: nested(&block.nested)?,
        }),
        Some(Block::BlockList(block)) => {
            Ok(Spec::Blocks { name: block.name.clone(), nested: nested(&block.nested)? })
        }
        Some(Block::Object(_)) => Err(invalid("an object where an argument or a block belongs")),
        None => Err(invalid("a kind of option that is not known")),
    }
}

fn type_from_wire(ty: Option<&wire::CtyType>, depth: usize) -> io::Result<CtyType> {
    use wire::cty_type::TypeDef;
    if depth > MAX_DEPTH {
        return Err(invalid("a type nests too deep"));
    }
    let item = |item: &wire::Collection| {
        type_from_wire(item.element_type.as_deref(), depth + 1).map(Box::new)
    };
    match ty.and_then(|ty| ty.type_def.as_ref()) {
        Some(TypeDef::Primitive(primitive)) => match primitive.type_string.as_str() {
            "cty.Bool" => Ok(CtyType::Bool),
            "cty.Number" => Ok(CtyType::Number),
            "cty.String" => Ok(CtyType::String),
            other => Err(invalid(format!("an option of the type {other:?}, which is not known"))),
        },
        Some(TypeDef::List(list)) => Ok(CtyType::List(item(list)?)),
        Some(TypeDef::Map(map)) => Ok(CtyType::Map(item(map)?)),
        None => Err(invalid("an option of a type that is not known")),
    }
}

/// The messages, after hcl_spec.proto of packer-plugin-sdk.
mod wire {
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Spec {
        #[prost(oneof = "spec::Block", tags = "1, 2, 3, 4")]
        pub block: Option<spec::Block>,
    }

    pub(super) mod spec {
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub(crate) enum Block {
            #[prost(message, tag = "1")]
            Object(super::Object),
            #[prost(message, tag = "2")]
            Attr(super::Attr),
            #[prost(message, tag = "3")]
            Single(super::Block),
            #[prost(message, tag = "4")]
            BlockList(super::BlockList),
        }
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Object {
        #[prost(map = "string, message", tag = "1")]
        pub attributes: HashMap<String, Spec>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Attr {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(message, optional, tag = "2")]
        pub ty: Option<CtyType>,
        #[prost(bool, tag = "3")]
        pub required: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Block {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(bool, tag = "2")]
        pub required: bool,
        #[prost(message, optional, boxed, tag = "3")]
        pub nested: Option<Box<Spec>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct BlockList {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(message, optional, boxed, tag = "2")]
        pub nested: Option<Box<Spec>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct CtyType {
        #[prost(oneof = "cty_type::TypeDef", tags = "1, 2, 3")]
        pub type_def: Option<cty_type::TypeDef>,
    }

    pub(super) mod cty_type {
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub(crate) enum TypeDef {
            #[prost(message, tag = "1")]
            Primitive(super::Primitive),
            #[prost(message, tag = "2")]
            List(super::Collection),
            #[prost(message, tag = "3")]
            Map(super::Collection),
        }
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Primitive {
        #[prost(string, tag = "1")]
        pub type_string: String,
    }

    /// A list or a map, which look alike.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Collection {
        #[prost(message, optional, boxed, tag = "1")]
        pub element_type: Option<Box<CtyType>>,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rubbish_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = from_protobuf(&bytes);
        }
    }

    fn attribute(name: &str, ty: CtyType) -> (String, Spec) {
        let name = name.to_owned();
        (name.clone(), Spec::Attribute { name, ty, required: false })
    }

    #[test]
    fn absent_options_are_null_and_absent_blocks_an_empty_list() {
        let nested = ObjectSpec::from([attribute("size", CtyType::Number)]);
        let spec = ObjectSpec::from([
            attribute("name", CtyType::String),
            ("disk".into(), Spec::Blocks { name: "disk".into(), nested: nested.clone() }),
            ("boot".into(), Spec::Block { name: "boot".into(), required: false, nested }),
        ]);
        let value = encode(&spec, &BTreeMap::new()).unwrap();
        assert_eq!(value["value"], json!({"boot": null, "disk": [], "name": null}));
        let disks = json!([{"size": 4}, {}]).into();
        let options = [("disk".to_owned(), disks), ("name".to_owned(), OptionValue::Unknown)];
        let value = encode(&spec, &BTreeMap::from(options)).unwrap();
        assert_eq!(
            value["value"],
            json!({"boot": null, "disk": [{"size": 4}, {"size": null}], "name": "<unknown>"})
        );
        assert_eq!(
            value["type"],
            json!(["object", {
                "boot": ["object", {"size": "number"}],
                "disk": ["list", ["object", {"size": "number"}]],
                "name": "string",
            }])
        );
    }
}
