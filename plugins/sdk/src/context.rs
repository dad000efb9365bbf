//! What the engine lends to a plugin while it prepares and while it runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::interpolate::{self, Interpolation};
use crate::journal::NoJournal;
use crate::process::Processes;
use crate::{
    Communicator, Context as _, Error, ErrorKind, Journal, Provisioning, Result, Sbom, Secrets,
    StateKey, Ui,
};

/// Values that a builder learnt while it ran, by name: `ID`, `Host`, `User`, `ConnType`, …
pub type GeneratedData = BTreeMap<String, serde_json::Value>;

/// What to do when a build fails: `-on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Remove what was created (the default).
    #[default]
    Cleanup,
    /// Leave everything as it is.
    Abort,
    /// Leave the machine, and write down what `-resume` needs to go on with it.
    Keep,
    /// Ask the user.
    Ask,
    /// Run the error-cleanup-provisioner, then leave everything as it is.
    RunCleanupProvisioner,
}

/// An input variable as `{{ user }}` sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserVariable {
    /// Its value.
    pub value: String,
    /// Whether it must never be shown, nor what is made of it.
    pub sensitive: bool,
}

/// Facts about the build a plugin is part of, known before it runs.
#[derive(Debug, Clone, Default)]
pub struct PrepareContext {
    /// The name of the source block, as in `source "docker" "NAME"`.
    pub build_name: String,
    /// The type of the builder, as in `source "TYPE" "name"`.
    pub build_type: String,
    /// The directory of the template.
    pub template_dir: PathBuf,
    /// Whether the template is a legacy JSON template.
    pub json_template: bool,
    /// `-force`.
    pub force: bool,
    /// `-debug`.
    pub debug: bool,
    /// `-on-error`.
    pub on_error: OnError,
    /// Whether the run goes on with what an earlier one kept (`-resume`): what a build makes may be
    /// there already, and be its own.
    pub resumes: bool,
    /// The template's input variables that are strings, for `{{ user }}`; all builds share them.
    pub user_variables: Arc<BTreeMap<String, UserVariable>>,
    /// The names of the sensitive input variables, also of those that are not strings.
    pub sensitive_variables: Arc<[String]>,
    /// The input variables that the environment sets (`PKR_VAR_name`), with the values that the build has
    /// of them, which may be from a file or a flag: strings, numbers and bools as text, others as JSON. None
    /// stands for a sensitive value.
    pub environment_variables: Arc<BTreeMap<String, Option<String>>>,
    /// The names of the values that the builder gives of its machine (`build.NAME`), for provisioners
    /// and post-processors.
    pub build_values: Arc<[String]>,
    /// What must never be shown. What `{{ }}` makes of a secret is added to it.
    pub secrets: Secrets,
    /// An id shared by all builds of this run.
    pub run_uuid: String,
    /// When the run started; `{{ timestamp }}` and `{{ isotime }}` agree across plugins.
    pub start: Option<time::OffsetDateTime>,
    /// Fires when nobody waits any more for what is being prepared; never before the run.
    pub cancel: CancellationToken,
}

impl PrepareContext {
    /// Renders `template` with `{{ }}` actions; `data` holds what `.Name` refers to.
    ///
    /// # Errors
    /// The template is not well-formed, or names something that does not exist.
    pub fn render(
        &self,
        template: &str,
        data: &serde_json::Value,
    ) -> Result<String, interpolate::Error> {
        Interpolation::new(self).render(template, data)
    }
}

/// Runs the provisioners of a build. The engine implements it; builders call it.
#[async_trait]
pub trait Hook: Send + Sync {
    /// Runs the build's provisioners in order, but for those that ran on the machine before, and
    /// keeps states between them as `provisioning` says.
    async fn provision(
        &self,
        ctx: &RunContext,
        communicator: Arc<dyn Communicator>,
        data: GeneratedData,
        provisioning: Provisioning,
    ) -> Result<()>;
    /// Runs the build's error-cleanup-provisioner, if it has one.
    async fn cleanup_provision(
        &self,
        _ctx: &RunContext,
        _communicator: Arc<dyn Communicator>,
        _data: GeneratedData,
    ) -> Result<()> {
        Ok(())
    }
    /// Takes why the error-cleanup-provisioner failed, to be told with the error of the build. Builders of
    /// Packer's plugins put it into that error themselves.
    fn cleanup_failed(&self, _error: Error) {}
    /// Whether it runs a build's provisioners. Where it checks what was built, there is nothing to clean
    /// up after them.
    fn is_of_build(&self) -> bool {
        true
    }
    /// Takes a bill of materials of what the build makes, to be published with it. Whoever runs
    /// provisioners for another purpose drops it.
    fn keep_sbom(&self, _sbom: Sbom) {}
    /// Under what the states after each of the build's provisioners may be kept and found, where
    /// `base` names the machine before the first. They end before the first provisioner with an
    /// input that is not known or not stable; none at all where nothing is to be cached.
    async fn state_keys(&self, _ctx: &RunContext, _base: &StateKey) -> Vec<StateKey> {
        Vec::new()
    }
    /// Under what the machine before the first provisioner may be kept and found, which `base` names;
    /// none where nothing is to be cached. For builders whose machine takes long to come up.
    async fn base_state_key(&self, _ctx: &RunContext, _base: &StateKey) -> Option<StateKey> {
        None
    }
    /// What [`Hook::cache_result`] wrote down under `made_with` for a build whose provisioners, all of
    /// them, did the same on the same machine; called after [`Hook::state_keys`].
    async fn cached_result(&self, _made_with: &StateKey) -> Option<serde_json::Value> {
        None
    }
    /// Writes down what the builder made of its machine, for builds that are the same to the last
    /// provisioner. `made_with` names the options by which it was made. Does nothing unless the states
    /// after all provisioners were kept or came from the cache.
    async fn cache_result(&self, _made_with: &StateKey, _result: serde_json::Value) {}
    /// The directory by which machines share states, if there is one. A builder that can keeps its
    /// states there too, and looks there for those that it does not have.
    fn shared_states(&self) -> Option<PathBuf> {
        None
    }
    /// The directory in which a builder whose states are elsewhere, as in a cloud, writes down where
    /// each of them is; none where nothing is cached.
    fn state_records(&self) -> Option<PathBuf> {
        None
    }
    /// What a builder wrote down of the machine that an earlier run kept for this build, if the
    /// build is to go on with it; what ran on it already is not run again.
    fn kept_machine(&self) -> Option<serde_json::Value> {
        None
    }
    /// Says how a later run finds the machine that this one leaves (`-on-error=keep`); called by
    /// [`crate::Step::leave`]. `machine` is an object of the builder's own, for its
    /// [`Hook::kept_machine`]. Its member `secrets`, such as a key made for the build, goes to a file
    /// of its own that only the user can read. What the template or the environment says again, such
    /// as a password, has no place in it.
    fn keep_machine(&self, _machine: serde_json::Value) {}
}

