//! What plugins know of a project before they run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ingot_hcl::Value;
use ingot_hcl::diagnostic::Diagnostic;
use ingot_hcl::functions::json_text;
use ingot_sdk::interpolate::Interpolation;
use ingot_sdk::{OnError, PrepareContext, UserVariable};
use tokio_util::sync::CancellationToken;

use super::Project;
use crate::graph::Node;

/// Flags that plugins see.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunFlags {
    /// `-force`
    pub force: bool,
    /// `-debug`
    pub debug: bool,
    /// `-on-error`
    pub on_error: OnError,
    /// Whether the run goes on with what an earlier one kept.
    pub resumes: bool,
}

/// The variables that are `in_environment`, as plugins see them.
pub(super) fn environment_variables(
    values: &BTreeMap<String, Value>,
    in_environment: &BTreeSet<String>,
) -> Arc<BTreeMap<String, Option<String>>> {
    let text = |value: &Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => json_text(value),
    };
    let set = values.iter().filter(|(name, _)| in_environment.contains(*name));
    let shown = |value: &Value| (!value.holds_secret()).then(|| text(value));
    Arc::new(set.map(|(name, value)| (name.clone(), shown(value))).collect())
}

impl Project {
    /// What plugins of a node know before they run.
    pub fn prepare_context(&self, node: &Node, flags: &RunFlags) -> PrepareContext {
        self.source_context(&node.ty, &node.block_name, flags)
    }

    /// What the builder of a source block knows before it runs.
    pub(crate) fn source_context(&self, ty: &str, name: &str, flags: &RunFlags) -> PrepareContext {
        PrepareContext {
            build_name: name.to_owned(),
            build_type: ty.to_owned(),
            ..self.context_without_node(flags)
        }
    }

    fn user_variables(&self) -> Arc<BTreeMap<String, UserVariable>> {
        let gather = || {
            let values = self.names.get("var").and_then(Value::as_entries);
            let texts = values.into_iter().flatten();
            let texts = texts.filter_map(|(name, value)| {
                let (sensitive, value) = (value.sensitive, value.as_str()?.to_owned());
                Some((name.clone(), UserVariable { value, sensitive }))
            });
            Arc::new(texts.collect())
        };
        self.user_variables.get_or_init(gather).clone()
    }

    /// The names of the input variables that are sensitive.
    fn sensitive_variables(&self) -> Arc<[String]> {
        let values = self.names.get("var").and_then(Value::as_entries);
        let sensitive = values.into_iter().flatten().filter(|(_, value)| value.sensitive);
        sensitive.map(|(name, _)| name.clone()).collect()
    }

    /// `text` with what `{{ }}` in it come to. What has no value passes, as in Packer's console.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn render(&self, text: &str) -> Result<String, Diagnostic> {
        let context = self.context_without_node(&RunFlags::default());
        let interpolation = Interpolation::new(&context).leniently();
        let rendered = interpolation.render(text, &serde_json::Value::Null);
        rendered.map_err(|error| Diagnostic::error(error.to_string()))
    }

    /// What `{{ }}` in the variables of a legacy JSON template see.
    pub(super) fn context_of_variables(&self) -> PrepareContext {
        PrepareContext {
            template_dir: self.template.dir.clone(),
            secrets: self.secrets.clone(),
            start: Some(self.functions.start),
            ..PrepareContext::default()
        }
    }

    pub(super) fn context_without_node(&self, flags: &RunFlags) -> PrepareContext {
        PrepareContext {
            build_name: String::new(),
            build_type: String::new(),
            template_dir: self.template.dir.clone(),
            json_template: self.template.legacy.is_some(),
            force: flags.force,
            debug: flags.debug,
            on_error: flags.on_error,
            resumes: flags.resumes,
            user_variables: self.user_variables(),
            sensitive_variables: self.sensitive_variables(),
            environment_variables: self.environment_variables.clone(),
            build_values: Arc::default(),
            secrets: self.secrets.clone(),
            run_uuid: self.run_uuid.clone(),
            start: Some(self.functions.start),
            cancel: CancellationToken::new(),
        }
    }
}
