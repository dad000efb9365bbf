use std::collections::BTreeMap;

use ingot_hcl::ast::{Expr, ExprKind};
use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::parse::parse_body;
use ingot_hcl::source::SourceMap;

use super::{Form, Kind, Plugins, Upgraded, upgrade};

/// Knows the given forms, by `type.option.option`.
#[derive(Default)]
struct TestPlugins(BTreeMap<&'static str, Form>);

impl Plugins for TestPlugins {
    fn has(&self, _: Kind, ty: &str) -> bool {
        ty != "odd"
    }

    fn spelling(&self, _: Kind, _: &str, _: &[&str]) -> Option<String> {
        None
    }

    fn form(&self, _: Kind, ty: &str, path: &[&str]) -> Option<Form> {
        self.0.get(format!("{ty}.{}", path.join(".")).as_str()).copied()
    }
}

fn upgraded_with(json: &str, plugins: &dyn Plugins, annotate: bool) -> Upgraded {
    let mut sources = SourceMap::default();
    let file = sources.add("t.json", json);
    let mut diagnostics = Diagnostics::default();
    let template = crate::read(&sources, file, &mut diagnostics);
    let template = template.unwrap_or_else(|| panic!("{}", diagnostics.render(&sources, false)));
    let upgraded = upgrade(&template, plugins, annotate);
    // Whatever it is, it can be parsed, and the formatter has nothing to add.
    let file = sources.add("t.pkr.hcl", upgraded.text.as_str());
    parse_body(&sources, file, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}{}", upgraded.text, diagnostics.render(&sources, false));
    assert_eq!(ingot_hcl::format::format(&upgraded.text), upgraded.text);
    upgraded
}

fn upgraded(json: &str) -> String {
    upgraded_with(json, &TestPlugins::default(), false).text
}

#[test]
fn a_whole_template() {
    let text = upgraded(
        r#"{
  "_comment": "Images for the web servers",
  "min_packer_version": "1.7.0",
  "description": "web",
  "variables": {
    "name": "web", "token": "{{env `TOKEN`}}", "region": null,
    "full": "{{user `name`}}-{{timestamp}}", "secret": "{{user `token`}}!"
  },
  "sensitive-variables": ["token", "secret"],
  "builders": [
    { "type": "docker", "image": "debian:{{user `name`}}", "commit": true,
      "changes": ["ENV A=${HOME}", "WORKDIR /srv/{{build_name}}", "ENTRYPOINT [\"/bin/sh\", \"-c\", \"exec server\"]"] },
    { "type": "qemu", "name": "vm", "disk_size": 4096, "headless": "true",
      "qemuargs": [["-m", "1G"]], "tags": { "a b": "c", "{{user `name`}}": 1 },
      "source_ami_filter": { "filters": { "name": "x" }, "owners": ["me"], "most_recent": true } }
  ],
  "provisioners": [
    { "type": "shell", "inline": ["echo {{ .Vars }} {{build `ID`}}"], "only": ["vm"],
      "override": { "vm": { "inline": ["true"] } }, "pause_before": "10s", "max_retries": 3 }
  ],
  "post-processors": [
    "manifest",
    [{ "type": "compress", "name": "small", "keep_input_artifact": true }, { "type": "checksum", "except": ["docker"] }]
  ]
}"#,
    );
    let wanted = r#"# Images for the web servers

packer {
  required_version = ">= 1.7.0"

  required_plugins {
    docker = {
      source  = "github.com/hashicorp/docker"
      version = "~> 1"
    }
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = "~> 1"
    }
  }
}

variable "name" {
  type    = string
  default = "web"
}

variable "token" {
  type      = string
  default   = env("TOKEN")
  sensitive = true
}

variable "region" {
  type = string
}

# In place of {{ timestamp }}: the time of the run in digits, as there is no function for the
# seconds since 1970.
locals {
  timestamp = regex_replace(timestamp(), "[- TZ:]", "")
}

locals {
  full = "${var.name}-${local.timestamp}"
}

local "secret" {
  expression = "${var.token}!"
  sensitive  = true
}

source "docker" "docker" {
  image  = "debian:${var.name}"
  commit = true
  changes = [
    "ENV A=$${HOME}",
    "WORKDIR /srv/${source.name}",
    "ENTRYPOINT [\"/bin/sh\", \"-c\", \"exec server\"]",
  ]
}

