//! What the tests share: a base image, a context that collects events, and the docker client as
//! an independent witness.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use ingot_docker::DockerBuilder;
use ingot_sdk::testing::{self, RecordedOutput};
use ingot_sdk::{
    Artifact, Build, Communicator, Config, ConfigErrors, GeneratedData, Hook, Journal,
    PrepareContext, Result, RunContext, async_trait,
};
use serde_json::Value;

/// The image the tests start from: busybox, a user `app` (1000:1001), a command and a variable.
/// It is made once and kept; a change to it takes a new tag.
pub(crate) const BASE: &str = "ingot-test-base:1";

/// Whether there is an Engine; makes sure that the base image is there. Without one, tests fail
/// in CI and are skipped, aloud, elsewhere.
pub(crate) fn engine() -> bool {
    static READY: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    match READY.get_or_init(make_base) {
        Ok(()) => true,
        Err(missing) => {
            ingot_test_support::missing(missing);
            false
        }
    }
}

fn make_base() -> std::result::Result<(), String> {
    let version = Command::new("docker").args(["version", "-f", "{{.Server.Version}}"]).output();
    if !version.is_ok_and(|output| output.status.success()) {
        return Err("no Docker Engine answers to the docker client".to_owned());
    }
    if exists(BASE) {
        return Ok(());
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .ok_or("busybox is not installed; the package is busybox-static")?;
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for directory in ["bin", "etc", "tmp", "root", "srv"] {
        std::fs::create_dir(at(directory)).unwrap();
    }
    std::fs::copy(busybox, at("bin/busybox")).unwrap();
    let list = Command::new(busybox).arg("--list").output().unwrap();
    for applet in String::from_utf8(list.stdout).unwrap().lines() {
        if applet != "busybox" {
            std::os::unix::fs::symlink("busybox", at("bin").join(applet)).unwrap();
        }
    }
    let users = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/tmp:/bin/sh\n";
    std::fs::write(at("etc/passwd"), users).unwrap();
    std::fs::write(at("etc/group"), "root:x:0:\napp:x:1001:\n").unwrap();
    let script = format!(
        "chmod 1777 {0}/tmp && tar -C {0} -c . | docker import -c 'CMD [\"/bin/sh\"]' \
         -c 'ENV BASE=yes' - {BASE}",
        root.path().display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Runs the docker client and returns what it prints.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {text}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The version of the Engine's API after `1.`.
pub(crate) fn api_minor() -> u32 {
    let version = docker(&["version", "-f", "{{.Server.APIVersion}}"]);
    version.split('.').nth(1).unwrap().parse().unwrap()
}

/// Whether a container or image exists.
pub(crate) fn exists(id: &str) -> bool {
    Command::new("docker").args(["inspect", id]).output().unwrap().status.success()
}

/// What `docker inspect` says about an image's or container's configuration.
pub(crate) fn config_of(id: &str) -> Value {
    // Without a format the client passes on all that the Engine says.
    let all: Value = serde_json::from_str(&docker(&["inspect", id])).unwrap();
    all[0]["Config"].clone()
}

/// Runs a command in a fresh container of an image and returns its output.
pub(crate) fn in_image(image: &str, command: &str) -> String {
    docker(&["run", "--rm", "--entrypoint=/bin/sh", image, "-c", command])
}

/// Removes an image when dropped, so that a failing test leaves none.
pub(crate) struct Image(pub String);

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

type Work = dyn Fn(Arc<dyn Communicator>, GeneratedData) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>
    + Send
    + Sync;

/// Provisions with a closure.
pub(crate) struct Closure {
    work: Box<Work>,
    /// Whether the error-cleanup-provisioner was asked for.
    pub cleaned: Mutex<bool>,
}

#[async_trait]
impl Hook for Closure {
    async fn provision(
        &self,
        _: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: GeneratedData,
        _: ingot_sdk::Provisioning,
    ) -> Result<()> {
        (self.work)(communicator, data).await
    }

    async fn cleanup_provision(
        &self,
        ctx: &RunContext,
        _: Arc<dyn Communicator>,
        _: GeneratedData,
    ) -> Result<()> {
        assert!(!ctx.cancel.is_cancelled(), "cleaning up would be cancelled at once");
        *self.cleaned.lock().unwrap() = true;
        Ok(())
    }
}

/// A run of a plugin.
pub(crate) struct Run {
    /// Its context.
    pub ctx: RunContext,
    /// What it showed.
    pub events: Arc<RecordedOutput>,
    /// Its provisioner.
    pub hook: Arc<Closure>,
}

impl Run {
    /// A run whose provisioner is `work`.
    pub(crate) fn new<F>(
        work: impl Fn(Arc<dyn Communicator>, GeneratedData) -> F + Send + Sync + 'static,
    ) -> Run
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let events = Arc::new(RecordedOutput::default());
        let hook = Arc::new(Closure {
            work: Box::new(move |communicator, data| Box::pin(work(communicator, data))),
            cleaned: Mutex::new(false),
        });
        let prepare = PrepareContext {
            build_name: "test".into(),
            run_uuid: "run".into(),
            ..Default::default()
        };
        let ctx = RunContext {
            hook: Arc::clone(&hook) as Arc<dyn Hook>,
            ..testing::context(prepare, &events)
        };
        Run { ctx, events, hook }
    }

    /// A run without provisioners.
    pub(crate) fn idle() -> Run {
        Run::new(async |_, _| Ok(()))
    }

    /// The same run with another journal.
    pub(crate) fn journal(mut self, journal: Arc<dyn Journal>) -> Run {
        self.ctx.journal = journal;
        self
    }

    /// Builds with the options in `config`.
    pub(crate) async fn build(&self, config: Value) -> Result<Arc<dyn Artifact>> {
        let build = testing::prepare(&DockerBuilder::default(), config, &self.ctx.prepare)?.ready;
        Ok(build.build(&self.ctx).await?.expect("an artifact"))
    }
}

/// Options as the engine would hand them over.
pub(crate) fn options(config: Value) -> Config {
    Config::new(config.as_object().unwrap().clone())
}

/// What `prepare` of the builder says about `config`.
pub(crate) fn prepare(config: Value) -> Result<ingot_sdk::Prepared, ConfigErrors> {
    let prepared = testing::prepare(&DockerBuilder::default(), config, &Default::default());
    Ok(prepared?.with(()))
}
