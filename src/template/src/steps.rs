//! Provisioners and post-processors, and the options of them that are the engine's own.

use std::collections::BTreeMap;
use std::time::Duration;

use ingot_sdk::GoDuration;

use super::dynamic::{Names, Part};
use super::legacy::variables::in_options;
use ingot_hcl::ast::{Block, Expr, Syntax};
use ingot_hcl::attribute;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, list};
use ingot_hcl::eval::value_of;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::types::Type;
use ingot_hcl::value::Value;

/// A provisioner or post-processor, and the options of it that are the engine's own.
#[derive(Debug, Clone)]
pub struct Step {
    /// `provisioner "TYPE"`
    pub block: Block,
    /// Names that dynamic blocks around it give a meaning.
    pub names: Names,
    /// Which of its options are the engine's own.
    pub own_options: &'static [&'static str],
    /// `name`
    pub name: Option<String>,
    /// `only`, `except`
    pub applies: Applies,
    /// `pause_before`
    pub pause_before: Duration,
    /// `timeout`
    pub timeout: Option<Duration>,
    /// `max_retries`
    pub max_retries: u32,
    /// `continue_on_error`
    pub continue_on_error: bool,
    /// `keep_input_artifact`
    pub keep_input_artifact: Option<bool>,
}

/// Options that `override` sets for one source.
#[derive(Debug, Clone, PartialEq)]
pub enum Overrides {
    /// These.
    Known(BTreeMap<String, Value>),
    /// Which ones is not known yet.
    Unknown,
}

impl Step {
    /// What it is called: its `name`, else its type.
    pub fn shown_name(&self) -> &str {
        self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(self.block.label(0))
    }

    /// Its options as they are written.
    pub fn part(&self) -> Part {
        Part { body: self.block.body.clone(), names: self.names.clone() }
    }

    /// What its `override` sets for the source called `source`, if anything. It is evaluated for
    /// each source, and again when the step runs.
    pub fn overrides(
        &self,
        source: &str,
        scope: &Scope,
        diagnostics: &mut Diagnostics,
    ) -> Option<Overrides> {
        let expr = &self.block.body.attribute("override")?.expr;
        let mut names = self.names.clone();
        if self.block.body.syntax == Syntax::LegacyJson {
            names.extend(in_options(scope));
        }
        let scope = scope.with(names);
        let value = value_of(expr, &scope, diagnostics)?;
        overrides(&value, expr, source, diagnostics)
    }
}

/// To which sources a step applies.
#[derive(Debug, Clone, Default)]
pub struct Applies {
    only: Vec<String>,
    except: Vec<String>,
}

impl Applies {
    /// To those in `only`, or if that is empty to all but those in `except`.
    pub(super) fn new(only: Vec<String>, except: Vec<String>) -> Self {
        Applies { only, except }
    }

    /// The sources that it names, as they are written, and whether it is for them alone.
    pub fn named(&self) -> (&[String], bool) {
        match self.only.is_empty() {
            true => (&self.except, false),
            false => (&self.only, true),
        }
    }

    /// Whether it applies to a source, named `TYPE.NAME`.
    pub fn to(&self, source: &str) -> bool {
        match (self.only.as_slice(), self.except.as_slice()) {
            ([], except) => !except.iter().any(|name| name == source),
            (only, _) => only.iter().any(|name| name == source),
        }
    }
}

/// Options of a provisioner that are the engine's own.
pub const PROVISIONER_OPTIONS: &[&str] = &[
    "name",
    "only",
    "except",
    "override",
    "pause_before",
    "max_retries",
    "timeout",
    "continue_on_error",
];
/// The same in a legacy JSON template.
pub const LEGACY_PROVISIONER_OPTIONS: &[&str] =
    &["only", "except", "override", "pause_before", "max_retries", "timeout"];
/// Options of a post-processor that are the engine's own.
pub const POST_PROCESSOR_OPTIONS: &[&str] = &["name", "only", "except", "keep_input_artifact"];

