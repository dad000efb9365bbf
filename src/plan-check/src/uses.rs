//! The images that a plan uses, and where.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::configuration::{Follower, References, Written, written};
use super::evidence::{Evidence, Source};
use super::introduced_uses::IntroducedUses;
use super::kinds::{self, Caller};
use super::leaves::{at, leaves, names, shown};
use super::plan::{Mode, Plan, Planned};
use super::region::{project, region};

/// How it is known that something is an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The attribute is one that holds images.
    Attribute,
    /// It can be nothing else.
    Shape,
    /// A data source of the registry read it.
    DataSource,
    /// It is not known; it is one if the registry knows it.
    Any,
}

/// A place where an image may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The resource, with its modules and index.
    pub address: String,
    /// The resource's type.
    pub kind: String,
    /// The attribute, as `boot_disk[0].initialize_params[0].image`.
    pub attribute: String,
    /// The image's id; none where it is known only when the plan is applied.
    pub value: Option<String>,
    /// Whether Terraform says that it must not be shown.
    pub sensitive: bool,
    /// Where the resource is.
    pub region: Option<String>,
    /// Google's project that the resource is in.
    pub project: Option<String>,
    /// How it is known.
    pub origin: Origin,
    /// Whether the plan introduces the image: it is not there yet, or with another.
    pub introduces: bool,
    /// What is to be made from this, which has the image already and is a template.
    pub created_from_it: Option<String>,
    /// What the attribute's expression refers to in the end; only where the value is not known.
    pub references: Vec<String>,
    /// Whether it may refer to more than that, which was too much to follow.
    pub cut: bool,
    /// The data source that this is, or that the expression refers to.
    pub(super) source: Option<Source>,
}

impl Use {
    /// Who it is that calls the image so.
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            kind: &self.kind,
            project: self.project.as_deref(),
            certain: matches!(self.origin, Origin::Attribute | Origin::DataSource),
        }
    }
}

/// The images that a plan uses: those that are known to be, and every text that can be one. The
/// latter are not images unless the registry knows them.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Where.
    pub uses: Vec<Use>,
    /// What of the plan could not be looked at, for people.
    pub notes: Vec<String>,
    pub(super) evidence: Evidence,
}

impl Inventory {
    /// Looks at a plan, which may take seconds for a large one.
    pub fn of(plan: &Plan) -> Self {
        let evidence = Evidence::of(plan);
        let mut follower = Follower::new(plan);
        let mut uses = Vec::new();
        for planned in plan.planned().iter().filter(|planned| planned.mode == Mode::Managed) {
            let first = uses.len();
            let place = region(plan, planned);
            known_values(planned, place.as_deref(), &mut uses);
            unknown_values(plan, &evidence, &mut follower, planned, place.as_deref(), &mut uses);
            for found in &mut uses[first..] {
                let source = found.value.as_deref().and_then(|value| evidence.of_digest(value));
                found.source = found.source.take().or(source.cloned());
            }
            if kinds::provider(planned.kind) == "google" {
                let project = project(plan, planned);
                uses[first..].iter_mut().for_each(|it| it.project.clone_from(&project));
            }
        }
        let images: BTreeSet<String> =
            uses.iter().filter(|it| it.introduces).filter_map(|it| it.value.clone()).collect();
        let introduced = IntroducedUses::of(plan, &mut follower, &evidence, &images);
        for found in uses.iter_mut().filter(|it| kinds::is_template(&it.kind) && !it.introduces) {
            found.created_from_it = introduced.created_from(&found.address).map(str::to_owned);
            found.introduces = found.created_from_it.is_some();
        }
        uses.extend(evidence.sources.iter().map(|source| Use {
            address: source.address.clone(),
            kind: source.kind.clone(),
            attribute: if source.is_image { "external_identifier" } else { "fingerprint" }.into(),
            value: Some(source.image.clone()).filter(|image| !image.is_empty()),
            sensitive: false,
            region: Some(source.region.clone()).filter(|region| !region.is_empty()),
            project: None,
            origin: Origin::DataSource,
            introduces: introduced.source(&source.address),
            created_from_it: None,
            references: Vec::new(),
            cut: false,
            source: Some(source.clone()),
        }));
        let mut notes = Vec::new();
        if follower.is_cut() {
            notes.push(
                "the plan's references are too many to follow, so it is not known where all of its \
                 images come from"
                    .into(),
            );
        }
        if plan.errored {
            notes.push("Terraform failed while it created this plan, so it is not whole".into());
        }
        Inventory { uses, notes, evidence }
    }
}

