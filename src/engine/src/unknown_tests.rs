//! Values that are not known, and secrets, in every position of generated templates.

use std::collections::BTreeMap;

use ingot_sdk::{
    Config, ConfigErrors, OptionType, OptionValue, PluginSet, Prepare, PrepareContext, Prepared,
    Schema,
};
use ingot_template::steps::Step;
use ingot_ui::Redactor;
use proptest::prelude::*;

use super::blocks::{prepare_config, step_options};
use super::prepare::run_names;
use super::{Project, ProjectOptions, check, prepare};
use crate::graph::{self, Filter, Node};
use crate::project::RunFlags;
use crate::test_plugins::plugins;
use ingot_hcl::{Diagnostics, Unknowns, Value};

/// What is not known to whoever does not fetch it.
const UNKNOWN: &str = "data.null.u.output";
const DATA: &str = "data \"null\" \"u\" {\n  input = \"x\"\n}\n";
const NULL: &str = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\n";

struct Opened {
    project: Project,
    diagnostics: Diagnostics,
    _dir: tempfile::TempDir,
}

impl Opened {
    fn new(text: &str) -> Opened {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("t.pkr.hcl"), text).unwrap();
        let mut diagnostics = Diagnostics::default();
        let options = ProjectOptions { plugins: plugins(), ..Default::default() };
        let mut project = Project::load(dir.path(), &options, &mut diagnostics);
        project.evaluate(&options, &mut diagnostics);
        Opened { project, diagnostics, _dir: dir }
    }

    fn check(&mut self) -> usize {
        let (filter, flags) = (Filter::default(), RunFlags::default());
        check(&self.project, &filter, &flags, &mut self.diagnostics).len()
    }

    fn prepare(&mut self) -> usize {
        let (filter, flags) = (Filter::default(), RunFlags::default());
        prepare(&self.project, &filter, &flags, &mut self.diagnostics).len()
    }

    fn said(&self) -> String {
        self.diagnostics.render(&self.project.sources, false)
    }

    fn nodes(&mut self) -> Vec<Node> {
        let filter = Filter::default();
        graph::build(&self.project.template, &self.project.builds, &filter, &mut self.diagnostics)
    }
}

/// Options of a plugin that are in order, and use as many others as go together.
type Base = (&'static str, &'static [(&'static str, &'static str)]);

const BUILDERS: &[Base] = &[
    (
        "null",
        &[
            ("ssh_host", "\"h\""),
            ("ssh_username", "\"u\""),
            ("ssh_password", "\"p\""),
            ("ssh_bastion_host", "\"b\""),
            ("ssh_bastion_username", "\"u\""),
            ("ssh_bastion_password", "\"p\""),
            ("temporary_key_pair_type", "\"ecdsa\""),
            ("temporary_key_pair_bits", "256"),
        ],
    ),
    (
        "null",
        &[
            ("communicator", "\"winrm\""),
            ("winrm_host", "\"h\""),
            ("winrm_username", "\"u\""),
            ("winrm_password", "\"p\""),
        ],
    ),
    ("file", &[("target", "\"t\""), ("content", "\"c\"")]),
    (
        "docker",
        &[
            ("image", "\"i\""),
            ("commit", "true"),
            ("ecr_login", "true"),
            ("login_server", "\"123456789012.dkr.ecr.us-east-1.amazonaws.com\""),
            ("aws_access_key", "\"a\""),
            ("aws_secret_key", "\"s\""),
        ],
    ),
    (
        "qemu",
        &[
            ("iso_url", "\"http://h/a.qcow2\""),
            ("iso_checksum", "\"none\""),
            ("ssh_username", "\"u\""),
            ("ssh_password", "\"p\""),
            ("disk_image", "true"),
            ("use_backing_file", "true"),
            ("skip_resize_disk", "true"),
            ("format", "\"qcow2\""),
            ("vnc_port_min", "7000"),
            ("vnc_port_max", "7100"),
            ("host_port_min", "5000"),
            ("host_port_max", "5100"),
            ("http_port_min", "9500"),
            ("http_port_max", "9600"),
            ("boot_command", "[\"a\"]"),
        ],
    ),
];

