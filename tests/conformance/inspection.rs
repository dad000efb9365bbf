//! What `inspect` shows, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The parts of what `inspect` shows.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inspection {
    /// Values of variables as they are shown, without the quotes around them.
    variables: BTreeMap<String, String>,
    /// Values of locals.
    locals: BTreeMap<String, String>,
    builds: Vec<Build>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Build {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    sources: Vec<String>,
    provisioners: Vec<String>,
    post_processors: Vec<Vec<String>>,
}

const TITLE: &str = "Packer Inspect: HCL2 mode\n\n";
const VARIABLES: &str = "> input-variables:\n\n";
const LOCALS: &str = "\n> local-variables:\n\n";
const BUILDS: &str = "\n> builds:\n";

impl Inspection {
    /// Reads what was shown; none if it is not laid out as expected.
    pub(crate) fn parse(text: &str) -> Option<Inspection> {
        let text = text.strip_prefix(TITLE)?.strip_prefix(VARIABLES)?;
        let (variables, text) = text.split_once(LOCALS)?;
        let (locals, text) = text.split_once(BUILDS)?;
        let mut builds: Vec<Build> = Vec::new();
        let mut section = "";
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(description) = line.strip_prefix("  > Description: ") {
                builds.last_mut()?.description = description.to_owned();
            } else if let Some(name) = line.strip_prefix("  > ") {
                let name = name.strip_suffix(':')?.to_owned();
                builds.push(Build { name, ..Build::default() });
            } else {
                let build = builds.last_mut()?;
                let depth = line.len() - line.trim_start().len();
                let word = line.trim_start();
                match (depth, section) {
                    (4, _) => section = word,
                    (6, _) if word.starts_with("<no ") => {}
                    (6, "sources:") => build.sources.push(word.to_owned()),
                    (6, "provisioners:") => build.provisioners.push(word.to_owned()),
                    (6, "post-processors:") => build.post_processors.push(Vec::new()),
                    (8, "post-processors:") => {
                        build.post_processors.last_mut()?.push(word.to_owned());
                    }
                    _ => return None,
                }
            }
        }
        Some(Inspection {
            variables: values(variables, "var.")?,
            locals: values(locals, "local.")?,
            builds,
        })
    }

    /// As it is shown.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{TITLE}{VARIABLES}");
        for (name, value) in &self.variables {
            text += &format!("var.{name}: \"{value}\"\n");
        }
        text += LOCALS;
        for (name, value) in &self.locals {
            text += &format!("local.{name}: \"{value}\"\n");
        }
        text += BUILDS;
        for build in &self.builds {
            text += &format!("\n  > {}:\n", build.name);
            if !build.description.is_empty() {
                text += &format!("\n  > Description: {}\n", build.description);
            }
            text += "\n    sources:\n";
            for source in &build.sources {
                text += &format!("\n      {source}\n");
            }
            if build.sources.is_empty() {
                text += "\n      <no source>\n";
            }
            text += "\n    provisioners:\n\n";
            for provisioner in &build.provisioners {
                text += &format!("      {provisioner}\n");
            }
            if build.provisioners.is_empty() {
                text += "      <no provisioner>\n";
            }
            text += "\n    post-processors:\n";
            for (index, chain) in build.post_processors.iter().enumerate() {
                text += &format!("\n      {index}:\n");
                for step in chain {
                    text += &format!("        {step}\n");
                }
            }
            if build.post_processors.is_empty() {
                text += "\n      <no post-processor>\n";
            }
        }
        // Every part ends its own last line, and is printed as a line of its own.
        text + "\n"
    }
}

fn values(text: &str, prefix: &str) -> Option<BTreeMap<String, String>> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.strip_prefix(prefix)?.split_once(": \"")?;
            Some((name.to_owned(), value.strip_suffix('"')?.to_owned()))
        })
        .collect()
}
