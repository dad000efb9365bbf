//! The cache against a model of a machine: after random edits of random templates, a build that uses
//! the cache leaves what one without it leaves.
//!
//! The model remembers all that is done to it, in order. The plugins are the real ones.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use ingot_sdk::testing::{RecordedOutput, context};
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, GeneratedData, Hook, OutputSink, PluginSet,
    PrepareContext, Provisioning, RemoteCommand, Result, RunContext, Snapshots, StateKey, Ui, walk,
};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use regex::Regex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::index::CacheDirectory;
use super::{NodeCache, StepCache, StepCacheOptions};
use crate::graph::Filter;
use crate::hook::{Cleanup, NodeHook};
use crate::project::RunFlags;
use crate::test_plugins::plugins;
use crate::{FileJournal, KeepOptions, PreparedNode, Project, ProjectOptions, RunInfo, prepare};
use ingot_hcl::Diagnostics;

/// All that was done to a machine.
type Done = Vec<String>;

/// A machine that remembers what is done to it. Names of temporary files are the same each time.
#[derive(Default)]
struct Machine(Mutex<Done>);

static TEMPORARY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(script|varfile)_\d+\.sh").unwrap());

impl Machine {
    fn note(&self, what: String) {
        self.0.lock().push(TEMPORARY.replace_all(&what, "$1.sh").into_owned());
    }
}

#[async_trait]
impl Communicator for Machine {
    async fn exec(&self, command: &RemoteCommand, _: &dyn OutputSink) -> Result<ExitStatus> {
        self.note(format!("run {}", command.command));
        Ok(ExitStatus::Code(0))
    }

    async fn upload(
        &self,
        destination: &str,
        source: &mut (dyn AsyncRead + Send + Unpin),
        meta: FileMeta,
    ) -> Result<()> {
        let mut text = String::new();
        source.read_to_string(&mut text).await?;
        self.note(format!("upload {destination} {:o} {text}", meta.mode));
        Ok(())
    }

    async fn upload_dir(&self, source: &Path, destination: &str, contents: bool) -> Result<()> {
        let mut what = format!("upload {destination} {contents} {:?}", source.file_name());
        for entry in walk::tree(source)? {
            let inside = entry.path.strip_prefix(source).unwrap();
            let text = std::fs::read_to_string(&entry.path).unwrap_or_default();
            let _ = write!(what, " {} {:o} {text}", inside.display(), entry.mode);
        }
        self.note(what);
        Ok(())
    }

    async fn download(&self, _: &str, _: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<()> {
        Err(Error::new("there is nothing to download"))
    }

    async fn download_dir(&self, _: &str, _: &Path, _: bool) -> Result<()> {
        Err(Error::new("there is nothing to download"))
    }
}

/// The states of machines, and one of these.
struct States {
    machine: Arc<Machine>,
    kept: Arc<Mutex<HashMap<StateKey, Done>>>,
}

#[async_trait]
impl Snapshots for States {
    async fn save(&self, _: &RunContext, key: &StateKey) -> Result<()> {
        let now = self.machine.0.lock().clone();
        self.kept.lock().insert(key.clone(), now);
        Ok(())
    }
}

/// Where a template is, and all that outlives a build.
struct World {
    dir: tempfile::TempDir,
    kept: Arc<Mutex<HashMap<StateKey, Done>>>,
    /// How often there was a build.
    builds: AtomicU64,
    /// Whether the provisioners run twice on each machine, as when somebody answers a failure with
    /// "retry".
    tried_again: bool,
}

/// How a build went.
struct Built {
    done: Done,
    /// How many steps came from the cache.
    cached: usize,
    said: Vec<String>,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        World { dir, kept: Arc::default(), builds: AtomicU64::new(0), tried_again: false }
    }

