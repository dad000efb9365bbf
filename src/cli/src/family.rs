//! Reading the templates of a family, for `build -stale` and `plan -family`.

use std::path::PathBuf;

use ingot_engine::ProjectOptions;
use ingot_family::{Family, Standing, arrange, find_templates, read_member};
use ingot_hcl::{Diagnostic, Diagnostics, SourceMap};
use ingot_publish::changes::connect_to_read;
use ingot_registry::only_reading;
use ingot_sdk::{PluginSet, Result, Ui};
use ingot_template::variables::VariableFlag;
use ingot_ui::Redactor;

use super::args::{Selection, Variables};

/// Reads the templates that `paths` stand for and puts them into order; none if something is wrong,
/// which is shown.
pub(super) fn read(
    paths: &[PathBuf],
    plugins: PluginSet,
    variables: &Variables,
    selection: &Selection,
    releases_only: bool,
    redactor: &Redactor,
) -> Option<Family> {
    let color = super::may_color(&std::io::stderr());
    let show = |diagnostics: &Diagnostics, sources: &SourceMap| {
        super::show(diagnostics, sources, redactor, color);
    };
    let mut diagnostics = Diagnostics::default();
    let templates = find_templates(paths, &mut diagnostics);
    let mut broken = diagnostics.has_errors();
    show(&diagnostics, &SourceMap::default());
    let options = ProjectOptions {
        plugins,
        variables: variables.0.clone(),
        releases_only,
        ..ProjectOptions::default()
    };
    let mut members = Vec::new();
    for template in &templates {
        let mut found = Diagnostics::default();
        let selection = (&*selection.only, &*selection.except);
        let (project, member) = read_member(template, &options, selection, &mut found);
        // What one template hides is hidden in what is shown of all.
        project.secrets().hide(|secret| redactor.add(secret), |text| redactor.add_whole(text));
        redactor.keep(project.public_names());
        show(&found, &project.sources);
        broken |= member.is_none();
        members.extend(member);
    }
    if broken {
        return None;
    }
    let mut diagnostics = Diagnostics::default();
    for flag in &variables.0 {
        let taken = members.iter().any(|member| member.variables.contains(flag));
        if let (VariableFlag::Value(text), false) = (flag, taken) {
            let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
            diagnostics.push(
                Diagnostic::error(format!("no template of the family has a variable `{name}`"))
                    .help("remove the -var, or declare the variable in a template"),
            );
        }
    }
    let family = match diagnostics.has_errors() {
        true => None,
        false => arrange(members, &mut diagnostics),
    };
    show(&diagnostics, &SourceMap::default());
    family
}

/// How the members stand in the registry, which is only read. Where that is a file that is not there,
/// none was built.
pub(super) async fn standings(family: &Family, ui: &Ui) -> Result<Vec<Standing>> {
    only_reading(async {
        match connect_to_read(ui).await? {
            Some(connected) => ingot_family::standings(&connected, &family.members).await,
            None => Ok(family.members.iter().map(Standing::never_built).collect()),
        }
    })
    .await
}
