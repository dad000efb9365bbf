//! Runs components of plugin programs and calls them.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ingot_sdk::{GoDuration, RunContext, Ui};
use parking_lot::{Mutex, MutexGuard};
use rmpv::Value;
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};

use crate::call_timeout::CALL_TIMEOUT;
use crate::description::{ComponentKind, Description};
use crate::error::{Failure, HostError, Result};
use crate::message;
use crate::process::{PluginProcess, START_TIMEOUT, STARTING, program_name};
use crate::rpc::{CallError, RpcClient};
use crate::started::StartedPrograms;

/// How long a plugin may take to remove what it created once it was asked to stop.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(600);
/// The same for a provisioner: most of what it creates goes with the machine, which is removed only
/// after that. It has as long after its `timeout`.
const PROVISIONER_CANCEL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a plugin may take to confirm that it was asked to stop, before what it started is
/// interrupted all the same.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a plugin that stops is waited for before a line says so.
const SILENT_WAIT: Duration = Duration::from_secs(2);
/// What a plugin does then.
const STOPPING: &str = "stopping";
/// How plugins say no more than that they were stopped: Go's text, and that of provisioners here.
const CANCELLED: [&str; 2] = ["context canceled", "cancelled"];
/// How many processes that were only asked about options are kept for the next block that needs
/// one; where another must start, the one that was asked least recently ends. Most templates use no
/// more components, and each takes some 30 MiB.
const MAX_IDLE: usize = 3;
/// How long a component that hung at its start is not started again to describe its options. Their
/// check asks for the description once more.
const HUNG_FOR: Duration = START_TIMEOUT;

/// A start of a component that did not listen in time: when that was clear, and the last lines of its
/// log.
type HungStart = (Instant, Vec<String>);

/// Where plugins run: they are started when they are first needed and end with this.
///
/// Their connections are served by a runtime of their own, as plugins are asked about options
/// before any other runtime is there, and answer during the run.
pub struct Host {
    /// The one that was used last is last.
    idle: Mutex<VecDeque<Instance>>,
    /// The components that did not listen in time to describe their options.
    hung: Mutex<HashMap<Arc<ComponentId>, HungStart>>,
    programs: Arc<StartedPrograms>,
    environment: Vec<(String, String)>,
    start_timeout: Duration,
    call_timeout: Duration,
    /// Dropped last: it moves what the others still have to say.
    runtime: HostRuntime,
}

/// What names a component: its program, its kind and its name within the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ComponentId {
    /// The program's file.
    pub path: PathBuf,
    /// The kind.
    pub kind: ComponentKind,
    /// The name within the plugin.
    pub name: String,
    /// Whether the program knows protobuf.
    pub protobuf: bool,
}

impl Host {
    /// A host of `programs`, which see `environment` besides this program's own.
    pub fn new(programs: Arc<StartedPrograms>, environment: Vec<(String, String)>) -> Host {
        Host {
            runtime: HostRuntime::default(),
            programs,
            environment,
            start_timeout: START_TIMEOUT,
            call_timeout: CALL_TIMEOUT,
            idle: Mutex::default(),
            hung: Mutex::default(),
        }
    }

    /// The same, with `limit` as the time that a plugin may take to answer.
    pub fn with_call_timeout(self, limit: Duration) -> Host {
        Host { call_timeout: limit, ..self }
    }

    /// The same, with `limit` as the time that a plugin may take until it listens.
    pub fn with_start_timeout(self, limit: Duration) -> Host {
        Host { start_timeout: limit, ..self }
    }

