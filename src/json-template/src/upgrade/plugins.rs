//! The `packer` block: plugins that templates used when they were part of Packer.

use hcl_edit::Ident;
use hcl_edit::expr::{Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::structure::{Attribute, Block};

use super::layout;
use crate::template::Template;

/// Plugins of HashiCorp's, by what the names of their components start with. Packer's list.
const PLUGINS: &[&str] = &[
    "amazon",
    "ansible",
    "azure",
    "docker",
    "googlecompute",
    "qemu",
    "vagrant",
    "virtualbox",
    "vmware",
    "vsphere",
];

/// The plugin that a component would be part of.
pub(super) fn source_of(component: &str) -> Option<&'static str> {
    PLUGINS.iter().find(|plugin| component.starts_with(**plugin)).copied()
}

/// What the template asks of Packer, if anything.
pub(super) fn packer_block(template: &Template) -> Option<Block> {
    let components = template.builders.iter().chain(template.steps());
    let mut plugins: Vec<&str> =
        components.filter_map(|component| source_of(&component.ty.text)).collect();
    plugins.sort_unstable();
    plugins.dedup();
    let mut block = Block::new(Ident::new("packer"));
    if let Some(version) = &template.min_packer_version {
        let value = Expression::from(format!(">= {}", version.text));
        block.body.push(Attribute::new(Ident::new("required_version"), value));
    }
    if !plugins.is_empty() {
        let mut required = Block::new(Ident::new("required_plugins"));
        for plugin in plugins {
            let mut object = Object::new();
            let mut set = |name: &str, value: String| {
                let key = ObjectKey::from(Ident::new(name));
                object.insert(key, ObjectValue::new(Expression::from(value)));
            };
            set("source", format!("github.com/hashicorp/{plugin}"));
            set("version", "~> 1".to_owned());
            required.body.push(Attribute::new(Ident::new(plugin), layout::object(object)));
        }
        let mut required = required.into();
        if !block.body.is_empty() {
            layout::put_before(&mut required, "\n");
        }
        block.body.push(required);
    }
    (!block.body.is_empty()).then_some(block)
}
