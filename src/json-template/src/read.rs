//! JSON text to a template.

use std::collections::BTreeMap;

use ingot_go_template::GoDuration;
use ingot_hcl::ast::{Attribute, Body, Expr, ExprKind};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::json::{self, ATTRIBUTES, Texts};
use ingot_hcl::source::{FileId, SourceMap, Span};

use crate::template::{Component, Template, Text, Variable, text};

/// The keys at the top. `push` and `comments` mean nothing any more, and are taken as Packer does.
const KEYS: &[&str] = &[
    "min_packer_version",
    "description",
    "builders",
    "comments",
    "push",
    "post-processors",
    "provisioners",
    "error-cleanup-provisioner",
    "variables",
    "sensitive-variables",
];

/// What a component is, as messages call it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Builder,
    Provisioner,
    PostProcessor,
}

impl Kind {
    fn noun(self) -> &'static str {
        match self {
            Kind::Builder => "builder",
            Kind::Provisioner => "provisioner",
            Kind::PostProcessor => "post-processor",
        }
    }
}

/// Reads a template. None if there is something wrong with its form, which goes to `diagnostics`.
pub fn read(sources: &SourceMap, file: FileId, diagnostics: &mut Diagnostics) -> Option<Template> {
    let body = diagnostics.keep(json::parse_body(sources, file, &ATTRIBUTES, Texts::Legacy))?;
    let before = diagnostics.errors();
    let mut reader = Reader { diagnostics };
    body.attributes.iter().for_each(|attribute| reader.no_duplicates(&attribute.expr));
    let template = reader.template(&body);
    (diagnostics.errors() == before).then_some(template)
}

