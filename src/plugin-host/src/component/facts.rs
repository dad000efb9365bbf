//! The values that a component gets about the build that it is part of, besides its options.
//!
//! The SDK reads it, among it what `{{ }}` in options refer to, as plugins render those themselves.
//! Packer tells components of JSON templates more than those of HCL2 templates, which have
//! `${var.NAME}` and `${path.root}`.

use ingot_sdk::interpolate::COMPATIBLE_PACKER_VERSION;
use ingot_sdk::{OnError, PrepareContext};
use rmpv::Value;

/// The SDK takes a value that holds this for one that only the run knows, and leaves what refers to
/// it for the run; its text.
const PLACEHOLDER: &str =
    "To set this dynamically in the Packer template, you must use the `build` function";

/// What is sent with a component's options.
#[derive(Clone, Default)]
pub(super) struct Facts {
    before: Option<Value>,
    after: Option<Value>,
}

impl Facts {
    /// Those of builders.
    pub(super) fn of_builder(ctx: &PrepareContext) -> Facts {
        let mut facts = common(ctx);
        if ctx.json_template {
            facts.extend(of_template(ctx));
            facts.push(sensitive_variables(ctx));
        }
        Facts { before: Some(map(facts)), after: None }
    }

    /// Those of provisioners and post-processors.
    pub(super) fn of_step(ctx: &PrepareContext) -> Facts {
        let mut facts = common(ctx);
        facts.push(sensitive_variables(ctx));
        if ctx.json_template {
            facts.extend(of_template(ctx));
        }
        fn placeholder(name: &String) -> (&str, Value) {
            (name.as_str(), format!("Build_{name}. {PLACEHOLDER}").into())
        }
        let after = ctx.json_template.then(|| map(ctx.build_values.iter().map(placeholder)));
        Facts { before: Some(map(facts)), after }
    }

    /// All that is sent, in the SDK's order.
    pub(super) fn with_facts(&self, options: Value) -> Vec<Value> {
        self.before.iter().cloned().chain([options]).chain(self.after.clone()).collect()
    }
}

fn common(ctx: &PrepareContext) -> Vec<(&'static str, Value)> {
    let on_error = match ctx.on_error {
        OnError::Cleanup => "cleanup",
        // Its protocol knows no more.
        OnError::Abort | OnError::Keep => "abort",
        OnError::Ask => "ask",
        OnError::RunCleanupProvisioner => "run-cleanup-provisioner",
    };
    vec![
        ("packer_build_name", ctx.build_name.as_str().into()),
        ("packer_builder_type", ctx.build_type.as_str().into()),
        ("packer_core_version", COMPATIBLE_PACKER_VERSION.into()),
        ("packer_debug", ctx.debug.to_string().into()),
        ("packer_force", ctx.force.to_string().into()),
        ("packer_on_error", on_error.into()),
    ]
}

/// What `{{ template_dir }}` and `{{ user }}` refer to.
fn of_template(ctx: &PrepareContext) -> [(&'static str, Value); 2] {
    // The SDK takes the directory of this path; which file of it the template is, it never says.
    let path = ctx.template_dir.join("template.json").to_string_lossy().into_owned();
    let variables = ctx.user_variables.iter();
    let variables =
        variables.map(|(name, variable)| (name.as_str(), variable.value.clone().into()));
    [("packer_template_path", path.into()), ("packer_user_variables", map(variables))]
}

fn sensitive_variables(ctx: &PrepareContext) -> (&'static str, Value) {
    let names = ctx.sensitive_variables.iter().map(|name| name.as_str().into());
    ("packer_sensitive_variables", Value::Array(names.collect()))
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
}
