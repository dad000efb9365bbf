//! `ingot console`

use std::collections::VecDeque;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use ingot_engine::{Project, ProjectOptions};
use ingot_sdk::{Error, PluginSet, Ui};
use ingot_ui::{Renderer, UiOptions};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler, KeyEvent,
    Movement, RepeatCount,
};

use super::args::{ConfigType, ConsoleArgs};
use ingot_hcl::Diagnostics;
use ingot_hcl::parse::parse_expr;
use ingot_hcl::source::SourceMap;
use ingot_hcl::{Expr, Type, Value, eval, print};

const HELP: &str = "\
Type an expression, such as upper(\"a\") or var.name, and press enter to see its value.

  variables  lists the variables and locals of the template
  help       shows this
  exit       leaves, as do Ctrl-D, and Ctrl-C on an empty line";

/// Evaluates expressions: from a terminal each as it is typed, else all lines of standard input,
/// of which only the last one's value is shown.
pub(super) fn run(args: &ConsoleArgs, plugins: PluginSet) -> ExitCode {
    let mut diagnostics = Diagnostics::default();
    let color = std::io::stderr().is_terminal();
    let asks_json = args.ignored_flags.config_type == Some(ConfigType::Json);
    if args.template.is_none() && !asks_json && !args.variables.0.is_empty() {
        eprintln!(
            "error: -var and -var-file are for the variables of a template; name one, or give \
             -config-type=json"
        );
        return ExitCode::FAILURE;
    }
    // What data sources warn of is no part of a value that a script reads.
    let renderer = Renderer::new(UiOptions { to_stderr: true, ..UiOptions::default() });
    let redactor = renderer.redactor();
    super::logging::start_with(&renderer);
    let ui = Ui::new(renderer);
    let options = ProjectOptions {
        plugins,
        variables: args.variables.0.clone(),
        fetch_data: Some(ui.clone()),
        ..Default::default()
    };
    let project = match &args.template {
        Some(path) => {
            let mut project = Project::load(path, &options, &mut diagnostics);
            project.evaluate(&options, &mut diagnostics);
            project
        }
        None if asks_json => Project::empty_legacy(&options, &mut diagnostics),
        None => Project::empty(Some(&ui), &options.plugins),
    };
    let json = project.template.legacy.is_some();
    project.secrets().hide_in(&ui);
    redactor.keep(project.public_names());
    super::show(&diagnostics, &project.sources, &redactor, color);
    // People inspect templates that still have errors: values that cannot be evaluated are unknown.
    if !project.is_readable() || args.template.is_none() && diagnostics.has_errors() {
        return ExitCode::FAILURE;
    }
    let prompt = std::io::stdin().is_terminal();
    let mut input = Input::open();
    // As in Packer, a script does not get 0 for values of a template that is invalid.
    let mut failed = !json && !project.sound;
    let mut last = String::new();
    loop {
        let line = match input.line(prompt, json) {
            ReadInput::Line(line) => line,
            ReadInput::Unreadable(error) => {
                failed = true;
                super::show_error(&error, &redactor);
                continue;
            }
            ReadInput::End => break,
            ReadInput::Failed(error) => return super::output::failed(&error, &redactor),
            ReadInput::Interrupted => return ExitCode::from(INTERRUPTED),
        };
        let line = line.trim();
        if prompt && line == "exit" {
            break;
        }
        let answered = match json {
            true => answer_json(&project, line).map(Response::known),
            false => respond(&project, line),
        };
        last = match answered {
            Ok(response) => {
                failed |= response.lacks_value;
                // What a data source makes of a secret is one too.
                redactor.apply(&response.text)
            }
            Err((diagnostics, sources)) => {
                failed = true;
                super::show(&diagnostics, &sources, &redactor, color);
                continue;
            }
        };
        if prompt {
            super::answer(&last);
        }
    }
    if prompt {
        return ExitCode::SUCCESS;
    }
    super::answer(&last);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The exit code of a program that Ctrl-C ends.
const INTERRUPTED: u8 = 130;

/// Where lines come from.
enum Input {
    /// A person, who edits them and gets earlier ones back, and what is waiting of several that were
    /// pasted at once. Earlier ones are in memory only: values may be secret.
    Editor(Box<Editor<(), MemHistory>>, VecDeque<String>),
    Plain,
}

/// What was read from the user.
enum ReadInput {
    Line(String),
    /// A line that is no text. Others may follow.
    Unreadable(Error),
    End,
    Interrupted,
    Failed(Error),
}

impl Input {
    fn open() -> Input {
        let open = || -> rustyline::Result<_> {
            let mut editor = Editor::<(), _>::with_history(Config::default(), MemHistory::new())?;
            let clear = EventHandler::Conditional(Box::new(ClearLine));
            editor.bind_sequence(KeyEvent::ctrl('C'), clear);
            Ok(editor)
        };
        let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        match on_terminal.then(open) {
            Some(Ok(editor)) => Input::Editor(Box::new(editor), VecDeque::new()),
            _ => Input::Plain,
        }
    }

    fn line(&mut self, prompt: bool, json: bool) -> ReadInput {
        let Input::Editor(editor, waiting) = self else { return plain_line(prompt) };
        loop {
            if let Some(line) = waiting.pop_front() {
                return ReadInput::Line(line);
            }
            match editor.readline(PROMPT) {
                Ok(text) => {
                    let _ = editor.add_history_entry(text.as_str());
                    waiting.extend(entries(&text, json));
                }
                Err(ReadlineError::Interrupted) => return ReadInput::Interrupted,
                Err(_) => return ReadInput::End,
            }
        }
    }
}

/// What is evaluated of a text that was pasted: each of its lines, or all of them where only together
/// they are an expression.
fn entries(text: &str, json: bool) -> Vec<String> {
    if !text.contains('\n') {
        return vec![text.to_owned()];
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_one = !json && !lines.iter().all(|line| is_expression(line)) && is_expression(text);
    match is_one {
        true => vec![text.to_owned()],
        false => lines.into_iter().map(str::to_owned).collect(),
    }
}

fn is_expression(text: &str) -> bool {
    let mut sources = SourceMap::default();
    let file = sources.add("<console>", text);
    parse_expr(&sources, file).is_ok()
}

const PROMPT: &str = "> ";

fn plain_line(prompt: bool) -> ReadInput {
    if prompt {
        let mut out = std::io::stdout();
        let _ = out.write_all(PROMPT.as_bytes()).and_then(|()| out.flush());
    }
    let mut line = Vec::new();
    match std::io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(0) => ReadInput::End,
        Ok(_) => match String::from_utf8(line) {
            Ok(line) => ReadInput::Line(line),
            Err(error) => {
                let line = String::from_utf8_lossy(error.as_bytes());
                let message = format!("this line is not UTF-8 text: {}", line.trim_end());
                ReadInput::Unreadable(Error::new(message))
            }
        },
        Err(error) => ReadInput::Failed(Error::from(error).context("reading standard input")),
    }
}

/// Ctrl-C empties a line that something was typed in; it ends the console on an empty one.
struct ClearLine;

impl ConditionalEventHandler for ClearLine {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        (!context.line().is_empty()).then_some(Cmd::Kill(Movement::WholeBuffer))
    }
}

