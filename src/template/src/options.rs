//! The options of a block as a plugin takes them: evaluated, and checked against its schema.

use std::collections::BTreeMap;

use ingot_sdk::{Config, OptionSpec, OptionType, OptionValue, Schema};
use serde_json::Value as Json;

use super::block_form::labels;
use super::dynamic::{Expansion, Names, Part, expand};
use super::legacy::conversion;
use super::legacy::variables::in_options;
use super::option_types::type_of;
use super::steps::Overrides;
use ingot_hcl::ast::{Attribute, Block, Body, Expr, Syntax};
use ingot_hcl::convert::convert;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::eval::value_of;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::types::Type;
use ingot_hcl::unknowns::Unknowns;
use ingot_hcl::value::{Kind, Value};

/// Options by their name.
type Values = BTreeMap<String, OptionValue>;

/// The options of a block, as they are written.
#[derive(Debug, Clone, Copy)]
pub struct BlockOptions<'a> {
    /// The bodies that set options: a source's, and what a build adds to it.
    pub parts: &'a [&'a Part],
    /// Values that take the place of those in the bodies, or are added to them: what `override` says.
    pub overrides: Option<&'a Overrides>,
    /// Where the block starts.
    pub header: Span,
}

/// Evaluates a block's options against a plugin's schema. Options named in `reserved` are the
/// engine's own and are skipped. Strings that are secrets are added to the scope's secrets.
pub fn evaluate(
    given: BlockOptions,
    schema: &Schema,
    reserved: &[&str],
    scope: &Scope,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Config {
    let legacy = given.parts.iter().any(|part| part.body.syntax == Syntax::LegacyJson);
    let variables = if legacy { in_options(scope) } else { Names::new() };
    let mut walk = Walk { failed: Vec::new(), unknowns, scope, legacy, variables, diagnostics };
    let mut values = Values::new();
    for (index, part) in given.parts.iter().enumerate() {
        walk.twice(&given.parts[..index], &part.body, schema);
        let scope = scope.with(part.names.clone());
        walk.body(&part.body, schema, reserved, &scope, &mut values);
    }
    match given.overrides {
        None => {}
        Some(Overrides::Known(overrides)) => {
            for (name, value) in overrides {
                walk.overriding(name, value, schema, given, &mut values);
            }
        }
        // Which options are set is not known, so any can be.
        Some(Overrides::Unknown) => {
            let place = override_place(given);
            let unknown = Value::unknown(Type::Dynamic);
            walk.unknowns.check_at("override", &unknown, place, walk.diagnostics);
            for option in &schema.options {
                values.insert(option.name.clone(), OptionValue::Unknown);
            }
        }
    }
    walk.required(&values, schema, given);
    Config::new(values)
}

/// Where `override` stands.
pub(super) fn override_place(given: BlockOptions) -> Span {
    let place = given.parts.iter().find_map(|part| part.body.attribute("override"));
    place.map_or(given.header, |attribute| attribute.expr.span)
}

struct Walk<'a> {
    /// Where values stand that could not be evaluated or did not fit.
    failed: Vec<Span>,
    unknowns: Unknowns,
    /// What the block as a whole sees.
    scope: &'a Scope<'a>,
    /// Whether it is of a legacy JSON template.
    legacy: bool,
    /// What variables are there in options that are rendered before the plugin sees them.
    variables: Names,
    diagnostics: &'a mut Diagnostics,
}

