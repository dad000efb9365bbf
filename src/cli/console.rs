//! `ingot console`

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use ingot_sdk::Ui;

use super::args::ConsoleArgs;
use crate::engine::{Project, ProjectOptions};
use crate::syntax::Diagnostics;
use crate::syntax::parse::parse_expr;
use crate::syntax::source::SourceMap;
use crate::template::{eval, print};
use crate::ui::{Renderer, UiOptions};

/// Evaluates one expression per line of standard input.
pub(super) fn run(args: &ConsoleArgs) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let options = ProjectOptions {
        variables: args.variables.0.clone(),
        fetch_data: Some(Ui::new(Renderer::new(UiOptions::default()))),
        ..Default::default()
    };
    let project = match &args.template {
        Some(path) => Project::open(path, &options, &mut diagnostics),
        None => Project::empty(),
    };
    let color = std::io::stderr().is_terminal();
    super::show(&diagnostics, &project.sources, color);
    if diagnostics.has_errors() {
        return ExitCode::FAILURE;
    }
    let prompt = std::io::stdin().is_terminal();
    let mut failed = false;
    loop {
        if prompt {
            print!("> ");
            let _ = std::io::stdout().flush();
        }
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        match line.trim() {
            "" => continue,
            "exit" => break,
            "help" => println!(
                "Type an expression, such as upper(\"a\") or var.name, to see its value; exit to \
                 leave."
            ),
            "variables" => {
                for name in project.names.keys() {
                    println!("{name}");
                }
            }
            text => {
                // Every line is a text of its own, so that a place in it is a place in the line.
                let mut sources = SourceMap::default();
                let file = sources.add("<console>", text);
                let value =
                    parse_expr(&sources, file).and_then(|expr| eval(&expr, &project.scope()));
                match value {
                    Ok(value) => println!("{}", print::lines(&value)),
                    Err(error) => {
                        failed = true;
                        super::show(&error.into(), &sources, color);
                    }
                }
            }
        }
    }
    if failed && !prompt { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
