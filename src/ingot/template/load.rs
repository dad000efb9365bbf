//! Finding and parsing the files of a template.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::blocks::{JSON_SHAPE, TOP_LEVEL};
use ingot_hcl::ast::{Attribute, Block, Body, ExprKind};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics};
use ingot_hcl::json::{self, Texts};
use ingot_hcl::parse::parse_body;
use ingot_hcl::source::{FileId, SourceMap, Span};
use ingot_hcl::tokens::word;

/// The files a template is made of.
#[derive(Debug, Default)]
pub struct TemplateFiles {
    /// The directory that relative paths and `path.root` mean.
    pub dir: PathBuf,
    /// `*.pkr.hcl`, then `*.pkr.json`.
    pub templates: Vec<PathBuf>,
    /// `*.auto.pkrvars.hcl`, then `*.auto.pkrvars.json`: the order they apply in.
    pub auto_variables: Vec<PathBuf>,
}

/// Finds the files that `path`, a directory or a file, stands for.
///
/// # Errors
/// There is nothing there, or no template in it.
pub fn find(path: &Path) -> Result<TemplateFiles, Diagnostic> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| {
        Diagnostic::error(format!("cannot read the template {shown}: {error}"))
            .help("give a directory with *.pkr.hcl files, or one such file")
    })?;
    if !metadata.is_dir() {
        let name = path.to_string_lossy();
        if name.ends_with(".json") && !name.ends_with(".pkr.json") {
            return Err(old_form(path));
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
    let entries = std::fs::read_dir(path).map_err(|error| {
        Diagnostic::error(format!("cannot read the directory {shown}: {error}"))
    })?;
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
    let mut found = Diagnostics::default();
    let body = match is_json(path) {
        true => found.keep(json::parse_body(sources, file, &JSON_SHAPE, Texts::Templates)),
        false => Some(parse_body(sources, file, &mut found)),
    };
    if found.has_errors() {
        conceal_unparsed(sources, file, is_json(path));
    }
    if let Some(body) = &body {
        body.blocks.iter().for_each(|block| conceal_secrets(sources, block));
    }
    diagnostics.extend(found.into_iter().map(|error| without_quotes(error, sources)));
    let body = body?;
    let old = body.attributes.iter().find(|attribute| attribute.name == "builders");
    if let (Some(Attribute { name_span, .. }), true) = (old, body.from_json) {
        diagnostics.push(old_form(path).at(*name_span));
        return None;
    }
    Some(body)
}

/// A template of the form that Packer had before HCL2.
fn old_form(path: &Path) -> Diagnostic {
    let shown = path.display();
    Diagnostic::error(format!("{shown} is a template of the old JSON form, which is not supported"))
        .help("convert it with `packer hcl2_upgrade`; HCL2 in JSON has names in .pkr.json")
}

/// Conceals the values in a block that says they are sensitive, or is meant to.
fn conceal_secrets(sources: &mut SourceMap, block: &Block) {
    let secret: &[&str] = match block.kind.as_str() {
        "variable" => &["default"],
        "local" => &["expression"],
        "locals" | "variables" => &[],
        _ => return,
    };
    let sensitive = block.body.attribute("sensitive");
    if sensitive.is_none_or(|flag| matches!(flag.expr.kind, ExprKind::Bool(false))) {
        return;
    }
    for Attribute { name, expr, .. } in &block.body.attributes {
        if secret.contains(&name.as_str()) || secret.is_empty() && name != "sensitive" {
            sources.conceal(expr.span);
        }
    }
}

/// Conceals what may be the value of a sensitive variable in a file that cannot be parsed: in HCL
/// the blocks of variables and locals that have the word in them, in JSON all of it.
pub fn conceal_unparsed(sources: &mut SourceMap, file: FileId, json: bool) {
    let text = sources.get(file).text.clone();
    if !text.contains("sensitive") {
        return;
    }
    if json {
        sources.conceal_all(file);
        return;
    }
    let mut offset = 0;
    let mut blocks: Vec<(&str, Range<usize>)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let next = offset + line.len();
        let word = word(line);
        match blocks.last_mut() {
            // Other words at the margin are the text of a heredoc.
            Some((_, range)) if !TOP_LEVEL.contains(&word) => range.end = next,
            _ => blocks.push((word, offset..next)),
        }
        offset = next;
    }
    for (kind, range) in blocks {
        let Some(block) = text.get(range.clone()).filter(|block| block.contains("sensitive"))
        else {
            continue;
        };
        if !matches!(kind, "variable" | "local") {
            continue;
        }
        // The line with the name stays, if there is nothing else on it.
        let header = block.lines().next().filter(|line| line.trim_end().ends_with('{'));
        let start = range.start + header.map_or(0, |line| line.len() + 1);
        let end = range.start + block.trim_end().len();
        sources.conceal(Span { file, start: start as u32, end: end.max(start) as u32 });
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
    sources.conceal_all(file);
    let mut found = Diagnostics::default();
    let body = match is_json(path) {
        true => found.keep(json::parse_body(sources, file, &json::ATTRIBUTES, Texts::Plain)),
        false => Some(parse_body(sources, file, &mut found)),
    };
    diagnostics.extend(found.into_iter().map(|error| without_quotes(error, sources)));
    body
}

/// What a parser says of a place whose line is concealed, without its quotes of that line. What it
/// says of other places stays as it is.
pub fn without_quotes(error: Diagnostic, sources: &SourceMap) -> Diagnostic {
    if error.quotes_names_only || error.span.is_none_or(|span| sources.may_show(span)) {
        return error;
    }
    let message = match error.message.contains(['`', '"']) {
        true => "this is not valid".to_owned(),
        false => error.message,
    };
    let bare = Diagnostic {
        message,
        label: String::new(),
        related: Vec::new(),
        notes: Vec::new(),
        ..error
    };
    bare.help("a value is written NAME = \"value\", in quotes and on a line of its own")
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
