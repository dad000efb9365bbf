//! The run of a family: parents before children, as parallel as that allows.

use std::sync::Arc;

use ingot_engine::signals::Signals;
use ingot_publish::beside_commit;
use ingot_publish::queue::KEPT_FOR_LATER;
use ingot_registry::api::{self, Build, BuildStatus, Version};
use ingot_registry::settings::check_others_can_read_credentials;
use ingot_registry::{Completion, Connected, completion};
use ingot_sdk::{Context, Error, Result};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::arrange::Family;
use super::event::{FamilyEvent, Report};
use super::member::Member;
use super::outcome::MemberOutcome;
use super::process::{Arguments, MemberBuild, stop_on_signal};
use super::promote::{finish_promotion, promote};
use super::standing::{of_one_run, standing};

/// How a family is built.
pub struct FamilyRunOptions {
    /// Whether members are built, too, whose templates changed since they were built last.
    pub changed_only: bool,
    /// How many builds of all templates run at once; none for all.
    pub limit: Option<usize>,
    /// The command line of each build.
    pub arguments: Arguments,
    /// Gets what happens.
    pub report: Report,
}

/// Builds the members of a family that are out of date, each in a process of its own. Signals that ask
/// this process to end are handed on to these. Returns what became of each member, in their order.
///
/// # Errors
/// Signals cannot be listened for, or the processes could not log in to the registry.
pub async fn build_outdated(
    family: Arc<Family>,
    connected: Connected,
    options: FamilyRunOptions,
) -> Result<Vec<MemberOutcome>> {
    check_others_can_read_credentials().context("the credentials of the registry")?;
    let cancel = CancellationToken::new();
    let children = Children::default();
    let (signals, report) = (Signals::new()?, Arc::clone(&options.report));
    tokio::spawn(stop_on_signal(signals, cancel.clone(), Arc::clone(&children), report));
    let slots = Semaphore::new(options.limit.unwrap_or(Semaphore::MAX_PERMITS));
    let run = Arc::new(Run { family, connected, options, slots, cancel, children });
    Ok(run.all().await)
}

/// The processes that build, by their ids.
pub(super) type Children = Arc<Mutex<Vec<u32>>>;

/// A run of a family.
pub(super) struct Run {
    family: Arc<Family>,
    connected: Connected,
    pub(super) options: FamilyRunOptions,
    slots: Semaphore,
    pub(super) cancel: CancellationToken,
    pub(super) children: Children,
}

impl Run {
    /// Builds all that are out of date; what became of each.
    async fn all(self: Arc<Self>) -> Vec<MemberOutcome> {
        let count = self.family.members.len();
        let mut outcomes: Vec<Option<MemberOutcome>> = vec![None; count];
        let mut started = vec![false; count];
        let mut tasks = JoinSet::new();
        loop {
            for (place, started) in started.iter_mut().enumerate() {
                let parents = &self.family.parents[place];
                let ready = parents.iter().all(|&parent| outcomes[parent].is_some());
                if *started || !ready {
                    continue;
                }
                *started = true;
                let blocks = |&&parent: &&usize| {
                    outcomes[parent].as_ref().is_some_and(MemberOutcome::blocks)
                };
                let blocked: Vec<usize> = parents.iter().filter(blocks).copied().collect();
                let run = Arc::clone(&self);
                tasks.spawn(async move { (place, run.member(place, &blocked).await) });
            }
            match tasks.join_next().await {
                None => break,
                Some(Ok((place, outcome))) => outcomes[place] = Some(outcome),
                Some(Err(error)) => tracing::error!(%error, "a member ended abnormally"),
            }
        }
        let ended = |outcome: Option<MemberOutcome>| {
            outcome.unwrap_or_else(|| {
                MemberOutcome::Failed("it ended abnormally; this is a bug in Ingot".into())
            })
        };
        outcomes.into_iter().map(ended).collect()
    }