fn known_values(planned: &Planned, region: Option<&str>, uses: &mut Vec<Use>) {
    let mut texts = Vec::new();
    leaves(planned.after, planned.sensitive, false, &mut Vec::new(), &mut texts);
    for leaf in texts {
        let names = names(&leaf.path);
        let Some(text) = leaf.value.as_str().filter(|text| !text.is_empty()) else { continue };
        let origin = match () {
            () if kinds::is_known(planned.kind, &names) => Origin::Attribute,
            // What a resource itself is called is not what it was made of.
            () if matches!(names.as_str(), "id" | "arn" | "self_link") => continue,
            // What is secret leaves this program only if it is known to be an image.
            () if leaf.sensitive || kinds::is_private(&names) => continue,
            () if kinds::looks_like_image(text) => Origin::Shape,
            () if names == "name" => continue,
            () if kinds::can_be_image(text) => Origin::Any,
            () => continue,
        };
        uses.push(Use {
            address: planned.address.to_owned(),
            kind: planned.kind.to_owned(),
            attribute: shown(&leaf.path),
            value: Some(text.to_owned()),
            sensitive: leaf.sensitive,
            region: region.map(str::to_owned),
            project: None,
            origin,
            introduces: !at(planned.before, &leaf.path).is_some_and(|before| {
                before.as_str().is_some_and(|before| kinds::key(before) == kinds::key(text))
            }),
            created_from_it: None,
            references: Vec::new(),
            cut: false,
            source: None,
        });
    }
}

fn unknown_values<'a>(
    plan: &'a Plan,
    evidence: &Evidence,
    follower: &mut Follower<'a>,
    planned: &Planned,
    region: Option<&str>,
    uses: &mut Vec<Use>,
) {
    let known = kinds::known(planned.kind);
    if known.is_empty() {
        return;
    }
    let mut leaves_unknown = Vec::new();
    leaves(planned.unknown, &Value::Null, false, &mut Vec::new(), &mut leaves_unknown);
    let configured = plan.configured(planned.address);
    for leaf in leaves_unknown.iter().filter(|leaf| leaf.value == &Value::Bool(true)) {
        let names = names(&leaf.path);
        // All that is in a block is unknown where the block is.
        let within = |known: &&&str| {
            known.strip_prefix(&*names).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let Some(attribute) = known.iter().find(within) else { continue };
        let whole = names.len() == attribute.len();
        let mut references = Rc::default();
        if let Some((modules, configured)) = &configured {
            let count = attribute.split('.').count();
            match written(&configured.expressions, planned.unknown, &leaf.path, count) {
                Written::As(Value::Array(_)) | Written::Unseen => {}
                Written::As(expression) => references = follower.references(modules, expression),
                // What nobody set is the provider's to choose.
                Written::Nowhere => continue,
            }
            // Nor are the disks of what is made from a template, which is looked at itself.
            if !whole && planned.kind == "google_compute_instance_from_template" {
                continue;
            }
        }
        let References { to, cut } = &*references;
        let sources: Vec<&Source> = to.iter().flat_map(|it| evidence.of_reference(it)).collect();
        let images: Vec<&&Source> = sources.iter().filter(|source| source.is_image).collect();
        let source = match (sources.as_slice(), images.as_slice()) {
            _ if *cut => None,
            ([one], _) => Some((*one).clone()),
            (_, [one]) => Some((**one).clone()),
            _ => None,
        };
        uses.push(Use {
            address: planned.address.to_owned(),
            kind: planned.kind.to_owned(),
            attribute: if whole { shown(&leaf.path) } else { (*attribute).to_owned() },
            value: None,
            sensitive: false,
            region: region.map(str::to_owned),
            project: None,
            origin: Origin::Attribute,
            introduces: true,
            created_from_it: None,
            references: to.iter().cloned().collect(),
            cut: *cut,
            source,
        });
    }
}