const PROVISIONERS: &[Base] = &[
    ("shell", &[("inline", "[\"true\"]"), ("environment_vars", "[\"A=b\"]")]),
    ("shell-local", &[("inline", "[\"true\"]"), ("env", "{ A = \"b\" }")]),
    ("file", &[("content", "\"c\""), ("destination", "\"d\"")]),
    ("file", &[("source", "\"made-later\""), ("destination", "\"d\""), ("generated", "true")]),
    ("file", &[("source", "\"there\""), ("destination", "\"d\""), ("direction", "\"download\"")]),
    (
        "powershell",
        &[("inline", "[\"x\"]"), ("elevated_user", "\"u\""), ("elevated_password", "\"p\"")],
    ),
    ("windows-shell", &[("inline", "[\"x\"]")]),
    ("windows-restart", &[]),
    ("breakpoint", &[]),
    ("sleep", &[("duration", "\"1s\"")]),
];

const POST_PROCESSORS: &[Base] = &[
    ("manifest", &[]),
    ("checksum", &[]),
    ("compress", &[("output", "\"a.tar.gz\"")]),
    ("artifice", &[("files", "[\"f\"]")]),
    ("shell-local", &[("inline", "[\"true\"]")]),
    ("docker-tag", &[("repository", "\"r\"")]),
    ("docker-save", &[("path", "\"p\"")]),
    ("docker-import", &[("repository", "\"r\"")]),
    ("docker-push", &[("login", "true")]),
];

const AMAZON: &[Base] = &[
    (
        "amazon-ebs",
        &[
            ("ami_name", "\"name\""),
            ("source_ami", "\"ami-1\""),
            ("instance_type", "\"t3.micro\""),
            ("region", "\"us-east-1\""),
            ("ssh_username", "\"u\""),
            ("access_key", "\"a\""),
            ("secret_key", "\"s\""),
            ("encrypt_boot", "true"),
            ("kms_key_id", "\"alias/a\""),
            ("ami_regions", "[\"us-east-2\"]"),
            ("region_kms_key_ids", "{ us-east-2 = \"alias/b\" }"),
            ("ami_users", "[\"1\"]"),
            ("enable_unlimited_credits", "true"),
        ],
    ),
    (
        "amazon-ebs",
        &[
            ("ami_name", "\"name\""),
            ("source_ami", "\"ami-1\""),
            ("spot_instance_types", "[\"t3.micro\"]"),
            ("spot_price", "\"auto\""),
            ("spot_tags", "{ a = \"b\" }"),
            ("region", "\"us-east-1\""),
            ("communicator", "\"winrm\""),
            ("winrm_username", "\"u\""),
            ("winrm_password", "\"p\""),
            ("temporary_key_pair_type", "\"ed25519\""),
        ],
    ),
];

/// Expressions of the type of an option that are not known, as a whole and in part.
fn unknown_of(ty: &OptionType) -> Vec<String> {
    let text = || format!("\"a${{{UNKNOWN}}}\"");
    match ty {
        OptionType::String | OptionType::Any => vec![UNKNOWN.to_owned(), text()],
        OptionType::Number => vec![format!("length({UNKNOWN})")],
        OptionType::Bool => vec![format!("{UNKNOWN} == \"x\"")],
        OptionType::List(item) => {
            let items = unknown_of(item);
            let mut all: Vec<String> = items.iter().map(|item| format!("[{item}]")).collect();
            all.push(format!("jsondecode({UNKNOWN})"));
            all
        }
        OptionType::Map(item) => {
            let items = unknown_of(item);
            let mut all: Vec<String> =
                items.iter().map(|item| format!("{{ a = {item} }}")).collect();
            all.push(format!("jsondecode({UNKNOWN})"));
            all
        }
        OptionType::Block(_) | OptionType::Blocks(_) => Vec::new(),
    }
}

