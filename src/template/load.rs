//! Finding and parsing the files of a template.

use std::path::{Path, PathBuf};

use crate::syntax::ast::Body;
use crate::syntax::diagnostic::{Diagnostic, Diagnostics};
use crate::syntax::parse::parse_body;
use crate::syntax::source::SourceMap;

/// The files a template is made of.
#[derive(Debug, Default)]
pub struct TemplateFiles {
    /// The folder that relative paths and `path.root` mean.
    pub dir: PathBuf,
    /// `*.pkr.hcl`
    pub templates: Vec<PathBuf>,
    /// `*.auto.pkrvars.hcl`, in the order they apply.
    pub auto_variables: Vec<PathBuf>,
}

/// Finds the files that `path`, a folder or a file, stands for.
///
/// # Errors
/// There is nothing there, or no template in it.
pub fn find(path: &Path) -> Result<TemplateFiles, Diagnostic> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| {
        Diagnostic::error(format!("cannot read the template {shown}: {error}"))
            .help("give a folder with *.pkr.hcl files, or one such file")
    })?;
    if !metadata.is_dir() {
        if path.to_string_lossy().ends_with(".json") {
            return Err(Diagnostic::error(format!(
                "{shown}: JSON templates are not supported yet"
            ))
            .help("convert it with `packer hcl2_upgrade`, or write it as .pkr.hcl"));
        }
        if !path.to_string_lossy().ends_with(".pkr.hcl") {
            return Err(Diagnostic::error(format!("{shown} is no template"))
                .help("templates are files whose names end in .pkr.hcl"));
        }
        let dir = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        return Ok(TemplateFiles {
            dir,
            templates: vec![path.to_owned()],
            auto_variables: Vec::new(),
        });
    }
    let mut files = TemplateFiles { dir: path.to_owned(), ..Default::default() };
    let entries = std::fs::read_dir(path)
        .map_err(|error| Diagnostic::error(format!("cannot read the folder {shown}: {error}")))?;
    let mut json = None;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            continue;
        }
        if name.ends_with(".pkr.hcl") {
            files.templates.push(entry.path());
        } else if name.ends_with(".auto.pkrvars.hcl") {
            files.auto_variables.push(entry.path());
        } else if name.ends_with(".pkr.json") || name.ends_with(".auto.pkrvars.json") {
            json = Some(entry.path());
        }
    }
    if let Some(json) = json {
        return Err(Diagnostic::error(format!(
            "{}: JSON templates and variable files are not supported yet",
            json.display()
        ))
        .help("write it as .pkr.hcl or .auto.pkrvars.hcl"));
    }
    if files.templates.is_empty() {
        return Err(Diagnostic::error(format!("there is no template in {shown}"))
            .help("templates are files whose names end in .pkr.hcl"));
    }
    files.templates.sort();
    files.auto_variables.sort();
    Ok(files)
}

/// Reads and parses one file.
///
/// # Errors
/// It cannot be read, or is not HCL.
pub fn read_body(sources: &mut SourceMap, path: &Path) -> Result<Body, Diagnostic> {
    let file = sources
        .read(path)
        .map_err(|error| Diagnostic::error(format!("cannot read {}: {error}", path.display())))?;
    parse_body(sources, file)
}

/// Reads and parses the template's files. One that cannot be parsed is reported and left out.
pub fn parse(
    files: &TemplateFiles,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Vec<Body> {
    let bodies = files.templates.iter().map(|path| read_body(sources, path));
    bodies.filter_map(|body| diagnostics.keep(body)).collect()
}