    /// Makes sure that plugins do work only if the journal has a record that they run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn recorded(&self) -> ingot_sdk::Result<()> {
        self.programs.record()
    }

    /// The same where `instance` is about to create what no journal has: the record names its program.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn recorded_creator(&self, instance: &Instance) -> ingot_sdk::Result<()> {
        self.programs.record_creator(instance.process().name())
    }

    fn handle(&self) -> Handle {
        let make = || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(1).thread_name("plugin-host").enable_all().build();
            // Without threads and file descriptors nothing else could run either.
            runtime.unwrap_or_else(|error| panic!("cannot start a runtime for plugins: {error}"))
        };
        self.runtime.0.get_or_init(make).handle().clone()
    }

    /// Does `work`, whose tasks run for as long as this host.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let handle = self.handle();
        let _entered = handle.enter();
        work()
    }

    /// Waits for `work` from code that is not asynchronous, wherever that runs.
    pub fn block_on<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let handle = self.handle();
        // A thread that drives a runtime cannot wait for another.
        let aside = |work| {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| handle.block_on(work));
                waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        };
        match Handle::try_current().map(|current| current.runtime_flavor()) {
            Err(_) => handle.block_on(work),
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| aside(work)),
            Ok(_) => aside(work),
        }
    }

    /// Asks the program at `path` what it is.
    ///
    /// # Errors
    /// It is no plugin.
    pub fn describe(&self, path: &std::path::Path) -> Result<Description> {
        self.block_on(crate::process::describe(&self.programs, path))
    }

    /// A running component whose state is that of a new one: one that was started before and not
    /// used, or else a new process.
    ///
    /// # Errors
    /// The process could not be started.
    pub async fn instance(&self, id: &Arc<ComponentId>) -> Result<Instance> {
        let (idle, ended) = {
            let mut idle = self.idle();
            // What ended meanwhile, for whatever reason, answers nobody.
            idle.retain(|instance| !instance.is_over());
            match idle.iter().rposition(|instance| instance.id == *id) {
                Some(found) => (idle.remove(found), None),
                // Its memory goes before another takes more.
                None if idle.len() >= MAX_IDLE => (None, idle.pop_front()),
                None => (None, None),
            }
        };
        if let Some(instance) = idle {
            return Ok(instance);
        }
        drop(ended);
        let mut arguments = vec!["start", id.kind.argument()];
        if id.protobuf {
            arguments.push("--protobuf");
        }
        arguments.push(&id.name);
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let (environment, limit) = (self.environment.clone(), self.call_timeout);
        let start_timeout = self.start_timeout;
        let programs = Arc::clone(&self.programs);
        let component = Arc::clone(id);
        let handle = self.handle();
        let starting = handle.spawn(async move {
            let id = component;
            let process =
                PluginProcess::start(&programs, &id.path, &arguments, &environment, start_timeout);
            let process = process.await?;
            let Ok(stream) = process.mux().dial(0).await else {
                return Err(process.lost(STARTING).await);
            };
            Ok(Instance { client: RpcClient::new(stream), process, limit, id })
        });
        match starting.await {
            Ok(started) => started,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// The same to describe the component's options. Whoever asks again soon after a start that hung gets
    /// its error, as the next start would take as long. What is to work is started each time: one slow
    /// start must not fail the steps, retries and builds that follow.
    ///
    /// # Errors
    /// The process could not be started, now or just before.
    pub async fn instance_to_describe(&self, id: &Arc<ComponentId>) -> Result<Instance> {
        let recent = |(since, log): &(Instant, Vec<String>)| {
            (since.elapsed() < HUNG_FOR).then(|| log.clone())
        };
        let hung = self.hung.lock().get(id).and_then(recent);
        if let Some(log) = hung {
            let (program, limit) = (program_name(&id.path), self.start_timeout);
            let failure = Failure::Timeout { limit, during: STARTING.to_owned() };
            return Err(HostError { program, failure, log });
        }
        let started = self.instance(id).await;
        if let Err(HostError { failure: Failure::Timeout { .. }, log, .. }) = &started {
            self.hung.lock().insert(Arc::clone(id), (Instant::now(), log.clone()));
        }
        started
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Instance>> {
        self.idle.lock()
    }

    /// Takes back a component that was at most asked about options.
    pub fn keep(&self, instance: Instance) {
        let ended = {
            let mut idle = self.idle();
            idle.push_back(instance);
            (idle.len() > MAX_IDLE).then(|| idle.pop_front())
        };
        // Not while others wait for the list.
        drop(ended);
    }
}

/// The runtime of a host, which ends without waiting for anything.
#[derive(Default)]
struct HostRuntime(OnceLock<Runtime>);

impl Drop for HostRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A running component.
pub struct Instance {
    client: RpcClient,
    /// Dropped after the client.
    process: PluginProcess,
    limit: Duration,
    id: Arc<ComponentId>,
}

impl Instance {
    /// The process.
    pub fn process(&self) -> &PluginProcess {
        &self.process
    }

    /// Whether nothing can be asked of it any more.
    pub fn is_over(&self) -> bool {
        self.client.is_over() || self.process.is_over()
    }

    /// Which component this is.
    pub fn id(&self) -> &ComponentId {
        &self.id
    }

    /// Calls a method of the component that needs no work, and waits for a bounded time.
    ///
    /// # Errors
    /// The method failed, took too long, or the plugin ended.
    pub async fn ask(&self, method: &str, argument: Value, during: &str) -> Result<Value> {
        let call = self.call(method, argument, during);
        match tokio::time::timeout(self.limit, call).await {
            Ok(result) => result,
            Err(_) => Err(self
                .process
                .failed(Failure::Unanswered { limit: self.limit, during: during.to_owned() })),
        }
    }

    /// Calls a method and waits for as long as it takes.
    ///
    /// # Errors
    /// The method failed, or the plugin ended.
    pub async fn call(&self, method: &str, argument: Value, during: &str) -> Result<Value> {
        let method = format!("{}.{method}", self.id.kind.endpoint());
        let result = self.client.call(&method, argument).await;
        self.explained(result, during).await
    }

    /// Calls a method that needs no work on another of the plugin's streams.
    ///
    /// # Errors
    /// The method failed, took too long, or the plugin ended.
    pub async fn ask_stream(
        &self,
        client: &RpcClient,
        method: &str,
        argument: Value,
        during: &str,
    ) -> Result<Value> {
        match tokio::time::timeout(self.limit, client.call(method, argument)).await {
            Ok(result) => self.explained(result, during).await,
            Err(_) => Err(self
                .process
                .failed(Failure::Unanswered { limit: self.limit, during: during.to_owned() })),
        }
    }

    /// Says why a call on one of the plugin's streams failed.
    ///
    /// # Errors
    /// The failure.
    pub async fn explained(&self, result: Result<Value, CallError>, during: &str) -> Result<Value> {
        match result {
            Ok(value) => Ok(value),
            Err(CallError::Remote(message)) => Err(self.process.failed(Failure::Remote(message))),
            Err(CallError::Closed) => Err(self.process.lost(during).await),
            Err(CallError::Protocol(problem)) => Err(self.process.failed(Failure::Protocol {
                during: during.to_owned(),
                problem: problem.to_string(),
            })),
        }
    }

    /// Calls a method that does the component's work, which may take any time. When the build is
    /// cancelled, the component is asked to stop and gets the time to remove what it created; programs
    /// that a provisioner or post-processor waits for are interrupted, too. `error` names the field of
    /// the response that holds an error, if one does.
    ///
    /// # Errors
    /// The method failed, the plugin ended, or the work was cancelled.
    pub async fn work(
        &self,
        method: &str,
        argument: Value,
        ctx: &RunContext,
        during: &str,
        error: Option<&str>,
    ) -> Result<Value> {
        let call = async {
            let response = self.call(method, argument, during).await?;
            match error {
                Some(name) => self.checked(response, name),
                None => Ok(response),
            }
        };
        tokio::pin!(call);
        tokio::select! {
            result = &mut call => return match result {
                Err(_) if self.process.wanted_terminal() => Err(self.process.lost(during).await),
                result => result,
            },
            () = ctx.cancel.cancelled() => {}
        }
        let limit = self.cancel_timeout();
        let stop = async {
            let asked = self.ask("Cancel", Value::Nil, "cancelling");
            let _ = tokio::time::timeout(CONFIRM_TIMEOUT, asked).await;
            if self.is_interrupted() {
                self.process.interrupt();
            }
            tokio::time::sleep(SILENT_WAIT).await;
            ctx.ui.say(format!(
                "Waiting for the plugin {} to stop, for at most {}...",
                self.process.name(),
                GoDuration(limit)
            ));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            result = &mut call => match result {
                // It was done before it noticed.
                Ok(value) => Ok(value),
                Err(error) => Err(self.stopped(error.failure, &ctx.ui)),
            },
            () = stop => Err(self.process.failed(Failure::Cancelled)),
            () = tokio::time::sleep(limit) => Err(self.abandoned(Failure::Timeout {
                limit,
                during: STOPPING.to_owned(),
            })),
        }
    }

    /// How long it may take to stop.
    fn cancel_timeout(&self) -> Duration {
        match self.id.kind {
            ComponentKind::Provisioner => PROVISIONER_CANCEL_TIMEOUT,
            ComponentKind::Builder | ComponentKind::PostProcessor | ComponentKind::DataSource => {
                CANCEL_TIMEOUT
            }
        }
    }

    /// Whether the programs that it started are interrupted when it is asked to stop. Where Packer
    /// runs plugins, Ctrl-C of the terminal reaches all of these, and many provisioners, such as
    /// ansible, do nothing else to end theirs. Builders stop between their steps; one that is just
    /// removing a machine needs its programs for that.
    fn is_interrupted(&self) -> bool {
        match self.id.kind {
            ComponentKind::Provisioner | ComponentKind::PostProcessor => true,
            ComponentKind::Builder | ComponentKind::DataSource => false,
        }
    }

    /// The error of work that failed after it was asked to stop. Only what the plugin itself says
    /// is the end that was asked for.
    fn stopped(&self, failure: Failure, ui: &Ui) -> HostError {
        let during = STOPPING.to_owned();
        match failure {
            Failure::Remote(message) => {
                // What it could not remove, perhaps.
                if !CANCELLED.iter().any(|end| message.trim_end().ends_with(end)) {
                    ui.error(message);
                }
                self.process.failed(Failure::Cancelled)
            }
            Failure::Cancelled => self.process.failed(Failure::Cancelled),
            Failure::Exited { status, .. } => self.abandoned(Failure::Exited { status, during }),
            Failure::Closed { .. } => self.abandoned(Failure::Closed { during }),
            Failure::Protocol { problem, .. } => {
                self.abandoned(Failure::Protocol { problem, during })
            }
            failure => self.abandoned(failure),
        }
    }

    fn abandoned(&self, failure: Failure) -> HostError {
        self.process.failed(Failure::Abandoned(Box::new(failure)))
    }

    /// The error that a response carries in its field `name`.
    ///
    /// # Errors
    /// That error.
    pub fn checked(&self, response: Value, name: &str) -> Result<Value> {
        match message::error(&response, name) {
            Some(error) => Err(self.process.failed(Failure::Remote(error))),
            None => Ok(response),
        }
    }
}
