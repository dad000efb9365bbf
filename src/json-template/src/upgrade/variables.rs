//! Variables to input variables and locals.

use std::collections::BTreeSet;

use hcl_edit::Decorate as _;
use hcl_edit::Ident;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, Structure};

use super::actions::call;
use super::annotations::comment;
use super::layout;
use super::names::{TIMESTAMP, Variable};
use super::writer::Writer;
use crate::template;

/// What variables became.
pub(super) struct Written {
    pub variables: Vec<Structure>,
    pub locals: Vec<Structure>,
    pub uses_timestamp: bool,
}

impl Writer<'_> {
    pub(super) fn variables(&mut self) -> Written {
        let (mut variables, mut locals) = (Vec::new(), Vec::new());
        let mut uses_timestamp = false;
        let mut environment = BTreeSet::new();
        // Those that are not sensitive share a block.
        let mut shared = Block::new(Ident::new("locals"));
        for variable in &self.template.variables {
            let names = self.names;
            match names.variable(&variable.name.text) {
                Some(Variable::Input(name)) => variables.push(self.input(name, variable).into()),
                Some(Variable::Local(name)) => {
                    let mut translator = self.translator(None);
                    let default = variable.default.as_ref().map_or("", |text| text.text.as_str());
                    let value = translator.text(default);
                    uses_timestamp |= translator.uses_timestamp;
                    environment.extend(std::mem::take(&mut translator.environment));
                    let notes = std::mem::take(&mut translator.notes);
                    self.left += notes.len();
                    let mut structure: Structure = match variable.sensitive {
                        true => {
                            let mut block =
                                Block::builder(Ident::new("local")).label(name.as_str());
                            block = block.attribute(attribute("expression", value));
                            block.attribute(attribute("sensitive", true.into())).build().into()
                        }
                        false => attribute(name, value).into(),
                    };
                    layout::put_notes(&mut structure, &notes);
                    match structure {
                        Structure::Attribute(attribute) => shared.body.push(attribute),
                        block => locals.push(block),
                    }
                }
                None => {}
            }
        }
        for (old, new) in self.names.variables() {
            let declared = self.template.variables.iter().any(|one| one.name.text == *old);
            if let (false, Variable::Input(name)) = (declared, new) {
                let mut block = typed(name).attribute(attribute("default", "".into())).build();
                block
                    .decor_mut()
                    .set_prefix(comment("It was not declared in JSON, where it is empty then."));
                variables.push(block.into());
            }
        }
        for name in environment {
            let value = call("env", vec![Expression::from(name.as_str())]);
            let variable = self.names.environment_variable(&name);
            let block = typed(&variable).attribute(attribute("default", value));
            variables.push(block.build().into());
        }
        if !shared.body.is_empty() {
            locals.insert(0, shared.into());
        }
        Written { variables, locals, uses_timestamp }
    }

    fn input(&mut self, name: &str, variable: &template::Variable) -> Block {
        let mut block = typed(name);
        let mut notes = Vec::new();
        if let Some(default) = &variable.default {
            let mut translator = self.translator(None);
            translator.env_allowed = true;
            let value = translator.text(&default.text);
            notes = std::mem::take(&mut translator.notes);
            self.left += notes.len();
            block = block.attribute(attribute("default", value));
        }
        if variable.sensitive {
            block = block.attribute(attribute("sensitive", true.into()));
        }
        let mut structure = block.build().into();
        layout::put_notes(&mut structure, &notes);
        match structure {
            Structure::Block(mut block) => {
                if name != variable.name.text {
                    let said = format!("Its name was {:?}.", variable.name.text);
                    block.decor_mut().set_prefix(comment(&said));
                }
                block
            }
            Structure::Attribute(_) => Block::new(Ident::new("variable")),
        }
    }
}

/// `variable "name" { type = string`
fn typed(name: &str) -> hcl_edit::structure::BlockBuilder {
    let block = Block::builder(Ident::new("variable")).label(name);
    block.attribute(attribute("type", Ident::new("string").into()))
}

fn attribute(name: &str, value: Expression) -> Attribute {
    Attribute::new(Ident::new_sanitized(name), value)
}

/// `{{ timestamp }}` was a number of seconds, which HCL2 has no function for: the time in digits.
pub(super) fn timestamp() -> Block {
    let time = call("timestamp", Vec::new());
    let digits = call("regex_replace", vec![time, "[- TZ:]".into(), "".into()]);
    let mut block = Block::new(Ident::new("locals"));
    block.body.push(attribute(TIMESTAMP, digits));
    block.decor_mut().set_prefix(comment(
        "In place of {{ timestamp }}: the time of the run in digits, as there is no function for \
         the seconds since 1970.",
    ));
    block
}
