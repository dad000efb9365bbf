//! Enforced blocks: provisioners that a registry adds to the builds of a bucket. Their content is HCL,
//! HCL's JSON, or the `provisioners` of an older template, whatever their type says: Packer tries one
//! after the other.

use super::block_form::{labels, only};
use super::blocks::PROVISIONERS_SHAPE;
use super::dynamic::Names;
use super::steps::{Reader, Step};
use ingot_hcl::ast::Body;
use ingot_hcl::diagnostic::{Diagnostics, Severity};
use ingot_hcl::json::{self, Texts};
use ingot_hcl::parse::parse_body;
use ingot_hcl::scope::Scope;
use ingot_hcl::source::SourceMap;

/// An enforced block, in the version that the bucket is linked to.
#[derive(Debug, Clone)]
pub struct EnforcedBlock {
    /// Its name.
    pub name: String,
    /// The syntax that the registry names for it, such as `HCL2`.
    pub template_type: String,
    /// `provisioner` blocks.
    pub content: String,
}

/// Reads the provisioners of an enforced block; `ids` are the sources of the build, as `TYPE.NAME`.
/// What is wrong goes to `diagnostics`.
pub fn read(
    sources: &mut SourceMap,
    block: &EnforcedBlock,
    (scope, ids): (&Scope, &[String]),
    diagnostics: &mut Diagnostics,
) -> Vec<Step> {
    let shown = format!("enforced block {:?}", block.name);
    let Some(body) = parse(sources, &shown, &block.content, diagnostics) else { return Vec::new() };
    if !only(&body, &[], &["provisioner"], diagnostics) {
        return Vec::new();
    }
    let none = Names::new();
    let blocks = body.blocks.iter().filter(|block| labels(block, &["type"], diagnostics));
    let blocks: Vec<_> = blocks.collect();
    let mut steps = Vec::new();
    for block in blocks {
        // Which sources a template has is not known to who wrote the block.
        let mut found = Diagnostics::default();
        steps.extend(Reader::new((block, &none), scope, ids, &mut found).provisioner());
        diagnostics.extend(found.into_iter().filter(|it| it.severity == Severity::Error));
    }
    steps
}

fn parse(
    sources: &mut SourceMap,
    shown: &str,
    content: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Body> {
    let file = sources.add(shown, content);
    let mut wrong = Diagnostics::default();
    let body = parse_body(sources, file, &mut wrong);
    if !wrong.has_errors() {
        return Some(body);
    }
    if !content.trim_start().starts_with(['{', '[']) {
        diagnostics.extend(wrong);
        return None;
    }
    let content = older(content);
    let file = match &content {
        Some(text) => sources.add(shown, text),
        None => file,
    };
    diagnostics.keep(json::parse_body(sources, file, &PROVISIONERS_SHAPE, Texts::Templates))
}

/// The provisioners of an older template, `{"provisioners": [{"type": "shell", …}]}`, as blocks.
fn older(content: &str) -> Option<String> {
    let mut value: serde_json::Value = serde_json::from_str(content).ok()?;
    // Packer takes an empty list for a mistake, too.
    let list = value.get_mut("provisioners")?.as_array_mut().filter(|list| !list.is_empty())?;
    let block = |entry: &mut serde_json::Value| {
        let mut options = std::mem::take(entry.as_object_mut()?);
        let kind = options.shift_remove("type")?.as_str()?.to_owned();
        Some(serde_json::json!({ kind: options }))
    };
    // One that cannot be read is not left out: nothing may be built without it.
    let blocks: Vec<serde_json::Value> = list.iter_mut().map(block).collect::<Option<_>>()?;
    Some(serde_json::json!({ "provisioner": blocks }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingot_hcl::functions::FunctionContext;

    fn kinds(content: &str) -> Result<Vec<String>, String> {
        let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
        let functions = FunctionContext::new(".", time::OffsetDateTime::UNIX_EPOCH);
        let scope = Scope::new(Default::default(), &functions);
        let ids = ["docker.a".to_owned()];
        let block = EnforcedBlock {
            name: "scan".into(),
            template_type: "HCL2".into(),
            content: content.into(),
        };
        let steps = read(&mut sources, &block, (&scope, &ids), &mut diagnostics);
        match diagnostics.has_errors() {
            true => Err(diagnostics.render(&sources, false)),
            false => Ok(steps.iter().map(|step| step.block.label(0).to_owned()).collect()),
        }
    }

    #[test]
    fn all_forms_of_provisioners_are_read_in_order() {
        let hcl = "provisioner \"shell\" {\n  inline = [\"a\"]\n}\nprovisioner \"file\" {}\n";
        let json = r#"{"provisioner": [{"shell": {"inline": ["a"]}}, {"file": {}}]}"#;
        let older = r#"{"provisioners": [{"type": "shell", "inline": ["a"]}, {"type": "file"}]}"#;
        for content in [hcl, json, older] {
            assert_eq!(kinds(content), Ok(vec!["shell".into(), "file".into()]), "{content}");
        }
        // As for Packer, what holds no provisioner is no error.
        for nothing in ["", " \n", "# nothing\n", "{}"] {
            assert_eq!(kinds(nothing), Ok(Vec::new()), "{nothing:?}");
        }
        // A source that the template does not have is no error.
        let other = "provisioner \"shell\" {\n  only = [\"amazon-ebs.b\"]\n}\n";
        assert_eq!(kinds(other), Ok(vec!["shell".into()]));
    }

    #[test]
    fn other_blocks_are_errors_with_their_place() {
        for (content, why) in [
            ("provisioner \"shell\" {", "enforced block \"scan\":1"),
            ("source \"docker\" \"a\" {}", "no block of type `source`"),
            ("a = 1", "no argument called `a`"),
            ("provisioner {}", "takes one label"),
            ("provisioner \"shell\" {\n  timeout = \"x\"\n}", "enforced block \"scan\":2"),
            (r#"{"provisioner": "#, "not valid JSON"),
            (r#"{"provisioners": []}"#, "provisioners"),
        ] {
            let message = kinds(content).expect_err(content);
            assert!(message.contains(why), "{content}: {message}");
        }
    }
}
