//! What the options of a source, and of a build that adds to it, come to.

use std::collections::BTreeMap;

use ingot_sdk::{Config, OptionSpec, OptionType, OptionValue, Schema};
use serde_json::{Value as Json, json};

use super::dynamic::{Names, Part};
use super::options::{self, BlockOptions};
use ingot_hcl::functions::FunctionContext;
use ingot_hcl::json::{ATTRIBUTES, Texts, parse_body as parse_json};
use ingot_hcl::parse::parse_body;
use ingot_hcl::{Diagnostics, Scope, SourceMap, Type, Unknowns, Value};

fn option(name: &str, ty: OptionType) -> OptionSpec {
    OptionSpec {
        name: name.to_owned(),
        ty,
        required: false,
        default: Json::Null,
        description: String::new(),
        sensitive: false,
        rendered_late: false,
        reads: None,
    }
}

/// A builder with any number of `tag` blocks, and one `filter`.
fn schema() -> Schema {
    let inner = Schema { options: vec![option("key", OptionType::String)], ..Schema::default() };
    let options = vec![
        option("tag", OptionType::Blocks(inner.clone())),
        option("filter", OptionType::Block(inner)),
    ];
    Schema { options, ..Schema::default() }
}

/// The options that bodies set together, and their diagnostics. `data` is not known.
fn evaluate(bodies: &[&str]) -> (Config, String) {
    let functions = FunctionContext::new(".", time::OffsetDateTime::UNIX_EPOCH);
    let names = BTreeMap::from([("data".to_owned(), Value::unknown(Type::Dynamic))]);
    let scope = Scope::new(names, &functions);
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let mut parts = Vec::new();
    for text in bodies {
        let file = sources.add("t", *text);
        let body = match text.starts_with('{') {
            true => parse_json(&sources, file, &ATTRIBUTES, Texts::Templates).unwrap(),
            false => parse_body(&sources, file, &mut diagnostics),
        };
        parts.push(Part { body, names: Names::new() });
    }
    let parts: Vec<&Part> = parts.iter().collect();
    let given = BlockOptions { parts: &parts, overrides: None, header: parts[0].body.span };
    let (schema, unknowns) = (schema(), Unknowns::Allow);
    let config = options::evaluate(given, &schema, &[], &scope, unknowns, &mut diagnostics);
    (config, diagnostics.render(&sources, false))
}

const DYNAMIC: &str = r#"
dynamic "tag" {
  for_each = EACH
  content {
    key = tag.value
  }
}
"#;

#[test]
fn blocks_that_a_build_adds_come_after_those_of_the_source() {
    let dynamic = DYNAMIC.replace("EACH", "[\"b\", \"c\"]");
    let dynamic = dynamic.as_str();
    for (source, build, keys) in [
        ("tag {\n  key = \"a\"\n}", "tag {\n  key = \"b\"\n}", &["a", "b"][..]),
        ("tag {\n  key = \"a\"\n}", dynamic, &["a", "b", "c"]),
        ("tag {\n  key = \"a\"\n}", r#"{ "tag": [{ "key": "b" }] }"#, &["a", "b"]),
        (r#"{ "tag": { "key": "a" } }"#, r#"{ "tag": { "key": "b" } }"#, &["a", "b"]),
        ("filter {\n  key = \"f\"\n}", "tag {\n  key = \"a\"\n}", &["a"]),
    ] {
        let (config, said) = evaluate(&[source, build]);
        assert_eq!(said, "", "{source} and {build}");
        let blocks: Vec<Json> = keys.iter().map(|key| json!({ "key": key })).collect();
        let expected = OptionValue::from(Json::from(blocks));
        assert_eq!(config.get("tag"), Some(&expected), "{source} and {build}");
    }
}

#[test]
fn how_many_blocks_there_are_is_not_known_where_it_is_not_of_a_part() {
    let dynamic = DYNAMIC.replace("EACH", "data.null.x.output");
    let (dynamic, tag) = (dynamic.as_str(), "tag {\n  key = \"a\"\n}");
    for bodies in [[tag, dynamic], [dynamic, tag]] {
        let (config, said) = evaluate(&bodies);
        assert_eq!((config.get("tag"), said.as_str()), (Some(&OptionValue::Unknown), ""));
    }
}

#[test]
fn a_block_that_there_is_once_is_not_in_a_source_and_in_a_build() {
    let (hcl, json) = ("filter {\n  key = \"a\"\n}", r#"{ "filter": { "key": "b" } }"#);
    for bodies in [[hcl, hcl], [hcl, json], [json, json]] {
        let (_, said) = evaluate(&bodies);
        assert!(said.contains("there can be only one `filter` block here"), "{bodies:?}: {said}");
        assert_eq!(said.matches("error:").count(), 1, "{bodies:?}: {said}");
    }
}
