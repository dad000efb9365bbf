//! The options of a block as a plugin takes them: evaluated, and checked against its schema.

use ingot_sdk::config::UNKNOWN;
use ingot_sdk::{Config, OptionSpec, OptionType, Schema};
use serde_json::{Map, Value as Json};

use super::convert::convert;
use super::eval::eval;
use super::scope::Scope;
use super::types::Type;
use super::value::{Kind, Value};
use crate::syntax::ast::{Block, Body, Expr};
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::syntax::source::Span;

/// What became of a block's options.
#[derive(Debug, Default)]
pub struct Options {
    /// The options, for the plugin.
    pub config: Config,
    /// Texts among them that must never be shown.
    pub secrets: Vec<String>,
}

/// Evaluates the bodies of a block (a source and what a build adds to it; later bodies win)
/// against a plugin's schema. Options named in `reserved` are the engine's own and are skipped.
pub fn evaluate(
    bodies: &[&Body],
    header: Span,
    schema: &Schema,
    reserved: &[&str],
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Options {
    let mut walk = Walk { secrets: Vec::new(), diagnostics };
    let mut values = Map::new();
    for body in bodies {
        // Blocks that a later body has replace those of an earlier one.
        let mut here = walk.body(body, schema, reserved, scope);
        values.append(&mut here);
    }
    walk.required(&values, schema, header);
    Options { config: Config::new(values), secrets: walk.secrets }
}

struct Walk<'a> {
    secrets: Vec<String>,
    diagnostics: &'a mut Diagnostics,
}

impl Walk<'_> {
    fn body(
        &mut self,
        body: &Body,
        schema: &Schema,
        reserved: &[&str],
        scope: &Scope,
    ) -> Map<String, Json> {
        let mut values = Map::new();
        for attribute in &body.attributes {
            let name = attribute.name.as_str();
            if reserved.contains(&name) {
                continue;
            }
            let Some(spec) = schema.get(name) else {
                if schema.open {
                    let value = self.value(&attribute.expr, None, scope);
                    values.extend(value.map(|value| (name.to_owned(), value)));
                } else {
                    self.unknown_option(name, attribute.name_span, schema, reserved);
                }
                continue;
            };
            if let OptionType::Block(_) | OptionType::Blocks(_) = spec.ty {
                let blocks = match body.from_json {
                    true => attribute.expr.json_blocks(),
                    false => None,
                };
                if let Some(blocks) = blocks {
                    for inner in &blocks {
                        self.block(name, inner, attribute.name_span, schema, scope, &mut values);
                    }
                    continue;
                }
                self.diagnostics.push(
                    Diagnostic::error(format!("`{name}` is a block, not an argument"))
                        .at(attribute.name_span)
                        .help(format!("write {name} {{ … }} without the equals sign")),
                );
                continue;
            }
            let value = self.value(&attribute.expr, Some(spec), scope);
            values.extend(value.map(|value| (name.to_owned(), value)));
        }
        for block in &body.blocks {
            if reserved.contains(&block.kind.as_str()) {
                continue;
            }
            match block.kind.as_str() {
                "dynamic" => self.dynamic(block, schema, scope, &mut values),
                name => {
                    self.block(name, &block.body, block.header, schema, scope, &mut values);
                }
            }
        }
        values
    }

    fn unknown_option(&mut self, name: &str, span: Span, schema: &Schema, reserved: &[&str]) {
        let names = schema.options.iter().map(|option| option.name.as_str());
        self.diagnostics.push(
            Diagnostic::error(format!("there is no option called `{name}` here"))
                .at(span)
                .suggest(name, names.chain(reserved.iter().copied())),
        );
    }

    fn block(
        &mut self,
        name: &str,
        body: &Body,
        header: Span,
        schema: &Schema,
        scope: &Scope,
        values: &mut Map<String, Json>,
    ) {
        match schema.get(name).map(|spec| &spec.ty) {
            Some(OptionType::Block(inner)) => {
                let value = self.body(body, inner, &[], scope);
                self.required(&value, inner, header);
                if values.insert(name.to_owned(), Json::Object(value)).is_some() {
                    self.diagnostics.push(
                        Diagnostic::error(format!("there can be only one `{name}` block here"))
                            .at(header),
                    );
                }
            }
            Some(OptionType::Blocks(inner)) => {
                let value = self.body(body, inner, &[], scope);
                self.required(&value, inner, header);
                let list = values.entry(name).or_insert_with(|| Json::Array(Vec::new()));
                if let Json::Array(items) = list {
                    items.push(Json::Object(value));
                }
            }
            Some(_) => self.diagnostics.push(
                Diagnostic::error(format!("`{name}` is an argument, not a block"))
                    .at(header)
                    .help(format!("write {name} = …")),
            ),
            None => self.unknown_option(name, header, schema, &[]),
        }
    }

    /// `dynamic "kind" { for_each = … content { … } }`: one block for every item.
    fn dynamic(
        &mut self,
        block: &Block,
        schema: &Schema,
        scope: &Scope,
        values: &mut Map<String, Json>,
    ) {
        let kind = block.label(0);
        let (Some(each), Some(content)) =
            (block.body.attribute("for_each"), block.body.blocks_of("content").next())
        else {
            self.diagnostics.push(
                Diagnostic::error("a dynamic block needs `for_each` and a `content` block")
                    .at(block.header)
                    .help("write dynamic \"KIND\" { for_each = …  content { … } }"),
            );
            return;
        };
        let iterator = block
            .body
            .attribute("iterator")
            .and_then(|attribute| attribute.expr.reference())
            .and_then(|path| path.first().map(|name| (*name).to_owned()))
            .unwrap_or_else(|| kind.to_owned());
        let Some(collection) = self.diagnostics.keep(eval(&each.expr, scope)) else { return };
        if collection.is_unknown() {
            return;
        }
        let Some(entries) = collection.iterate() else {
            self.diagnostics.push(
                Diagnostic::error("`for_each` needs a list, set, map or object")
                    .at(each.expr.span)
                    .label(format!("this is a {}", collection.ty().friendly())),
            );
            return;
        };
        for (key, value) in entries {
            let item = Value::object([("key".to_owned(), key), ("value".to_owned(), value)].into());
            let scope = scope.with([(iterator.clone(), item)].into());
            self.block(kind, &content.body, block.header, schema, &scope, values);
        }
    }

    fn value(&mut self, expr: &Expr, spec: Option<&OptionSpec>, scope: &Scope) -> Option<Json> {
        let value = self.diagnostics.keep(eval(expr, scope))?;
        let ty = spec.map_or(Type::Dynamic, |spec| type_of(&spec.ty));
        let value = match convert(&value, &ty) {
            Ok(value) => value,
            Err(error) => {
                let name = spec.map_or("", |spec| spec.name.as_str());
                let diagnostic = Diagnostic::error(format!("this is no value for `{name}`"));
                self.diagnostics.push(match value.holds_secret() {
                    true => diagnostic.at(expr.span).label("its type is not the one needed"),
                    false => diagnostic.at(expr.span).label(error.to_string()),
                });
                return None;
            }
        };
        let secret_option = spec.is_some_and(|spec| spec.sensitive);
        value.clone().mark(secret_option).secrets(&mut self.secrets);
        let json = to_json(&value);
        (!json.is_null()).then_some(json)
    }

    fn required(&mut self, values: &Map<String, Json>, schema: &Schema, header: Span) {
        for option in &schema.options {
            // An option that was given and could not be evaluated has had its complaint.
            if option.required && !values.contains_key(&option.name) && !self.diagnosed(header) {
                let hint = match option.description.is_empty() {
                    true => String::new(),
                    false => format!("{}: {}", option.name, option.description.replace('\n', " ")),
                };
                let diagnostic =
                    Diagnostic::error(format!("the option `{}` is missing", option.name))
                        .at(header);
                self.diagnostics.push(match hint.is_empty() {
                    true => diagnostic,
                    false => diagnostic.note(hint),
                });
            }
        }
    }

    fn diagnosed(&self, header: Span) -> bool {
        self.diagnostics.iter().any(|diagnostic| {
            diagnostic.span.is_some_and(|span| span.file == header.file && span.start > header.end)
                && diagnostic.message.starts_with("this is no value")
        })
    }
}