fn options_text(base: &[(&str, &str)], option: &str, value: &str) -> String {
    let others = base.iter().filter(|(name, _)| *name != option);
    let others = others.map(|(name, value)| format!("  {name} = {value}\n"));
    others.chain([format!("  {option} = {value}\n")]).collect()
}

/// Calls `each` with the text of a block's options for every option of every plugin that is not
/// known, and with the option's name.
fn every_option<'s>(
    bases: &[Base],
    schema: impl Fn(&str) -> Schema + 's,
    mut each: impl FnMut(&str, &str, &str),
) {
    for (plugin, base) in bases {
        for option in schema(plugin).options {
            for value in unknown_of(&option.ty) {
                each(plugin, &option.name, &options_text(base, &option.name, &value));
            }
        }
    }
}

fn builders() -> Vec<Base> {
    [BUILDERS, AMAZON].concat()
}

fn builder_text(plugin: &str, options: &str) -> String {
    format!(
        "{DATA}source \"{plugin}\" \"n\" {{\n{options}}}\nbuild {{\n  sources = [\"{plugin}.n\"]\n}}\n"
    )
}

fn step_text(kind: &str, plugin: &str, options: &str) -> String {
    format!(
        "{DATA}{NULL}build {{\n  sources = [\"null.n\"]\n  {kind} \"{plugin}\" {{\n{options}  }}\n}}\n"
    )
}

