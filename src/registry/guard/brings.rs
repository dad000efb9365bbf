//! What a plan brings into use though no attribute that it changes holds it: what data sources read
//! for something that is made or changed, and the images of templates that machines are made from.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::configuration::{Follower, Written, unindexed, written};
use super::evidence::Evidence;
use super::kinds;
use super::leaves::{Leaf, leaves, names};
use super::plan::{Mode, Plan, Planned};

/// What a plan brings.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// The addresses of data sources.
    sources: BTreeSet<String>,
    /// Templates, and what is made from each, by its address or that without indexes.
    templates: HashMap<String, String>,
    /// All data sources, as it could not be found out which.
    all: bool,
}

impl Brought {
    /// What a plan brings, of which `images` are brought to attributes that hold them.
    pub fn of<'a>(
        plan: &'a Plan,
        follower: &mut Follower<'a>,
        evidence: &Evidence,
        images: &BTreeSet<String>,
    ) -> Self {
        let mut brought = Brought::default();
        let names = images.iter().flat_map(|image| kinds::names(image));
        let images: BTreeSet<String> = names.map(|name| kinds::key(&name).into_owned()).collect();
        let with = evidence.sources.iter();
        let with = with.filter(|source| images.contains(&*kinds::key(&source.image)));
        brought.sources.extend(with.map(|source| source.address.clone()));
        let managed: Vec<Planned> =
            plan.planned().into_iter().filter(|planned| planned.mode == Mode::Managed).collect();
        let templates = Templates::of(&managed);
        for planned in &managed {
            if planned.is_made() {
                brought.templates_by_id(planned, &templates);
            }
            brought.by_references(plan, follower, evidence, planned, &templates);
        }
        brought.through_data_sources(plan, follower, evidence);
        brought.all = follower.is_cut();
        brought
    }

    /// Whether what a data source stands for is brought.
    pub fn source(&self, address: &str) -> bool {
        self.all || self.sources.contains(address)
    }

    /// What is to be made from a template.
    pub fn made_from(&self, template: &str) -> Option<&str> {
        let made =
            self.templates.get(template).or_else(|| self.templates.get(&unindexed(template)));
        made.map(String::as_str)
    }

    /// Templates that the attributes of what is made name.
    fn templates_by_id(&mut self, planned: &Planned, templates: &Templates) {
        if templates.ids.is_empty() {
            return;
        }
        // A name of one may be another thing's, too.
        let names_one = |leaf: &Leaf| {
            let names = names(&leaf.path);
            names.contains("template") || names.contains("configuration")
        };
        for leaf in texts(planned).into_iter().filter(names_one) {
            let template = leaf.value.as_str().and_then(|text| templates.ids.get(text));
            if let Some((address, _)) =
                template.filter(|(_, kind)| kinds::makes_machines(planned.kind, kind))
            {
                self.templates.entry((*address).to_owned()).or_insert(planned.address.to_owned());
            }
        }
    }

    /// What the configuration of something refers to.
    fn by_references<'a>(
        &mut self,
        plan: &'a Plan,
        follower: &mut Follower<'a>,
        evidence: &Evidence,
        planned: &Planned,
        templates: &Templates,
    ) {
        let Some((modules, configured)) = plan.configured(planned.address) else { return };
        // What is not known yet will be what it refers to.
        let mut unknown = Vec::new();
        leaves(planned.unknown, &Value::Null, false, &mut Vec::new(), &mut unknown);
        for leaf in unknown.iter().filter(|leaf| leaf.value == &Value::Bool(true)) {
            let count = names(&leaf.path).split('.').count();
            let found = written(&configured.expressions, planned.unknown, &leaf.path, count);
            if let Written::As(expression) = found {
                let references = follower.references(&modules, expression);
                let found = references.to.iter().flat_map(|it| evidence.of_reference(it));
                self.sources.extend(found.map(|source| source.address.clone()));
            }
        }
        if !planned.is_made() {
            return;
        }
        let references = follower.references(&modules, &configured.expressions);
        let texts = texts(planned);
        for reference in &references.to {
            let template = templates.kinds.get(reference);
            if template.is_some_and(|kind| kinds::makes_machines(planned.kind, kind)) {
                self.templates.entry(reference.clone()).or_insert(planned.address.to_owned());
            }
            for source in evidence.of_reference(reference) {
                // An image may be part of a longer text, as in what a machine runs when it starts.
                let image = kinds::key(&source.image);
                let has = |leaf: &Leaf| {
                    leaf.value.as_str().is_some_and(|text| {
                        text.contains(&source.image) || kinds::key(text).contains(&*image)
                    })
                };
                if !self.sources.contains(&source.address)
                    && source.is_image
                    && (source.image.is_empty() || texts.iter().any(has))
                {
                    self.sources.insert(source.address.clone());
                }
            }
        }
    }

    /// What data sources that are brought refer to: an image's version.
    fn through_data_sources<'a>(
        &mut self,
        plan: &'a Plan,
        follower: &mut Follower<'a>,
        evidence: &Evidence,
    ) {
        let mut open: Vec<String> = self.sources.iter().cloned().collect();
        while let Some(address) = open.pop() {
            let Some((modules, configured)) = plan.configured(&address) else { continue };
            let references = follower.references(&modules, &configured.expressions);
            let found = references.to.iter().flat_map(|it| evidence.of_reference(it));
            for source in found {
                if self.sources.insert(source.address.clone()) {
                    open.push(source.address.clone());
                }
            }
        }
        self.sources = evidence.with_versions(&self.sources);
    }
}

/// The templates of a plan.
struct Templates<'a> {
    /// Types by addresses without indexes.
    kinds: HashMap<String, &'a str>,
    /// Addresses and types by what others call them.
    ids: HashMap<&'a str, (&'a str, &'a str)>,
}

impl<'a> Templates<'a> {
    fn of(managed: &[Planned<'a>]) -> Self {
        let mut templates = Templates { kinds: HashMap::new(), ids: HashMap::new() };
        for planned in managed.iter().filter(|planned| kinds::is_template(planned.kind)) {
            templates.kinds.insert(unindexed(planned.address), planned.kind);
            for name in ["id", "arn", "self_link", "self_link_unique"] {
                if let Some(id) = planned.after[name].as_str().filter(|id| !id.is_empty()) {
                    templates.ids.insert(id, (planned.address, planned.kind));
                }
            }
        }
        templates
    }
}

fn texts<'a>(planned: &Planned<'a>) -> Vec<Leaf<'a>> {
    let mut texts = Vec::new();
    leaves(planned.after, &Value::Null, false, &mut Vec::new(), &mut texts);
    texts
}