fn type_of(option: &OptionType) -> Type {
    match option {
        OptionType::String => Type::String,
        OptionType::Number => Type::Number,
        OptionType::Bool => Type::Bool,
        OptionType::List(item) => Type::list(type_of(item)),
        OptionType::Map(item) => Type::map(type_of(item)),
        OptionType::Block(inner) => object_type(inner),
        OptionType::Blocks(inner) => Type::list(object_type(inner)),
        OptionType::Any => Type::Dynamic,
    }
}

/// The type of an object with the attributes that a schema lists: what a data source yields.
pub fn object_type(schema: &Schema) -> Type {
    Type::object(schema.options.iter().map(|option| (option.name.clone(), type_of(&option.ty))))
}

/// The value as JSON, for plugins. Unknown texts become [`UNKNOWN`]; other unknown values a
/// harmless one of their type, since a plugin sees the real one before it runs.
pub fn to_json(value: &Value) -> Json {
    match &value.kind {
        Kind::Null(_) => Json::Null,
        Kind::Unknown(Type::Bool) => Json::Bool(false),
        Kind::Unknown(Type::Number) => Json::from(0),
        Kind::Unknown(Type::List(_) | Type::Set(_) | Type::Tuple(_)) => Json::Array(Vec::new()),
        Kind::Unknown(Type::Map(_) | Type::Object(_)) => Json::Object(Map::new()),
        Kind::Unknown(_) => Json::from(UNKNOWN),
        Kind::Bool(truth) => Json::Bool(*truth),
        Kind::Number(number) => match number.as_i64() {
            Some(integer) => Json::from(integer),
            None => Json::from(number.to_f64()),
        },
        Kind::String(text) => Json::from(&**text),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            Json::Array(items.iter().map(to_json).collect())
        }
        Kind::Map(_, entries) | Kind::Object(entries) => Json::Object(
            entries.iter().map(|(name, value)| (name.clone(), to_json(value))).collect(),
        ),
    }
}

/// JSON as a value: what a builder learnt, or a data source fetched.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::null(Type::Dynamic),
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => super::Number::parse(&number.to_string())
            .map_or_else(|| Value::null(Type::Number), Value::from),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::tuple(items.iter().map(from_json).collect()),
        Json::Object(entries) => Value::object(
            entries.iter().map(|(name, value)| (name.clone(), from_json(value))).collect(),
        ),
    }
}