source "qemu" "vm" {
  disk_size = 4096
  headless  = "true"
  qemuargs  = [["-m", "1G"]]
  tags = {
    "a b"      = "c"
    (var.name) = 1
  }

  source_ami_filter {
    filters = {
      name = "x"
    }
    owners      = ["me"]
    most_recent = true
  }
}

build {
  description = "web"
  sources     = ["source.docker.docker", "source.qemu.vm"]

  provisioner "shell" {
    inline = ["echo {{ .Vars }} ${build.ID}"]
    only   = ["qemu.vm"]
    override = {
      vm = {
        inline = ["true"]
      }
    }
    pause_before = "10s"
    max_retries  = 3
  }

  post-processor "manifest" {}

  post-processors {
    post-processor "compress" {
      name                = "small"
      keep_input_artifact = true
    }

    post-processor "checksum" {
      except = ["docker.docker"]
    }
  }
}
"#;
    assert_eq!(text, wanted, "{text}");
}

/// The expression that a string in an option of a provisioner becomes.
fn expression(text: &str) -> String {
    let json = serde_json::json!({
        "variables": { "v": "", "computed": "{{ isotime }}" },
        "builders": [{ "type": "null" }],
        "provisioners": [{ "type": "shell", "x": text }],
    });
    let text = upgraded(&json.to_string());
    let line = text.lines().find_map(|line| line.trim().strip_prefix("x = "));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn actions_become_expressions() {
    for (action, wanted) in [
        ("{{user `v`}}", "var.v"),
        ("{{ user \"v\" }}", "var.v"),
        ("a {{- user `v` -}} b", "\"a${var.v}b\""),
        ("{{ user `computed` }}", "local.computed"),
        ("{{ user `v` | upper }}", "upper(var.v)"),
        ("{{ upper (user `v`) }}.", "\"${upper(var.v)}.\""),
        ("{{ lower `ABC` }}", "lower(\"ABC\")"),
        ("{{ isotime }}", "timestamp()"),
        ("{{ isotime `2006` }}", "legacy_isotime(\"2006\")"),
        ("{{ strftime `%Y` }}", "legacy_strftime(\"%Y\")"),
        ("{{ timestamp }}", "local.timestamp"),
        ("{{ uuid }}", "uuidv4()"),
        ("{{ template_dir }}/x", "\"${path.root}/x\""),
        ("{{ pwd }}", "path.cwd"),
        ("{{ packer_version }}", "packer.version"),
        ("{{ build `ID` }}", "build.ID"),
        ("{{ build_name }}-{{ build_type }}", "\"${source.name}-${source.type}\""),
        ("{{ split (user `v`) `-` 1 }}", "split(\"-\", var.v)[1]"),
        ("{{ replace_all `a` `b` (user `v`) }}", "replace(var.v, \"a\", \"b\")"),
        ("{{ user `v` | replace `a` `b` -1 }}", "replace(var.v, \"a\", \"b\")"),
        ("{{ user `v` | clean_resource_name }}", "\"{{ clean_resource_name `${var.v}` }}\""),
        ("{{ .Path }} ${PATH} %{x}", "\"{{ .Path }} $${PATH} %%{x}\""),
        ("${f%${ext}}", "\"$${f%$${ext}}\""),
        ("{{ user `v` }} ${a} $%{b} $${c}", "\"${var.v} $${a} $%%{b} $$${c}\""),
        // `$${` would be an escaped marker.
        ("a$${{ user `v` }}", "\"a${\"$$\"}${var.v}\""),
        ("{{ user `v` }}$$", "\"${var.v}$$\""),
        (
            "{{ upper `${a}%${b}` }} \"c\"",
            "\"${upper(join(\"\", [\"$${a}%\", \"$${b}\"]))} \\\"c\\\"\"",
        ),
        ("{{ if .A }}b{{ end }}", "\"{{ if .A }}b{{ end }}\""),
        // Braces that a plugin is not to take for an action.
        ("{{`{{`}} .Names }}", "\"{{ `{{` }} .Names }}\""),
    ] {
        assert_eq!(expression(action), wanted, "{action}");
    }
}

/// Each short text of what markers consist of is the same in HCL2.
#[test]
fn markers_are_escaped() {
    let mut texts = vec![String::new()];
    let mut start = 0;
    for _ in 0..5 {
        let longer = texts[start..]
            .iter()
            .flat_map(|text| ['$', '%', '{', 'a'].map(|character| format!("{text}{character}")));
        let longer: Vec<String> = longer.collect();
        start = texts.len();
        texts.extend(longer);
    }
    // Actions begin there.
    texts.retain(|text| !text.contains("{{"));
    let keys: serde_json::Map<String, serde_json::Value> =
        texts.iter().map(|text| (format!("{text} "), 1.into())).collect();
    let json = serde_json::json!({ "builders": [{ "type": "null", "x": texts, "y": keys }] });
    let text = upgraded(&json.to_string());

    let mut sources = SourceMap::default();
    let file = sources.add("t.pkr.hcl", text);
    let body = parse_body(&sources, file, &mut Diagnostics::default());
    let source = body.blocks_of("source").next().unwrap();
    let option = |name: &str| &source.body.attribute(name).unwrap().expr.kind;
    let literal = |expr: &Expr| match &expr.kind {
        ExprKind::String(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let ExprKind::Tuple(items) = option("x") else { panic!("x is no list") };
    assert_eq!(items.iter().map(literal).collect::<Vec<_>>(), texts);
    let ExprKind::Object(items) = option("y") else { panic!("y is no object") };
    let read: Vec<String> = items.iter().map(|(key, _)| literal(key)).collect();
    assert_eq!(read, keys.keys().cloned().collect::<Vec<_>>());
}

#[test]
fn what_has_no_counterpart_says_so() {
    let json = r#"{ "builders": [{ "type": "null", "a": "{{ replace `a` `b` 1 (user `v`) }}",
        "b": "{{ if true }}{{ user `v` }}{{ end }}", "c": "{{ env `HOME` }}", "d": "{{ broken" }] }"#;
    let Upgraded { text, left, .. } = upgraded_with(json, &TestPlugins::default(), false);
    assert_eq!(left, 4, "{text}");
    assert!(text.contains("# TODO: `a` has no counterpart for {{ replace `a` `b` 1"), "{text}");
    assert!(text.contains("# TODO: `b` asks for variables in {{ if }}"), "{text}");
    assert!(text.contains("# TODO: `d` is not a template"), "{text}");
}

