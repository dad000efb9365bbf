//! After random edits of random templates, a build that uses the cache leaves what one without it
//! leaves.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::world::World;
use crate::step_cache::StepCacheOptions;

/// A provisioner of a template, with a number that makes it differ from others.
#[derive(Debug, Clone)]
struct Step {
    kind: u8,
    number: u8,
    /// `pause_before`, `max_retries` and the like.
    own: u8,
}

/// A template and the files beside it.
#[derive(Debug, Clone)]
struct Model {
    steps: Vec<Step>,
    variable: u8,
    files: [u8; 3],
    executable: bool,
    /// What a link in the directory leads to.
    link: u8,
    source: u8,
}

/// What can change.
#[derive(Debug, Clone)]
enum Edit {
    Variable(u8),
    File(usize, u8),
    Executable,
    Link(u8),
    Source(u8),
    Step(usize, Step),
    Insert(usize, Step),
    Remove(usize),
    Swap(usize, usize),
    /// The same again.
    Nothing,
}

const KINDS: u8 = 17;

fn step() -> impl Strategy<Value = Step> {
    (0..KINDS, 0..3u8, 0..8u8).prop_map(|(kind, number, own)| Step { kind, number, own })
}

fn model() -> impl Strategy<Value = Model> {
    (
        prop::collection::vec(step(), 1..6),
        0..3u8,
        [0..3u8, 0..3, 0..3],
        any::<bool>(),
        0..3u8,
        0..2u8,
    )
        .prop_map(|(steps, variable, files, executable, link, source)| Model {
            steps,
            variable,
            files,
            executable,
            link,
            source,
        })
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..3u8).prop_map(Edit::Variable),
        (0..3usize, 0..3u8).prop_map(|(file, text)| Edit::File(file, text)),
        Just(Edit::Executable),
        (0..3u8).prop_map(Edit::Link),
        (0..2u8).prop_map(Edit::Source),
        (any::<usize>(), step()).prop_map(|(at, step)| Edit::Step(at, step)),
        (any::<usize>(), step()).prop_map(|(at, step)| Edit::Insert(at, step)),
        any::<usize>().prop_map(Edit::Remove),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Edit::Swap(a, b)),
        Just(Edit::Nothing),
    ]
}

impl Model {
    fn edit(&mut self, edit: Edit) {
        let count = self.steps.len();
        match edit {
            Edit::Variable(variable) => self.variable = variable,
            Edit::File(file, text) => self.files[file] = text,
            Edit::Executable => self.executable = !self.executable,
            Edit::Link(link) => self.link = link,
            Edit::Source(source) => self.source = source,
            Edit::Step(at, step) if count > 0 => self.steps[at % count] = step,
            Edit::Insert(at, step) => self.steps.insert(at % (count + 1), step),
            Edit::Remove(at) if count > 1 => drop(self.steps.remove(at % count)),
            Edit::Swap(a, b) if count > 0 => self.steps.swap(a % count, b % count),
            _ => {}
        }
    }