/// What a plugin runs in. Cheap to clone.
#[derive(Clone)]
pub struct RunContext {
    /// What was known before.
    pub prepare: Arc<PrepareContext>,
    /// Where the plugin speaks.
    pub ui: Ui,
    /// Fires when the build must stop. [`crate::run_steps`] watches it for builders.
    pub cancel: CancellationToken,
    /// Where things to be removed later are written down before they are created.
    pub journal: Arc<dyn Journal>,
    /// The build's provisioners.
    pub hook: Arc<dyn Hook>,
    /// The processes on this machine that work for it.
    pub processes: Processes,
}

/// Stands for the provisioners of what is no build.
struct NoProvisioners;

#[async_trait]
impl Hook for NoProvisioners {
    async fn provision(
        &self,
        _: &RunContext,
        _: Arc<dyn Communicator>,
        _: GeneratedData,
        _: Provisioning,
    ) -> Result<()> {
        Ok(())
    }
}

impl RunContext {
    /// A context for work outside of a build, which has no provisioners and writes no journal.
    pub fn detached(ui: Ui) -> Self {
        RunContext {
            prepare: Arc::default(),
            ui,
            cancel: CancellationToken::new(),
            journal: Arc::new(NoJournal),
            hook: Arc::new(NoProvisioners),
            processes: Processes::default(),
        }
    }

    /// Waits for `work` unless the build is cancelled. Then `work` is dropped, but not before the
    /// processes it runs on this machine have ended: they are asked to, and have a moment.
    ///
    /// # Errors
    /// [`Error::Cancelled`], else what `work` failed with. Of work that is cancelled, only that it
    /// left what it created: [`ErrorKind::Abandoned`].
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::pin!(work);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            result = &mut work => return result,
        }
        // The runner of processes bounds how long this takes.
        tokio::select! {
            result = &mut work => match result {
                Err(error) if error.kind() == Some(ErrorKind::Abandoned) => return Err(error),
                _ => {}
            },
            () = self.processes.ended() => {}
        }
        Err(Error::Cancelled)
    }

    /// The same for a part of the work, which can be cancelled by itself and is cancelled with the
    /// whole.
    pub fn part(&self) -> RunContext {
        RunContext {
            cancel: self.cancel.child_token(),
            processes: self.processes.part(),
            ..self.clone()
        }
    }

    /// What an earlier run kept of the machine for this build, if the run goes on with it. `what`
    /// names the machine, such as `the container`.
    ///
    /// # Errors
    /// It is not what this builder writes down.
    pub fn kept_machine<T: DeserializeOwned>(&self, what: &str) -> Result<Option<T>> {
        let Some(kept) = self.hook.kept_machine() else { return Ok(None) };
        serde_json::from_value(kept)
            .with_context(|| format!("reading what was kept of {what}"))
            .map(Some)
    }

    /// Runs the build's provisioners.
    ///
    /// # Errors
    /// The first provisioner that failed.
    pub async fn provision(
        &self,
        communicator: Arc<dyn Communicator>,
        data: GeneratedData,
    ) -> Result<()> {
        self.hook.provision(self, communicator, data, Provisioning::default()).await
    }

    /// Runs the build's error-cleanup-provisioner after a failure. Its own becomes part of the build's
    /// error. The build may have been cancelled, which must not cancel this too.
    pub async fn clean_up_provision(
        &self,
        communicator: Arc<dyn Communicator>,
        data: GeneratedData,
    ) {
        if !self.hook.is_of_build() {
            return;
        }
        let ctx = RunContext { cancel: CancellationToken::new(), ..self.clone() };
        // The hook does not say so: builders of Packer's plugins have said it before they call it.
        ctx.ui.say("Provisioning step had errors: Running the cleanup provisioner, if present...");
        if let Err(error) = ctx.hook.cleanup_provision(&ctx, communicator, data).await {
            // A cancelled build has no error that could tell it.
            if self.cancel.is_cancelled() {
                ctx.ui.error(format!("The error-cleanup-provisioner failed: {error}"));
            }
            self.hook.cleanup_failed(error);
        }
    }
}
