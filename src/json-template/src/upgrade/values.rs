//! JSON values to HCL2's attributes and blocks.

use hcl_edit::Ident;
use hcl_edit::expr::{Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::structure::{Attribute, Block, Structure};
use ingot_hcl::ast::{self, Expr, ExprKind};

use super::actions::{Translator, call};
use super::components::{Form, Kind, Plugins};
use super::{layout, markers};

/// Options of plugins that are objects of plain values, and blocks all the same; Packer's list.
const BLOCKS: &[&str] = &["linux_options", "network_interface", "shared_image_gallery"];

impl Translator<'_> {
    /// A value as an expression.
    pub(super) fn value(&mut self, expr: &Expr) -> Expression {
        match &expr.kind {
            ExprKind::Bool(truth) => (*truth).into(),
            ExprKind::Number(number) => {
                let text = number.to_string();
                text.parse().unwrap_or_else(|_| text.into())
            }
            ExprKind::String(text) => self.text(text),
            ExprKind::Tuple(items) => {
                layout::list(items.iter().map(|item| self.value(item)).collect())
            }
            ExprKind::Object(items) => {
                let mut object = Object::new();
                for (key, value) in items {
                    let key = match &key.kind {
                        ExprKind::String(name) => self.key(name),
                        _ => continue,
                    };
                    object.insert(key, ObjectValue::new(self.value(value)));
                }
                layout::object(object)
            }
            _ => Expression::null(),
        }
    }

    fn key(&mut self, name: &str) -> ObjectKey {
        match self.text(name) {
            Expression::String(name) => match Ident::try_new(name.as_str()) {
                Ok(name) => name.into(),
                Err(_) => markers::cut(Expression::String(name)).into(),
            },
            // A template in quotes; what is an expression alone stands in parentheses.
            expression if expression.is_template() => markers::cut(expression).into(),
            expression => layout::in_parentheses(markers::cut(expression)).into(),
        }
    }
}

/// The options of a component.
pub(super) struct Options<'a> {
    pub plugins: &'a dyn Plugins,
    pub kind: Kind,
    pub ty: &'a str,
}

impl Options<'_> {
    /// An option as HCL2 writes it; `path` are the names of the blocks around it.
    pub(super) fn written<'n>(
        &self,
        attribute: &'n ast::Attribute,
        path: &mut Vec<&'n str>,
        translator: &mut Translator,
    ) -> Vec<Structure> {
        let name = attribute.name.as_str();
        let expr = &attribute.expr;
        let Ok(ident) = Ident::try_new(name) else {
            translator
                .notes
                .push(format!("had an option `{name}`, which cannot be a name in HCL2"));
            return Vec::new();
        };
        path.push(name);
        let spelling = self.plugins.spelling(self.kind, self.ty, path);
        let ident = spelling.and_then(|name| Ident::try_new(name).ok()).unwrap_or(ident);
        let structures = match (self.form(path, expr), &expr.kind) {
            (None, _) => Vec::new(),
            (Some(Form::Block), ExprKind::Object(items)) => {
                vec![self.block(ident, items, path, translator).into()]
            }
            (Some(Form::Block), ExprKind::Tuple(items)) => {
                let objects = items.iter().filter_map(|item| match &item.kind {
                    ExprKind::Object(items) => Some(items),
                    _ => None,
                });
                let blocks =
                    objects.map(|items| self.block(ident.clone(), items, path, translator));
                blocks.map(Structure::from).collect()
            }
            (Some(form), _) => vec![Attribute::new(ident, value(form, expr, translator)).into()],
        };
        path.pop();
        structures
    }

    /// How an option is written; none if there is nothing to write.
    fn form(&self, path: &[&str], expr: &Expr) -> Option<Form> {
        let known = self.plugins.form(self.kind, self.ty, path);
        let is_empty_list = matches!(&expr.kind, ExprKind::Tuple(items) if items.is_empty());
        match (known, &expr.kind) {
            (_, ExprKind::Null) => None,
            (Some(Form::Block), _) if is_empty_list => None,
            // Of a plugin that is not known: an attribute, which is refused where blocks are
            // expected, or no blocks.
            (None, _) if is_empty_list && !self.plugins.has(self.kind, self.ty) => None,
            (Some(form), _) => Some(form),
            (None, _) => Some(guess(path.last().copied().unwrap_or_default(), expr)),
        }
    }

    /// `override`, whose keys are sources' names already.
    pub(super) fn overrides(&self, expr: &Expr, translator: &mut Translator) -> Expression {
        let ExprKind::Object(sources) = &expr.kind else { return translator.value(expr) };
        let mut all = Object::new();
        for (source, options) in sources {
            let (ExprKind::String(source), ExprKind::Object(options)) =
                (&source.kind, &options.kind)
            else {
                continue;
            };
            let mut own = Object::new();
            for (key, option) in options {
                let ExprKind::String(name) = &key.kind else { continue };
                let form = self.plugins.form(self.kind, self.ty, &[name]);
                let form = form.unwrap_or(Form::Attribute);
                let key = translator.key(name);
                own.insert(key, ObjectValue::new(value(form, option, translator)));
            }
            let key = translator.key(source);
            all.insert(key, ObjectValue::new(layout::object(own)));
        }
        layout::object(all)
    }

    fn block<'n>(
        &self,
        ident: Ident,
        items: &'n [(Expr, Expr)],
        path: &mut Vec<&'n str>,
        translator: &mut Translator,
    ) -> Block {
        let mut block = Block::new(ident);
        let mut blocks = Vec::new();
        for (key, value) in items {
            let ExprKind::String(name) = &key.kind else { continue };
            let Ok(ident) = Ident::try_new(name.as_str()) else {
                translator
                    .notes
                    .push(format!("had an option `{name}`, which cannot be a name in HCL2"));
                continue;
            };
            path.push(name);
            let form = self.form(path, value);
            let nested: Vec<&[(Expr, Expr)]> = match (form, &value.kind) {
                (Some(Form::Block), ExprKind::Object(items)) => vec![items],
                (Some(Form::Block), ExprKind::Tuple(list)) => list
                    .iter()
                    .filter_map(|item| match &item.kind {
                        ExprKind::Object(items) => Some(items.as_slice()),
                        _ => None,
                    })
                    .collect(),
                _ => Vec::new(),
            };
            match form {
                Some(form) if nested.is_empty() => {
                    block.body.push(Attribute::new(ident, self::value(form, value, translator)));
                }
                _ => {
                    for items in nested {
                        blocks.push(self.block(ident.clone(), items, path, translator));
                    }
                }
            }
            path.pop();
        }
        for inner in blocks {
            let mut inner = Structure::from(inner);
            if !block.body.is_empty() {
                layout::put_before(&mut inner, "\n");
            }
            block.body.push(inner);
        }
        block
    }
}

