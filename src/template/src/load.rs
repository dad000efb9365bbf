//! Finding and parsing the files of a template.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::blocks::{JSON_SHAPE, TOP_LEVEL};
use ingot_hcl::ast::{Attribute, Block, Body, ExprKind};
use ingot_hcl::diagnostic::{Diagnostic, Diagnostics, closest};
use ingot_hcl::functions::clean_path;
use ingot_hcl::json::{self, Texts};
use ingot_hcl::parse::parse_body;
use ingot_hcl::source::{FileId, SourceMap, Span, read_decoded, read_decoded_from};
use ingot_hcl::tokens::word;

/// The files a template is made of.
#[derive(Debug, Default)]
pub struct TemplateFiles {
    /// The directory that relative paths and `path.root` mean.
    pub dir: PathBuf,
    /// `*.pkr.hcl`, then `*.pkr.json`.
    pub templates: Vec<PathBuf>,
    /// A legacy JSON template, which stands alone; `-` is standard input.
    pub legacy: Option<PathBuf>,
    /// `*.ingot.hcl`: what Packer has no blocks for. Of a single file `web.pkr.hcl` or `web.json`
    /// that is `web.ingot.hcl`.
    pub companions: Vec<PathBuf>,
    /// `*.auto.pkrvars.hcl`, then `*.auto.pkrvars.json`: the order they apply in.
    pub auto_variables: Vec<PathBuf>,
}

/// A directory's shortest name, as Packer gives it for `path.root`. Where a link makes that name
/// another directory's, it stays as it is.
fn shortest(directory: &Path) -> PathBuf {
    let short = directory.to_str().map(|name| PathBuf::from(clean_path(name)));
    let same = |short: &PathBuf| {
        let found = short.canonicalize().ok();
        directory.as_os_str().is_empty()
            || found.is_some() && found == directory.canonicalize().ok()
    };
    short.filter(same).unwrap_or_else(|| directory.to_owned())
}