/// A block to be read as a step.
pub(super) struct Reader<'a> {
    block: &'a Block,
    names: &'a Names,
    scope: Scope<'a>,
    /// The sources of the build, as `TYPE.NAME`.
    sources: &'a [String],
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Reader<'a> {
    /// `names` mean something in the block besides what is in `scope`.
    pub(super) fn new(
        (block, names): (&'a Block, &'a Names),
        scope: &'a Scope<'a>,
        sources: &'a [String],
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        Reader { block, names, scope: scope.with(names.clone()), sources, diagnostics }
    }

    fn value(&mut self, name: &str, ty: &Type) -> Option<Value> {
        attribute::value(&self.block.body, name, ty, &self.scope, self.diagnostics)
    }

    /// Reads a provisioner.
    pub(super) fn provisioner(mut self) -> Option<Step> {
        let mut step = self.step()?;
        step.pause_before = self.duration("pause_before").unwrap_or_default();
        step.timeout = self.duration("timeout").filter(|limit| !limit.is_zero());
        step.max_retries = self.retries();
        let go_on = self.value("continue_on_error", &Type::Bool);
        step.continue_on_error = go_on.and_then(|flag| flag.as_bool()).unwrap_or(false);
        // Whether the form is right; the values are evaluated when they are used.
        let scope = self.scope.with([("build".to_owned(), Value::unknown(Type::Dynamic))].into());
        step.overrides("", &scope, self.diagnostics);
        Some(step)
    }

    /// Reads a post-processor.
    pub(super) fn post_processor(mut self) -> Option<Step> {
        let mut step = self.step()?;
        let keep = self.value("keep_input_artifact", &Type::Bool);
        step.keep_input_artifact = keep.and_then(|flag| flag.as_bool());
        step.own_options = POST_PROCESSOR_OPTIONS;
        Some(step)
    }

    /// What provisioners and post-processors have in common.
    fn step(&mut self) -> Option<Step> {
        let body = &self.block.body;
        let name = attribute::text(body, "name", &self.scope, self.diagnostics);
        let mut applies = Applies::default();
        for (option, list) in [("only", &mut applies.only), ("except", &mut applies.except)] {
            for (text, span) in attribute::texts(body, option, &self.scope, self.diagnostics) {
                self.check_source(&text, span);
                list.push(text);
            }
        }
        if let (Some(only), Some(except)) = (body.attribute("only"), body.attribute("except"))
            && !applies.only.is_empty()
            && !applies.except.is_empty()
        {
            self.diagnostics.push(
                Diagnostic::error("`only` and `except` exclude each other")
                    .at(except.name_span)
                    .also(only.name_span, "the other one")
                    .help("keep one of the two"),
            );
            return None;
        }
        Some(Step {
            block: self.block.clone(),
            names: self.names.clone(),
            own_options: PROVISIONER_OPTIONS,
            name,
            applies,
            pause_before: Duration::ZERO,
            timeout: None,
            max_retries: 0,
            continue_on_error: false,
            keep_input_artifact: None,
        })
    }

    /// Warns of a name in `only` or `except` that no source of the build has.
    fn check_source(&mut self, name: &str, span: Span) {
        let known = self.sources;
        if known.iter().any(|source| source == name) {
            return;
        }
        let warning =
            Diagnostic::warning(format!("`{name}` is not a source of this build")).at(span);
        let bare = name.strip_prefix("source.").unwrap_or(name);
        self.diagnostics.push(if bare != name && known.iter().any(|source| source == bare) {
            warning.help(format!("leave out `source.`: write \"{bare}\""))
        } else if name.contains(['*', '?', '[', '{']) {
            let known = known.iter().map(String::as_str);
            warning
                .help("patterns work in the flags -only and -except, not here; name the sources")
                .note(format!("its sources: {}", list(known)))
        } else {
            warning.suggest_or_list(name, "its sources", known.iter().map(String::as_str))
        });
    }

    fn duration(&mut self, name: &str) -> Option<Duration> {
        let value = self.value(name, &Type::String)?;
        let text = value.as_str().filter(|text| !text.is_empty())?;
        match GoDuration::parse(text) {
            Ok(duration) => Some(duration.0),
            Err(error) => {
                let place = self.block.body.attribute(name).map(|attribute| attribute.expr.span)?;
                self.diagnostics.push(Diagnostic::error(format!("`{name}`: {error}")).at(place));
                None
            }
        }
    }

    fn retries(&mut self) -> u32 {
        let Some(value) = self.value("max_retries", &Type::Number) else { return 0 };
        let Some(number) = value.as_number() else { return 0 };
        match number.as_i64() {
            // Packer takes negative ones for none.
            Some(count) => u32::try_from(count.max(0)).unwrap_or(u32::MAX),
            None => {
                let place =
                    self.block.body.attribute("max_retries").map(|attribute| attribute.expr.span);
                let diagnostic = Diagnostic::error("`max_retries` is a whole number");
                self.diagnostics.push(match place {
                    Some(place) => diagnostic.at(place),
                    None => diagnostic,
                });
                0
            }
        }
    }
}

/// What `override = { SOURCE = { option = value } }`, written as `expr`, sets for one source.
fn overrides(
    value: &Value,
    expr: &Expr,
    wanted: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Overrides> {
    let mut invalid = |what: String| {
        diagnostics.push(
            Diagnostic::error("`override` gives options by the name of a source")
                .at(expr.span)
                .label(what)
                .help("write override = { SOURCE_NAME = { option = value } }"),
        );
    };
    if value.is_null() {
        return None;
    }
    if value.is_unknown() {
        return Some(Overrides::Unknown);
    }
    let Some(sources) = value.as_entries() else {
        invalid(format!("this is {}", value.ty().with_article()));
        return None;
    };
    let mut found = None;
    for (source, options) in sources {
        let sensitive = options.sensitive;
        let own = match options.as_entries() {
            Some(options) => {
                let secret = value.sensitive || sensitive;
                let options = options.iter();
                let options = options.map(|(name, v)| (name.clone(), v.clone().mark(secret)));
                Overrides::Known(options.collect())
            }
            None if options.is_unknown() => Overrides::Unknown,
            None if options.is_null() => continue,
            None => {
                invalid(format!("`{source}` is {} here", options.ty().with_article()));
                continue;
            }
        };
        if source == wanted {
            found = Some(own);
        }
    }
    found
}
