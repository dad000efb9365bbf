//! What a template says.

use ingot_hcl::ast::{Attribute, Expr, ExprKind};
use ingot_hcl::source::Span;

/// A string and where it stands, quotes included.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The string.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A template.
#[derive(Debug, Clone)]
pub struct Template {
    /// All of it.
    pub span: Span,
    /// `description`
    pub description: Option<Text>,
    /// `min_packer_version`
    pub min_packer_version: Option<Text>,
    /// `variables`, in the order they are written.
    pub variables: Vec<Variable>,
    /// `builders`, in the order they are written.
    pub builders: Vec<Component>,
    /// `provisioners`, in order.
    pub provisioners: Vec<Component>,
    /// `error-cleanup-provisioner`
    pub error_cleanup: Option<Component>,
    /// `post-processors`: each is a pipeline, most of them with one post-processor.
    pub post_processors: Vec<Vec<Component>>,
    /// Keys at the top that start with `_`, and their strings.
    pub comments: Vec<(String, String)>,
}

/// One of `variables`.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: Text,
    /// Its value if none is given; none if one must be.
    pub default: Option<Text>,
    /// Whether `sensitive-variables` lists it.
    pub sensitive: bool,
}

/// A builder, provisioner or post-processor.
#[derive(Debug, Clone)]
pub struct Component {
    /// `type`
    pub ty: Text,
    /// `name`, of builders and post-processors.
    pub name: Option<Text>,
    /// All others: options of the plugin, and those that are the engine's own.
    pub attributes: Vec<Attribute>,
    /// All of it.
    pub span: Span,
}

impl Component {
    /// What it is called: its name, else its type.
    pub fn label(&self) -> &Text {
        self.name.as_ref().unwrap_or(&self.ty)
    }

    /// The attribute called `name`.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The strings of a list, which [`crate::read()`] has found to be one.
    pub fn texts(&self, name: &str) -> Vec<Text> {
        let Some(Attribute { expr, .. }) = self.attribute(name) else { return Vec::new() };
        match &expr.kind {
            ExprKind::Tuple(items) => items.iter().filter_map(text).collect(),
            _ => Vec::new(),
        }
    }
}

impl Template {
    /// All provisioners and post-processors, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Component> {
        let provisioners = self.provisioners.iter().chain(&self.error_cleanup);
        provisioners.chain(self.post_processors.iter().flatten())
    }
}

/// The string that `expr` is.
pub(crate) fn text(expr: &Expr) -> Option<Text> {
    match &expr.kind {
        ExprKind::String(text) => Some(Text { text: text.clone(), span: expr.span }),
        _ => None,
    }
}
