//! Which variables and data sources blocks use, through locals and other data sources.

use std::collections::BTreeSet;

use ingot_hcl::ast::{Body, Expr};

use super::Template;

/// What blocks use.
#[derive(Debug, Default)]
pub struct Uses {
    /// The input variables; all, where an expression uses `var` as a whole.
    pub variables: BTreeSet<String>,
    /// Whether all variables are used.
    pub all_variables: bool,
    /// The data sources, by type and name.
    pub data: BTreeSet<(String, String)>,
    /// The locals.
    pub locals: BTreeSet<String>,
}

impl Uses {
    /// What `bodies` use.
    pub fn of<'t>(template: &'t Template, bodies: impl IntoIterator<Item = &'t Body>) -> Self {
        Self::walk(template, bodies.into_iter().map(Part::Body).collect())
    }

    /// What an expression uses.
    pub fn of_expression(template: &Template, expr: &Expr) -> Self {
        Self::walk(template, vec![Part::Expr(expr)])
    }

    /// Adds what `other` is.
    pub fn extend(&mut self, other: Uses) {
        self.variables.extend(other.variables);
        self.all_variables |= other.all_variables;
        self.data.extend(other.data);
        self.locals.extend(other.locals);
    }

    /// `waiting` is still to be looked at; each local and data source gets there once.
    fn walk<'t>(template: &'t Template, mut waiting: Vec<Part<'t>>) -> Self {
        let mut uses = Uses::default();
        while let Some(part) = waiting.pop() {
            match part {
                Part::Expr(expr) => uses.expression(template, expr, &mut waiting),
                Part::Body(body) => {
                    waiting.extend(body.attributes.iter().map(|one| Part::Expr(&one.expr)));
                    waiting.extend(body.blocks.iter().map(|block| Part::Body(&block.body)));
                }
            }
        }
        uses
    }

    fn expression<'t>(&mut self, template: &'t Template, expr: &Expr, waiting: &mut Vec<Part<'t>>) {
        for path in expr.references().into_iter().filter_map(Expr::reference) {
            match path.as_slice() {
                ["var"] => self.all_variables = true,
                ["var", name, ..] => drop(self.variables.insert((*name).to_owned())),
                ["local", rest @ ..] => {
                    let wanted = |name: &&String| rest.first().is_none_or(|one| one == name);
                    for name in template.locals.keys().filter(wanted) {
                        if self.locals.insert(name.clone()) {
                            waiting.extend(template.locals[name].expr.iter().map(Part::Expr));
                        }
                    }
                }
                ["data", rest @ ..] => {
                    let wanted = |key: &&(String, String)| {
                        rest.first().is_none_or(|ty| *ty == key.0)
                            && rest.get(1).is_none_or(|name| *name == key.1)
                    };
                    for key in template.data.keys().filter(wanted) {
                        if self.data.insert(key.clone()) {
                            waiting.push(Part::Body(&template.data[key].body));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

enum Part<'t> {
    Expr(&'t Expr),
    Body(&'t Body),
}
