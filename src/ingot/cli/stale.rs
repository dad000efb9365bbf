//! `ingot build -stale`: builds what is out of date of a family, parents before children.
//!
//! Each template is built by a process of its own, so that nothing of one run gets into another: its
//! values, its journal, the directory that plugins of it work in. What these processes say is shown
//! here, where the secrets of all are hidden in what any of them says.

use std::ffi::OsString;
use std::io::{IsTerminal, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use ingot_hcl::Diagnostic;
use ingot_registry::api::{Build, BuildStatus, Code, Version};
use ingot_registry::{Connected, connect, new_id};
use ingot_report::ReportTarget;
use ingot_sdk::{Error, Result, Ui};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::{BuildArgs, OnErrorFlag, ProgressFlag};
use super::family_member::{MEMBER, member_of_this};
use super::{family, run_report};
use crate::engine::signals::Signals;
use crate::family::{Family, Member, Standing, finish_promotion, of_one_run, promote, standing};
use crate::template::variables::VariableFlag;
use crate::ui::{Redactor, Renderer, UiOptions, View};

/// The longest line of a build that is shown as one, in bytes.
const LONGEST_LINE: u64 = 64 << 10;

/// What became of a member.
#[derive(Debug, Clone)]
enum Fate {
    /// It was built; the version, and the channel that was assigned it.
    Built { version: String, promoted: Option<String> },
    /// What an earlier run built was assigned to this channel.
    Promoted { version: String, channel: String },
    /// There was nothing to do.
    Unchanged,
    /// It failed, for this reason.
    Failed(String),
    /// It was not tried, because of this bucket.
    NotReached(String),
    /// The run was stopped before it.
    Stopped,
}

impl Fate {
    /// Whether what builds on it cannot be built.
    fn blocks(&self) -> bool {
        matches!(self, Fate::Failed(_) | Fate::NotReached(_) | Fate::Stopped)
    }
}

/// Builds what is out of date: 0 if all that is was built, or nothing is; 1 if not.
pub(super) fn run(args: &BuildArgs) -> ExitCode {
    let color = args.color && !super::plain() && std::io::stdout().is_terminal();
    let renderer = Renderer::new(UiOptions {
        machine_readable: args.machine_readable,
        color,
        view: View::Nothing,
        ..UiOptions::default()
    });
    super::logging::start(renderer.redactor());
    let ui = Ui::new(Arc::clone(&renderer) as Arc<dyn ingot_sdk::EventSink>);
    if let Err(diagnostic) = check_flags(args) {
        run_report::show(diagnostic);
        return ExitCode::FAILURE;
    }
    let paths: Vec<_> = std::iter::once(&args.template).chain(&args.family).cloned().collect();
    let releases_only = args.installed.ignore_prerelease_plugins;
    let redactor = renderer.redactor();
    let (variables, selection) = (&args.variables, &args.selection);
    let family = family::read(&paths, variables, selection, releases_only, &redactor);
    let Some(family) = family else { return ExitCode::FAILURE };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            run_report::show(Diagnostic::error(format!("cannot start: {error}")));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(build_family(args, family, &renderer, ui));
    runtime.shutdown_background();
    match code {
        Ok(code) => code,
        Err(error) => {
            run_report::show(super::diagnostic_of(&error));
            ExitCode::FAILURE
        }
    }
}

/// Refuses flags that are about the builds of one template.
fn check_flags(args: &BuildArgs) -> Result<(), Diagnostic> {
    let flags = [
        (
            args.progress == ProgressFlag::Live,
            "-progress=live shows the builds of one template; those of a family are shown in lines",
        ),
        (
            args.resume || args.start_at.is_some() || args.stop_before.is_some(),
            "-resume, -start-at and -stop-before are about the builds of one template",
        ),
        (args.skip_tests, "-skip-tests would promote what nobody has tested"),
        (args.only_post_processors, "-only-post-processors is about the builds of one template"),
        (args.debug, "-debug is about the builds of one template"),
        (
            matches!(args.on_error, Some(OnErrorFlag::Ask | OnErrorFlag::Keep)),
            "-on-error=ask and -on-error=keep are about the builds of one template",
        ),
    ];
    match flags.into_iter().find(|(given, _)| *given) {
        Some((_, why)) => {
            Err(Diagnostic::error(why).help("build that template by itself, or leave the flag out"))
        }
        None => Ok(()),
    }
}

async fn build_family(
    args: &BuildArgs,
    family: Family,
    renderer: &Arc<Renderer>,
    ui: Ui,
) -> Result<ExitCode> {
    let masking = ui.clone();
    let connected = connect(Arc::new(move |secret: &str| masking.mask(secret))).await?;
    if args.dry_run {
        return dry_run(&family, &connected, &ui, args.changed_only).await;
    }
    let cancel = CancellationToken::new();
    let children: Children = Arc::default();
    let signals = Signals::new().map_err(Error::from)?;
    tokio::spawn(stop_on_signal(signals, cancel.clone(), Arc::clone(&children), ui.clone()));
    let limit = usize::try_from(args.parallel_builds).ok().filter(|&count| count > 0);
    let run = Arc::new(Run {
        family,
        connected,
        flags: member_flags(args),
        reports: args.report.clone(),
        changed_only: args.changed_only,
        machine_readable: args.machine_readable,
        limit,
        slots: Semaphore::new(limit.unwrap_or(Semaphore::MAX_PERMITS)),
        renderer: Arc::clone(renderer),
        redactor: renderer.redactor(),
        ui,
        cancel,
        children,
    });
    let fates = Arc::clone(&run).all().await;
    Ok(run.summary(&fates))
}

/// The flags that all builds get.
fn member_flags(args: &BuildArgs) -> Vec<String> {
    let mut flags = vec!["-color=false".to_owned(), "-progress=plain".to_owned()];
    let switches = [
        ("-force", args.force),
        ("-machine-readable", args.machine_readable),
        ("-timestamp-ui", args.timestamp_ui),
        ("-warn-on-undeclared-var", args.warn_on_undeclared_var),
        ("-ignore-prerelease-plugins", args.installed.ignore_prerelease_plugins),
        ("-skip-enforcement", args.skip_enforcement),
        ("-no-cache", args.step_cache.no_cache),
        ("-explain", args.step_cache.explain),
    ];
    let on = switches.iter().filter(|(_, on)| *on);
    flags.extend(on.map(|(flag, _)| (*flag).to_owned()));
    flags.extend(args.step_cache.cache.map(|on| format!("-cache={on}")));
    let directory = args.step_cache.cache_dir.as_deref();
    let directory = directory.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.into()));
    flags.extend(directory.map(|path| format!("-cache-dir={}", path.display())));
    flags.extend(args.selection.only.iter().map(|patterns| format!("-only={patterns}")));
    flags.extend(args.selection.except.iter().map(|patterns| format!("-except={patterns}")));
    match args.on_error {
        Some(OnErrorFlag::Abort) => flags.push("-on-error=abort".into()),
        Some(OnErrorFlag::RunCleanupProvisioner) => {
            flags.push("-on-error=run-cleanup-provisioner".into());
        }
        Some(OnErrorFlag::Cleanup | OnErrorFlag::Ask | OnErrorFlag::Keep) | None => {}
    }
    flags
}