    /// Reads what is in the directory. Each run is at another time.
    fn load(&self, run: u64, ui: &Ui) -> (Project, PreparedNode) {
        static PLUGINS: LazyLock<PluginSet> = LazyLock::new(plugins);
        let mut diagnostics = Diagnostics::default();
        let options = ProjectOptions {
            plugins: PLUGINS.clone(),
            fetch_data: Some(ui.clone()),
            ..ProjectOptions::default()
        };
        let path = self.dir.path().join("t.pkr.hcl");
        let mut project = Project::load(&path, &options, &mut diagnostics);
        let start = time::Duration::seconds(1_000_000 * run as i64);
        project.functions.start = time::OffsetDateTime::UNIX_EPOCH + start;
        project.evaluate(&options, &mut diagnostics);
        project.unpublished(&mut diagnostics);
        let (filter, flags) = (Filter::default(), RunFlags::default());
        let mut nodes = prepare(&project, &filter, &flags, &mut diagnostics);
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render(&project.sources, false));
        (project, nodes.pop().unwrap())
    }

    /// Builds what is in the directory, with `base` for the machine before the first step.
    async fn build(&self, cached: bool, base: &str, options: StepCacheOptions) -> Built {
        let run = self.builds.load(Relaxed);
        let said = Arc::new(RecordedOutput::default());
        let ui = context(PrepareContext::default(), &said).ui.for_build("null.n");
        // Data sources are fetched outside of a runtime.
        let loaded = std::thread::scope(|scope| scope.spawn(|| self.load(run, &ui)).join());
        let (project, node) = loaded.unwrap();
        let open = match cached {
            true => {
                let directory = CacheDirectory::at(self.dir.path());
                let secret = directory.secret().await.unwrap();
                Some((directory, secret))
            }
            false => None,
        };
        let cache = NodeCache::new(Arc::new(StepCache { options, open, results: None }));
        let (project, template) = (Arc::new(project), self.dir.path().join("t.pkr.hcl"));
        let journal = FileJournal::new(RunInfo {
            run: project.run_uuid.clone(),
            template: template.clone(),
            started: project.functions.start,
        });
        let keep = KeepOptions::new(template, None, Default::default());
        let keeper = Arc::new(keep.keeper(&project, &node, &journal, &ui));
        let hook = Arc::new(NodeHook {
            keeper,
            project,
            node: Arc::clone(&node.node),
            values: Arc::clone(&node.values),
            sboms: Default::default(),
            cache,
            cleanup: Cleanup::new(&Default::default(), &node.node, Default::default()),
        });
        let ctx = RunContext {
            prepare: Arc::clone(&node.context),
            hook: Arc::clone(&hook) as Arc<dyn Hook>,
            ..RunContext::detached(ui)
        };
        let machine = Arc::new(Machine::default());
        let base = StateKey::of("model 1", [base]);
        let keys = hook.state_keys(&ctx, &base).await;
        let kept = Arc::clone(&self.kept);
        let last = keys.iter().rposition(|key| kept.lock().contains_key(key));
        let done = last.map_or(0, |last| last + 1);
        if let Some(last) = last {
            *machine.0.lock() = kept.lock()[&keys[last]].clone();
        }
        let snapshots = Arc::new(States { machine: Arc::clone(&machine), kept });
        let provisioning = Provisioning { done, keys, snapshots: Some(snapshots), found_in: None };
        let data = GeneratedData::from([("ID".to_owned(), run.into())]);
        let link = Arc::clone(&machine) as Arc<dyn Communicator>;
        if self.tried_again {
            let (link, data, first) = (Arc::clone(&link), data.clone(), provisioning.clone());
            hook.provision(&ctx, link, data, first).await.unwrap();
            self.kept.lock().clear();
        }
        hook.provision(&ctx, link, data, provisioning).await.unwrap();
        let result = machine.0.lock().clone();
        Built { done: result, cached: done, said: said.lines() }
    }
}

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

/// A template of `steps` (`shell` and `file` blocks), beside a script `a` and a file `b`.
fn world(steps: &str) -> World {
    let world = World::new();
    rewrite(&world, steps);
    std::fs::write(world.dir.path().join("a"), "echo a").unwrap();
    std::fs::write(world.dir.path().join("b"), "b").unwrap();
    world
}

