//! A Terraform plan: the JSON that `terraform show -json` and `tofu show -json` write, of format
//! version 1 (and 0.1 and 0.2, which differ in nothing that is read here).

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::Value;

/// Why something is not a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing.
    #[error("it is empty; write the plan's JSON there with `terraform show -json tfplan`")]
    Empty,
    /// What `terraform plan -out` writes.
    #[error(
        "it is a saved plan, not its JSON; create that with `terraform show -json tfplan > plan.json`"
    )]
    Saved,
    /// The log of `terraform plan -json`.
    #[error(
        "it is the log of `terraform plan -json`, not a plan; save one with \
         `terraform plan -out=tfplan` and write its JSON with `terraform show -json tfplan`"
    )]
    Log,
    /// A state's JSON.
    #[error(
        "it is a state, not a plan; save a plan with `terraform plan -out=tfplan` and write its \
         JSON with `terraform show -json tfplan`"
    )]
    State,
    /// The JSON ends too early.
    #[error("it is cut off: its JSON ends in the middle, at line {line}, column {column}")]
    CutOff {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// No JSON.
    #[error(
        "it is not JSON, at line {line}, column {column}; write it with `terraform show -json`"
    )]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON of something else.
    #[error("it is JSON, but not of a plan: {0}; write it with `terraform show -json`")]
    NotPlan(String),
    /// Of a format that is not known.
    #[error("its format_version is {0}, and this Ingot reads 1.x; use a newer Ingot")]
    Version(String),
}

/// A plan.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Plan {
    format_version: String,
    /// What made it.
    #[serde(deserialize_with = "lenient")]
    pub terraform_version: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) variables: BTreeMap<String, Variable>,
    #[serde(deserialize_with = "lenient")]
    planned_values: Values,
    #[serde(deserialize_with = "lenient")]
    resource_changes: Vec<ResourceChange>,
    #[serde(deserialize_with = "lenient")]
    deferred_changes: Vec<Deferred>,
    #[serde(deserialize_with = "lenient")]
    prior_state: State,
    #[serde(deserialize_with = "lenient")]
    pub(super) configuration: Configuration,
    /// Whether making the plan failed, so that it is not whole.
    #[serde(deserialize_with = "lenient")]
    pub errored: bool,
}

