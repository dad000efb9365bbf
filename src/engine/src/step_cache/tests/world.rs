//! A model of a machine, which remembers all that is done to it, in order, and builds on it. The plugins
//! are the real ones.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use ingot_sdk::testing::{RecordedOutput, context};
use ingot_sdk::{
    Communicator, Error, ExitStatus, FileMeta, GeneratedData, Hook, OutputSink, PluginSet,
    PrepareContext, Provisioning, RemoteCommand, Result, RunContext, Snapshots, StateKey, Ui, walk,
};
use parking_lot::Mutex;
use regex::Regex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::graph::Filter;
use crate::hook::{Cleanup, NodeHook};
use crate::project::RunFlags;
use crate::step_cache::{CacheDirectory, NodeCache, StepCache, StepCacheOptions};
use crate::test_plugins::plugins;
use crate::{FileJournal, KeepOptions, PreparedNode, Project, ProjectOptions, RunInfo, prepare};
use ingot_hcl::Diagnostics;

/// All that was done to a machine.
pub(super) type Done = Vec<String>;

/// A machine that remembers what is done to it. Names of temporary files are the same each time.
struct Machine {
    done: Mutex<Done>,
    /// What is written to a file of this machine before an upload is read.
    rewrites: Option<(PathBuf, &'static str)>,
}

static TEMPORARY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(script|varfile)_\d+\.sh").unwrap());

impl Machine {
    fn note(&self, what: String) {
        self.done.lock().push(TEMPORARY.replace_all(&what, "$1.sh").into_owned());
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
        if let Some((path, text)) = &self.rewrites {
            std::fs::write(path, text)?;
        }
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
        let now = self.machine.done.lock().clone();
        self.kept.lock().insert(key.clone(), now);
        Ok(())
    }
}

/// Where a template is, and all that outlives a build.
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) kept: Arc<Mutex<HashMap<StateKey, Done>>>,
    /// How often there was a build.
    pub(super) builds: AtomicU64,
    /// Whether the provisioners run twice on each machine, as when somebody answers a failure with
    /// "retry".
    pub(super) tried_again: bool,
    /// What is written to a file while a step uploads it.
    pub(super) rewrites: Option<(PathBuf, &'static str)>,
}

/// How a build went.
pub(super) struct Built {
    pub(super) done: Done,
    /// How many steps came from the cache.
    pub(super) cached: usize,
    pub(super) said: Vec<String>,
}

impl World {
    pub(super) fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        World {
            dir,
            kept: Arc::default(),
            builds: AtomicU64::new(0),
            tried_again: false,
            rewrites: None,
        }
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
    pub(super) async fn build(&self, cached: bool, base: &str, options: StepCacheOptions) -> Built {
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
        let journal = FileJournal::new(RunInfo::new(project.run_uuid.clone(), &template));
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
        let machine = Arc::new(Machine { done: Mutex::default(), rewrites: self.rewrites.clone() });
        let base = StateKey::of("model 1", [base]);
        let keys = hook.state_keys(&ctx, &base).await;
        let kept = Arc::clone(&self.kept);
        let last = keys.iter().rposition(|key| kept.lock().contains_key(key));
        let done = last.map_or(0, |last| last + 1);
        if let Some(last) = last {
            *machine.done.lock() = kept.lock()[&keys[last]].clone();
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
        let result = machine.done.lock().clone();
        Built { done: result, cached: done, said: said.lines() }
    }
}