impl Walk<'_> {
    /// Reports what two bodies both set. Blocks add up, also those that JSON writes as attributes.
    fn twice(&mut self, before: &[&Part], body: &Body, schema: &Schema) {
        for Attribute { name, name_span, .. } in &body.attributes {
            if schema.get(name).is_some_and(|spec| is_block(&spec.ty)) {
                continue;
            }
            let first = before.iter().find_map(|part| part.body.attribute(name));
            if let Some(first) = first {
                self.diagnostics.push(
                    Diagnostic::error(format!("`{name}` is set in the source already"))
                        .at(*name_span)
                        .also(first.name_span, "first here")
                        .help("a build can add options to a source, not change those it has"),
                );
            }
        }
    }

    /// Puts a value from `override` into its place, or adds it to what is there.
    fn overriding(
        &mut self,
        name: &str,
        value: &Value,
        schema: &Schema,
        given: BlockOptions,
        values: &mut Values,
    ) {
        let place = override_place(given);
        let name = self.option(name, schema);
        match schema.get(name) {
            None if !schema.open => self.unknown_option(name, place, schema, &[]),
            spec => {
                if !self.unknowns.check_at(name, value, place, self.diagnostics) {
                    self.failed.push(place);
                    return;
                }
                let Some(new) = self.converted(value, place, spec) else { return };
                let value = match (spec, values.remove(name)) {
                    (Some(spec), Some(old)) => overridden(old, new, &spec.ty),
                    _ => new,
                };
                values.insert(name.to_owned(), value);
            }
        }
    }

    /// Adds what a body sets to `values`, which hold what the bodies before it set.
    fn body(
        &mut self,
        body: &Body,
        schema: &Schema,
        reserved: &[&str],
        scope: &Scope,
        values: &mut Values,
    ) {
        for attribute in &body.attributes {
            let name = attribute.name.as_str();
            if reserved.contains(&name) {
                continue;
            }
            let name = self.option(name, schema);
            let Some(spec) = schema.get(name) else {
                if schema.open {
                    let value = self.value(name, &attribute.expr, None, scope);
                    values.extend(value.map(|value| (name.to_owned(), value)));
                } else {
                    self.unknown_option(name, attribute.name_span, schema, reserved);
                }
                continue;
            };
            if is_block(&spec.ty) {
                let blocks = match body.is_json() {
                    true => attribute.expr.json_blocks(name, attribute.name_span),
                    false => None,
                };
                if let Some(blocks) = blocks {
                    blocks.iter().for_each(|block| self.block(block, schema, scope, values));
                    continue;
                }
                self.diagnostics.push(
                    Diagnostic::error(format!("`{name}` is a block, not an argument"))
                        .at(attribute.name_span)
                        .help(match body.is_json() {
                            true => format!("write \"{name}\": {{ … }}"),
                            false => format!("write {name} {{ … }} without the equals sign"),
                        }),
                );
                continue;
            }
            let value = self.value(name, &attribute.expr, Some(spec), scope);
            values.extend(value.map(|value| (name.to_owned(), value)));
        }
        for block in &body.blocks {
            if reserved.contains(&block.kind.as_str()) {
                self.no_block(&block.kind, block.header, "");
                continue;
            }
            match block.kind.as_str() {
                "dynamic" => self.dynamic(block, schema, scope, values),
                _ => self.block(block, schema, scope, values),
            }
        }
    }

    /// The option that `name` means: upper and lower case are the same in legacy JSON templates.
    fn option<'n>(&self, name: &'n str, schema: &'n Schema) -> &'n str {
        if !self.legacy || schema.get(name).is_some() {
            return name;
        }
        let mut options = schema.options.iter();
        let same = options.find(|option| option.name.eq_ignore_ascii_case(name));
        same.map_or(name, |option| option.name.as_str())
    }

    fn unknown_option(&mut self, name: &str, span: Span, schema: &Schema, reserved: &[&str]) {
        let names = schema.options.iter().map(|option| option.name.as_str());
        let wrong = Diagnostic::error(format!("there is no option called `{name}` here")).at(span);
        let known = schema.no_options.iter().find(|(expected, _)| *expected == name);
        self.diagnostics.push(match known {
            Some((_, advice)) => wrong.help(*advice),
            None => wrong.suggest(name, names.chain(reserved.iter().copied())),
        });
    }

    fn block(&mut self, block: &Block, schema: &Schema, scope: &Scope, values: &mut Values) {
        let (name, header) = (block.kind.as_str(), block.header);
        match schema.get(name).map(|spec| &spec.ty) {
            Some(OptionType::Block(inner)) => {
                let value = self.nested(block, inner, scope);
                if values.insert(name.to_owned(), OptionValue::Map(value)).is_some() {
                    self.diagnostics.push(
                        Diagnostic::error(format!("there can be only one `{name}` block here"))
                            .at(header),
                    );
                }
            }
            Some(OptionType::Blocks(inner)) => {
                let value = self.nested(block, inner, scope);
                let list = values.entry(name.to_owned());
                let list = list.or_insert_with(|| OptionValue::List(Vec::new()));
                if let OptionValue::List(items) = list {
                    items.push(OptionValue::Map(value));
                }
            }
            Some(_) => self.no_block(name, header, ""),
            None => self.unknown_option(name, header, schema, &[]),
        }
    }

    fn no_block(&mut self, name: &str, place: Span, more: &str) {
        self.diagnostics.push(
            Diagnostic::error(format!("`{name}` is an argument, not a block"))
                .at(place)
                .help(format!("write {name} = …{more}")),
        );
    }

    fn nested(&mut self, block: &Block, schema: &Schema, scope: &Scope) -> Values {
        labels(block, &[], self.diagnostics);
        let mut values = Values::new();
        self.body(&block.body, schema, &[], scope, &mut values);
        let part = Part { body: block.body.clone(), names: Names::new() };
        let given = BlockOptions { parts: &[&part], overrides: None, header: block.header };
        self.required(&values, schema, given);
        values
    }

    fn dynamic(&mut self, block: &Block, schema: &Schema, scope: &Scope, values: &mut Values) {
        let kind = block.label(0);
        let place = block.labels.first().map_or(block.header, |label| label.span);
        match schema.get(kind).map(|spec| &spec.ty) {
            None if !block.labels.is_empty() => self.unknown_option(kind, place, schema, &[]),
            None | Some(OptionType::Block(_) | OptionType::Blocks(_)) => {
                let expansion = expand(block, 0, scope, self.unknowns, self.diagnostics);
                let Expansion { blocks, open } = expansion;
                for (block, names) in blocks {
                    self.block(&block, schema, &scope.with(names), values);
                }
                if open {
                    values.insert(kind.to_owned(), OptionValue::Unknown);
                }
            }
            Some(_) => self.no_block(kind, place, ", with a for expression if need be"),
        }
    }

    fn value(
        &mut self,
        name: &str,
        expr: &Expr,
        spec: Option<&OptionSpec>,
        scope: &Scope,
    ) -> Option<OptionValue> {
        // What is rendered late is rendered until nothing is left, in Packer too.
        let late = spec.is_some_and(|spec| spec.rendered_late);
        let variables = if late { Names::new() } else { self.variables.clone() };
        let value = value_of(expr, &scope.with(variables), self.diagnostics);
        let value = value.filter(|value| self.unknowns.check(name, value, expr, self.diagnostics));
        let Some(value) = value else {
            self.failed.push(expr.span);
            return None;
        };
        self.converted(&value, expr.span, spec)
    }

    /// A value as its option takes it; none if it is null, or does not fit, which is reported.
    fn converted(
        &mut self,
        value: &Value,
        place: Span,
        spec: Option<&OptionSpec>,
    ) -> Option<OptionValue> {
        let ty = spec.map_or(Type::Dynamic, |spec| type_of(&spec.ty));
        let freely = spec.filter(|_| self.legacy).map(|spec| conversion::freely(value, &spec.ty));
        let value = match convert(freely.as_ref().unwrap_or(value), &ty) {
            Ok(value) => value,
            Err(error) => {
                let name = spec.map_or("", |spec| spec.name.as_str());
                let diagnostic = Diagnostic::error(format!("invalid value for `{name}`"));
                self.diagnostics.push(match value.holds_secret() {
                    true => diagnostic.at(place).label("its type is not the one needed"),
                    false => diagnostic.at(place).label(error.to_string()),
                });
                self.failed.push(place);
                return None;
            }
        };
        if let Some(OptionSpec { name, ty, .. }) = spec
            && let Some(path) = null_item(&value, ty)
        {
            self.diagnostics.push(
                Diagnostic::error(format!("invalid value for `{name}`"))
                    .at(place)
                    .label(format!("at `{path}`: an item cannot be null")),
            );
            self.failed.push(place);
            return None;
        }
        if let Some(path) = huge_number(&value) {
            let name = spec.map_or("", |spec| spec.name.as_str());
            let label = match path.as_str() {
                "" => "the number is too large".to_owned(),
                path => format!("at `{path}`: the number is too large"),
            };
            let invalid = Diagnostic::error(format!("invalid value for `{name}`"));
            self.diagnostics.push(invalid.at(place).label(label));
            self.failed.push(place);
            return None;
        }
        self.scope.add_secrets(&value);
        match to_option(&value, false) {
            OptionValue::Null => None,
            option => Some(option),
        }
    }

    fn required(&mut self, values: &Values, schema: &Schema, given: BlockOptions) {
        let header = given.header;
        for option in &schema.options {
            // An option that could not be evaluated was already reported.
            let failed = given.parts.iter().any(|part| {
                let attribute = part.body.attribute(&option.name);
                attribute.is_some_and(|attribute| self.failed.contains(&attribute.expr.span))
            });
            if option.required && !values.contains_key(&option.name) && !failed {
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
}

/// What an option comes to that is `old` and that `override` sets to `new`. As in Packer, entries are
/// added to those of a map, which keeps its others.
fn overridden(old: OptionValue, new: OptionValue, ty: &OptionType) -> OptionValue {
    match (ty, old, new) {
        (OptionType::Map(_), OptionValue::Map(mut entries), OptionValue::Map(new)) => {
            entries.extend(new);
            OptionValue::Map(entries)
        }
        (OptionType::Map(_), OptionValue::Unknown, OptionValue::Map(_)) => OptionValue::Unknown,
        (_, _, new) => new,
    }
}

fn is_block(ty: &OptionType) -> bool {
    matches!(ty, OptionType::Block(_) | OptionType::Blocks(_))
}

/// Where a list or map holds a null. Rows of a table may be null, as in `cond ? ["-m", "1G"] : null`:
/// they are not there.
fn null_item(value: &Value, ty: &OptionType) -> Option<String> {
    match ty {
        OptionType::List(item) => {
            let row = matches!(**item, OptionType::List(_));
            value.as_items()?.iter().enumerate().find_map(|(index, value)| match value.is_null() {
                true => (!row).then(|| format!("[{index}]")),
                false => null_item(value, item).map(|path| format!("[{index}]{path}")),
            })
        }
        OptionType::Map(item) => {
            value.as_entries()?.iter().find_map(|(name, value)| match value.is_null() {
                true => Some(format!("[{name:?}]")),
                false => null_item(value, item).map(|path| format!("[{name:?}]{path}")),
            })
        }
        _ => None,
    }
}

/// Where a value holds a number that is too large for a machine float, as which plugins take it.
fn huge_number(value: &Value) -> Option<String> {
    match &value.kind {
        Kind::Number(number) => number.to_f64().is_infinite().then(String::new),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| Some(format!("[{index}]{}", huge_number(item)?)))
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            let mut entries = entries.iter();
            entries.find_map(|(name, item)| Some(format!("[{name:?}]{}", huge_number(item)?)))
        }
        _ => None,
    }
}