/// The processes that build, by their ids.
type Children = Arc<Mutex<Vec<u32>>>;

/// Hands the signals that ask this process to end on to those that build, which are in process groups
/// of their own: each gets each signal once.
async fn stop_on_signal(
    mut signals: Signals,
    cancel: CancellationToken,
    children: Children,
    ui: Ui,
) {
    loop {
        let signal = signals.next().await;
        if !cancel.is_cancelled() {
            ui.error(format!("Cancelling builds after receiving {signal}"));
            ui.error("Interrupt again to stop at once, without cleaning up.");
        }
        cancel.cancel();
        for &child in &*children.lock() {
            interrupt(child);
        }
    }
}

fn interrupt(child: u32) {
    if let Some(pid) = Pid::from_raw(child.cast_signed()) {
        // Fails only if it is gone.
        let _ = kill_process(pid, Signal::INT);
    }
}

/// Why each member is to be built, if it is, as far as that can be told before: a parent that is built
/// moves its channels.
pub(super) fn foreseen(family: &Family, standings: &[Standing]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for (place, member) in family.members.iter().enumerate() {
        let mut reasons = standings[place].reasons.clone();
        for &parent in &family.parents[place] {
            let bucket = &family.members[parent].bucket;
            if !all[parent].is_empty() && follows(member, &family.members[parent]) {
                reasons.push(format!("{bucket} is built before it"));
            }
        }
        all.push(reasons);
    }
    all
}

/// Whether what `member` is built from changes when `parent` is built.
fn follows(member: &Member, parent: &Member) -> bool {
    let links = member.parents.iter().filter(|link| link.bucket == parent.bucket);
    let mut channels = links.filter_map(|link| link.channel.as_deref());
    channels.any(|channel| parent.moves(channel))
}

