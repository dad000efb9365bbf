//! The one runner of local processes.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::process_group::{ProcessGroup, TERMINAL_HINT};
use crate::{Error, ExitStatus, OutputSink, Result, RunContext};

/// How long a process may take to end by itself once it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is still read after the process ended: a child of its that keeps the pipe
/// open must not keep the build waiting.
const DRAIN: Duration = Duration::from_secs(2);

/// How long work on files may take to stop once it was asked to. It looks for that with each part that
/// it reads; what waits for others, as for the reader of a pipe, is left to itself.
const STOP_FILE_WORK: Duration = Duration::from_secs(10);

/// What helps where the system starts no more processes or threads.
pub const PROCESS_LIMIT_HINT: &str = "the limit of processes is reached: that of the user, which `ulimit -u` \
                                      shows, or that of the container";

/// Taken while a process is started and while a file that is to be run is being written: a process
/// that starts meanwhile has the file open for a moment, and then it cannot be run.
static STARTING: RwLock<()> = RwLock::new(());

/// Does `work`, which writes a file that is to be run, while no process is being started.
pub(crate) fn while_nothing_starts<T>(work: impl FnOnce() -> T) -> T {
    let _alone = STARTING.write();
    work()
}

/// The processes that run, or are being ended, for a [`RunContext`], and its work on files. Work that is
/// cancelled is not given up before they have ended. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    own: TaskTracker,
    /// The [work on files](crate::file_work).
    file_work: TaskTracker,
    /// Those of the context that this one is a part of; they include this one's.
    outer: Option<Arc<Processes>>,
}

impl Processes {
    /// Those of a part of the work, which can be cancelled by itself.
    pub(crate) fn part(&self) -> Processes {
        Processes { outer: Some(Arc::new(self.clone())), ..Processes::default() }
    }

    /// Counts a process until what is returned is dropped.
    #[must_use = "the process counts as ended when this is dropped"]
    pub fn running(&self) -> Running {
        Running { _tokens: self.all().map(|processes| processes.own.token()).collect() }
    }

    /// Counts work on files until what is returned is dropped.
    pub(crate) fn file_work(&self) -> Running {
        Running { _tokens: self.all().map(|processes| processes.file_work.token()).collect() }
    }

    /// This one, and those that it is a part of.
    fn all(&self) -> impl Iterator<Item = &Processes> {
        std::iter::successors(Some(self), |processes| processes.outer.as_deref())
    }

    /// Waits until no process runs, and for a while until no files are worked on.
    pub(crate) async fn ended(&self) {
        // A tracker is done when it is closed and empty; it still counts what comes afterwards.
        self.own.close();
        self.file_work.close();
        let file_work = tokio::time::timeout(STOP_FILE_WORK, self.file_work.wait());
        let ((), stopped) = tokio::join!(self.own.wait(), file_work);
        if stopped.is_err() {
            tracing::warn!("work on files goes on though the build was cancelled");
        }
    }
}

/// A process that runs, or work on files.
#[derive(Debug)]
pub struct Running {
    _tokens: Vec<TaskTrackerToken>,
}

/// A program to run on this machine.
#[derive(Debug, Clone, Default)]
pub struct LocalCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables added to this process's environment.
    pub env: BTreeMap<String, String>,
    /// The directory to run in; this process's own when none.
    pub dir: Option<PathBuf>,
    /// Whether the program goes on when nobody waits for it any more; then only `ctx.cancel` ends
    /// it.
    pub outlives: bool,
}

impl LocalCommand {
    /// Runs the command in a process group of its own and feeds its output to `output` as it
    /// comes. When `ctx.cancel` fires the whole group is ended: SIGTERM first, SIGKILL when that
    /// does not help. When this future is dropped the group is killed at once, unless it outlives.
    ///
    /// # Errors
    /// The program could not be started, it wanted to use the terminal, or the build was cancelled.
    pub async fn run(&self, ctx: &RunContext, output: &dyn OutputSink) -> Result<ExitStatus> {
        let Some((program, args)) = self.argv.split_first() else {
            return Err(Error::new("there is no command to run"));
        };
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(!self.outlives);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        tracing::debug!(program, "running a local command");
        // What outlives the command that started it ends when the build is cleaned up.
        let _running = (!self.outlives).then(|| ctx.processes.running());
        let spawned = {
            let _others_may = STARTING.read();
            command.spawn()
        };
        let mut child = spawned.map_err(|error| cannot_run(program, error))?;
        // What outlives the command that started it is in the journal.
        let mut group = match self.outlives {
            true => ProcessGroup::that_outlives(&child),
            false => ProcessGroup::of(&child),
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut reading = Box::pin(async {
            tokio::join!(
                pump(stdout, |bytes| output.stdout(bytes)),
                pump(stderr, |bytes| output.stderr(bytes)),
            )
        });
        let mut read = false;
        let status = loop {
            let error = tokio::select! {
                biased;
                () = ctx.cancel.cancelled() => Error::Cancelled,
                _ = &mut reading, if !read => {
                    read = true;
                    continue;
                }
                status = child.wait() => break status?,
                () = group.wants_terminal() => wants_terminal(program),
            };
            group.end();
            // Its output ends when the last of the group has ended. Whatever is left then is killed
            // as `group` is dropped.
            let ended = async {
                let _ = child.wait().await;
                if !read {
                    (&mut reading).await;
                }
            };
            let _ = tokio::time::timeout(GRACE, ended).await;
            return Err(error);
        };
        if !read {
            let _ = tokio::time::timeout(DRAIN, &mut reading).await;
        }
        // What it left running in the background is the user's wish.
        group.leave();
        let killed = std::os::unix::process::ExitStatusExt::signal(&status);
        Ok(ExitStatus::Code(status.code().or(killed.map(|signal| 128 + signal)).unwrap_or(-1)))
    }
}

fn cannot_run(program: &str, error: std::io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied => {
            Some("check that the program exists, is executable and is found in PATH")
        }
        ErrorKind::ArgumentListTooLong => Some(
            "its arguments or its environment are too long for the system; Linux takes 128 KiB for each \
             of them",
        ),
        ErrorKind::WouldBlock => Some(PROCESS_LIMIT_HINT),
        _ => None,
    };
    let error = Error::from(error).context(format_args!("cannot run {program}"));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn wants_terminal(program: &str) -> Error {
    Error::new(format!(
        "{program}, or what it started, wanted to use the terminal, which the programs of a build \
         do not have"
    ))
    .hint(TERMINAL_HINT)
}

async fn pump(source: Option<impl AsyncRead + Unpin>, mut show: impl FnMut(&[u8])) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; 8192];
    while let Ok(count @ 1..) = source.read(&mut buffer).await {
        show(&buffer[..count]);
    }
}