/// The value as plugins take it; `secret` says that it is part of a secret.
fn to_option(value: &Value, secret: bool) -> OptionValue {
    let secret = secret || value.sensitive;
    let each = |value: &Value| to_option(value, secret);
    match &value.kind {
        Kind::Null(_) => OptionValue::Null,
        Kind::Unknown(_) => OptionValue::Unknown,
        Kind::Bool(truth) => OptionValue::Bool(*truth),
        Kind::Number(number) => match number.as_i64() {
            Some(integer) => OptionValue::Number(integer.into()),
            None => serde_json::Number::from_f64(number.to_f64())
                .map_or(OptionValue::Null, OptionValue::Number),
        },
        Kind::String(text) if secret => OptionValue::Secret(text.to_string()),
        Kind::String(text) => OptionValue::String(text.to_string()),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            OptionValue::List(items.iter().map(each).collect())
        }
        Kind::Map(_, entries) | Kind::Object(entries) => OptionValue::Map(
            entries.iter().map(|(name, value)| (name.clone(), each(value))).collect(),
        ),
    }
}

/// JSON as a value: what a builder learnt, or a data source fetched.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::null(Type::Dynamic),
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => ingot_hcl::Number::parse(&number.to_string())
            .map_or_else(|| Value::null(Type::Number), Value::from),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::tuple(items.iter().map(from_json).collect()),
        Json::Object(entries) => Value::object(
            entries.iter().map(|(name, value)| (name.clone(), from_json(value))).collect(),
        ),
    }
}
