//! The images that a plan uses, and where.

use std::collections::BTreeSet;

use serde_json::Value;

use super::configuration::{Step, expression};
use super::evidence::{Evidence, Source};
use super::kinds;
use super::plan::{Mode, Plan, Planned};
use super::region::region;

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
    /// How it is known.
    pub origin: Origin,
    /// Whether the plan brings the image to the resource: it is not there yet, or with another.
    pub brings: bool,
    /// What the attribute's expression refers to in the end; only where the value is not known.
    pub references: Vec<String>,
    /// The data source that this is, or that the expression refers to.
    pub(super) source: Option<Source>,
}

/// The images that a plan uses: those that are known to be, and every text that can be one. The
/// latter are not images unless the registry knows them.
pub fn uses(plan: &Plan) -> Vec<Use> {
    let evidence = Evidence::of(plan);
    let mut uses = Vec::new();
    for planned in plan.planned().iter().filter(|planned| planned.mode == Mode::Managed) {
        let place = region(plan, planned);
        known_values(planned, place.as_deref(), &mut uses);
        unknown_values(plan, &evidence, planned, place.as_deref(), &mut uses);
    }
    for source in evidence.0 {
        let region = Some(source.region.clone()).filter(|region| !region.is_empty());
        uses.push(Use {
            address: source.address.clone(),
            kind: source.kind.clone(),
            attribute: if source.is_image { "external_identifier" } else { "fingerprint" }.into(),
            value: Some(source.image.clone()).filter(|image| !image.is_empty()),
            sensitive: false,
            region,
            origin: Origin::DataSource,
            brings: true,
            references: Vec::new(),
            source: Some(source),
        });
    }
    uses
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
            origin,
            brings: at(planned.before, &leaf.path) != Some(leaf.value),
            references: Vec::new(),
            source: None,
        });
    }
}

fn unknown_values(
    plan: &Plan,
    evidence: &Evidence,
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
        let found = configured.as_ref().and_then(|(modules, configured)| {
            Some((modules, expression(&configured.expressions, &leaf.path)?))
        });
        // What nobody set is the provider's to choose.
        if configured.is_some() && found.is_none() {
            continue;
        }
        let references = match found {
            Some((modules, expression)) => plan.references(modules, expression),
            None => BTreeSet::new(),
        };
        let sources: Vec<&Source> =
            references.iter().flat_map(|it| evidence.of_reference(it)).collect();
        let images: Vec<&&Source> = sources.iter().filter(|source| source.is_image).collect();
        let source = match (sources.as_slice(), images.as_slice()) {
            ([one], _) => Some((*one).clone()),
            (_, [one]) => Some((**one).clone()),
            _ => None,
        };
        let shown = match names.len() == attribute.len() {
            true => shown(&leaf.path),
            false => (*attribute).to_owned(),
        };
        uses.push(Use {
            address: planned.address.to_owned(),
            kind: planned.kind.to_owned(),
            attribute: shown,
            value: None,
            sensitive: false,
            region: region.map(str::to_owned),
            origin: Origin::Attribute,
            brings: true,
            references: references.into_iter().collect(),
            source,
        });
    }
}

/// A value that holds no others.
struct Leaf<'a> {
    path: Vec<Step>,
    value: &'a Value,
    sensitive: bool,
}

/// All values in a value, with whether `marks`, which is of the same form, has them as sensitive.
fn leaves<'a>(
    value: &'a Value,
    marks: &Value,
    sensitive: bool,
    path: &mut Vec<Step>,
    into: &mut Vec<Leaf<'a>>,
) {
    let sensitive = sensitive || marks == &Value::Bool(true);
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                path.push(Step::Name(name.clone()));
                leaves(value, &marks[name.as_str()], sensitive, path, into);
                path.pop();
            }
        }
        Value::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                path.push(Step::Index(index));
                leaves(value, &marks[index], sensitive, path, into);
                path.pop();
            }
        }
        Value::Null => {}
        value => into.push(Leaf { path: path.clone(), value, sensitive }),
    }
}

fn at<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Name(name) => value.get(name),
        Step::Index(index) => value.get(index),
    })
}

/// `boot_disk.initialize_params.image`
fn names(path: &[Step]) -> String {
    let names: Vec<&str> = path
        .iter()
        .filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    names.join(".")
}

/// `boot_disk[0].initialize_params[0].image`
fn shown(path: &[Step]) -> String {
    let mut shown = String::new();
    for step in path {
        match step {
            Step::Name(name) if shown.is_empty() => shown.push_str(name),
            Step::Name(name) => shown.push_str(&format!(".{name}")),
            Step::Index(index) => shown.push_str(&format!("[{index}]")),
        }
    }
    shown
}
