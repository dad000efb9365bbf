//! `hcp_packer_registry`: what to publish builds as. It stands at the top of a template or, as it
//! was before Packer 1.12.1, in its build block.

use std::collections::BTreeMap;

use ingot_hcl::ast::{Block, Body};
use ingot_hcl::attribute;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::eval::value_of;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::Span;
use ingot_hcl::types::Type;
use ingot_hcl::unknowns::Unknowns;
use ingot_hcl::value::Value;

/// A `hcp_packer_registry` block, evaluated.
#[derive(Debug, Clone, Default)]
pub struct RegistryBlock {
    /// `bucket_name`; none for what the environment or the build block says.
    pub bucket_name: Option<String>,
    /// `description`
    pub description: String,
    /// `bucket_labels`, or `labels` as it was called first.
    pub bucket_labels: BTreeMap<String, String>,
    /// `build_labels`
    pub build_labels: BTreeMap<String, String>,
    /// `channels`: those that are assigned the version.
    pub channels: Vec<String>,
    /// Where `channels` is set.
    pub channels_place: Option<Span>,
    /// Where the block starts; none for one that is not written.
    pub header: Option<Span>,
}

const KNOWN: &[&str] =
    &["bucket_name", "description", "labels", "bucket_labels", "build_labels", "channels"];

/// The longest description, in bytes; Packer's limit.
const LONGEST_DESCRIPTION: usize = 255;
/// The length of a bucket's name, in bytes; Packer's limits.
const BUCKET_NAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=36;

/// Whether a bucket can have this name. Terraform's provider takes no other names of channels, either.
pub fn is_bucket_name(name: &str) -> bool {
    BUCKET_NAME_LENGTH.contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

/// Reads one of several blocks of which there can be one.
pub(super) fn read_one<'a>(
    blocks: impl IntoIterator<Item = &'a Block>,
    scope: &Scope,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> Option<RegistryBlock> {
    let mut blocks = blocks.into_iter();
    let first = blocks.next()?;
    for other in blocks {
        diagnostics.push(
            Diagnostic::error("only one `hcp_packer_registry` can stand here")
                .at(other.header)
                .also(first.header, "first here")
                .help("keep one of the two"),
        );
    }
    Some(read(first, scope, unknowns, diagnostics))
}

/// Reads a block. What is wrong with it goes to `diagnostics`.
pub(super) fn read(
    block: &Block,
    scope: &Scope,
    unknowns: Unknowns,
    diagnostics: &mut Diagnostics,
) -> RegistryBlock {
    let body = &block.body;
    warn_of_ignored(body, diagnostics);
    let mut reader = Reader { body, scope, unknowns, diagnostics };
    let bucket_name = reader.text("bucket_name").filter(|name| !name.is_empty());
    let description = reader.text("description").unwrap_or_default();
    reader.check_bucket_name(bucket_name.as_deref());
    reader.check_description(&description);
    let bucket_labels = reader.bucket_labels();
    let build_labels = reader.labels("build_labels");
    let channels = reader.texts("channels");
    RegistryBlock {
        bucket_name,
        description,
        bucket_labels,
        build_labels,
        channels,
        channels_place: body.attribute("channels").map(|attribute| attribute.expr.span),
        header: Some(block.header),
    }
}

/// Packer takes anything in this block. An unknown name is a warning, since it is likely a mistake.
fn warn_of_ignored(body: &Body, diagnostics: &mut Diagnostics) {
    let attributes = body.attributes.iter();
    let attributes = attributes.filter(|one| !KNOWN.contains(&one.name.as_str()));
    let attributes = attributes.map(|one| (one.name.as_str(), one.name_span));
    let blocks = body.blocks.iter().map(|block| (block.kind.as_str(), block.header));
    for (name, place) in attributes.chain(blocks) {
        diagnostics.push(
            Diagnostic::warning(format!("`hcp_packer_registry` has no `{name}`: it is ignored"))
                .at(place)
                .suggest_or_list(name, "known here", KNOWN.iter().copied()),
        );
    }
}

struct Reader<'a> {
    body: &'a Body,
    scope: &'a Scope<'a>,
    unknowns: Unknowns,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    /// The value of an attribute, if it is there, in order and known.
    fn value(&mut self, name: &str, ty: &Type) -> Option<Value> {
        let expr = &self.body.attribute(name)?.expr;
        let value = value_of(expr, self.scope, self.diagnostics)?;
        if value.is_null() || !self.unknowns.check(name, &value, expr, self.diagnostics) {
            return None;
        }
        let value = self.diagnostics.keep(attribute::fitting(&value, name, ty, expr))?;
        self.refuse_secret(name, &value);
        value.is_wholly_known().then_some(value)
    }

    fn place(&self, name: &str) -> Span {
        self.body.attribute(name).map_or(self.body.span, |attribute| attribute.expr.span)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.value(name, &Type::String)?.as_str().map(str::to_owned)
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        let value = self.value(name, &Type::list(Type::String));
        let items = value.as_ref().and_then(Value::as_items).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    fn labels(&mut self, name: &str) -> BTreeMap<String, String> {
        let value = self.value(name, &Type::map(Type::String));
        let Some(value) = value else { return BTreeMap::new() };
        let entries = value.as_entries().into_iter().flatten();
        let texts = entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.into())));
        texts.collect()
    }

    fn refuse_secret(&mut self, name: &str, value: &Value) {
        if value.holds_secret() {
            self.diagnostics.push(
                Diagnostic::error(format!("`{name}` holds a sensitive value"))
                    .at(self.place(name))
                    .label("this would be published")
                    .help("everybody who can read the registry would see it; leave it out"),
            );
        }
    }

    fn check_bucket_name(&mut self, name: Option<&str>) {
        if name.is_some_and(|name| !is_bucket_name(name)) {
            self.diagnostics.push(
                Diagnostic::error("this cannot be the name of a bucket")
                    .at(self.place("bucket_name"))
                    .help("bucket_name is 3 to 36 ASCII letters, digits and hyphens"),
            );
        }
    }

    fn check_description(&mut self, text: &str) {
        if text.len() > LONGEST_DESCRIPTION {
            self.diagnostics.push(
                Diagnostic::error(format!("the description is {} bytes long", text.len()))
                    .at(self.place("description"))
                    .help(format!("it can have {LONGEST_DESCRIPTION} at the most")),
            );
        }
    }

    /// `bucket_labels`, or its old name.
    fn bucket_labels(&mut self) -> BTreeMap<String, String> {
        let (old, new) = (self.labels("labels"), self.labels("bucket_labels"));
        if old.is_empty() {
            return new;
        }
        let diagnostic = match new.is_empty() {
            true => Diagnostic::warning("`labels` is called `bucket_labels` now"),
            false => Diagnostic::error("`labels` and `bucket_labels` exclude each other"),
        };
        self.diagnostics.push(
            diagnostic
                .at(self.place("labels"))
                .help("`labels` is the old name: write bucket_labels"),
        );
        old
    }
}

#[cfg(test)]
mod tests {
    use super::is_bucket_name;

    #[test]
    fn names_of_buckets() {
        assert!(is_bucket_name("a-1") && is_bucket_name(&"b".repeat(36)));
        let wrong = ["ab", &"b".repeat(37), "with_underscore", "gross-groß", "a b c"];
        assert!(!wrong.iter().any(|name| is_bucket_name(name)));
    }
}
