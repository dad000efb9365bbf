//! A template, parsed and rendered.

use serde_json::Value;

use crate::environment::Environment;
use crate::error::{Error, Fault};
use crate::eval::Evaluator;
use crate::parser::Node;
use crate::{functions, lexer, parser};

/// Whether `text` holds what opens an action, `{{`. Without it a template renders to itself.
pub fn has_actions(text: &str) -> bool {
    text.contains(lexer::OPEN)
}

/// A parsed template.
#[derive(Debug)]
pub struct Template<'t> {
    text: &'t str,
    nodes: Vec<Node>,
}

impl<'t> Template<'t> {
    /// Parses `text`, in which the functions of `environment` and Go's own may occur.
    ///
    /// # Errors
    /// It is not well-formed, or calls a function that does not exist.
    pub fn parse(text: &'t str, environment: &dyn Environment) -> Result<Self, Error> {
        let known = |name: &str| environment.has_function(name) || functions::is_known(name);
        lexer::lex(text)
            .and_then(|pieces| parser::parse(&pieces, &known))
            .map(|nodes| Template { text, nodes })
            .map_err(|fault: Fault| fault.within(text))
    }

    /// Renders the template; `data` is what `.` refers to.
    ///
    /// # Errors
    /// It prints what has no value, or a function fails.
    pub fn render(&self, environment: &dyn Environment, data: &Value) -> Result<String, Error> {
        Evaluator::new(environment, self.text, data)
            .run(&self.nodes)
            .map_err(|fault| fault.within(self.text))
    }

    /// Renders the template as Go does: what has no value is printed as
    /// [`NO_VALUE`](crate::NO_VALUE). Also returns the expressions that had none.
    ///
    /// # Errors
    /// A function fails.
    pub fn render_leniently(
        &self,
        environment: &dyn Environment,
        data: &Value,
    ) -> Result<(String, Vec<String>), Error> {
        Evaluator::new(environment, self.text, data)
            .run_leniently(&self.nodes)
            .map_err(|fault| fault.within(self.text))
    }
}