    /// Sees to a member whose parents are done. `blocked` are those of them that are not built.
    async fn member(&self, place: usize, blocked: &[usize]) -> MemberOutcome {
        let member = &self.family.members[place];
        if self.cancel.is_cancelled() {
            return MemberOutcome::Stopped;
        }
        let standing = match standing(&self.connected, member).await {
            Ok(standing) => standing,
            Err(error) => return self.fail(member, error.to_string()),
        };
        let reasons = &standing.reasons;
        let members = &self.family.members;
        let in_its_way = blocked.iter().map(|&parent| &members[parent]);
        let in_its_way: Vec<&Member> =
            in_its_way.filter(|parent| !reasons.is_empty() || member.follows(parent)).collect();
        if let Some(parent) = in_its_way.first() {
            return MemberOutcome::NotReached(parent.bucket.clone());
        }
        if reasons.is_empty() {
            match finish_promotion(&*self.connected.registry, member, &standing).await {
                Ok(Some(channel)) => {
                    let version = standing.last.map(|last| last.name).unwrap_or_default();
                    return MemberOutcome::Promoted { version, channel };
                }
                Ok(None) if self.options.changed_only => {}
                Ok(None) => return MemberOutcome::Unchanged,
                Err(error) => return self.fail(member, format!("it cannot be promoted: {error}")),
            }
        }
        for reason in reasons {
            (self.options.report)(FamilyEvent::OutOfDate { member, reason });
        }
        match self.build(member, reasons.is_empty()).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_cancelled() => MemberOutcome::Stopped,
            Err(error) => self.fail(member, error.to_string()),
        }
    }

    fn fail(&self, member: &Member, why: String) -> MemberOutcome {
        (self.options.report)(FamilyEvent::Failed { member, reason: &why });
        MemberOutcome::Failed(why)
    }

    /// Builds a member, and promotes what was built.
    async fn build(&self, member: &Member, only_if_changed: bool) -> Result<MemberOutcome> {
        let limit = self.options.limit;
        let wanted = member.builds.clamp(1, limit.unwrap_or(usize::MAX));
        let permits = u32::try_from(wanted).unwrap_or(u32::MAX);
        let _slots = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(Error::Cancelled),
            // The semaphore is never closed.
            slots = self.slots.acquire_many(permits) => slots,
        };
        let fingerprint = self.fingerprint(member).await?;
        let parallel = limit.map(|_| wanted);
        let build = MemberBuild { member, parallel, only_if_changed };
        let code = self.process(&build, &fingerprint).await?;
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match code {
            Some(0) => {}
            Some(code) if code == i32::from(KEPT_FOR_LATER) => {
                return Err(Error::new("it was built, and could not be published"));
            }
            Some(_) => return Err(Error::new("its build or a test of it failed")),
            None => return Err(Error::new("the process that built it was killed")),
        }
        let version = match self.completed(member, &fingerprint).await? {
            Some(version) if version.is_complete() => version,
            None if only_if_changed => return Ok(MemberOutcome::Unchanged),
            _ => return Err(Error::new("it was built, and its version is not complete")),
        };
        let mut promoted = None;
        if let Some(channel) = &member.promote {
            if !of_one_run(&version) {
                return Err(Error::new(format!(
                    "{} was not promoted to {channel}: another run has published a build of it in \
                     the meantime, and what that was built from and whether it was tested is not \
                     known",
                    version.name
                )));
            }
            let registry = &*self.connected.registry;
            let done = promote(registry, &member.bucket, channel, &fingerprint).await;
            done.map_err(|error| {
                let what = format!("{} was not promoted to {channel}", version.name);
                Error::from(error).context(what)
            })?;
            promoted = Some(channel.clone());
        }
        Ok(MemberOutcome::Built { version: version.name, promoted })
    }

    /// The version of a member that was just built, if it was; the registry may need a moment to complete
    /// it.
    async fn completed(&self, member: &Member, fingerprint: &str) -> Result<Option<Version>> {
        let registry = &*self.connected.registry;
        let found = completion(registry, &member.bucket, fingerprint, &self.cancel).await;
        self.found(found.map(Completion::into_version))
    }

    async fn version(&self, member: &Member, fingerprint: &str) -> Result<Option<Version>> {
        self.found(self.connected.registry.get_version(&member.bucket, fingerprint).await)
    }

    /// A version that may not be there.
    fn found(&self, version: api::Result<Version>) -> Result<Option<Version>> {
        match version {
            Ok(version) => Ok(Some(version)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => {
                let registry = format!("the {} registry", self.connected.name);
                Err(Error::from(error).context(registry))
            }
        }
    }

    /// What the new version is found by. A commit's version may be there: complete, where only a parent
    /// changed, or with builds of an earlier run, which were built from other parents or were not
    /// tested. Nothing is added to these.
    ///
    /// # Errors
    /// The environment gives the fingerprint of a version that another run has begun.
    async fn fingerprint(&self, member: &Member) -> Result<String> {
        let own = &member.fingerprint;
        let Some(begun) = self.version(member, own).await? else { return Ok(own.clone()) };
        let is_kept = |build: &Build| {
            matches!(build.status, BuildStatus::Done | BuildStatus::Running)
                || !build.artifacts.is_empty()
        };
        let begun_by_another = !begun.is_complete() && begun.builds.iter().any(is_kept);
        match (member.of_commit, begun_by_another) {
            (true, false) if !begun.is_complete() => Ok(own.clone()),
            (true, _) => {
                let new = beside_commit(own);
                if begun_by_another {
                    let event = FamilyEvent::VersionOfAnotherRun { member, begun: own, new: &new };
                    (self.options.report)(event);
                }
                Ok(new)
            }
            (false, true) => Err(Error::new(format!(
                "another run began the version {own} and did not complete it, and all builds of a \
                 version that a family builds have to be of one run: set another \
                 HCP_PACKER_BUILD_FINGERPRINT, or none"
            ))),
            // The build says that it is complete.
            (false, false) => Ok(own.clone()),
        }
    }
}
