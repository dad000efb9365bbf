//! `ingot fix`

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use ingot_hcl::{Diagnostic, Diagnostics, SourceMap};
use ingot_json_template::fix;
use ingot_template::load;
use ingot_ui::Redactor;
use serde_json::Value;

use super::args::FixArgs;

/// Prints a JSON template with the options of old versions brought up to date: 0 if that went well
/// and the result is a valid template.
pub(super) fn run(args: &FixArgs) -> ExitCode {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    if let Some(fixed) = fixed(&args.template, &mut sources, &mut diagnostics) {
        super::answer(&fixed);
        if args.validate {
            validate(fixed, &mut sources, &mut diagnostics);
        }
    }
    let color = std::io::stderr().is_terminal();
    super::show(&diagnostics, &sources, &Redactor::default(), color);
    match diagnostics.has_errors() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// The text of the fixed template. What keeps it from being fixed goes to `diagnostics`.
fn fixed(path: &Path, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Option<String> {
    let files = diagnostics.keep(load::find(path))?;
    let Some(path) = files.legacy else {
        diagnostics.push(
            Diagnostic::error(format!("{} is an HCL2 template", path.display()))
                .help("`ingot fix` fixes legacy JSON templates; `ingot validate` checks this one"),
        );
        return None;
    };
    let text = load::read_legacy(&path, sources, diagnostics)?;
    // Its own message says where, but shows no line.
    let wrong = |why: String| Diagnostic::error(format!("{}: {why}", path.display()));
    let parsed = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("this is not valid JSON: {error}")));
    let mut template = match diagnostics.keep(parsed)? {
        Value::Object(template) => template,
        _ => {
            diagnostics.push(wrong("this is not a JSON object".to_owned()));
            return None;
        }
    };
    diagnostics
        .keep(fix::fix(&mut template).map_err(|why| wrong(format!("cannot be fixed: {why}"))))?;
    match serde_json::to_string_pretty(&Value::Object(template)) {
        Ok(text) => Some(text),
        Err(error) => {
            diagnostics.push(wrong(error.to_string()));
            None
        }
    }
}

/// Checks the fixed template as far as it can be without its plugins.
fn validate(fixed: String, sources: &mut SourceMap, diagnostics: &mut Diagnostics) {
    let file = sources.add("<fixed template>", fixed);
    let template = ingot_json_template::read(sources, file, diagnostics);
    load::conceal_unparsed(sources, file, true);
    if let Some(template) = template {
        template.check(diagnostics);
    }
}