/// A value as an option of this form takes it.
fn value(form: Form, expr: &Expr, translator: &mut Translator) -> Expression {
    match (form, &expr.kind) {
        // As Packer reads a string where it needs a list.
        (Form::List, ExprKind::String(text)) => match translator.text(text) {
            Expression::String(text) => {
                let parts = parts(&text).into_iter().filter(|_| !text.is_empty());
                layout::list(parts.map(Expression::from).collect())
            }
            // A variable may hold commas. An empty one stands for no items, of which `split` makes
            // an empty string.
            filled => call("compact", vec![call("split", vec![",".into(), filled])]),
        },
        (Form::List, ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::Object(_)) => {
            layout::list(vec![translator.value(expr)])
        }
        // What is a bool to Packer is not always one to HCL2.
        (Form::Bool, ExprKind::Number(number)) => (number.to_f64() != 0.0).into(),
        (Form::Bool, ExprKind::String(text)) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true.into(),
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => false.into(),
            _ => translator.text(text),
        },
        // Several objects are one.
        (Form::Map, ExprKind::Tuple(items)) => {
            let entries = items.iter().flat_map(|item| match &item.kind {
                ExprKind::Object(entries) => entries.clone(),
                _ => Vec::new(),
            });
            let kind = ExprKind::Object(entries.collect());
            translator.value(&Expr { kind, span: expr.span })
        }
        (Form::Attribute, ExprKind::String(text)) => {
            // Not in lists, where a comma would have to follow on the next line.
            layout::heredoc(text).unwrap_or_else(|| translator.text(text))
        }
        _ => translator.value(expr),
    }
}

/// What is between the commas of a string, but for those in actions.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let action = rest.starts_with("{{").then(|| rest.find("}}").map(|end| end + 2)).flatten();
        let (piece, after) = rest.split_at(action.unwrap_or(next.len_utf8()));
        match (piece, parts.last_mut()) {
            (",", _) => parts.push(String::new()),
            (piece, Some(last)) => last.push_str(piece),
            (_, None) => {}
        }
        rest = after;
    }
    parts
}

/// How an option of a plugin that is not known is written, by its value: a list of objects is a
/// block for each, and an object with lists or objects in it is a block.
fn guess(name: &str, expr: &Expr) -> Form {
    let is_object = |expr: &Expr| matches!(expr.kind, ExprKind::Object(_));
    match &expr.kind {
        ExprKind::Tuple(items) if items.iter().any(is_object) => Form::Block,
        ExprKind::Object(_) if BLOCKS.contains(&name) => Form::Block,
        ExprKind::Object(items) => {
            let plain = |value: &Expr| {
                matches!(value.kind, ExprKind::String(_) | ExprKind::Bool(_) | ExprKind::Number(_))
            };
            match items.iter().all(|(_, value)| plain(value)) && !items.is_empty() {
                true => Form::Attribute,
                false => Form::Block,
            }
        }
        _ => Form::Attribute,
    }
}
