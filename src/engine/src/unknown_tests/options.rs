//! Values that are not known, in every option of every plugin.

use std::collections::BTreeMap;

use ingot_sdk::{OptionType, PluginSet, Schema};

use super::opened::{DATA, NULL, Opened, UNKNOWN, at_run};
use crate::test_plugins::plugins;
use ingot_hcl::Value;

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
