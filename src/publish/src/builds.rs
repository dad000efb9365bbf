//! The builds of a version, as far as a run knows them, and the heartbeats of those that it does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ingot_registry::api::{Build, BuildStatus};
use ingot_sdk::Ui;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

/// The builds of a version, by their components.
pub(super) struct KnownBuilds(Mutex<BTreeMap<String, KnownBuild>>);

struct KnownBuild {
    build: Build,
    /// Tells the registry every now and then that it runs.
    heartbeat: Option<JoinHandle<()>>,
    /// Whether what it made is kept to be published later.
    kept: bool,
}

impl KnownBuilds {
    /// Those that the registry had when the run began.
    pub(super) fn new(builds: impl IntoIterator<Item = (String, Build)>) -> KnownBuilds {
        let known = |build| KnownBuild { build, heartbeat: None, kept: false };
        let builds = builds.into_iter().map(|(component, build)| (component, known(build)));
        KnownBuilds(Mutex::new(builds.collect()))
    }

    /// What is known of one.
    pub(super) fn get(&self, component: &str) -> Option<Build> {
        self.0.lock().get(component).map(|known| known.build.clone())
    }

    /// How far they are.
    pub(super) fn statuses(&self) -> BTreeMap<String, BuildStatus> {
        let known = self.0.lock();
        known.iter().map(|(name, known)| (name.clone(), known.build.status)).collect()
    }

    /// Says which builds of `statuses` the version still lacks, if there are any.
    pub(super) fn report_missing(
        &self,
        statuses: &BTreeMap<String, BuildStatus>,
        fingerprint: &str,
        ui: &Ui,
    ) {
        let missing = statuses.iter().filter(|(_, status)| **status != BuildStatus::Done);
        let (waiting, missing): (Vec<_>, Vec<_>) =
            missing.partition(|(name, _)| self.is_kept(name));
        if !waiting.is_empty() {
            let names: Vec<String> = waiting.iter().map(|(name, _)| format!("{name:?}")).collect();
            // Building it again would make it twice.
            ui.say(format!(
                "\nVersion {fingerprint:?} lacks builds that are kept to be published later: {}.\n\
                 `ingot registry push` publishes them; they need not be built again.",
                names.join(", ")
            ));
        }
        let mut list = String::new();
        for (name, status) in missing {
            let _ = writeln!(list, "* {name:?}: {status}");
        }
        if list.is_empty() {
            return;
        }
        // As Packer says it.
        ui.say(format!(
            "\nVersion {fingerprint:?} is incomplete, the following builds are missing artifact \
             metadata:\n\n{list}\nTo resume it, build again with this in the environment:\n\
             HCP_PACKER_BUILD_FINGERPRINT={fingerprint:?}"
        ));
    }

    /// Says that one runs, which `heartbeat` tells the registry until it is [settled](Self::settle).
    pub(super) fn running(&self, component: &str, heartbeat: JoinHandle<()>) {
        if let Some(known) = self.0.lock().get_mut(component) {
            known.build.status = BuildStatus::Running;
            known.heartbeat = Some(heartbeat);
        }
    }

    /// Ends a build's heartbeat.
    pub(super) fn stop_heartbeat(&self, component: &str) {
        let heartbeat = self.0.lock().get_mut(component).and_then(|known| known.heartbeat.take());
        if let Some(heartbeat) = heartbeat {
            heartbeat.abort();
        }
    }

    /// Sets what is known of a build's status, and ends its heartbeat.
    pub(super) fn settle(&self, component: &str, status: BuildStatus) {
        self.stop_heartbeat(component);
        if let Some(known) = self.0.lock().get_mut(component) {
            known.build.status = status;
        }
    }

    /// Says that what a build made is kept to be published later.
    pub(super) fn keep(&self, component: &str) {
        if let Some(known) = self.0.lock().get_mut(component) {
            known.kept = true;
        }
    }

    /// Whether what a build made is kept to be published later.
    pub(super) fn is_kept(&self, component: &str) -> bool {
        self.0.lock().get(component).is_some_and(|known| known.kept)
    }
}