/// Packer's HCL2 does not have the function; `regex_replace` does the same to names of AMIs.
#[test]
fn names_that_are_cleaned() {
    let json = r#"{ "variables": { "v": "" }, "builders": [{ "type": "amazon-ebs",
        "a": "x-{{ clean_resource_name `a b` }}", "b": "{{ user `v` | clean_resource_name }}",
        "c": "{{ clean_resource_name .SourceAMIName }}" },
        { "type": "other", "d": "{{ clean_resource_name (user `v`) }}" }] }"#;
    let Upgraded { text, left, .. } = upgraded_with(json, &TestPlugins::default(), false);
    let pattern = r#""[^-0-9A-Za-z()\\[\\] ./'@_]", "-""#;
    for part in [
        format!("a = \"x-${{regex_replace(\"a b\", {pattern})}}\"\n"),
        format!("b = regex_replace(var.v, {pattern})\n"),
        "# TODO: `c` calls clean_resource_name, which Packer knows in JSON".to_owned(),
        "c = \"{{ clean_resource_name .SourceAMIName }}\"".to_owned(),
        "# TODO: `d` calls clean_resource_name".to_owned(),
        "d = \"{{ clean_resource_name `${var.v}` }}\"".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert_eq!(left, 2, "{text}");
}

#[test]
fn names_become_identifiers() {
    let text = upgraded(
        r#"{ "variables": { "my.var": "1", "my var": "{{env `A`}}{{isotime}}" },
  "builders": [{ "type": "null", "name": "a b", "x": "{{user `my.var`}} {{user `my var`}}" },
               { "type": "null", "name": "{{user `my.var`}}-x" }, { "type": "null", "name": "9" }],
  "provisioners": [{ "type": "shell", "except": ["a b"], "y": "{{user `gone`}}" }] }"#,
    );
    for part in [
        "# Its name was \"my.var\".\nvariable \"my_var\" {",
        "\"${var.my_var} ${local.my_var_2}\"",
        "my_var_2 = \"${var.env_A}${timestamp()}\"",
        "variable \"env_A\" {\n  type    = string\n  default = env(\"A\")",
        "# Its name was \"a b\".\nsource \"null\" \"a_b\" {",
        "source \"null\" \"my_var-x\"",
        "source \"null\" \"_9\"",
        "except = [\"null.a_b\"]",
        "# It was not declared in JSON, where it is empty then.\nvariable \"gone\" {\n  type    = string\n  default = \"\"\n}",
        "y      = var.gone",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
}

