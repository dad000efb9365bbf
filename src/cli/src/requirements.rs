//! A template, as far as it says which plugins it requires.

use std::path::Path;

use ingot_engine::{Project, ProjectOptions};
use ingot_hcl::{Diagnostic, Diagnostics};
use ingot_sdk::PluginSet;
use ingot_template::variables::VariableFlag;

/// Reads a template that far. A legacy JSON template cannot require plugins, which is an error.
pub(super) fn read(
    template: &Path,
    plugins: PluginSet,
    variables: &[VariableFlag],
    diagnostics: &mut Diagnostics,
) -> Project {
    let options = ProjectOptions {
        plugins,
        variables: variables.to_vec(),
        syntax_only: true,
        ..ProjectOptions::default()
    };
    let mut project = Project::load(template, &options, diagnostics);
    project.evaluate(&options, diagnostics);
    if project.template.legacy.is_some() {
        diagnostics.push(
            Diagnostic::error("a JSON template cannot say which plugins it requires").help(
                "install them with `ingot plugins install`, or convert the template: \
                 ingot hcl2_upgrade",
            ),
        );
    }
    project
}
