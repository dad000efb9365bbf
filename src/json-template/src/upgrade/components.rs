//! What is known of components.

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A builder.
    Builder,
    /// A provisioner.
    Provisioner,
    /// A post-processor.
    PostProcessor,
}

/// How an option is written in HCL2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `name = value`
    Attribute,
    /// `name = true`
    Bool,
    /// `name = { a = b }`, of values by name.
    Map,
    /// `name = [value, …]`, of values that are not lists.
    List,
    /// `name { … }`
    Block,
}

/// What is known of plugins.
pub trait Plugins {
    /// Whether there is a component of this name, built in or installed.
    fn has(&self, kind: Kind, ty: &str) -> bool;
    /// How an option is written; `path` are the names of the blocks around it and its own. None if
    /// the component is not known, or has no such option.
    /// Upper and lower case are the same.
    fn form(&self, kind: Kind, ty: &str, path: &[&str]) -> Option<Form>;
    /// How the name of an option is spelt, which may be in other case than the last of `path`.
    fn spelling(&self, kind: Kind, ty: &str, path: &[&str]) -> Option<String>;
}