fn rewrite(world: &World, steps: &str) {
    let dir = world.dir.path().display().to_string();
    let text = format!(
        "data \"null\" \"d\" {{\n  input = \"x\"\n}}\nlocals {{\n  d = data.null.d.output\n}}\n\
         source \"null\" \"n\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = \
         [\"source.null.n\"]\n{}}}\n",
        steps.replace("DIR", &dir)
    );
    std::fs::write(world.dir.path().join("t.pkr.hcl"), text).unwrap();
}

const SHELL: &str = "  provisioner \"shell\" {\n    inline = [\"x\"]\n  }\n";

#[tokio::test]
async fn a_step_that_is_not_cached_says_why() {
    let shell = |options: &str| format!("  provisioner \"shell\" {{\n    {options}\n  }}\n");
    let file = |options: &str| {
        format!("  provisioner \"file\" {{\n    destination = \"/x\"\n    {options}\n  }}\n")
    };
    for (step, why) in [
        (shell("inline = [timestamp()]"), "timestamp() gives the time of the run"),
        (shell("inline = [uuidv4()]"), "uuidv4() gives another value each time"),
        (shell("inline = [local.d]"), "local.d: data.null.d is fetched by each run"),
        (shell("inline = [build.Host]"), "build.Host is known only while the build runs"),
        (shell("inline = [\"{{ timestamp }}\"]"), "inline: {{ timestamp }} gives another value"),
        (shell("inline = [\"x\"]\n    execute_command = \"{{.ID}}\""), "{{ .ID }} is known only"),
        (file("source = \"DIR/b\"\n    generated = true"), "is created while the build runs"),
        (
            "  provisioner \"shell-local\" {\n    inline = [\"true\"]\n  }\n".into(),
            "on this machine",
        ),
        (shell("name = \"never\"\n    inline = [\"x\"]"), "its `cache` is false"),
    ] {
        let world = world(&format!("{SHELL}{step}{SHELL}"));
        let options = || StepCacheOptions {
            enabled: true,
            explain: true,
            uncached: ["never".to_owned()].into(),
            ..StepCacheOptions::default()
        };
        let first = world.build(true, "base", options()).await;
        let said = first.said.join("\n");
        let second = format!("(2 of 3) was run, not cached: {why}");
        let second = second.replace(&format!("not cached: {why}"), "not cached: ");
        let line = first.said.iter().find(|line| line.contains(&second));
        assert!(line.is_some_and(|line| line.contains(why)), "{why}: {said}");
        assert!(said.contains("(1 of 3) was run and kept: there was no state of it"), "{said}");
        assert!(said.contains("(3 of 3) was run, not cached: a step before it is not"), "{said}");
        assert_eq!(world.build(true, "base", options()).await.cached, 1, "{why}");
    }
}

#[tokio::test]
async fn what_changed_is_named() {
    let script = "  provisioner \"shell\" {\n    script = \"DIR/a\"\n  }\n";
    let world = world(&format!("{SHELL}{script}"));
    let options = || StepCacheOptions { enabled: true, explain: true, ..Default::default() };
    world.build(true, "base", options()).await;
    let again = world.build(true, "base", options()).await;
    assert_eq!((again.cached, again.done.len()), (2, 6));
    assert!(again.said.contains(&"Using cached state for shell (2 of 2)".to_owned()));
    std::fs::write(world.dir.path().join("a"), "echo more").unwrap();
    let changed = world.build(true, "base", options()).await;
    let said = changed.said.join("\n");
    assert_eq!(changed.cached, 1);
    assert!(said.contains("(2 of 2) was run and kept: changed: ") && said.contains("/a"), "{said}");
    rewrite(&world, &format!("{}{script}", SHELL.replace("\"x\"", "\"y\"")));
    let said = world.build(true, "base", options()).await.said.join("\n");
    assert!(said.contains("(1 of 2) was run and kept: changed: option inline"), "{said}");
    assert!(said.contains("(2 of 2) was run and kept: changed: a step before it"), "{said}");
    let said = world.build(true, "other base", options()).await.said.join("\n");
    assert!(said.contains("changed: the machine before the first step"), "{said}");
}