const JSON_HELP: &str = "\
Type what a string in a JSON template may hold, such as {{timestamp}} or {{user `name`}}, and press
enter to see what becomes of it.

  variables  lists the variables of the template
  help       shows this
  exit       leaves, as do Ctrl-D, and Ctrl-C on an empty line";

/// The console's response to a line about a legacy JSON template.
fn answer_json(project: &Project, line: &str) -> Result<String, (Diagnostics, SourceMap)> {
    match line {
        "" | "exit" => return Ok(String::new()),
        "help" => return Ok(JSON_HELP.to_owned()),
        "variables" => {
            let values = project.names.get("var").and_then(Value::as_entries);
            let lines = values.into_iter().flatten().map(|(name, value)| {
                let shown = match (value.sensitive, value.as_str()) {
                    (true, _) => "<sensitive>",
                    (false, text) => text.unwrap_or_default(),
                };
                format!("{name}: {shown},\n")
            });
            return Ok(format!("\n{}", lines.collect::<String>()));
        }
        _ => {}
    }
    project.render(line).map_err(|error| (error.into(), SourceMap::default()))
}

/// What the console says to a line.
///
/// # Errors
/// What is wrong with it, and the texts that the places in that are places in.
pub fn answer(project: &Project, line: &str) -> Result<String, (Diagnostics, SourceMap)> {
    respond(project, line).map(|response| response.text)
}

/// What is shown for a line.
struct Response {
    text: String,
    /// Whether the value is not known, as a local or data source has a mistake.
    lacks_value: bool,
}

impl Response {
    fn known(text: String) -> Self {
        Response { text, lacks_value: false }
    }
}

fn respond(project: &Project, line: &str) -> Result<Response, (Diagnostics, SourceMap)> {
    match line {
        "" | "exit" => return Ok(Response::known(String::new())),
        "help" => return Ok(Response::known(HELP.to_owned())),
        "variables" => return Ok(Response::known(print::variables(&project.names))),
        _ => {}
    }
    // Every line is a text of its own, so that a place in it is a place in the line.
    let mut sources = SourceMap::default();
    let file = sources.add("<console>", line);
    let mut scope = project.scope();
    // Only a build has one; until then it is unknown.
    scope.set("source", Value::unknown(Type::Dynamic));
    let evaluated = parse_expr(&sources, file).and_then(|expr| {
        let value = eval(&expr, &scope)?;
        let lacks_value =
            !project.evaluated && !value.is_wholly_known() && uses_locals_or_data(&expr);
        Ok(Response { text: print::lines(&value), lacks_value })
    });
    evaluated.map_err(|error| (error.into(), sources))
}

fn uses_locals_or_data(expr: &Expr) -> bool {
    let mut paths = expr.references().into_iter().filter_map(Expr::reference);
    paths.any(|path| matches!(path.as_slice(), ["local" | "data", ..]))
}