/// Finds the files that `path`, a directory or a file, stands for.
///
/// # Errors
/// There is nothing there, or no template in it.
pub fn find(path: &Path) -> Result<TemplateFiles, Diagnostic> {
    let shown = path.display();
    if path.as_os_str() == STANDARD_INPUT {
        let legacy = Some(path.to_owned());
        return Ok(TemplateFiles { dir: PathBuf::from("."), legacy, ..Default::default() });
    }
    let metadata = std::fs::metadata(path).map_err(|error| {
        let wrong = Diagnostic::error(format!("cannot read the template {shown}: {error}"));
        if let Ok(target) = std::fs::read_link(path) {
            let missing = match error.kind() {
                ErrorKind::NotFound => ", which is not there",
                _ => "",
            };
            return wrong.help(format!("it is a symbolic link to {}{missing}", target.display()));
        }
        match similar(path) {
            Some(there) => wrong.help(format!("there is {}", there.display())),
            None => wrong
                .help("give a directory with *.pkr.hcl files, one such file, or a JSON template"),
        }
    })?;
    if !metadata.is_dir() {
        let name = path.to_string_lossy();
        let hcl2 = name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json");
        // What is read of a pipe is gone: parsing says what is wrong with it.
        let can_look = metadata.is_file() && !hcl2 && !name.ends_with(".json");
        if can_look && !looks_like_json(path) {
            return Err(Diagnostic::error(format!("{shown} is not a template")).help(
                "templates are files whose names end in .pkr.hcl or .pkr.json, and legacy JSON \
                 templates",
            ));
        }
        let dir = path.parent().map_or_else(|| PathBuf::from("."), shortest);
        let companions = companion_of(path).into_iter().collect();
        let path = path.to_owned();
        return Ok(match hcl2 {
            true => TemplateFiles { dir, templates: vec![path], companions, ..Default::default() },
            false => TemplateFiles { dir, legacy: Some(path), companions, ..Default::default() },
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
    files.companions.extend(ending(COMPANION));
    let auto = ending(".auto.pkrvars.hcl").chain(ending(".auto.pkrvars.json"));
    files.auto_variables.extend(auto);
    if files.templates.is_empty() {
        return Err(Diagnostic::error(format!("there is no template in {shown}"))
            .help("templates are files whose names end in .pkr.hcl or .pkr.json"));
    }
    Ok(files)
}

/// A file or directory beside a path that is not there, whose name is like its.
fn similar(path: &Path) -> Option<PathBuf> {
    let own = path.file_name()?.to_str()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = std::fs::read_dir(parent.unwrap_or(Path::new("."))).ok()?;
    let names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        // Its own is there where the directory must not be searched.
        .filter(|name| !name.starts_with('.') && name != own)
        .collect();
    let name = closest(own, names.iter().map(String::as_str))?;
    Some(path.with_file_name(name))
}

/// How the name of a companion file ends.
pub const COMPANION: &str = ".ingot.hcl";

/// The companion file of a template that is a single file, if there is one.
fn companion_of(template: &Path) -> Option<PathBuf> {
    let name = template.file_name()?.to_str()?;
    let endings = [".pkr.hcl", ".pkr.json", ".json"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let path = template.with_file_name(format!("{stem}{COMPANION}"));
    // What is there and cannot be read, such as a link that leads nowhere, is not passed over.
    (path.symlink_metadata().is_ok() && !path.is_dir()).then_some(path)
}

/// Reads and parses the companion files. One that cannot be parsed is reported and left out.
pub fn parse_companions(
    files: &TemplateFiles,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Vec<Body> {
    let mut bodies = Vec::new();
    for path in &files.companions {
        let Some(file) = read(sources, path, false, diagnostics) else { continue };
        let mut found = Diagnostics::default();
        let body = parse_body(sources, file, &mut found);
        if !found.has_errors() {
            bodies.push(body);
        }
        diagnostics.extend(found);
    }
    bodies
}

/// Reads and parses one file of a template. None if it cannot be read; what is wrong in it is added
/// to `diagnostics`.
fn read_template(
    sources: &mut SourceMap,
    path: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Body> {
    let file = read(sources, path, is_json(path), diagnostics)?;
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
    if let (Some(Attribute { name_span, .. }), true) = (old, body.is_json()) {
        diagnostics.push(old_form(path).at(*name_span));
        return None;
    }
    Some(body)
}

/// The path that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// Whether the first character of a file, after white space, is a brace: only legacy JSON templates
/// may have any name.
fn looks_like_json(path: &Path) -> bool {
    let Ok(read) = read_decoded(path) else { return true };
    read.text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

fn legacy_file(
    path: &Path,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<FileId> {
    if path.as_os_str() != STANDARD_INPUT {
        return read(sources, path, true, diagnostics);
    }
    let read = read_decoded_from(std::io::stdin().lock()).map_err(|error| {
        Diagnostic::error(format!("cannot read the template on standard input: {error}"))
    });
    let file = sources.add_read("<stdin>", diagnostics.keep(read)?);
    warn_of_replaced(sources, file, diagnostics);
    Some(file)
}

/// The text of a legacy JSON template. None if it cannot be read; why is added to
/// `diagnostics`.
pub fn read_legacy(
    path: &Path,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let file = legacy_file(path, sources, diagnostics)?;
    Some(sources.json_text(file).into_owned())
}

/// Reads and parses a legacy JSON template. None if it cannot be read; what is wrong in it
/// is added to `diagnostics`.
pub fn parse_legacy(
    path: &Path,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<ingot_json_template::Template> {
    let file = legacy_file(path, sources, diagnostics)?;
    let mut found = Diagnostics::default();
    let template = ingot_json_template::read(sources, file, &mut found);
    match &template {
        None => conceal_unparsed(sources, file, true),
        Some(template) => {
            let sensitive = template.variables.iter().filter(|variable| variable.sensitive);
            let defaults: Vec<Span> =
                sensitive.filter_map(|one| one.default.as_ref()).map(|text| text.span).collect();
            defaults.into_iter().for_each(|span| sources.conceal(span));
        }
    }
    diagnostics.extend(found.into_iter().map(|error| without_quotes(error, sources)));
    template
}

/// A legacy JSON template with nothing in it.
pub fn empty_legacy(sources: &mut SourceMap) -> Option<ingot_json_template::Template> {
    let file = sources.add("<no template>", "{}");
    ingot_json_template::read(sources, file, &mut Diagnostics::default())
}

/// The error of a legacy JSON template whose file has the name of an HCL2 template.
fn old_form(path: &Path) -> Diagnostic {
    let shown = path.display();
    Diagnostic::error(format!("{shown} is a legacy JSON template, but is named as an HCL2 one"))
        .help("rename it to end in .json alone, or convert it: ingot hcl2_upgrade")
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
    let file = read(sources, path, is_json(path), diagnostics)?;
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

/// Reads and parses a file of values in JSON, whatever its name is. See [`read_variables`].
pub fn read_json_variables(
    sources: &mut SourceMap,
    path: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Body> {
    let file = read(sources, path, true, diagnostics)?;
    sources.conceal_all(file);
    let parsed = json::parse_body(sources, file, &json::ATTRIBUTES, Texts::Plain);
    let parsed = parsed.map_err(|error| without_quotes(error, sources));
    diagnostics.keep(parsed.map_err(|error| match is_json(path) {
        true => error,
        false => error.help("files of variables for a JSON template are JSON"),
    }))
}

/// Reads a file, of JSON or HCL. None if it cannot be read; why is added to `diagnostics`.
fn read(
    sources: &mut SourceMap,
    path: &Path,
    json: bool,
    diagnostics: &mut Diagnostics,
) -> Option<FileId> {
    let read = match json {
        true => sources.read_json(path),
        false => sources.read(path),
    };
    let cannot = |error| Diagnostic::error(format!("cannot read {}: {error}", path.display()));
    let file = diagnostics.keep(read.map_err(cannot))?;
    if json {
        warn_of_replaced(sources, file, diagnostics);
    }
    Some(file)
}

/// Warns of a text of JSON that is not UTF-8, or has halves of characters. As in Packer it is read all the
/// same.
fn warn_of_replaced(sources: &SourceMap, file: FileId, diagnostics: &mut Diagnostics) {
    if let Some(span) = sources.half_character(file) {
        let warning = Diagnostic::warning("this is half of a character, which is read as U+FFFD");
        diagnostics.push(warning.at(span).help("write both halves, or the character itself"));
    }
    let Some(span) = sources.replaced(file) else { return };
    let warning =
        Diagnostic::warning("this is not UTF-8 text: each byte that is not is read as U+FFFD");
    diagnostics.push(warning.at(span).help("save the file as UTF-8"));
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
