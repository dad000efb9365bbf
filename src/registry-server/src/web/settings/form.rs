//! What the forms of the page share.

use axum::response::Redirect;
use maud::Markup;

use crate::web::web_session::{Fields, PageContext, segment};

/// The path of what belongs to the page.
pub(super) fn path(context: &PageContext, rest: &str) -> String {
    format!("/projects/{}/settings{rest}", segment(&context.project.name))
}

/// Back to a part of the page, once something has changed.
pub(super) fn back(context: &PageContext, part: &str) -> Redirect {
    Redirect::to(&path(context, part))
}

/// What of a form was filled in, and what is invalid in it.
#[derive(Debug, Default)]
pub(super) struct Entered {
    pub fields: Fields,
    /// The field's name and why it is refused.
    pub invalid: Option<(&'static str, String)>,
}

impl Entered {
    /// A form of which one field is refused.
    pub(super) fn refused(fields: Fields, name: &'static str, why: String) -> Self {
        Entered { fields, invalid: Some((name, why)) }
    }

    /// Why a field is refused, if it is.
    pub(super) fn why(&self, name: &str) -> Option<&str> {
        self.invalid.as_ref().filter(|(field, _)| *field == name).map(|(_, why)| why.as_str())
    }
}

/// What the page shows besides what is set: a form that was refused, or what was created.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub member: Entered,
    pub webhook: Entered,
    /// What was created, with its secret.
    pub created: Option<Markup>,
}
