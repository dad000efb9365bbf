//! The process that builds a member: what it is given, and what it writes.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;

use ingot_engine::signals::Signals;
use ingot_sdk::{Error, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::event::{FamilyEvent, OutputStream, Report};
use super::member::Member;
use super::membership::{MEMBER_VARIABLE, member_of_this};
use super::run::{Children, Run};

/// The longest line of a build that is reported as one, in bytes.
const LONGEST_LINE: u64 = 64 << 10;

/// The build of a member that is to be started.
#[derive(Debug, Clone, Copy)]
pub struct MemberBuild<'a> {
    /// The member.
    pub member: &'a Member,
    /// How many of its builds may run at once; none for all.
    pub parallel: Option<usize>,
    /// Whether it is only built if it has changed.
    pub only_if_changed: bool,
}

/// The arguments with which this program does a build.
pub type Arguments = Box<dyn Fn(&MemberBuild<'_>) -> Vec<OsString> + Send + Sync>;

/// Hands the signals that ask this process to end on to those that build, which are in process groups
/// of their own: each gets each signal once.
pub(super) async fn stop_on_signal(
    mut signals: Signals,
    cancel: CancellationToken,
    children: Children,
    report: Report,
) {
    loop {
        let signal = signals.next().await;
        let first = !cancel.is_cancelled();
        // Before the report, as nobody may read it.
        cancel.cancel();
        for &child in &*children.lock() {
            interrupt(child);
        }
        if first {
            report(FamilyEvent::Cancelling { signal });
        }
    }
}

fn interrupt(child: u32) {
    if let Some(pid) = Pid::from_raw(child.cast_signed()) {
        // Fails only if it is gone.
        let _ = kill_process(pid, Signal::INT);
    }
}

impl Run {
    /// Runs the process that builds a member; its exit code, if it was not killed.
    pub(super) async fn process(
        &self,
        build: &MemberBuild<'_>,
        fingerprint: &str,
    ) -> Result<Option<i32>> {
        let member = build.member;
        let program = std::env::current_exe()?;
        let (own, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command
            .args((self.options.arguments)(build))
            .env("HCP_PACKER_BUILD_FINGERPRINT", fingerprint)
            .env(MEMBER_VARIABLE, member_of_this(&member.bucket, member.promote.as_deref()))
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
        let report = Arc::clone(&self.options.report);
        let listening = tokio::spawn(async move {
            lines(reading, u64::MAX, |line| {
                if let Ok(secret) = serde_json::from_slice::<String>(line) {
                    report(FamilyEvent::Secret(&secret));
                }
            })
            .await;
        });
        let output = |line: &[u8], stream: OutputStream| {
            (self.options.report)(FamilyEvent::Output { member, stream, line });
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        tokio::join!(
            async {
                if let Some(stdout) = stdout {
                    lines(stdout, LONGEST_LINE, |line| output(line, OutputStream::Stdout)).await;
                }
            },
            async {
                if let Some(stderr) = stderr {
                    lines(stderr, LONGEST_LINE, |line| output(line, OutputStream::Stderr)).await;
                }
            },
        );
        let status = child.wait().await;
        self.children.lock().retain(|one| Some(*one) != id);
        listening.abort();
        Ok(status?.code())
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
