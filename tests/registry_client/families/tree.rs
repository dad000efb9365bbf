//! Templates that build on each other, and runs that build them.

use std::collections::BTreeSet;

use crate::world::World;
use ingot_test_support::Run;

/// Buckets, and the bucket that each is built from.
pub(super) type Tree = &'static [(&'static str, Option<&'static str>)];

/// Twelve templates in three generations.
pub(super) const TWELVE: Tree = &[
    ("base", None),
    ("edge", None),
    ("web", Some("base")),
    ("sql", Some("base")),
    ("cdn", Some("edge")),
    ("dns", Some("edge")),
    ("shop", Some("web")),
    ("blog", Some("web")),
    ("bank", Some("sql")),
    ("book", Some("sql")),
    ("film", Some("cdn")),
    ("name", Some("dns")),
];

/// A template that is built from the channel `production` of its parent, and promoted to its own. It
/// fails as long as there is a file `fail-NAME`, and waits as long as there is one `hold-NAME`.
pub(super) fn template(name: &str, parent: Option<&str>, more: &str) -> String {
    let (data, content) = match parent {
        None => (String::new(), format!("content = \"{name}\"")),
        Some(parent) => (
            format!(
                r#"data "hcp-packer-artifact" "parent" {{
  bucket_name  = "{parent}"
  channel_name = "production"
  platform     = "packer.file"
  region       = "."
}}
"#
            ),
            "source = data.hcp-packer-artifact.parent.external_identifier".into(),
        ),
    };
    format!(
        r#"{data}hcp_packer_registry {{
  bucket_name = "{name}"
}}
source "file" "image" {{
  {content}
  target = "{name}.txt"
}}
build {{
  sources = ["source.file.image"]
  provisioner "shell-local" {{
    inline = ["while test -e hold-{name}; do sleep 0.1; done; test ! -e fail-{name}"]
  }}
{more}}}
"#
    )
}

pub(super) fn write(world: &World, name: &str, template: &str) {
    let directory = world.path().join("images").join(name);
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::write(directory.join("image.pkr.hcl"), template).expect("the template is written");
    let companion = "family {\n  promote = \"production\"\n}\n";
    std::fs::write(directory.join("image.ingot.hcl"), companion).expect("it is written");
}

pub(super) fn family(world: &World, tree: Tree) {
    tree.iter().for_each(|(name, parent)| write(world, name, &template(name, *parent, "")));
}

/// The buckets that the summary of a run says something of, with what it says.
pub(super) fn told(run: &Run) -> Vec<(String, String)> {
    let summary = run.stdout.split("==> Family: ").nth(1).unwrap_or_default();
    let lines = summary.lines().filter_map(|line| line.strip_prefix("--> ")?.split_once(": "));
    lines.map(|(bucket, what)| (bucket.to_owned(), what.to_owned())).collect()
}

/// The buckets that a run built.
pub(super) fn built(run: &Run) -> BTreeSet<String> {
    let told = told(run).into_iter();
    told.filter(|(_, what)| what.starts_with("built ")).map(|(bucket, _)| bucket).collect()
}

pub(super) fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(super) fn stale(world: &World) -> Run {
    world.ingot(&["build", "-stale", "images"])
}

/// Builds a bucket by itself, and has its channel point at that.
pub(super) fn move_channel(world: &World, name: &str, fingerprint: &str) {
    world.build(&format!("images/{name}"), fingerprint);
    world.ok(&["registry", "channel", "assign", name, "production", fingerprint]);
}

pub(super) fn ok(run: &Run) {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

pub(super) const THREE: Tree = &[("base", None), ("web", Some("base")), ("shop", Some("web"))];
