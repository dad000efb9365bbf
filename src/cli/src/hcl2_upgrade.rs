//! `ingot hcl2_upgrade`

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ingot_engine::{Project, ProjectOptions};
use ingot_hcl::{Diagnostic, Diagnostics, SourceMap};
use ingot_json_template::upgrade::{self, Form, Kind};
use ingot_sdk::file_work::with_suffix;
use ingot_sdk::{OptionSpec, OptionType, OutputFile, PluginSet, Schema};
use ingot_template::load;
use ingot_ui::Redactor;

use super::args::UpgradeArgs;
use super::output::diagnostic_of;

/// Writes a JSON template as HCL2: 0 if all of it could be.
pub(super) fn run(args: &UpgradeArgs, plugins: PluginSet) -> ExitCode {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let written = write(args, plugins, &mut sources, &mut diagnostics);
    let color = std::io::stderr().is_terminal();
    super::show(&diagnostics, &sources, &Redactor::default(), color);
    let code = u8::from(diagnostics.has_errors());
    if let Some(path) = written {
        // Packer's words.
        super::answer(&format!("Successfully created {}. Exit {code}", path.display()));
    }
    code.into()
}

/// Writes the file; where. What is wrong with the template goes to `diagnostics`.
fn write(
    args: &UpgradeArgs,
    plugins: PluginSet,
    sources: &mut SourceMap,
    diagnostics: &mut Diagnostics,
) -> Option<PathBuf> {
    let files = diagnostics.keep(load::find(&args.template))?;
    let Some(path) = files.legacy else {
        let shown = args.template.display();
        diagnostics.push(
            Diagnostic::error(format!("{shown} is an HCL2 template already"))
                .help("give a legacy JSON template"),
        );
        return None;
    };
    let template = load::parse_legacy(&path, sources, diagnostics)?;
    // What Packer says of it does not keep it from writing either.
    let mut found = Diagnostics::default();
    template.check(&mut found);
    for mut diagnostic in found {
        diagnostic.severity = ingot_hcl::Severity::Warning;
        diagnostics.push(diagnostic);
    }
    let known = KnownPlugins(with_installed(&path, plugins));
    let upgraded = upgrade::upgrade(&template, &known, args.with_annotations);
    let output = args.output_file.clone().unwrap_or_else(|| with_suffix(&path, ".pkr.hcl"));
    let written = OutputFile::save(&output, upgraded.text.as_bytes());
    diagnostics.keep(written.map_err(|error| diagnostic_of(&error)))?;
    for unknown in &upgraded.unknown {
        diagnostics.push(
            Diagnostic::error(format!("{unknown} is not known"))
                .help("name its plugin in required_plugins of the file that was written"),
        );
    }
    if upgraded.left > 0 {
        let (count, output) = (upgraded.left, output.display());
        let what = if count == 1 { "place is" } else { "places are" };
        diagnostics.push(
            Diagnostic::warning(format!("{count} {what} left to be written in HCL2"))
                .help(format!("look for TODO in {output}")),
        );
    }
    Some(output)
}

/// What is built in, and what the installed plugins have that the template at `path` uses.
fn with_installed(path: &Path, plugins: PluginSet) -> PluginSet {
    // What comes from a pipe was read, and cannot be read again.
    let can_be_read_again = path.metadata().is_ok_and(|found| found.is_file());
    if path.as_os_str() == load::STANDARD_INPUT || !can_be_read_again {
        return plugins;
    }
    let options = ProjectOptions { plugins, lenient: true, ..Default::default() };
    // The template need not be valid to be written, and what is wrong with it was reported.
    let mut ignored = Diagnostics::default();
    let mut project = Project::load(path, &options, &mut ignored);
    project.evaluate(&options, &mut ignored);
    project.plugins
}

/// The plugins whose options are known.
struct KnownPlugins(PluginSet);

impl KnownPlugins {
    fn schema(&self, kind: Kind, ty: &str) -> Option<Schema> {
        match kind {
            Kind::Builder => self.0.builders.get(ty).map(|plugin| plugin.schema()),
            Kind::Provisioner => self.0.provisioners.get(ty).map(|plugin| plugin.schema()),
            Kind::PostProcessor => self.0.post_processors.get(ty).map(|plugin| plugin.schema()),
        }
    }
}

impl KnownPlugins {
    /// The option at a path of names, whose case does not matter.
    fn option(&self, kind: Kind, ty: &str, path: &[&str]) -> Option<OptionSpec> {
        let mut schema = self.schema(kind, ty)?;
        let (last, parents) = path.split_last()?;
        for name in parents {
            schema = match of_name(&schema, name)?.ty.clone() {
                OptionType::Block(inner) | OptionType::Blocks(inner) => inner,
                _ => return None,
            };
        }
        of_name(&schema, last).cloned()
    }
}

fn of_name<'s>(schema: &'s Schema, name: &str) -> Option<&'s OptionSpec> {
    let same = || schema.options.iter().find(|option| option.name.eq_ignore_ascii_case(name));
    schema.get(name).or_else(same)
}

impl upgrade::Plugins for KnownPlugins {
    fn has(&self, kind: Kind, ty: &str) -> bool {
        self.schema(kind, ty).is_some()
    }

    fn form(&self, kind: Kind, ty: &str, path: &[&str]) -> Option<Form> {
        Some(match self.option(kind, ty, path)?.ty {
            OptionType::Block(_) | OptionType::Blocks(_) => Form::Block,
            OptionType::List(item) if !matches!(*item, OptionType::List(_)) => Form::List,
            OptionType::Map(_) => Form::Map,
            OptionType::Bool => Form::Bool,
            _ => Form::Attribute,
        })
    }

    fn spelling(&self, kind: Kind, ty: &str, path: &[&str]) -> Option<String> {
        self.option(kind, ty, path).map(|option| option.name)
    }
}