/// The value of an input variable of the root module.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Variable {
    pub value: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Values {
    #[serde(deserialize_with = "lenient")]
    root_module: Module,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct State {
    #[serde(deserialize_with = "lenient")]
    values: Values,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Module {
    #[serde(deserialize_with = "lenient")]
    resources: Vec<StateResource>,
    #[serde(deserialize_with = "lenient")]
    child_modules: Vec<Module>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct StateResource {
    address: String,
    mode: Mode,
    #[serde(rename = "type")]
    kind: String,
    values: Value,
    sensitive_values: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ResourceChange {
    address: String,
    mode: Mode,
    #[serde(rename = "type")]
    kind: String,
    #[serde(deserialize_with = "lenient")]
    deposed: String,
    change: Change,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Deferred {
    #[serde(deserialize_with = "lenient")]
    resource_change: ResourceChange,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Change {
    #[serde(deserialize_with = "lenient")]
    actions: Vec<String>,
    before: Value,
    after: Value,
    after_unknown: Value,
    after_sensitive: Value,
}

/// Managed, or a data source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    #[default]
    Managed,
    Data,
    #[serde(other)]
    Other,
}

/// The configuration, as far as it is in a plan.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Configuration {
    #[serde(deserialize_with = "lenient")]
    pub provider_config: BTreeMap<String, ProviderConfig>,
    #[serde(deserialize_with = "lenient")]
    pub root_module: ConfiguredModule,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProviderConfig {
    pub expressions: Value,
    pub module_address: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfiguredModule {
    #[serde(deserialize_with = "lenient")]
    pub outputs: BTreeMap<String, Output>,
    /// By their addresses in the module.
    #[serde(deserialize_with = "by_address")]
    pub resources: HashMap<String, ConfiguredResource>,
    #[serde(deserialize_with = "lenient")]
    pub module_calls: BTreeMap<String, ModuleCall>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    pub expression: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ConfiguredResource {
    /// In its module, without the module and without an index.
    address: String,
    pub provider_config_key: String,
    pub expressions: Value,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModuleCall {
    pub expressions: Value,
    #[serde(deserialize_with = "lenient")]
    pub module: Box<ConfiguredModule>,
}

/// A resource, or a data source, as it is to be after the plan is applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned<'a> {
    /// With the modules it is in and its index.
    pub address: &'a str,
    pub mode: Mode,
    pub kind: &'a str,
    pub after: &'a Value,
    pub unknown: &'a Value,
    pub sensitive: &'a Value,
    /// What it is now; null for what is to be made, also in place of something.
    pub before: &'a Value,
}

impl Planned<'_> {
    /// Whether it is made, also in place of something.
    pub(crate) fn is_created(&self) -> bool {
        self.before.is_null()
    }
}

/// Reads `null` as nothing.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

fn by_address<'de, D>(deserializer: D) -> Result<HashMap<String, ConfiguredResource>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let all: Vec<ConfiguredResource> = lenient(deserializer)?;
    Ok(all.into_iter().map(|resource| (resource.address.clone(), resource)).collect())
}

const NULL: &Value = &Value::Null;

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// It is not one, or of a format that is not known.
    pub fn read(bytes: &[u8]) -> Result<Self, PlanError> {
        // PowerShell's `>` writes these first.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Err(PlanError::Empty);
        }
        // A saved plan is a ZIP archive.
        if bytes.starts_with(b"PK\x03\x04") {
            return Err(PlanError::Saved);
        }
        let value: Value = match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(error) if is_log(bytes) => {
                drop(error);
                return Err(PlanError::Log);
            }
            Err(error) if error.is_eof() => {
                return Err(PlanError::CutOff { line: error.line(), column: error.column() });
            }
            Err(error) => {
                return Err(PlanError::NotJson { line: error.line(), column: error.column() });
            }
        };
        let Value::Object(object) = &value else {
            return Err(PlanError::NotPlan("it is not an object".into()));
        };
        if object.contains_key("@level") {
            return Err(PlanError::Log);
        }
        let lacks = |what: &str| !object.contains_key(what);
        // A state's file has a `version`; its JSON by `show` has `values`.
        let state = !lacks("values") || (!lacks("lineage") && !lacks("serial"));
        if lacks("planned_values") && lacks("resource_changes") && state {
            return Err(PlanError::State);
        }
        match object.get("format_version") {
            Some(Value::String(version)) if is_known(version) => {}
            Some(Value::String(version)) => return Err(PlanError::Version(version.clone())),
            _ => return Err(PlanError::NotPlan("it has no format_version".into())),
        }
        if lacks("planned_values") && lacks("resource_changes") {
            return Err(PlanError::NotPlan(
                "it has neither planned_values nor resource_changes".into(),
            ));
        }
        // What serde says may quote values, which may be secret.
        serde_json::from_value(value)
            .map_err(|_| PlanError::NotPlan("a part of it has another type than it should".into()))
    }

    /// What exists after the plan is applied: resources, and data sources that are read only then.
    pub(super) fn planned(&self) -> Vec<Planned<'_>> {
        let deferred = self.deferred_changes.iter().map(|deferred| &deferred.resource_change);
        let mut planned = Vec::new();
        for change in self.resource_changes.iter().chain(deferred) {
            let actions = &change.change.actions;
            let goes = actions.iter().all(|it| it == "delete" || it == "forget");
            if !change.deposed.is_empty() || (goes && !actions.is_empty()) {
                continue;
            }
            let created = actions.iter().any(|action| action == "create");
            planned.push(Planned {
                address: &change.address,
                mode: change.mode,
                kind: &change.kind,
                after: &change.change.after,
                unknown: &change.change.after_unknown,
                sensitive: &change.change.after_sensitive,
                before: if created { NULL } else { &change.change.before },
            });
        }
        // Terraform lists all of them among the changes; a program that filters plans may not.
        let known: std::collections::BTreeSet<&str> =
            planned.iter().map(|planned| planned.address).collect();
        let mut rest = Vec::new();
        all(&self.planned_values.root_module, &mut rest);
        rest.retain(|planned| !known.contains(planned.address));
        planned.extend(rest);
        planned
    }

    /// The data sources that were read when the plan was made.
    pub(super) fn data_read(&self) -> Vec<Planned<'_>> {
        let mut read = Vec::new();
        all(&self.prior_state.values.root_module, &mut read);
        read.retain(|planned| planned.mode == Mode::Data);
        read
    }
}