#[test]
fn every_option_can_be_unknown_while_a_template_is_checked() {
    let plugins: PluginSet = plugins();
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut check = |text: String| {
        let mut opened = Opened::new(&text);
        opened.check();
        count += 1;
        if opened.diagnostics.has_errors() {
            wrong.push(opened.said());
        }
    };
    every_option(
        &builders(),
        |name| plugins.builders[name].schema(),
        |plugin, _, options| {
            check(builder_text(plugin, options));
        },
    );
    every_option(
        PROVISIONERS,
        |name| plugins.provisioners[name].schema(),
        |plugin, _, options| {
            check(step_text("provisioner", plugin, options));
        },
    );
    every_option(
        POST_PROCESSORS,
        |name| plugins.post_processors[name].schema(),
        |plugin, _, options| check(step_text("post-processor", plugin, options)),
    );
    assert!(count > 300, "{count} positions");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_builder_is_prepared_for_a_run_with_an_unknown_option() {
    let plugins = plugins();
    let mut last = String::new();
    every_option(
        &builders(),
        |name| plugins.builders[name].schema(),
        |plugin, option, options| {
            // One of its values will do.
            if std::mem::replace(&mut last, option.to_owned()) == option {
                return;
            }
            let mut opened = Opened::new(&builder_text(plugin, options));
            let prepared = opened.prepare();
            let said = opened.said();
            assert_eq!(prepared, 0, "{plugin}.{option}");
            assert!(said.contains(&format!("the value of `{option}` is not known")), "{said}");
            assert!(said.contains("t.pkr.hcl:"), "{said}");
        },
    );
}

/// The options of a step as they are when it runs, and what its plugin is then given.
fn at_run(
    opened: &Opened,
    node: &Node,
    step: &Step,
    schema: &Schema,
    build: Value,
) -> Result<Config, String> {
    let mut diagnostics = Diagnostics::default();
    let scope = opened.project.scope();
    let scope = scope.with(run_names(node, build));
    let config = step_options(step, node, schema, &scope, Unknowns::Refuse, &mut diagnostics);
    if diagnostics.has_errors() {
        let said = diagnostics.render(&opened.project.sources, false);
        assert!(said.contains("t.pkr.hcl:"), "no place: {said}");
        return Err(said);
    }
    let context = opened.project.prepare_context(node, &RunFlags::default());
    let witness: &dyn Prepare<Config> = &Witness;
    let prepared = prepare_config(witness, &config, schema, &context);
    Ok(*prepared.map_err(|errors| format!("{errors:?}"))?.ready)
}

/// A plugin that becomes the options that it is given.
struct Witness;

impl Prepare<Config> for Witness {
    fn schema(&self) -> Schema {
        Schema::default()
    }

    fn check(&self, _: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        Ok(Prepared::default())
    }

    fn prepare(
        &self,
        config: &Config,
        _: &PrepareContext,
    ) -> Result<Prepared<Box<Config>>, ConfigErrors> {
        Ok(Prepared::new(Box::new(config.clone())))
    }
}

#[test]
fn no_step_runs_with_an_unknown_option() {
    let plugins = plugins();
    for (kind, bases) in [("provisioner", PROVISIONERS), ("post-processor", POST_PROCESSORS)] {
        let schema = |name: &str| match kind {
            "provisioner" => plugins.provisioners[name].schema(),
            _ => plugins.post_processors[name].schema(),
        };
        every_option(bases, schema, |plugin, option, options| {
            let mut opened = Opened::new(&step_text(kind, plugin, options));
            let nodes = opened.nodes();
            let mut steps = nodes[0].provisioners.iter().chain(nodes[0].pipelines.iter().flatten());
            let step = steps.next().unwrap();
            let build = Value::object(BTreeMap::new());
            let said = at_run(&opened, &nodes[0], step, &schema(plugin), build).unwrap_err();
            assert!(said.contains(&format!("the value of `{option}` is not known")), "{said}");
        });
    }
}

/// Expressions for strings, of a plain one, a secret, one that is not known and one that only the
/// run knows.
fn text_of(leaves: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(leaves).prop_map(str::to_owned).prop_recursive(3, 12, 2, |inner| {
        let forms: &[&str] = &[
            "\"a${X}-b\"",
            "upper(X)",
            "base64encode(X)",
            "replace(X, \"a\", \"b\")",
            "format(\"%s-%s\", X, Y)",
            "X == Y ? X : Y",
            "X == \"zzz\" ? \"word\" : Y",
            "join(\",\", [X, Y])",
            "[for v in [X, Y] : lower(v)][0]",
            "try(X, Y)",
            "coalesce(X, Y)",
            "lookup({ k = X }, \"k\", Y)",
            "{ k = X }.k",
            "{ (X) = Y }[X]",
            "jsonencode({ a = X })",
            "\"%{ if X == Y }then%{ else }${Y}%{ endif }\"",
            "\"%{ for v in [X, Y] }${v}, %{ endfor }\"",
            "split(\",\", X)[0]",
            "convert(X, string)",
            "\"{{ `${X}` | upper }} {{ user `s` | lower }}\"",
        ];
        (prop::sample::select(forms.to_vec()), inner.clone(), inner).prop_map(|(form, x, y)| {
            // Letters of the form itself are small, so that these are the only ones.
            form.chars()
                .map(|c| match c {
                    'X' => format!("({x})"),
                    'Y' => format!("({y})"),
                    c => c.to_string(),
                })
                .collect()
        })
    })
}

/// Where such an expression stands.
const POSITIONS: &[&str] = &[
    "inline = [@]",
    "inline = [\"true\", @]",
    "inline = split(\" \", @)",
    "inline = [\"true\"]\nenvironment_vars = [\"A=${@}\"]",
    "inline = [\"true\"]\nenv = { A = @ }",
    "inline = [\"true\"]\nenv = { (@) = \"v\" }",
    "inline = [\"true\"]\nexecute_command = [\"sh\", @]",
    "inline = [\"true\"]\ntempfile_extension = @",
    "inline = [\"true\"]\noverride = { n = { inline = [@] } }",
    "inline = [\"true\"]\noverride = { n = { env = { A = @ } } }",
    "command = @",
];

/// A build with one step, whose options are at `position`; in a dynamic block, `@` is its item.
fn generated(expression: &str, position: &str, dynamic: bool, secret: &str) -> String {
    let options = position.replace('@', if dynamic { "provisioner.value" } else { expression });
    let step = match dynamic {
        false => format!("provisioner \"shell-local\" {{\n{options}\n}}"),
        true => format!(
            "dynamic \"provisioner\" {{\nfor_each = [{expression}]\nlabels = [\"shell-local\"]\n\
             content {{\n{options}\n}}\n}}"
        ),
    };
    format!(
        "variable \"s\" {{\n  default = \"{secret}\"\n  sensitive = true\n}}\n{DATA}{NULL}build \
         {{\n  sources = [\"null.n\"]\n{step}\n}}\n"
    )
}

/// What the plugin of the one step of a template is given when it runs.
fn run(text: &str) -> (Opened, Result<Config, String>) {
    let mut opened = Opened::new(text);
    if opened.diagnostics.has_errors() {
        let said = opened.said();
        return (opened, Err(said));
    }
    let nodes = opened.nodes();
    let schema = plugins().provisioners["shell-local"].schema();
    let build = Value::object([("ID".to_owned(), Value::from("the-id"))].into());
    let config = at_run(&opened, &nodes[0], &nodes[0].provisioners[0], &schema, build);
    (opened, config)
}

/// All strings of a configuration, without the secrets of its project.
fn shown(opened: &Opened, config: &Config) -> Vec<String> {
    fn collect(value: &OptionValue, found: &mut Vec<String>) {
        match value {
            OptionValue::List(items) => items.iter().for_each(|item| collect(item, found)),
            OptionValue::Map(entries) => entries.iter().for_each(|(name, value)| {
                found.push(name.clone());
                collect(value, found);
            }),
            other => found.extend(other.as_str().map(str::to_owned)),
        }
    }
    let redactor = Redactor::default();
    redactor.add_all(opened.project.secrets().all().iter().map(String::as_str));
    let mut found = Vec::new();
    config.values().values().for_each(|value| collect(value, &mut found));
    let mut shown: Vec<String> = found.iter().map(|text| redactor.apply(text)).collect();
    // Names come in the order that the secrets have.
    shown.sort();
    shown
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    /// While a template is checked, an unknown value is not an error; when it runs, nothing made of
    /// one reaches a plugin.
    #[test]
    fn unknown_values_never_reach_a_plugin(
        expression in text_of(&["\"plain\"", UNKNOWN, "build.ID", "var.s"]),
        position in prop::sample::select(POSITIONS),
        dynamic in any::<bool>(),
    ) {
        let text = generated(&expression, position, dynamic, "hunter2");
        // What only the run knows is not known where a dynamic block is expanded.
        let fine = !(dynamic && expression.contains("build.ID"));
        let mut opened = Opened::new(&text);
        opened.check();
        let go_template = expression.contains("{{");
        prop_assert!(
            !fine || go_template || !opened.diagnostics.has_errors(),
            "{}\n{}", text, opened.said()
        );
        if let (_, Ok(config)) = run(&text) {
            prop_assert!(config.is_wholly_known(), "{text}\n{config:?}");
        }
    }

    /// What a build shows does not depend on its secrets.
    #[test]
    fn secrets_never_show(
        expression in text_of(&["\"plain\"", "build.ID", "var.s", "var.s"]),
        position in prop::sample::select(POSITIONS),
        dynamic in any::<bool>(),
    ) {
        let both = ["hunter2-aq", "swordfish-zx"].map(|secret| {
            let text = generated(&expression, position, dynamic, secret);
            let (opened, config) = run(&text);
            config.map(|config| shown(&opened, &config))
        });
        if let [Ok(one), Ok(other)] = both {
            prop_assert_eq!(one, other, "{} in {}", expression, position);
        }
    }
}
