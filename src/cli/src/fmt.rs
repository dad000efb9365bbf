//! `ingot fmt`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::FmtArgs;
use super::output::diagnostic_of;
use ingot_hcl::decoded::Decoded;
use ingot_hcl::format::format;
use ingot_hcl::parse::parse_body;
use ingot_hcl::source::{read_decoded, read_decoded_from};
use ingot_hcl::{Diagnostic, Diagnostics, SourceMap};
use ingot_sdk::OutputFile;
use ingot_template::load::{COMPANION, conceal_unparsed, without_quotes};
use ingot_ui::Redactor;

/// How files of variables end, of which no line is shown: it may hold a secret.
const VARIABLES: &str = ".pkrvars.hcl";

/// What `-check` ends with if something is not formatted; Packer's.
const NOT_FORMATTED: u8 = 3;

/// Brings files into canonical layout: 0 if that went well, 1 if a file could not be read, parsed
/// or written, which leaves it as it is and the others formatted.
pub(super) fn run(args: &FmtArgs) -> ExitCode {
    let mut run = Run {
        args,
        write: args.write && !args.check,
        changed: false,
        sources: SourceMap::default(),
        diagnostics: Diagnostics::default(),
    };
    for path in &args.paths {
        if path.as_os_str() == "-" {
            run.standard_input();
        } else if path.is_dir() {
            run.directory(path);
        } else if is_template(path) {
            run.file(path);
        } else {
            let problem = match path.exists() {
                true => "is not a template or variables file",
                false => "does not exist",
            };
            let error = Diagnostic::error(format!("{} {problem}", path.display()));
            run.diagnostics.push(
                error.help("give a directory, or a .pkr.hcl, .pkrvars.hcl or .ingot.hcl file"),
            );
        }
    }
    let color = std::io::stderr().is_terminal();
    super::show(&run.diagnostics, &run.sources, &Redactor::default(), color);
    match run.changed && args.check {
        _ if run.diagnostics.has_errors() => ExitCode::FAILURE,
        true => ExitCode::from(NOT_FORMATTED),
        false => ExitCode::SUCCESS,
    }
}

fn is_template(path: &Path) -> bool {
    let name = path.to_string_lossy();
    [".pkr.hcl", VARIABLES, COMPANION].iter().any(|ending| name.ends_with(ending))
}

/// Whether a name in a directory is skipped: hidden files and what editors leave behind.
fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || name.starts_with('#') && name.ends_with('#')
}

/// Whether a text is a template: a file of variables begins with a value.
fn begins_with_block(text: &str) -> bool {
    let is_code = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with(['#', '/', '*'])
    };
    text.lines().find(is_code).is_some_and(opens_block)
}

/// Whether a line is the beginning of a block, such as `source "docker" "web" {`: no variable's value.
fn opens_block(line: &str) -> bool {
    let line = line.trim();
    let named = line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    named && line.ends_with('{') && !line.contains(['=', ':', '#'])
}

struct Run<'a> {
    args: &'a FmtArgs,
    write: bool,
    changed: bool,
    sources: SourceMap,
    diagnostics: Diagnostics,
}

impl Run<'_> {
    fn directory(&mut self, directory: &Path) {
        let entries = std::fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.fail("read the directory", directory, &error),
        };
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            if is_ignored(&entry.file_name().to_string_lossy()) {
                continue;
            }
            // Without the dots that say nothing: `./a.pkr.hcl` is shown as `a.pkr.hcl`.
            let path: PathBuf = entry
                .path()
                .components()
                .filter(|part| *part != std::path::Component::CurDir)
                .collect();
            // As in Packer, links to directories are not followed.
            if entry.file_type().is_ok_and(|ty| ty.is_dir()) {
                if self.args.recursive {
                    self.directory(&path);
                }
            } else if is_template(&path) {
                self.file(&path);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let read = match read_decoded(path).and_then(Decoded::into_hcl) {
            Ok(read) => read,
            Err(error) => return self.fail("read", path, &error),
        };
        let text = &read.text;
        let Some(formatted) = self.formatted(&path.display().to_string(), text) else { return };
        if formatted == *text {
            return;
        }
        if self.write
            && let Err(error) = OutputFile::save(path, &read.restore(&formatted))
        {
            return self.diagnostics.push(diagnostic_of(&error));
        }
        self.changed = true;
        let mut out = format!("{}\n", path.display());
        if self.args.diff {
            let (old, new) = (format!("old/{}", path.display()), format!("new/{}", path.display()));
            let diff = similar::TextDiff::from_lines(text, &formatted);
            out.push_str(&diff.unified_diff().header(&old, &new).to_string());
        }
        super::write_answer(out.as_bytes());
    }

    fn standard_input(&mut self) {
        let read = read_decoded_from(std::io::stdin().lock()).and_then(Decoded::into_hcl);
        let read = match read {
            Ok(read) => read,
            Err(error) => return self.fail("read", Path::new("standard input"), &error),
        };
        let Some(formatted) = self.formatted("<stdin>", &read.text) else { return };
        let changed = formatted != read.text;
        self.changed |= changed;
        if self.write || !changed {
            super::write_answer(&read.restore(&formatted));
        }
    }

    /// The text in canonical layout, if it can be parsed.
    fn formatted(&mut self, name: &str, text: &str) -> Option<String> {
        let file = self.sources.add(name, text);
        if name.ends_with(VARIABLES) {
            self.sources.conceal_all(file);
        }
        let mut found = Diagnostics::default();
        let body = parse_body(&self.sources, file, &mut found);
        let good = !found.has_errors();
        if !good {
            conceal_unparsed(&mut self.sources, file, false);
            // What has values outside of blocks is a file of variables, whatever its name; of a
            // template whose only block is broken no block is left.
            if body.blocks.is_empty() && !begins_with_block(text) {
                self.sources.conceal_all(file);
            }
        }
        let found = found.into_iter().map(|error| without_quotes(error, &self.sources));
        self.diagnostics.extend(found);
        good.then(|| format(text))
    }

    fn fail(&mut self, what: &str, path: &Path, error: &std::io::Error) {
        let error = Diagnostic::error(format!("cannot {what} {}: {error}", path.display()));
        self.diagnostics.push(error);
    }
}
