//! What stands beside a template that is read as a single file. Packer reads only that file too,
//! which surprises those whose variables are in the one next to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::blocks::Template;
use super::load::{self, TemplateFiles};
use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::source::SourceMap;

/// Says of what is declared nowhere in the template `file` which file beside it declares it.
pub fn point_to(file: &Path, diagnostics: &mut Diagnostics) {
    if diagnostics.iter().all(|diagnostic| diagnostic.missing.is_none()) {
        return;
    }
    let dir = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let declared = declared_beside(file, dir);
    for diagnostic in diagnostics.iter_mut() {
        // Taken, so that it is not said twice.
        let Some(address) = diagnostic.missing.take() else { continue };
        if let Some(path) = declared.get(&address) {
            diagnostic.notes = vec![format!(
                "help: it is declared in {}, which is not read; give the directory instead of the \
                 file: {}",
                path.display(),
                dir.display()
            )];
        }
    }
}

/// What the other templates of a directory declare, by how expressions refer to it.
fn declared_beside(file: &Path, dir: &Path) -> BTreeMap<String, PathBuf> {
    let mut declared = BTreeMap::new();
    let files = load::find(dir).unwrap_or_default();
    for path in files.templates {
        if path.file_name() == file.file_name() {
            continue;
        }
        // What is wrong in it is not what the user asks for.
        let mut ignored = Diagnostics::default();
        let one = TemplateFiles { templates: vec![path.clone()], ..TemplateFiles::default() };
        let bodies = load::parse(&one, &mut SourceMap::default(), &mut ignored);
        let template = Template::collect(dir.to_owned(), bodies, &mut ignored);
        let variables = template.variables.keys().map(|name| format!("var.{name}"));
        let locals = template.locals.keys().map(|name| format!("local.{name}"));
        let sources = template.sources.keys().map(|(ty, name)| format!("source.{ty}.{name}"));
        let data = template.data.keys();
        let data = data.flat_map(|(ty, name)| [format!("data.{ty}"), format!("data.{ty}.{name}")]);
        let all = variables.chain(locals).chain(sources).chain(data);
        declared.extend(all.map(|address| (address, path.clone())));
    }
    declared
}
