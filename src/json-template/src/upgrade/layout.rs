//! Where lines break. (How they are indented and aligned is the formatter's.)

use hcl_edit::Decorate as _;
use hcl_edit::Ident;
use hcl_edit::expr::{Array, Expression, Object, ObjectValueTerminator, Parenthesis};
use hcl_edit::structure::{Block, Structure};
use hcl_edit::template::{HeredocTemplate, Template};
use ingot_go_template::has_actions;

use super::annotations::comment;

/// A list on one line is not longer than this, without its name and indentation.
const ONE_LINE: usize = 70;

/// `[a, b]`, on one line if that is short.
pub(super) fn list(items: Vec<Expression>) -> Expression {
    let mut array = Array::new();
    items.into_iter().for_each(|item| array.push(item));
    let line = Expression::from(array.clone()).to_string();
    if line.len() <= ONE_LINE && !line.contains('\n') || array.is_empty() {
        return array.into();
    }
    for item in array.iter_mut() {
        item.decor_mut().set_prefix("\n");
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    array.into()
}

/// `{ a = b }`, each on a line of its own.
pub(super) fn object(object: Object) -> Expression {
    if object.is_empty() {
        return object.into();
    }
    let mut result = Object::new();
    for (index, (mut key, mut value)) in object.into_iter().enumerate() {
        if index == 0 {
            key.decor_mut().set_prefix("\n");
        }
        value.set_terminator(ObjectValueTerminator::Newline);
        result.insert(key, value);
    }
    result.into()
}

/// `(a)`
pub(super) fn in_parentheses(expression: Expression) -> Expression {
    Parenthesis::new(expression).into()
}

/// Text of several lines between markers, if it is such and nothing in it is to be filled in.
pub(super) fn heredoc(text: &str) -> Option<Expression> {
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    let lines = text.strip_suffix('\n')?;
    if !lines.contains('\n') || has_actions(text) || text.contains(odd) {
        return None;
    }
    let marker = ["EOT", "END_OF_TEXT"].into_iter().find(|marker| !text.contains(marker))?;
    let template = Template::from_iter([text]);
    Some(HeredocTemplate::new(Ident::new(marker), template).into())
}

/// A block without anything in it closes on its line.
pub(super) fn closed(mut block: Block) -> Block {
    if block.body.is_empty() {
        block.body.set_prefer_oneline(true);
    }
    block
}

/// Puts lines before a structure, and before what was put there already.
pub(super) fn put_before(structure: &mut Structure, lines: &str) {
    let decor = structure.decor_mut();
    let before = decor.prefix().map(|prefix| prefix.to_string()).unwrap_or_default();
    decor.set_prefix(format!("{lines}{before}"));
}

/// Puts comments before a structure that say what is left to do in it.
pub(super) fn put_notes(structure: &mut Structure, notes: &[String]) {
    let name = match structure {
        Structure::Attribute(attribute) => attribute.key.as_str().to_owned(),
        Structure::Block(block) => block.ident.as_str().to_owned(),
    };
    let lines: String =
        notes.iter().map(|note| comment(&format!("TODO: `{name}` {note}"))).collect();
    if !lines.is_empty() {
        put_before(structure, &lines);
    }
}
