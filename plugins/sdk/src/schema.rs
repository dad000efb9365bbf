//! What options a plugin takes: derived from its config struct, used to check templates, to
//! suggest names and to write the reference.

use schemars::JsonSchema;
use serde_json::Value;

/// The options of a block, in the order the plugin declares them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    /// The options.
    pub options: Vec<OptionSpec>,
    /// Whether names that are not listed are an error. Open schemas are for blocks whose
    /// options another program defines.
    pub open: bool,
    /// Whether the plugin renders `{{ }}` in its options itself. The engine then leaves them as
    /// they are, as it must for plugins that are programs of their own.
    pub renders_itself: bool,
    /// Functions that `{{ }}` in these options may call besides those of all plugins.
    pub functions: Vec<TemplateFunction>,
    /// Names that are no options though they may be expected here, and what to do instead.
    pub no_options: &'static [(&'static str, &'static str)],
}

/// A function that only some plugins offer in `{{ }}`, such as `clean_resource_name`.
#[derive(Debug, Clone, Copy)]
pub struct TemplateFunction {
    /// Its name.
    pub name: &'static str,
    /// Takes the evaluated arguments; the error says what is wrong with them.
    pub run: fn(&[Value]) -> Result<Value, String>,
}

impl PartialEq for TemplateFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// One option.
#[derive(Debug, Clone, PartialEq)]
pub struct OptionSpec {
    /// The name in the template.
    pub name: String,
    /// What it takes.
    pub ty: OptionType,
    /// Whether the block is wrong without it.
    pub required: bool,
    /// What it is when the template does not say; null where there is no fixed default.
    pub default: Value,
    /// What it means, for the reference.
    pub description: String,
    /// Whether it is a password or the like. What a data source gives under this name is a secret;
    /// what a template gives is one if the template says so.
    pub sensitive: bool,
    /// Whether the plugin renders `{{ }}` in it when it runs, because what it refers to is not
    /// known before. All other options are rendered before the plugin sees them.
    pub rendered_late: bool,
    /// Whether it names files that the plugin reads on this machine. They count as inputs of a build:
    /// files that are written, private keys, and media whose checksum is an option do not.
    pub reads: Option<Reads>,
}

/// How an option names what a plugin reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Files or directories, by their paths.
    Paths,
    /// The same, or patterns for them; one that nothing matches stands for nothing.
    Patterns,
}

/// What an option takes.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionType {
    /// Text.
    String,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// A list of values of one type.
    List(Box<OptionType>),
    /// Values of one type by name, written as an attribute.
    Map(Box<OptionType>),
    /// A nested block, at most once.
    Block(Schema),
    /// A nested block, any number of times.
    Blocks(Schema),
    /// Anything.
    Any,
}

impl Schema {
    /// The schema of a config struct: field names, types, `#[serde(default)]`, doc comments.
    /// `#[schemars(extend("sensitive" = true))]` marks an option as secret,
    /// `#[schemars(extend("rendered_late" = true))]` as one that the plugin renders itself,
    /// `#[schemars(extend("reads" = "paths"))]` or `"patterns"` as one that names what it [reads](Reads).
    pub fn of<T: JsonSchema>() -> Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12();
        let root = settings.into_generator().into_root_schema_for::<T>();
        let root = root.to_value();
        object_schema(&root, &root)
    }

    /// The option called `name`.
    pub fn get(&self, name: &str) -> Option<&OptionSpec> {
        self.options.iter().find(|option| option.name == name)
    }
}

fn object_schema(node: &Value, root: &Value) -> Schema {
    let node = resolve(node, root);
    let required: Vec<&str> = node["required"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let options = node["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let field =
                |key: &str| property.get(key).or_else(|| resolve(property, root).get(key)).cloned();
            let flag = |key: &str| field(key).and_then(|flag| flag.as_bool()).unwrap_or(false);
            OptionSpec {
                name: name.clone(),
                ty: option_type(property, root),
                required: required.contains(&name.as_str()),
                default: field("default").unwrap_or(Value::Null),
                description: field("description")
                    .and_then(|text| text.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                sensitive: flag("sensitive"),
                rendered_late: flag("rendered_late"),
                reads: match field("reads").as_ref().and_then(Value::as_str) {
                    Some("paths") => Some(Reads::Paths),
                    Some("patterns") => Some(Reads::Patterns),
                    _ => None,
                },
            }
        })
        .collect();
    Schema { options, ..Schema::default() }
}

/// Follows `$ref`, and the `anyOf`/`allOf` that an `Option` or a documented reference becomes.
fn resolve<'a>(node: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(path) = node["$ref"].as_str() {
        let target = path.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(node, |target| resolve(target, root));
    }
    for key in ["anyOf", "allOf"] {
        if let Some(branches) = node[key].as_array() {
            let some = branches.iter().find(|branch| branch["type"] != "null");
            return some.map_or(node, |branch| resolve(branch, root));
        }
    }
    node
}

fn option_type(node: &Value, root: &Value) -> OptionType {
    let node = resolve(node, root);
    let kind = match &node["type"] {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|&kind| kind != "null").unwrap_or("")
        }
        _ => "",
    };
    match kind {
        "string" => OptionType::String,
        "integer" | "number" => OptionType::Number,
        "boolean" => OptionType::Bool,
        "array" => match option_type(&node["items"], root) {
            OptionType::Block(schema) => OptionType::Blocks(schema),
            item => OptionType::List(Box::new(item)),
        },
        "object" if node.get("properties").is_some() => {
            OptionType::Block(object_schema(node, root))
        }
        "object" => OptionType::Map(Box::new(option_type(&node["additionalProperties"], root))),
        _ if node.get("enum").is_some() || node.get("const").is_some() => OptionType::String,
        _ if node.get("oneOf").is_some() => OptionType::String,
        _ => OptionType::Any,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::GoDuration;

    #[derive(Deserialize, JsonSchema, Default)]
    #[allow(dead_code)]
    struct Nested {
        inner: Option<String>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Sample {
        /// The image.
        image: String,
        #[serde(default)]
        count: u32,
        timeout: Option<GoDuration>,
        #[serde(default)]
        volumes: BTreeMap<String, String>,
        changes: Option<Vec<String>>,
        #[schemars(extend("sensitive" = true, "rendered_late" = true))]
        login_password: Option<String>,
        nested: Option<Nested>,
        #[serde(default)]
        many: Vec<Nested>,
    }

    #[test]
    fn is_derived_from_the_struct() {
        let schema = Schema::of::<Sample>();
        let ty = |name: &str| schema.get(name).unwrap().ty.clone();
        let image = schema.get("image").unwrap();
        assert!(image.required && image.description == "The image.");
        assert!(!schema.get("count").unwrap().required);
        assert_eq!(ty("count"), OptionType::Number);
        assert_eq!(ty("timeout"), OptionType::String);
        assert_eq!(ty("volumes"), OptionType::Map(Box::new(OptionType::String)));
        assert_eq!(ty("changes"), OptionType::List(Box::new(OptionType::String)));
        let password = schema.get("login_password").unwrap();
        assert!(password.sensitive && password.rendered_late);
        assert!(!image.sensitive && !image.rendered_late);
        assert!(matches!(ty("nested"), OptionType::Block(_)));
        assert!(matches!(ty("many"), OptionType::Blocks(_)));
    }
}
