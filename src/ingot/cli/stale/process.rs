//! The process that builds a member: what it is given, and what it says.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use ingot_sdk::{Error, Result, Ui};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::run::{Children, Run};
use crate::cli::family_member::{MEMBER, member_of_this};
use crate::cli::interrupts::say_in_time;
use crate::engine::signals::Signals;
use crate::family::Member;
use crate::template::variables::VariableFlag;

/// The longest line of a build that is shown as one, in bytes.
const LONGEST_LINE: u64 = 64 << 10;

/// Hands the signals that ask this process to end on to those that build, which are in process groups
/// of their own: each gets each signal once.
pub(super) async fn stop_on_signal(
    mut signals: Signals,
    cancel: CancellationToken,
    children: Children,
    ui: Ui,
) {
    loop {
        let signal = signals.next().await;
        let first = !cancel.is_cancelled();
        // Before the messages, as nobody may read them.
        cancel.cancel();
        for &child in &*children.lock() {
            interrupt(child);
        }
        if first {
            let ui = ui.clone();
            say_in_time(move || {
                ui.error(format!("Cancelling builds after receiving {signal}"));
                ui.error(
                    "Interrupt again to stop at once, without cleaning up. Where an \
                     error-cleanup-provisioner may run, that stops it, and the next interrupt stops at once.",
                );
            });
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