#[test]
fn names_that_are_needed_besides_are_left_free() {
    let text = upgraded(
        r#"{ "variables": { "timestamp": "{{timestamp}}", "env_A": "x", "both": "{{env `A`}}{{isotime}}" },
  "builders": [{ "type": "null", "x": "{{user `timestamp`}} {{timestamp}}" }] }"#,
    );
    for part in [
        "  timestamp = regex_replace(",
        "  timestamp_2 = local.timestamp\n",
        "\"${local.timestamp_2} ${local.timestamp}\"",
        "variable \"env_A\" {\n  type    = string\n  default = \"x\"",
        "variable \"env_A_2\" {\n  type    = string\n  default = env(\"A\")",
        "= \"${var.env_A_2}${timestamp()}\"",
    ] {
        assert_eq!(text.matches(part).count(), 1, "{part}\nin\n{text}");
    }
    // One that is given a value keeps its name: it is no local.
    let text = upgraded(
        r#"{ "variables": { "timestamp": null }, "builders": [{ "type": "null", "x": "{{timestamp}}" }] }"#,
    );
    assert!(text.contains("variable \"timestamp\" {"), "{text}");
}

#[test]
fn plugins_say_how_options_are_written() {
    let plugins = TestPlugins(BTreeMap::from([
        ("docker.login_options", Form::Block),
        ("shell.inline", Form::List),
        ("shell.scripts", Form::List),
        ("shell.none", Form::List),
        ("shell.flag", Form::Bool),
        ("shell.map", Form::Map),
    ]));
    let json = r#"{ "builders": [{ "type": "docker", "login_options": { "user": "me" }, "other": { "a": "b" } }],
        "provisioners": [{ "type": "shell", "inline": "a,{{ .B }},c", "scripts": "{{user `s`}}",
          "none": "", "flag": 0, "map": [{ "a": "b" }, { "c": "d" }] }] }"#;
    let text = upgraded_with(json, &plugins, false).text;
    assert!(text.contains("  login_options {\n    user = \"me\"\n  }"), "{text}");
    assert!(text.contains("  other = {\n    a = \"b\"\n  }"), "{text}");
    let lists = "inline  = [\"a\", \"{{ .B }}\", \"c\"]\n    \
                 scripts = compact(split(\",\", var.s))\n    none    = []";
    assert!(text.contains(lists), "{text}");
    assert!(
        text.contains("flag    = false\n    map = {\n      a = \"b\"\n      c = \"d\"\n"),
        "{text}"
    );
}

/// An empty list may stand for no blocks, and an attribute is refused where blocks are expected.
#[test]
fn empty_lists_are_left_out_where_blocks_may_be_meant() {
    let plugins =
        TestPlugins(BTreeMap::from([("vm.disk", Form::Block), ("vm.disk.part", Form::Block)]));
    let json = r#"{ "builders": [
        { "type": "odd", "storage": [], "net": [{ "adapters": [], "ids": [1] }] },
        { "type": "vm", "disk": [{ "part": [], "flags": [] }], "args": [] },
        { "type": "vm", "name": "without", "disk": [] } ] }"#;
    let text = upgraded_with(json, &plugins, false).text;
    for gone in ["storage", "adapters", "part"] {
        assert!(!text.contains(gone), "{gone}\nin\n{text}");
    }
    assert_eq!(text.matches("disk").count(), 1, "{text}");
    for part in
        ["  net {\n    ids = [1]\n  }\n", "  disk {\n    flags = []\n  }\n", "  args = []\n"]
    {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
}

#[test]
fn lines_of_text_are_a_heredoc() {
    let text = upgraded(
        r##"{ "builders": [{ "type": "file", "content": "#!/bin/sh\necho ${A} ${f%${e}}\n", "other": "a\nb" }] }"##,
    );
    assert!(text.contains("content = <<EOT\n#!/bin/sh\necho $${A} $${f%$${e}}\nEOT\n"), "{text}");
    assert!(text.contains("other   = \"a\\nb\""), "{text}");
}

#[test]
fn annotations_explain() {
    let json = r#"{ "variables": { "a": "" }, "builders": [{ "type": "odd", "name": "x" }] }"#;
    let Upgraded { text, unknown, .. } = upgraded_with(json, &TestPlugins::default(), true);
    assert!(text.starts_with("# This was written from a JSON template."), "{text}");
    for part in ["# Input variables.", "# A source is a builder", "# A build runs provisioners"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(unknown, ["the builder odd"]);
    assert!(!upgraded(json).contains('#'));
}
