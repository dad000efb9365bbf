//! The template in HCL2: all of its blocks, in their order.

use hcl_edit::Decorate as _;
use hcl_edit::Ident;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, Body, Structure};
use ingot_hcl::format::format;

use super::components::{Kind, Plugins};
use super::names::Names;
use super::writer::Writer;
use super::{annotations, layout, markers, plugins, variables};
use crate::template::Template;

/// A template in HCL2.
pub struct Upgraded {
    /// Its text, in canonical layout.
    pub text: String,
    /// What nobody knows: `the builder NAME`.
    pub unknown: Vec<String>,
    /// How many strings could not be translated; comments in the text say which.
    pub left: usize,
}

/// Writes `template` as HCL2, with explanations for who is new to it if `annotate` says so.
pub fn upgrade(template: &Template, plugins: &dyn Plugins, annotate: bool) -> Upgraded {
    let names = Names::of(template);
    let mut writer = Writer { template, plugins, names: &names, annotate, left: 0 };
    let text = writer.text();
    let left = writer.left;
    Upgraded { text, unknown: unknown(template, plugins), left }
}

/// The components that are neither known nor part of a plugin that can be named.
fn unknown(template: &Template, plugins: &dyn Plugins) -> Vec<String> {
    let builders = template.builders.iter().map(|one| (Kind::Builder, "builder", one));
    let mut unknown = Vec::new();
    for (kind, noun, component) in builders {
        let ty = &component.ty.text;
        if !plugins.has(kind, ty) && plugins::source_of(ty).is_none() {
            unknown.push(format!("the {noun} {ty}"));
        }
    }
    unknown.sort();
    unknown.dedup();
    unknown
}

impl Writer<'_> {
    fn text(&mut self) -> String {
        let mut sections: Vec<(&str, Vec<Structure>)> = Vec::new();
        if let Some(packer) = plugins::packer_block(self.template) {
            sections.push((annotations::PACKER, vec![packer.into()]));
        }
        let variables::Written { variables, locals, uses_timestamp } = self.variables();
        sections.push((annotations::VARIABLES, variables));
        let mut all_locals = Vec::new();
        // Whether it is used is known when all has been translated.
        let mut timestamp = uses_timestamp;
        let sources = self.sources(&mut timestamp);
        let build = self.build(&mut timestamp);
        if timestamp {
            all_locals.push(variables::timestamp().into());
        }
        all_locals.extend(locals);
        sections.push((annotations::LOCALS, all_locals));
        sections.push((annotations::SOURCES, sources));
        sections.push((annotations::BUILD, build.map(Structure::from).into_iter().collect()));
        let mut text = self.head();
        for (annotation, structures) in sections {
            if structures.is_empty() {
                continue;
            }
            if self.annotate {
                text.push_str(&annotations::comment(annotation));
            }
            let mut body = Body::new();
            for (index, mut structure) in structures.into_iter().enumerate() {
                if index > 0 {
                    layout::put_before(&mut structure, "\n");
                }
                body.push(structure);
            }
            markers::cut_in_body(&mut body);
            text.push_str(&body.to_string());
            text.push('\n');
        }
        format(text.trim_end_matches('\n').trim_start_matches('\n')) + "\n"
    }

    /// The comments of the template, below those about the file itself.
    fn head(&self) -> String {
        let mut head = String::new();
        if self.annotate {
            head.push_str(&annotations::comment(annotations::FILE));
            head.push('\n');
        }
        for (_, comment) in &self.template.comments {
            head.push_str(&annotations::comment(comment));
        }
        if !self.template.comments.is_empty() {
            head.push('\n');
        }
        head
    }

    fn sources(&mut self, timestamp: &mut bool) -> Vec<Structure> {
        let mut sources = Vec::with_capacity(self.template.builders.len());
        for builder in &self.template.builders {
            let label = builder.label();
            let name = self.names.source(&label.text);
            let block = Block::builder(Ident::new("source"));
            let block = block.label(builder.ty.text.as_str()).label(name);
            let mut block = self.options(block, Kind::Builder, builder, &[], timestamp).build();
            if name != label.text {
                let comment = annotations::comment(&format!("Its name was {:?}.", label.text));
                block.decor_mut().set_prefix(comment);
            }
            sources.push(block.into());
        }
        sources
    }

    fn build(&mut self, timestamp: &mut bool) -> Option<Block> {
        if self.template.builders.is_empty() {
            return None;
        }
        let mut body: Vec<Structure> = Vec::new();
        if let Some(description) = &self.template.description {
            let value = Expression::from(description.text.as_str());
            body.push(Attribute::new(Ident::new("description"), value).into());
        }
        let sources = self.template.builders.iter().map(|builder| {
            let name = self.names.source(&builder.label().text);
            Expression::from(format!("source.{}.{name}", builder.ty.text))
        });
        let sources = layout::list(sources.collect());
        body.push(Attribute::new(Ident::new("sources"), sources).into());
        let cleanup = self.template.error_cleanup.iter();
        let cleanup = cleanup.map(|component| ("error-cleanup-provisioner", component));
        let provisioners = self.template.provisioners.iter();
        let provisioners = provisioners.map(|component| ("provisioner", component));
        for (kind, component) in provisioners.chain(cleanup) {
            let block = Block::builder(Ident::new(kind)).label(component.ty.text.as_str());
            let own = ["only", "except", "override", "pause_before", "timeout", "max_retries"];
            let block = self.options(block, Kind::Provisioner, component, &own, timestamp);
            body.push(layout::closed(block.build()).into());
        }
        for pipeline in &self.template.post_processors {
            let mut steps: Vec<Structure> = Vec::with_capacity(pipeline.len());
            for component in pipeline {
                let block = Block::builder(Ident::new("post-processor"));
                let mut block = block.label(component.ty.text.as_str());
                if let Some(name) = &component.name {
                    let name = Expression::from(name.text.as_str());
                    block = block.attribute(Attribute::new(Ident::new("name"), name));
                }
                let own = ["only", "except", "keep_input_artifact"];
                let block = self.options(block, Kind::PostProcessor, component, &own, timestamp);
                steps.push(layout::closed(block.build()).into());
            }
            if steps.len() > 1 {
                let mut chain = Block::new(Ident::new("post-processors"));
                for (index, mut step) in steps.into_iter().enumerate() {
                    if index > 0 {
                        layout::put_before(&mut step, "\n");
                    }
                    chain.body.push(step);
                }
                body.push(chain.into());
            } else {
                body.append(&mut steps);
            }
        }
        let mut block = Block::new(Ident::new("build"));
        for (index, mut structure) in body.into_iter().enumerate() {
            if index > 0 && structure.is_block() {
                layout::put_before(&mut structure, "\n");
            }
            block.body.push(structure);
        }
        Some(block)
    }
}