async fn dry_run(
    family: &Family,
    connected: &Connected,
    ui: &Ui,
    changed_only: bool,
) -> Result<ExitCode> {
    let mut standings = Vec::new();
    for member in &family.members {
        standings.push(ask(connected, member).await?);
    }
    let foreseen = foreseen(family, &standings);
    let mut number = 0;
    for (place, reasons) in foreseen.iter().enumerate() {
        let member = &family.members[place];
        if reasons.is_empty() {
            continue;
        }
        number += 1;
        let bucket = &member.bucket;
        let to = match &member.promote {
            Some(channel) => format!(", to be promoted to {channel}"),
            None => String::new(),
        };
        ui.say(format!("{number}. {bucket} ({}){to}", member.template.display()));
        for reason in reasons {
            ui.say(format!("   {reason}"));
        }
    }
    let rest = family.members.len() - number;
    ui.say(match (number, changed_only) {
        (0, false) => format!("Nothing is out of date: {rest} unchanged."),
        (_, false) => format!("{number} would be built in this order, {rest} unchanged."),
        (_, true) => format!(
            "{number} would be built in this order; {rest} only if their templates changed, which \
             `ingot plan` tells."
        ),
    });
    Ok(ExitCode::SUCCESS)
}

/// How a member stands.
pub(super) async fn ask(connected: &Connected, member: &Member) -> Result<Standing> {
    let asked = standing(&*connected.registry, member).await;
    asked.map_err(|error| {
        let bucket = &member.bucket;
        Error::new(format!("the {} registry: the bucket {bucket}: {error}", connected.name))
    })
}

/// A run of a family.
struct Run {
    family: Family,
    connected: Connected,
    /// What all builds are given.
    flags: Vec<String>,
    /// The reports that are wanted, of which each member has its own.
    reports: Vec<ReportTarget>,
    changed_only: bool,
    machine_readable: bool,
    /// How many builds of all templates run at once; none for all.
    limit: Option<usize>,
    slots: Semaphore,
    renderer: Arc<Renderer>,
    redactor: Arc<Redactor>,
    ui: Ui,
    cancel: CancellationToken,
    children: Children,
}

impl Run {
    /// Builds all that are out of date; what became of each.
    async fn all(self: Arc<Self>) -> Vec<Fate> {
        let count = self.family.members.len();
        let mut fates: Vec<Option<Fate>> = vec![None; count];
        let mut started = vec![false; count];
        let mut tasks = JoinSet::new();
        loop {
            for (place, started) in started.iter_mut().enumerate() {
                let parents = &self.family.parents[place];
                let ready = parents.iter().all(|&parent| fates[parent].is_some());
                if *started || !ready {
                    continue;
                }
                *started = true;
                let blocks = |&&parent: &&usize| fates[parent].as_ref().is_some_and(Fate::blocks);
                let blocked: Vec<usize> = parents.iter().filter(blocks).copied().collect();
                let run = Arc::clone(&self);
                tasks.spawn(async move { (place, run.member(place, &blocked).await) });
            }
            match tasks.join_next().await {
                None => break,
                Some(Ok((place, fate))) => fates[place] = Some(fate),
                Some(Err(error)) => tracing::error!(%error, "a member ended abnormally"),
            }
        }
        let ended = |fate: Option<Fate>| {
            fate.unwrap_or_else(|| {
                Fate::Failed("it ended abnormally; this is a bug in Ingot".into())
            })
        };
        fates.into_iter().map(ended).collect()
    }

    /// Sees to a member whose parents are done. `blocked` are those of them that are not built.
    async fn member(&self, place: usize, blocked: &[usize]) -> Fate {
        let member = &self.family.members[place];
        if self.cancel.is_cancelled() {
            return Fate::Stopped;
        }
        let standing = match ask(&self.connected, member).await {
            Ok(standing) => standing,
            Err(error) => return self.fail(member, error.to_string()),
        };
        let reasons = &standing.reasons;
        let members = &self.family.members;
        let in_its_way = blocked.iter().map(|&parent| &members[parent]);
        let in_its_way: Vec<&Member> =
            in_its_way.filter(|parent| !reasons.is_empty() || follows(member, parent)).collect();
        if let Some(parent) = in_its_way.first() {
            return Fate::NotReached(parent.bucket.clone());
        }
        if reasons.is_empty() {
            match finish_promotion(&*self.connected.registry, member, &standing).await {
                Ok(true) => {
                    let version = standing.last.map(|last| last.name).unwrap_or_default();
                    let channel = member.promote.clone().unwrap_or_default();
                    return Fate::Promoted { version, channel };
                }
                Ok(false) if self.changed_only => {}
                Ok(false) => return Fate::Unchanged,
                Err(error) => return self.fail(member, format!("it cannot be promoted: {error}")),
            }
        }
        for reason in reasons {
            self.ui.say(format!("==> {}: {reason}", member.bucket));
        }
        match self.build(member, reasons.is_empty()).await {
            Ok(fate) => fate,
            Err(error) if error.is_cancelled() => Fate::Stopped,
            Err(error) => self.fail(member, error.to_string()),
        }
    }

