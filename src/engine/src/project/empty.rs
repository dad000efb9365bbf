//! Projects without a template, for the console and for what is evaluated on its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::functions::FunctionContext;
use ingot_hcl::source::SourceMap;
use ingot_sdk::{PluginSet, Secrets, Ui};
use ingot_template::variables::VariableInputs;
use ingot_template::{Companion, Template, load};

use super::{Project, ProjectOptions, sink};
use crate::stores::stores;

impl Project {
    /// A project without a template, for evaluating expressions. `ui` is where stores that functions
    /// read from speak, and `plugins` says what reads secrets of AWS.
    pub fn empty(ui: Option<&Ui>, plugins: &PluginSet) -> Project {
        let mut project = Project::without_template(ui, plugins);
        project.evaluate(&ProjectOptions::default(), &mut Diagnostics::default());
        project
    }

    /// A project without a legacy JSON template, for rendering what strings in one may hold. It has the
    /// variables that `options` gives values.
    pub fn empty_legacy(options: &ProjectOptions, diagnostics: &mut Diagnostics) -> Project {
        let mut project = Project::without_template(options.fetch_data.as_ref(), &options.plugins);
        if let Some(legacy) = load::empty_legacy(&mut project.sources) {
            project.template = Template::of_legacy(PathBuf::new(), legacy);
        }
        project.evaluate(options, diagnostics);
        project
    }

    /// One of which nothing is evaluated. `ui` and `plugins` are as in [`Project::empty`].
    pub(super) fn without_template(ui: Option<&Ui>, plugins: &PluginSet) -> Project {
        let secrets = Secrets::default();
        Project {
            sources: SourceMap::default(),
            template: Template::default(),
            builds: Vec::new(),
            registry: None,
            companion: Companion::default(),
            companions: Vec::new(),
            readable: true,
            sound: true,
            evaluated: true,
            file: None,
            auto_variables: Vec::new(),
            variable_inputs: VariableInputs::default(),
            names: BTreeMap::new(),
            functions: FunctionContext {
                secrets: sink(&secrets),
                stores: stores(ui, plugins),
                ..FunctionContext::new(".", time::OffsetDateTime::now_utc())
            },
            plugins: PluginSet::default(),
            built_in: PluginSet::default(),
            secrets,
            run_uuid: String::new(),
            #[cfg(feature = "plugin-host")]
            releases_only: false,
            user_variables: OnceLock::new(),
            environment_variables: Arc::default(),
        }
    }
}