struct Reader<'a> {
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn wrong(&mut self, span: Span, message: impl Into<String>, help: &str) {
        self.diagnostics.push(Diagnostic::error(message).at(span).help(help));
    }

    /// As in Packer, no object sets a key twice. (The parser saw to those at the top.)
    fn no_duplicates(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Tuple(items) => items.iter().for_each(|item| self.no_duplicates(item)),
            ExprKind::Object(items) => {
                let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
                for (key, value) in items {
                    if let ExprKind::String(name) = &key.kind
                        && let Some(first) = seen.insert(name, key.span)
                    {
                        self.diagnostics.push(
                            Diagnostic::error(format!("`{name}` is set twice in this object"))
                                .at(key.span)
                                .also(first, "first here")
                                .help("keep one of the two")
                                .names_only(),
                        );
                    }
                    self.no_duplicates(value);
                }
            }
            _ => {}
        }
    }

    fn template(&mut self, body: &Body) -> Template {
        let mut template = Template {
            span: body.span,
            description: None,
            min_packer_version: None,
            variables: Vec::new(),
            builders: Vec::new(),
            provisioners: Vec::new(),
            error_cleanup: None,
            post_processors: Vec::new(),
            comments: Vec::new(),
        };
        let mut sensitive = Vec::new();
        for Attribute { name, name_span, expr } in &body.attributes {
            if matches!(expr.kind, ExprKind::Null) && KEYS.contains(&name.as_str()) {
                continue;
            }
            // Upper and lower case are the same at the top, as in Packer.
            match name.to_ascii_lowercase().as_str() {
                "min_packer_version" => template.min_packer_version = self.string(name, expr),
                "description" => template.description = self.string(name, expr),
                "variables" => template.variables = self.variables(expr),
                "sensitive-variables" => sensitive = self.strings(name, expr),
                "builders" => template.builders = self.components(name, expr, Kind::Builder),
                "provisioners" => {
                    template.provisioners = self.components(name, expr, Kind::Provisioner);
                }
                "error-cleanup-provisioner" => {
                    template.error_cleanup = self.component(expr, Kind::Provisioner);
                }
                "post-processors" => template.post_processors = self.pipelines(expr),
                "comments" | "push" => {}
                key if key.starts_with('_') => match text(expr) {
                    Some(comment) => template.comments.push((name.clone(), comment.text)),
                    None => self.wrong(
                        expr.span,
                        format!("`{name}` is a comment, which is a string"),
                        "put it in quotes",
                    ),
                },
                _ => self.diagnostics.push(
                    Diagnostic::error(format!("a template has no `{name}`"))
                        .at(*name_span)
                        .suggest_or_list(name, "known here", KEYS.iter().copied())
                        .names_only(),
                ),
            }
        }
        for variable in &mut template.variables {
            variable.sensitive = sensitive.iter().any(|name| name.text == variable.name.text);
        }
        template.distinct_builders(self.diagnostics);
        template
    }

    fn string(&mut self, name: &str, expr: &Expr) -> Option<Text> {
        let found = text(expr);
        if found.is_none() {
            self.wrong(expr.span, format!("`{name}` is a string"), "put it in quotes");
        }
        found
    }

    fn strings(&mut self, name: &str, expr: &Expr) -> Vec<Text> {
        let ExprKind::Tuple(items) = &expr.kind else {
            self.wrong(
                expr.span,
                format!("`{name}` is a list of strings"),
                &format!("write \"{name}\": [\"…\"]"),
            );
            return Vec::new();
        };
        items.iter().filter_map(|item| self.string(&format!("an item of {name}"), item)).collect()
    }

    fn variables(&mut self, expr: &Expr) -> Vec<Variable> {
        let ExprKind::Object(items) = &expr.kind else {
            self.wrong(
                expr.span,
                "`variables` is an object",
                "write \"variables\": { \"NAME\": \"default\" }",
            );
            return Vec::new();
        };
        let mut variables = Vec::with_capacity(items.len());
        for (key, value) in items {
            let Some(name) = text(key) else { continue };
            let default = match &value.kind {
                ExprKind::Null => None,
                _ => {
                    let Some(default) = text(value) else {
                        self.diagnostics.push(
                            Diagnostic::error(format!(
                                "the default of the variable `{}` is not a string",
                                name.text
                            ))
                            .at(value.span)
                            .help(
                                "variables of JSON templates are strings, or null if they must be \
                                 given a value: put it in quotes",
                            )
                            .names_only(),
                        );
                        continue;
                    };
                    Some(default)
                }
            };
            variables.push(Variable { name, default, sensitive: false });
        }
        variables
    }

    fn components(&mut self, name: &str, expr: &Expr, kind: Kind) -> Vec<Component> {
        let ExprKind::Tuple(items) = &expr.kind else {
            self.wrong(
                expr.span,
                format!("`{name}` is a list of objects"),
                &format!("write \"{name}\": [ {{ \"type\": \"…\" }} ]"),
            );
            return Vec::new();
        };
        items.iter().filter_map(|item| self.component(item, kind)).collect()
    }

    fn pipelines(&mut self, expr: &Expr) -> Vec<Vec<Component>> {
        let ExprKind::Tuple(items) = &expr.kind else {
            self.wrong(
                expr.span,
                "`post-processors` is a list",
                "write \"post-processors\": [ { \"type\": \"…\" } ]",
            );
            return Vec::new();
        };
        let mut pipelines = Vec::with_capacity(items.len());
        for item in items {
            let steps = match &item.kind {
                ExprKind::Tuple(steps) => steps.as_slice(),
                _ => std::slice::from_ref(item),
            };
            let steps = steps.iter().filter_map(|step| self.post_processor(step));
            pipelines.push(steps.collect());
        }
        pipelines
    }

    /// A post-processor, which may be just its type.
    fn post_processor(&mut self, expr: &Expr) -> Option<Component> {
        match &expr.kind {
            ExprKind::String(_) => Some(Component {
                ty: text(expr)?,
                name: None,
                attributes: Vec::new(),
                span: expr.span,
            }),
            ExprKind::Tuple(_) => {
                self.wrong(
                    expr.span,
                    "a pipeline of post-processors cannot hold another one",
                    "write its post-processors one after the other, or another list beside it",
                );
                None
            }
            _ => self.component(expr, Kind::PostProcessor),
        }
    }

    fn component(&mut self, expr: &Expr, kind: Kind) -> Option<Component> {
        let noun = kind.noun();
        let ExprKind::Object(items) = &expr.kind else {
            let help = "write { \"type\": \"…\" }";
            self.wrong(expr.span, format!("a {noun} is an object"), help);
            return None;
        };
        let (mut ty, mut name) = (None, None);
        let mut attributes = Vec::with_capacity(items.len());
        for (key, value) in items {
            let Some(Text { text: key, span: name_span }) = text(key) else { continue };
            match key.as_str() {
                "type" => ty = self.string("type", value),
                "name" if kind != Kind::Provisioner => {
                    name = match &value.kind {
                        ExprKind::Null => None,
                        ExprKind::Number(number) if kind == Kind::Builder => {
                            Some(Text { text: number.to_string(), span: value.span })
                        }
                        _ => self.string("name", value),
                    };
                }
                _ => attributes.push(Attribute { name: key, name_span, expr: value.clone() }),
            }
        }
        let typed = items.iter().any(|(key, _)| text(key).is_some_and(|key| key.text == "type"));
        if !typed || ty.as_ref().is_some_and(|ty| ty.text.is_empty()) {
            // The brace, not all of it.
            let place =
                ty.as_ref().map_or(Span { end: expr.span.start + 1, ..expr.span }, |ty| ty.span);
            self.wrong(
                place,
                format!("this {noun} has no `type`"),
                &format!("say which {noun} it is: \"type\": \"…\""),
            );
        }
        let component = Component {
            ty: ty?,
            name: name.filter(|name| !name.text.is_empty()),
            attributes,
            span: expr.span,
        };
        Some(match kind {
            Kind::Builder => component,
            Kind::Provisioner => self.provisioner(component),
            Kind::PostProcessor => self.strict(component),
        })
    }

    /// Packer takes what is nearly right here.
    fn provisioner(&mut self, mut component: Component) -> Component {
        for attribute in &mut component.attributes {
            let expr = &mut attribute.expr;
            match attribute.name.as_str() {
                "only" | "except" => {
                    if let ExprKind::String(_) = expr.kind {
                        expr.kind = ExprKind::Tuple(vec![expr.clone()]);
                    }
                    // As in Packer, a number stands for a builder of that name.
                    if let ExprKind::Tuple(items) = &mut expr.kind {
                        for item in items {
                            if let ExprKind::Number(number) = &item.kind {
                                item.kind = ExprKind::String(number.to_string());
                            }
                        }
                    }
                    if !matches!(expr.kind, ExprKind::Null) {
                        self.strings(&attribute.name, expr);
                    }
                }
                "pause_before" | "timeout" => self.duration(&attribute.name, expr),
                "override" => match expr.kind {
                    ExprKind::Object(_) | ExprKind::Null => {}
                    _ => self.wrong(
                        expr.span,
                        "`override` gives options by the name of a builder",
                        "write \"override\": { \"BUILDER\": { \"option\": \"value\" } }",
                    ),
                },
                _ => {}
            }
        }
        component
    }

    fn duration(&mut self, name: &str, expr: &mut Expr) {
        match &expr.kind {
            ExprKind::Number(number) => {
                let number = number.to_string();
                self.diagnostics.push(
                    Diagnostic::warning(format!("`{name}` is {number} nanoseconds, as in Packer"))
                        .at(expr.span)
                        .help(format!("write its unit: \"{number}s\"")),
                );
                expr.kind = ExprKind::String(format!("{number}ns"));
            }
            ExprKind::String(text) => {
                if let Err(error) = GoDuration::parse(text) {
                    self.diagnostics
                        .push(Diagnostic::error(format!("`{name}`: {error}")).at(expr.span));
                }
            }
            ExprKind::Null => {}
            _ => self.wrong(expr.span, format!("`{name}` is a duration"), "write it like \"30s\""),
        }
    }

    /// Packer takes only what is right here.
    fn strict(&mut self, component: Component) -> Component {
        for attribute in &component.attributes {
            let expr = &attribute.expr;
            match (attribute.name.as_str(), &expr.kind) {
                (_, ExprKind::Null) => {}
                ("only" | "except", _) => drop(self.strings(&attribute.name, expr)),
                ("keep_input_artifact", ExprKind::Bool(_)) => {}
                ("keep_input_artifact", _) => self.wrong(
                    expr.span,
                    "`keep_input_artifact` is true or false",
                    "write it without quotes",
                ),
                _ => {}
            }
        }
        component
    }
}
