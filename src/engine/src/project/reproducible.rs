//! What a template comes to in every run: the same times, random values and data sources.

use std::collections::BTreeMap;

use ingot_hcl::ast::Block;
use ingot_hcl::diagnostic::Diagnostics;
use ingot_hcl::functions::{FunctionContext, SecretSink};
use ingot_hcl::{Scope, Unknowns, Value};
use ingot_sdk::PrepareContext;
use ingot_template::uses::Uses;
use ingot_template::{Companion, RegistryBlock, builds, companion, locals_and_data};

use super::{Project, packer};

/// What is compared with what was published besides the blocks of a build.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Compared {
    /// The tests of companion files.
    Tests,
    /// The registry block.
    Registry,
}

/// What blocks see in every run: see [`Project::reproducible`].
pub(crate) struct Reproducible {
    /// What functions know.
    pub functions: FunctionContext,
    /// `var`, `local` and the other names.
    pub names: BTreeMap<String, Value>,
}

impl Project {
    /// What blocks see, evaluated so that it is the same in every run as long as the template, its
    /// variables and what its data sources gave are: it is the epoch, and nothing is random.
    pub(crate) fn reproducible(&self) -> Reproducible {
        self.evaluated_with(FunctionContext {
            start: time::OffsetDateTime::UNIX_EPOCH,
            reproducible: true,
            ..self.functions.clone()
        })
    }

    /// The same with texts that stand for the secrets, so that what blocks make of it can be compared
    /// without them.
    pub(crate) fn concealed(&self) -> Reproducible {
        self.evaluated_with(FunctionContext {
            start: time::OffsetDateTime::UNIX_EPOCH,
            reproducible: true,
            conceals: true,
            // None of what comes of it is a secret.
            secrets: SecretSink::default(),
            ..self.functions.clone()
        })
    }

    fn evaluated_with(&self, functions: FunctionContext) -> Reproducible {
        // What is wrong was reported when it was evaluated first.
        let ignored = &mut Diagnostics::default();
        let context =
            PrepareContext { start: Some(functions.start), ..self.context_of_variables() };
        let variables =
            self.variable_values(&mut self.sources.clone(), &functions, &context, ignored);
        let conceal = |what: &str, value: Value| match functions.conceals {
            true => value.concealed(&format!("<{what}>")),
            false => value,
        };
        let variables = variables.values.into_iter().map(|(name, value)| {
            let value = conceal(&format!("var.{name}"), value);
            (name, value)
        });
        let mut names = self.names.clone();
        names.insert("var".into(), Value::object(variables.collect()));
        let own = |name: &str| Value::from(format!("<packer.{name}>"));
        names.insert("packer".into(), packer(own("iterationID"), own("versionFingerprint")));
        let data = names.get("data").map(|data| conceal("data", data.clone()));
        let fetched = data.into_iter().map(|data| ("data".to_owned(), data)).collect();
        let template = &self.template;
        let blocks = template.builds.iter().chain(template.sources.values());
        let bodies = blocks.chain(&template.registries).map(|block| &block.body);
        let bodies = bodies.chain(&self.companions);
        let scope = Scope::new(names.clone(), &functions);
        let values = locals_and_data::evaluate_again(template, &scope, &fetched, bodies, ignored);
        drop(scope);
        names.extend(values);
        Reproducible { functions, names }
    }

    /// What the companion files say with the names of `seen`.
    pub(crate) fn companion_in(&self, seen: &Reproducible) -> Companion {
        let scope = Scope::new(seen.names.clone(), &seen.functions);
        let ignored = &mut Diagnostics::default();
        companion::read(&self.companions, &self.builds, &scope, Unknowns::Allow, ignored)
    }

    /// What the registry block says with the names of `seen`; with the description that the build lends
    /// one inside of it, or one that is not written.
    pub(crate) fn registry_in(&self, seen: &Reproducible) -> RegistryBlock {
        let scope = Scope::new(seen.names.clone(), &seen.functions);
        let ignored = &mut Diagnostics::default();
        let registries = &self.template.registries;
        if let Some(outside) = builds::registry(registries, &scope, Unknowns::Allow, ignored) {
            return outside;
        }
        let builds = self.evaluated_builds(&scope, [Unknowns::Allow; 2], ignored);
        let inside = builds.iter().find_map(|build| build.registry.clone());
        let mut block = inside.unwrap_or_default();
        if let (true, Some(build)) = (block.description.is_empty(), builds.first()) {
            block.description = build.description.clone().unwrap_or_default();
        }
        block
    }

    /// Whether the tests or the registry block use data sources that were not fetched.
    pub(crate) fn is_open(&self, part: Compared) -> bool {
        let blocks: Vec<&Block> = match part {
            Compared::Tests => {
                let all = self.companions.iter().flat_map(|body| &body.blocks);
                all.filter(|block| block.kind == "test").collect()
            }
            Compared::Registry => {
                let inside = self.template.builds.iter().flat_map(|build| &build.body.blocks);
                let inside = inside.filter(|block| block.kind == "hcp_packer_registry");
                self.template.registries.iter().chain(inside).collect()
            }
        };
        let uses = Uses::of(&self.template, blocks.into_iter().map(|block| &block.body));
        let data = self.names.get("data").and_then(Value::as_entries);
        uses.data.iter().any(|(ty, name)| {
            let value = data.and_then(|data| data.get(ty)?.as_entries()?.get(name));
            !value.is_some_and(Value::is_wholly_known)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use ingot_template::variables::VariableFlag;

    use super::*;
    use crate::ProjectOptions;
    use crate::test_plugins::plugins;

    /// A pipe that somebody writes `text` to, once.
    fn pipe(path: &Path, text: &'static str) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        let path = path.to_owned();
        // It waits for whoever reads.
        std::thread::spawn(move || std::fs::write(path, text).unwrap());
    }

    /// `sops exec-file` gives secrets through one.
    #[test]
    fn what_pipes_gave_is_still_known() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let text = "variable \"x\" {\n  default = \"unset\"\n}\nlocals {\n  y = file(\"text\")\n}\n\
                    source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = \
                    [\"source.null.n\"]\n  provisioner \"shell-local\" {\n    inline = [local.y]\n  \
                    }\n}\n";
        std::fs::write(at("t.pkr.hcl"), text).unwrap();
        pipe(&at("v.pkrvars.hcl"), "x = \"given\"\n");
        pipe(&at("text"), "read");
        let options = ProjectOptions {
            plugins: plugins(),
            variables: vec![VariableFlag::File(at("v.pkrvars.hcl"))],
            ..Default::default()
        };
        let mut diagnostics = Diagnostics::default();
        let started = Instant::now();
        let mut project = Project::load(dir.path(), &options, &mut diagnostics);
        project.evaluate(&options, &mut diagnostics);
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render(&project.sources, false));
        for again in [project.reproducible(), project.concealed()] {
            let value =
                |root: &str, name: &str| again.names[root].as_entries().unwrap()[name].clone();
            assert_eq!(value("var", "x"), Value::from("given"));
            assert_eq!(value("local", "y"), Value::from("read"));
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it waits for the pipe");
    }
}
