//! Finding and parsing the files of a template.

use std::path::{Path, PathBuf};

use super::blocks::JSON_SHAPE;
use ingot_hcl::ast::Body;
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::json::{self, Texts};
use ingot_hcl::parse::parse_body;
use ingot_hcl::source::{FileId, SourceMap};

/// The files a template is made of.
#[derive(Debug, Default)]
pub struct TemplateFiles {
    /// The folder that relative paths and `path.root` mean.
    pub dir: PathBuf,
    /// `*.pkr.hcl`, then `*.pkr.json`.
    pub templates: Vec<PathBuf>,
    /// `*.auto.pkrvars.hcl`, then `*.auto.pkrvars.json`: the order they apply in.
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
        let name = path.to_string_lossy();
        if name.ends_with(".json") && !name.ends_with(".pkr.json") {
            return Err(Diagnostic::error(format!(
                "{shown} is a template of the old JSON form, which is not supported"
            ))
            .help("convert it with `packer hcl2_upgrade`; HCL2 in JSON has names in .pkr.json"));
        }
        if !name.ends_with(".pkr.hcl") && !name.ends_with(".pkr.json") {
            return Err(Diagnostic::error(format!("{shown} is no template"))
                .help("templates are files whose names end in .pkr.hcl or .pkr.json"));
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
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| !entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let ending = |ending: &'static str| {
        let names = names.iter().filter(move |name| name.ends_with(ending));
        names.map(|name| path.join(name))
    };
    files.templates.extend(ending(".pkr.hcl").chain(ending(".pkr.json")));
    let auto = ending(".auto.pkrvars.hcl").chain(ending(".auto.pkrvars.json"));
    files.auto_variables.extend(auto);
    if files.templates.is_empty() {
        return Err(Diagnostic::error(format!("there is no template in {shown}"))
            .help("templates are files whose names end in .pkr.hcl or .pkr.json"));
    }
    Ok(files)
}

/// Reads and parses one file of a template. None if it cannot be read; what is wrong in it is added
/// to `diagnostics`.
fn read_template(
    sources: &mut SourceMap,
    path: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Body> {
    let file = diagnostics.keep(read(sources, path))?;
    match is_json(path) {
        true => diagnostics.keep(json::parse_body(sources, file, &JSON_SHAPE, Texts::Templates)),
        false => Some(parse_body(sources, file, diagnostics)),
    }
}

/// Reads and parses one file of values for variables. None if it cannot be read; what is wrong in
/// it is added to `diagnostics`, without the lines it is in: which of them hold secrets is not
/// known before they can be read.
pub fn read_variables(
    sources: &mut SourceMap,
    path: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Body> {
    let file = diagnostics.keep(read(sources, path))?;
    let mut found = Diagnostics::default();
    let body = match is_json(path) {
        true => found.keep(json::parse_body(sources, file, &json::ATTRIBUTES, Texts::Plain)),
        false => Some(parse_body(sources, file, &mut found)),
    };
    diagnostics.extend(found.into_iter().map(|error| without_line(error, sources)));
    body
}

/// The same error without a line, or a quote, of the file of variables it is in.
pub fn without_line(error: Diagnostic, sources: &SourceMap) -> Diagnostic {
    // What quotes the text may quote a secret.
    let quotes = |text: &str| text.contains(['`', '"']);
    let message = match quotes(&error.message) {
        true => "this is not valid".to_owned(),
        false => error.message,
    };
    let place = error.span.map(|span| {
        let (line, column) = sources.position(span);
        format!("{}:{line}:{column}: ", sources.get(span.file).name)
    });
    let shown = Diagnostic::error(format!("{}{message}", place.unwrap_or_default()));
    let notes = error.notes.into_iter().filter(|note| !quotes(note));
    notes
        .fold(shown, Diagnostic::note)
        .note("the line is not shown, since files of variables may hold secrets")
}

fn read(sources: &mut SourceMap, path: &Path) -> Result<FileId, Diagnostic> {
    let read = sources.read(path);
    read.map_err(|error| Diagnostic::error(format!("cannot read {}: {error}", path.display())))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// Reads and parses the template's files. One that cannot be parsed is reported and left out.
pub fn parse(
    files: &TemplateFiles,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Vec<Body> {
    let paths = files.templates.iter();
    paths.filter_map(|path| read_template(sources, path, diagnostics)).collect()
}