    /// Writes all of it.
    fn write(&self, dir: &Path) {
        let at = |name: &str| dir.join(name);
        let mode = if self.executable { 0o755 } else { 0o644 };
        for (index, text) in self.files.iter().enumerate() {
            let path = at(&format!("file{index}"));
            std::fs::write(&path, format!("text {text} ${{upper(\"x\")}}")).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        std::fs::create_dir_all(at("tree/inside")).unwrap();
        std::fs::write(at("tree/inside/a"), format!("tree {}", self.files[0])).unwrap();
        std::fs::write(at("now"), "${timestamp()}").unwrap();
        let _ = std::fs::remove_file(at("tree/link"));
        std::os::unix::fs::symlink(format!("../file{}", self.link), at("tree/link")).unwrap();
        std::fs::write(at("t.pkr.hcl"), self.template(&dir.display().to_string())).unwrap();
    }

    fn template(&self, dir: &str) -> String {
        let name = format!("n{}", self.source);
        let mut text = format!(
            "variable \"v\" {{\n  default = \"value {}\"\n}}\nvariable \"s\" {{\n  default = \
             \"secret {}\"\n  sensitive = true\n}}\nlocals {{\n  l = upper(var.v)\n  t = \"at \
             ${{timestamp()}}\"\n  u = \"of ${{local.t}}\"\n}}\nsource \"null\" \"{name}\" {{\n  \
             communicator = \"none\"\n}}\nbuild {{\n  sources = [\"source.null.{name}\"]\n",
            self.variable, self.variable
        );
        for Step { kind, number, own } in &self.steps {
            let own = match own {
                0 => "pause_before = \"1ms\"",
                1 => "max_retries = 2",
                2 => "timeout = \"5m\"",
                3 => "continue_on_error = true",
                _ => "",
            };
            let shell = |options: String| ("shell", options);
            let (plugin, options) = match kind {
                0 => shell(format!("inline = [\"echo {number}\"]")),
                1 => shell(format!("script = \"{dir}/file{number}\"")),
                2 => shell(format!("scripts = [\"{dir}/file0\", \"{dir}/file{number}\"]")),
                3 => shell("inline = [\"echo ${var.v}\"]".into()),
                4 => shell("inline = [\"x\"]\n    env = { S = var.s }".into()),
                5 => shell("inline = [\"echo ${local.l}\"]".into()),
                6 => shell("inline = [\"echo ${local.u}\"]".into()),
                7 => shell("inline = [\"echo ${build.ID} ${source.name}\"]".into()),
                8 => shell(format!(
                    "inline = [\"x\"]\n    execute_command = \"run{number} {{{{.Vars}}}} {{{{.Path}}}}\""
                )),
                9 => {
                    shell("inline = [\"x\"]\n    execute_command = \"{{ .ID }} {{.Path}}\"".into())
                }
                10 => shell(format!(
                    "inline = [\"x\"]\n    override = {{ {name} = {{ inline = [\"{number}\"] }} }}"
                )),
                11 => (
                    "file",
                    format!("content = \"{{{{ user `v` }}}}\"\n    destination = \"/{number}\""),
                ),
                12 => {
                    ("file", format!("source = \"{dir}/file{number}\"\n    destination = \"/d/\""))
                }
                13 => {
                    let slash = if *number == 0 { "/" } else { "" };
                    ("file", format!("source = \"{dir}/tree{slash}\"\n    destination = \"/t\""))
                }
                14 => (
                    "file",
                    format!("content = file(\"{dir}/file{number}\")\n    destination = \"/f\""),
                ),
                15 => (
                    "file",
                    format!(
                        "content = templatefile(\"{dir}/now\", {{}})\n    destination = \"/n\""
                    ),
                ),
                _ => shell("inline = [\"date {{ isotime }}\"]".into()),
            };
            let _ = write!(text, "  provisioner \"{plugin}\" {{\n    {options}\n    {own}\n  }}\n");
        }
        text + "}\n"
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_build_that_uses_the_cache_leaves_what_one_without_leaves() {
    // On two cores: it goes on when all other tests of the crate have ended.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| compare_builds(500));
        }
    });
}

/// Compares builds that use the cache with builds that do not, for so many templates.
fn compare_builds(cases: u32) {
    let runtime = runtime();
    let (cached, builds) = (RefCell::new(0), RefCell::new(0));
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let edits = prop::collection::vec(edit(), 1..2);
    let result = runner.run(&(model(), edits), |(mut model, edits)| {
        let world = World::new();
        let mut edits = edits.into_iter();
        loop {
            model.write(world.dir.path());
            let options = StepCacheOptions { enabled: true, ..StepCacheOptions::default() };
            let with = runtime.block_on(world.build(true, "base", options.clone()));
            // Before the first edit there is nothing in the cache.
            if world.builds.load(Relaxed) > 0 {
                let without = runtime.block_on(world.build(false, "base", options));
                prop_assert_eq!(with.done, without.done);
                *cached.borrow_mut() += with.cached;
                *builds.borrow_mut() += 1;
            }
            world.builds.fetch_add(1, Relaxed);
            match edits.next() {
                Some(edit) => model.edit(edit),
                None => return Ok(()),
            }
        }
    });
    result.unwrap();
    // It is of use, too.
    let (cached, builds) = (cached.into_inner(), builds.into_inner());
    assert!(cached > builds / 2, "{cached} steps in {builds} builds came from the cache");
}
