//! Values that are not known, and secrets, in expressions of many forms.

use ingot_sdk::{Config, OptionValue};
use ingot_ui::Redactor;
use proptest::prelude::*;

use super::opened::{DATA, NULL, Opened, UNKNOWN, at_run};
use crate::test_plugins::plugins;
use ingot_hcl::Value;

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
    let secrets = opened.project.secrets();
    secrets.hide(|secret| redactor.add(secret), |text| redactor.add_whole(text));
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