fn all<'a>(module: &'a Module, into: &mut Vec<Planned<'a>>) {
    into.extend(module.resources.iter().map(|resource| Planned {
        address: &resource.address,
        mode: resource.mode,
        kind: &resource.kind,
        after: &resource.values,
        unknown: NULL,
        sensitive: &resource.sensitive_values,
        before: NULL,
    }));
    for child in &module.child_modules {
        all(child, into);
    }
}

fn is_known(version: &str) -> bool {
    matches!(version, "0.1" | "0.2") || version.split_once('.').is_some_and(|it| it.0 == "1")
}

/// Whether the first line is a JSON object of Terraform's machine-readable log.
fn is_log(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line: Option<serde_json::Map<String, Value>> = serde_json::from_slice(line).ok();
    line.is_some_and(|line| line.contains_key("@level"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(bytes: &[u8]) -> PlanError {
        Plan::read(bytes).expect_err("not a plan")
    }

    #[test]
    fn files_that_are_not_plans_have_their_own_errors() {
        assert_eq!(error(b""), PlanError::Empty);
        assert_eq!(error(b" \n"), PlanError::Empty);
        assert_eq!(error(b"PK\x03\x04\x14\x00\x08"), PlanError::Saved);
        assert_eq!(error(b"{\"a\":\n {\"b\""), PlanError::CutOff { line: 2, column: 5 });
        assert!(matches!(error(b"Terraform will perform"), PlanError::NotJson { line: 1, .. }));
        assert_eq!(error(b"{\"@level\":\"info\"}\n{\"@level\":\"info\"}\n"), PlanError::Log);
        assert_eq!(error(br#"{"format_version":"1.0","values":{}}"#), PlanError::State);
        assert_eq!(error(br#"{"version":4,"serial":1,"lineage":"x"}"#), PlanError::State);
        assert!(matches!(error(b"[]"), PlanError::NotPlan(_)));
        assert!(matches!(error(b"{}"), PlanError::NotPlan(_)));
        assert!(matches!(error(br#"{"format_version":"1.2"}"#), PlanError::NotPlan(_)));
        let newer = error(br#"{"format_version":"2.0","planned_values":{}}"#);
        assert_eq!(newer, PlanError::Version("2.0".into()));
        let odd = br#"{"format_version":"1.2","planned_values":{"root_module":"secret"}}"#;
        assert!(!error(odd).to_string().contains("secret"));
    }

    #[test]
    fn deleted_resources_are_not_planned() {
        let plan = r#"{"format_version":"1.2","resource_changes":[
            {"address":"a.gone","mode":"managed","change":{"actions":["delete"],"after":null}},
            {"address":"a.forgotten","mode":"managed","change":{"actions":["forget"]}},
            {"address":"a.old","mode":"managed","deposed":"1","change":{"actions":["delete"]}},
            {"address":"a.new","mode":"managed",
             "change":{"actions":["delete","create"],"before":{"ami":"x"},"after":{"ami":"x"}}},
            {"address":"a.kept","mode":"managed",
             "change":{"actions":["no-op"],"before":{"ami":"x"},"after":{"ami":"x"}}}]}"#;
        let plan = Plan::read(plan.as_bytes()).expect("a plan");
        let planned = plan.planned();
        let addresses: Vec<&str> = planned.iter().map(|planned| planned.address).collect();
        assert_eq!(addresses, ["a.new", "a.kept"]);
        assert!(planned[0].before.is_null() && !planned[1].before.is_null());
    }
}
