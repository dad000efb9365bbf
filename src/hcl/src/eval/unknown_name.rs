//! Names that expressions use and that do not exist.

use crate::ast::{Expr, ExprKind};
use crate::diagnostic::Diagnostic;
use crate::scope::{ROOTS, Scope};
use crate::value::Value;

/// The name that an expression starts with, and what is taken of it, if anything.
#[derive(Clone, Copy)]
pub(super) struct Root<'a> {
    pub(super) expr: &'a Expr,
    pub(super) name: &'a str,
    pub(super) attribute: Option<&'a str>,
}

/// What an unknown name stands in, which says what was meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Nothing: text without quotes, perhaps.
    Alone,
    /// `name.…` or `name[…]`.
    Path,
    /// `${name…}` in a text: a shell's variable, perhaps.
    Text,
}

pub(super) fn unknown_name(root: Root, used: Use, scope: &Scope) -> Diagnostic {
    let Root { expr, name, attribute } = root;
    if name == "source" {
        // Each source of a build has its own.
        let path = attribute.map_or(name.to_owned(), |attribute| format!("{name}.{attribute}"));
        return Diagnostic::error(format!("`{path}` is only known inside `build`"))
            .at(expr.span)
            .label("the source is not known here")
            .help(format!("use {path} in the blocks of a build, or in a source block"));
    }
    let error = Diagnostic::error(format!("nothing is called `{name}` here")).at(expr.span);
    let has = |root: &str| {
        let entries = scope.get(root).and_then(Value::as_entries);
        entries.is_some_and(|entries| entries.contains_key(name))
    };
    let meant = ["var", "local"].into_iter().find(|root| has(root));
    let own = scope.names().into_iter().find(|name| !ROOTS.contains(name));
    match (meant, own) {
        (Some(root), _) => return error.help(format!("did you mean `{root}.{name}`?")),
        // Terraform's name for it.
        (None, Some(own)) if name == "each" => {
            return error.help(format!("did you mean `{own}`?"));
        }
        (None, None) if name == "each" => {
            return error.help(
                "in a dynamic block, the item is called like the block that is made of it: \
                 provisioner.value",
            );
        }
        _ => {}
    }
    let error = error.suggest_or_list(name, "known here", scope.names());
    match used {
        Use::Alone => error.help(format!("strings are written in quotes: \"{name}\"")),
        Use::Path => error,
        Use::Text => error
            .help(format!("to pass it on as it is, to a shell for example, write $${{{name}}}")),
    }
}

/// The name that an expression starts with, if nothing is called so.
pub(super) fn unknown_root<'a>(expr: &'a Expr, scope: &Scope) -> Option<Root<'a>> {
    match &expr.kind {
        ExprKind::Variable(name) if scope.get(name).is_none() => {
            Some(Root { expr, name, attribute: None })
        }
        ExprKind::Attr(base, name, _) => {
            let root = unknown_root(base, scope)?;
            Some(Root { attribute: root.attribute.or(Some(name)), ..root })
        }
        ExprKind::Index(base, _) => unknown_root(base, scope),
        ExprKind::Splat { source, .. } => unknown_root(source, scope),
        _ => None,
    }
}
