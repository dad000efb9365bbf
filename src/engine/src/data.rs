//! Gives `data` blocks their values: placeholders for `validate`, the real ones for the rest.

use ingot_sdk::{Error, FetchValue, PluginSet, Prepare, PrepareContext, Result, Ui};
use ingot_template::dynamic::{Names, Part};
use ingot_template::locals_and_data::FetchData;
use ingot_template::option_types::object_type;
use ingot_template::options::{BlockOptions, from_json};
use ingot_template::packer_block::RequiredPlugin;
use tokio::runtime::Runtime;

use super::blocks::{Check, find, label_span};
use super::signals::or_cancelled;
use ingot_hcl::ast::Block;
use ingot_hcl::convert::convert;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::types::Type;
use ingot_hcl::{Scope, Value};

/// The data sources of a run.
pub(super) struct DataSources<'a> {
    pub plugins: &'a PluginSet,
    pub context: PrepareContext,
    pub required: &'a [RequiredPlugin],
    /// Where those that are fetched speak; none leaves the values unknown.
    pub ui: Option<&'a Ui>,
    /// The same for those that read the registry of images.
    pub registry_ui: Option<&'a Ui>,
    /// Runs the fetches; made for the first.
    pub runtime: Option<Runtime>,
}

impl DataSources<'_> {
    fn fetch_value(&mut self, data: &dyn FetchValue, ui: &Ui) -> Result<serde_json::Value> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Error::new(format!("cannot fetch data: {error}")))?,
        };
        let runtime = self.runtime.insert(runtime);
        runtime.block_on(or_cancelled(data.fetch_value(ui)))
    }
}

impl FetchData for DataSources<'_> {
    fn fetch(&mut self, block: &Block, scope: &Scope, diagnostics: &mut Diagnostics) -> Value {
        let broken = diagnostics.has_errors();
        let (kind, name) = (block.label(0), format!("data.{}.{}", block.label(0), block.label(1)));
        let (known, place) = (&self.plugins.data_sources, label_span(block));
        let found = find("data source", kind, place, known, self.required, diagnostics);
        let Some(plugin) = found.cloned() else {
            return Value::unknown(Type::Dynamic);
        };
        let part = Part { body: block.body.clone(), names: Names::new() };
        let given = BlockOptions { parts: &[&part], overrides: None, header: block.header };
        let output = plugin.output();
        let ty = object_type(&output);
        let plugin: &dyn Prepare<dyn FetchValue> = &*plugin;
        let mut check = Check { context: &self.context, diagnostics };
        let ui = self.ui.or(self.registry_ui.filter(|_| plugin.facts().reads_registry));
        // Where something failed before, options may be unknown for it, which is not a mistake as well.
        let Some(ui) = ui.filter(|_| !broken) else {
            check.check(given, plugin, &[], scope);
            return Value::unknown(ty);
        };
        let Some(data) = check.prepare(given, plugin, &[], scope) else {
            return Value::unknown(ty);
        };
        let fetched = self.fetch_value(&*data.ready, ui).and_then(|json| {
            convert(&from_json(&json), &ty).map_err(|error| Error::new(error.to_string()))
        });
        match fetched {
            Ok(value) => {
                let secret = |name: &str| output.get(name).is_some_and(|option| option.sensitive);
                let entries = value.as_entries().into_iter().flatten();
                Value::object(
                    entries
                        .map(|(name, value)| (name.clone(), value.clone().mark(secret(name))))
                        .collect(),
                )
            }
            Err(error) => {
                let diagnostic = Diagnostic::error(format!("{name} could not be fetched"))
                    .at(block.header)
                    .label(error.to_string());
                diagnostics.push(match error.advice() {
                    Some(advice) => diagnostic.help(advice),
                    None => diagnostic,
                });
                Value::unknown(ty)
            }
        }
    }
}
