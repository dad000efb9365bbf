//! What a plan introduces though no attribute that it changes holds it: what data sources read
//! for something that is made or changed, and the images of templates that machines are made from.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::configuration::{Follower, References, Written, indexes, unindexed, written};
use super::evidence::Evidence;
use super::kinds::{self, Caller};
use super::leaves::{Leaf, leaves, names};
use super::plan::{Mode, Plan, Planned};

/// What a plan introduces.
#[derive(Debug, Default)]
pub(super) struct IntroducedUses {
    /// The addresses of data sources.
    sources: BTreeSet<String>,
    /// The addresses of templates, and of what is made from each.
    templates: HashMap<String, String>,
    /// References to templates that have been followed, with the indexes that chose some of them.
    seen: HashSet<(String, Vec<String>)>,
    /// All data sources, as it could not be found out which.
    all: bool,
}

impl IntroducedUses {
    /// What a plan introduces, of which `images` come to attributes that hold them.
    pub(crate) fn of<'a>(
        plan: &'a Plan,
        follower: &mut Follower<'a>,
        evidence: &Evidence,
        images: &BTreeSet<String>,
    ) -> Self {
        let mut introduced = IntroducedUses::default();
        // As whoever has the most names for an image.
        let google = Caller { kind: "google_compute_disk", project: None, certain: true };
        let names = images.iter().flat_map(|image| kinds::names(image, google));
        let images: BTreeSet<String> =
            names.map(|name| kinds::key(&name.text).into_owned()).collect();
        let with = evidence.sources.iter();
        let with =
            with.filter(|source| source.names().any(|name| images.contains(&*kinds::key(name))));
        introduced.sources.extend(with.map(|source| source.address.clone()));
        let managed: Vec<Planned> =
            plan.planned().into_iter().filter(|planned| planned.mode == Mode::Managed).collect();
        let templates = Templates::of(&managed);
        for planned in &managed {
            let references = introduced.by_references(plan, follower, evidence, planned);
            if planned.is_created() {
                introduced.created(planned, &references.to, &templates);
            }
        }
        introduced.through_data_sources(plan, follower, evidence);
        introduced.all = follower.is_cut();
        introduced
    }

    /// Whether a plan introduces what a data source stands for.
    pub(crate) fn source(&self, address: &str) -> bool {
        self.all || self.sources.contains(address)
    }

    /// What is to be made from a template.
    pub(crate) fn created_from(&self, template: &str) -> Option<&str> {
        self.templates.get(template).map(String::as_str)
    }

    /// Notes that something is made from templates: those that its attributes name, else those that
    /// its configuration refers to.
    fn created<'a>(
        &mut self,
        planned: &Planned,
        references: &BTreeSet<String>,
        templates: &Templates<'a>,
    ) {
        let mut from: Vec<Template<'a>> = Vec::new();
        if !templates.ids.is_empty() {
            // A name of one may be another thing's, too.
            let names_one = |leaf: &Leaf| {
                let names = names(&leaf.path);
                names.contains("template") || names.contains("configuration")
            };
            let ids = texts(planned).into_iter().filter(names_one);
            from.extend(ids.filter_map(|leaf| templates.ids.get(leaf.value.as_str()?)));
        }
        if from.is_empty() {
            for reference in references {
                let Some(all) = templates.all.get(reference) else { continue };
                // Which of several it is a reference does not say, but what is made for the same
                // key as one is most likely made from that.
                let mut key = indexes(planned.address);
                let near = loop {
                    match all.get(&key) {
                        Some(near) => break near.as_slice(),
                        None if key.pop().is_none() => break &[],
                        None => {}
                    }
                };
                let makes =
                    near.first().is_some_and(|it| kinds::makes_machines(planned.kind, it.kind));
                if makes && self.seen.insert((reference.clone(), key)) {
                    from.extend(near);
                }
            }
        }
        for template in from {
            if kinds::makes_machines(planned.kind, template.kind) {
                self.templates
                    .entry(template.address.to_owned())
                    .or_insert(planned.address.to_owned());
            }
        }
    }

    /// Notes which data sources something gets an image from; what all of it refers to if it is
    /// made.
    fn by_references<'a>(
        &mut self,
        plan: &'a Plan,
        follower: &mut Follower<'a>,
        evidence: &Evidence,
        planned: &Planned,
    ) -> Rc<References> {
        let Some((modules, configured)) = plan.configured(planned.address) else {
            return Rc::default();
        };
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
        if !planned.is_created() {
            return Rc::default();
        }
        let references = follower.references(&modules, &configured.expressions);
        let texts = texts(planned);
        let size: usize = texts.iter().filter_map(|leaf| leaf.value.as_str()).map(str::len).sum();
        for reference in &references.to {
            for source in evidence.of_reference(reference) {
                // An image may be part of a longer text, as in what a machine runs when it starts.
                let names: Vec<_> = source.names().map(|name| (name, kinds::key(name))).collect();
                let has = |leaf: &Leaf| {
                    leaf.value.as_str().is_some_and(|text| {
                        names.iter().any(|(name, key)| {
                            text.contains(*name) || kinds::key(text).contains(&**key)
                        })
                    })
                };
                if !self.sources.contains(&source.address)
                    && source.is_image
                    && (source.image.is_empty()
                        || (follower.look(1 + size / 1024) && texts.iter().any(has)))
                {
                    self.sources.insert(source.address.clone());
                }
            }
        }
        references
    }

    /// What data sources that are introduced refer to: an image's version.
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

#[derive(Debug, Clone, Copy)]
struct Template<'a> {
    address: &'a str,
    kind: &'a str,
}

/// The templates of a plan.
struct Templates<'a> {
    /// By addresses without indexes, and all beginnings of the indexes.
    all: HashMap<String, HashMap<Vec<String>, Vec<Template<'a>>>>,
    /// By what others call them.
    ids: HashMap<&'a str, Template<'a>>,
}

impl<'a> Templates<'a> {
    fn of(managed: &[Planned<'a>]) -> Self {
        let mut templates = Templates { all: HashMap::new(), ids: HashMap::new() };
        for planned in managed.iter().filter(|planned| kinds::is_template(planned.kind)) {
            let template = Template { address: planned.address, kind: planned.kind };
            let all = templates.all.entry(unindexed(planned.address)).or_default();
            let mut key = indexes(planned.address);
            loop {
                all.entry(key.clone()).or_default().push(template);
                if key.pop().is_none() {
                    break;
                }
            }
            for name in ["id", "arn", "self_link", "self_link_unique"] {
                if let Some(id) = planned.after[name].as_str().filter(|id| !id.is_empty()) {
                    templates.ids.insert(id, template);
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