    fn fail(&self, member: &Member, why: String) -> Fate {
        self.ui.error(format!("{}: {why}", member.bucket));
        Fate::Failed(why)
    }

    /// Builds a member, and promotes what was built.
    async fn build(&self, member: &Member, if_changed: bool) -> Result<Fate> {
        let wanted = member.builds.clamp(1, self.limit.unwrap_or(usize::MAX));
        let permits = u32::try_from(wanted).unwrap_or(u32::MAX);
        let _slots = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(Error::Cancelled),
            // The semaphore is never closed.
            slots = self.slots.acquire_many(permits) => slots,
        };
        let fingerprint = self.fingerprint(member).await?;
        let code = self.process(member, &fingerprint, wanted, if_changed).await?;
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match code {
            Some(0) => {}
            Some(75) => return Err(Error::new("it was built, and could not be published")),
            Some(_) => return Err(Error::new("its build or a test of it failed")),
            None => return Err(Error::new("the process that built it was killed")),
        }
        let version = match self.version(member, &fingerprint).await? {
            Some(version) if version.is_complete() => version,
            None if if_changed => return Ok(Fate::Unchanged),
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
                Error::new(format!("{} was not promoted to {channel}: {error}", version.name))
            })?;
            promoted = Some(channel.clone());
        }
        Ok(Fate::Built { version: version.name, promoted })
    }

    async fn version(&self, member: &Member, fingerprint: &str) -> Result<Option<Version>> {
        match self.connected.registry.get_version(&member.bucket, fingerprint).await {
            Ok(version) => Ok(Some(version)),
            Err(error) if matches!(error.code, Code::NotFound | Code::Aborted) => Ok(None),
            Err(error) => Err(Error::new(format!("the {} registry: {error}", self.connected.name))),
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
                let commit: String = own.chars().take(12).collect();
                let new = format!("{commit}-{}", new_id());
                if begun_by_another {
                    self.ui.say(format!(
                        "==> {}: another run began the version {own} and did not complete it: what \
                         is built now goes to the version {new}",
                        member.bucket
                    ));
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

    /// Runs the process that builds a member; its exit code, if it was not killed.
    async fn process(
        &self,
        member: &Member,
        fingerprint: &str,
        parallel: usize,
        if_changed: bool,
    ) -> Result<Option<i32>> {
        let program = std::env::current_exe()?;
        let (own, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command.arg("build").args(&self.flags);
        if self.limit.is_some() {
            command.arg(format!("-parallel-builds={parallel}"));
        }
        if if_changed {
            command.arg("-changed-only");
        }
        for report in &self.reports {
            let mut flag = OsString::from(format!("-report={}:", report.format.name()));
            flag.push(report_of(&report.path, &member.bucket));
            command.arg(flag);
        }
        for flag in &member.variables {
            match flag {
                VariableFlag::Value(text) => command.arg("-var").arg(text),
                VariableFlag::File(path) => command.arg("-var-file").arg(path),
            };
        }
        command
            .arg(&member.template)
            .env("HCP_PACKER_BUILD_FINGERPRINT", fingerprint)
            .env(MEMBER, member_of_this(member.promote.as_deref()))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for this process, which hands it on.
            .process_group(0)
            .kill_on_drop(true);
        // Not the runner of processes that plugins use: that gives a process five seconds to end.
        let mut child = command.spawn().map_err(|error| {
            Error::from(error).context(format_args!("starting the build of {}", member.bucket))
        })?;
        // Its end of the sockets is its own from here on.
        drop(command);
        let id = child.id();
        self.children.lock().extend(id);
        if self.cancel.is_cancelled() {
            // The signal came before it was in the list.
            id.into_iter().for_each(interrupt);
        }
        own.set_nonblocking(true)?;
        let secrets = tokio::net::UnixStream::from_std(own)?;
        let (reading, _open) = secrets.into_split();
        let redactor = Arc::clone(&self.redactor);
        let listening = tokio::spawn(async move {
            lines(reading, u64::MAX, |line| {
                if let Ok(secret) = serde_json::from_slice::<String>(line) {
                    redactor.add(&secret);
                }
            })
            .await;
        });
        let prefix = match self.machine_readable {
            true => String::new(),
            false => format!("[{}] ", member.bucket),
        };
        let show = |line: &[u8], to_stdout: bool| {
            let line = String::from_utf8_lossy(line);
            let text = self.redactor.apply(line.trim_end_matches(['\n', '\r']));
            let text = match to_stdout && self.machine_readable {
                true => of_member(&text, &member.bucket),
                false => format!("{prefix}{text}"),
            };
            let text = text.trim_end().to_owned() + "\n";
            match (to_stdout, self.machine_readable) {
                (true, false) => self.renderer.raw(&text),
                (true, true) => drop(std::io::stdout().lock().write_all(text.as_bytes())),
                (false, _) => drop(std::io::stderr().lock().write_all(text.as_bytes())),
            }
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        tokio::join!(
            async {
                if let Some(stdout) = stdout {
                    lines(stdout, LONGEST_LINE, |line| show(line, true)).await;
                }
            },
            async {
                if let Some(stderr) = stderr {
                    lines(stderr, LONGEST_LINE, |line| show(line, false)).await;
                }
            },
        );
        let status = child.wait().await;
        self.children.lock().retain(|one| Some(*one) != id);
        listening.abort();
        Ok(status?.code())
    }

    /// Tells what became of all; the exit code.
    fn summary(&self, fates: &[Fate]) -> ExitCode {
        let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
        let built = count(|fate| matches!(fate, Fate::Built { .. }));
        let promoted = count(|fate| matches!(fate, Fate::Promoted { .. }));
        let unchanged = count(|fate| matches!(fate, Fate::Unchanged));
        let failed = count(|fate| matches!(fate, Fate::Failed(_)));
        let not_reached = count(|fate| matches!(fate, Fate::NotReached(_) | Fate::Stopped));
        let mut parts = vec![format!("{built} built"), format!("{unchanged} unchanged")];
        let rest = [(promoted, "promoted"), (failed, "failed"), (not_reached, "not reached")];
        let rest = rest.iter().filter(|(count, _)| *count > 0);
        parts.extend(rest.map(|(count, what)| format!("{count} {what}")));
        let bad = failed + not_reached > 0;
        self.ui.verdict(bad, format!("\n==> Family: {}.", parts.join(", ")));
        for (member, fate) in self.family.members.iter().zip(fates) {
            let text = match fate {
                Fate::Unchanged => continue,
                Fate::Built { version, promoted: Some(channel) } => {
                    format!("built {version}, promoted to {channel}")
                }
                Fate::Built { version, promoted: None } => format!("built {version}"),
                Fate::Promoted { version, channel } => {
                    format!("promoted {version}, built before, to {channel}")
                }
                Fate::Failed(why) => format!("failed: {}", self.ui.masked(why)),
                Fate::NotReached(parent) => format!("not reached, because of {parent}"),
                Fate::Stopped => "stopped".into(),
            };
            self.ui.verdict(fate.blocks(), format!("--> {}: {text}", member.bucket));
        }
        match bad {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        }
    }
}

/// The file of a member's own report: `reports/web.junit.xml` for `reports/junit.xml`.
fn report_of(path: &Path, bucket: &str) -> PathBuf {
    let mut name = OsString::from(bucket);
    name.push(".");
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

/// A line for programs (`TIME,TARGET,TYPE,DATA…`) of the build of a bucket: its target, a build, is only
/// one with the bucket, as others of the family may be called the same.
fn of_member(line: &str, bucket: &str) -> String {
    match line.split_once(',') {
        Some((time, rest)) if !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit()) => {
            let slash = if rest.starts_with(',') { "" } else { "/" };
            format!("{time},{bucket}{slash}{rest}")
        }
        _ => line.to_owned(),
    }
}

/// Calls `take` with each line; one that is longer than `longest` comes in parts.
async fn lines(source: impl AsyncRead + Unpin, longest: u64, mut take: impl FnMut(&[u8])) {
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut source).take(longest).read_until(b'\n', &mut line).await {
            Ok(1..) => take(&line),
            _ => return,
        }
    }
}