#[tokio::test]
async fn nothing_is_kept_of_files_that_change_meanwhile() {
    let world = world("  provisioner \"shell\" {\n    script = \"DIR/pipe\"\n  }\n");
    let path = world.dir.path().join("pipe");
    std::fs::write(&path, "one").unwrap();
    let options = || StepCacheOptions { enabled: true, ..Default::default() };
    // What changes while the step runs: here, what reads it changes it.
    let steps = format!(
        "  provisioner \"file\" {{\n    source = \"{0}\"\n    destination = \"/x\"\n    \
         pause_before = \"300ms\"\n  }}\n",
        path.display()
    );
    rewrite(&world, &steps);
    let change = async {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        std::fs::write(&path, "two").unwrap();
    };
    let (built, ()) = tokio::join!(world.build(true, "base", options()), change);
    assert!(built.done[0].ends_with("two"), "{:?}", built.done);
    let said = built.said.join("\n");
    assert!(said.contains("is not kept: what it reads changed while it ran"), "{said}");
    assert!(world.kept.lock().is_empty());
}

#[tokio::test]
async fn nothing_is_kept_of_a_machine_that_is_tried_again() {
    let mut world = world(SHELL);
    world.tried_again = true;
    let options = StepCacheOptions { enabled: true, explain: true, ..Default::default() };
    let built = world.build(true, "base", options).await;
    assert!(world.kept.lock().is_empty(), "{:?}", built.said);
}

#[tokio::test]
async fn states_older_than_the_limit_are_not_used() {
    let world = world(SHELL);
    let options = |age| StepCacheOptions {
        enabled: true,
        max_age: Some(std::time::Duration::from_secs(age)),
        ..StepCacheOptions::default()
    };
    world.build(true, "base", options(1)).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(world.build(true, "base", options(1)).await.cached, 0);
    let year = 365 * 24 * 3600;
    world.build(true, "base", options(year)).await;
    assert_eq!(world.build(true, "base", options(year)).await.cached, 1);
}

#[tokio::test]
async fn a_cache_that_is_lost_or_damaged_starts_anew() {
    let world = world(SHELL);
    let options = || StepCacheOptions { enabled: true, ..Default::default() };
    world.build(true, "base", options()).await;
    assert_eq!(world.build(true, "base", options()).await.cached, 1);
    for (name, text) in [("index.json", "{ half"), ("secret", "half")] {
        let path = world.dir.path().join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        std::fs::write(&path, text).unwrap();
    }
    // With another secret, all keys are others.
    assert_eq!(world.build(true, "base", options()).await.cached, 0);
    assert_eq!(world.build(true, "base", options()).await.cached, 1);
    // Without an index, nothing is known of states, which are used all the same.
    std::fs::remove_file(world.dir.path().join("index.json")).unwrap();
    assert_eq!(world.build(true, "base", options()).await.cached, 1);
}

#[tokio::test]
async fn keys_reveal_no_secrets() {
    let secret =
        "  provisioner \"shell\" {\n    inline = [\"x\"]\n    env = { PIN = \"1234\" }\n  }\n";
    let options = || StepCacheOptions { enabled: true, ..Default::default() };
    let keys = async |world: &World| {
        world.build(true, "base", options()).await;
        let kept = world.kept.lock();
        kept.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    // The same template elsewhere, by somebody with another secret.
    let (one, other) = (world(secret), world(secret));
    assert_ne!(keys(&one).await, keys(&other).await);
    let index = std::fs::read_to_string(one.dir.path().join("index.json")).unwrap();
    assert!(!index.contains("1234"), "{index}");
    let hashes: BTreeMap<String, serde_json::Value> = serde_json::from_value(
        serde_json::from_str::<serde_json::Value>(&index).unwrap()["states"].clone(),
    )
    .unwrap();
    assert_eq!(hashes.len(), 1);
}
