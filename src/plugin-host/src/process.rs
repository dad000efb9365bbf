//! Plugin programs that run.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::process_group::{interrupt_group, kill_group};
use parking_lot::Mutex;
use rustix::process::Pid;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;
use tokio::sync::watch;

use crate::description::Description;
use crate::error::{Failure, HostError};
use crate::mux::Mux;
use crate::started::StartedPrograms;

/// Tells a plugin that it is not started by hand.
const COOKIE: (&str, &str) = (
    "PACKER_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);
/// The ports of this machine that a plugin may listen on, where it does not use a socket.
const PORTS: [(&str, &str); 2] =
    [("PACKER_PLUGIN_MIN_PORT", "10000"), ("PACKER_PLUGIN_MAX_PORT", "25000")];
/// How long a plugin may take until it listens; Packer's value.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);
/// What a plugin does until then.
pub(crate) const STARTING: &str = "starting";
/// How long a plugin may take to end by itself when its connection was closed.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest line that is kept of a log; the rest of it is left out.
const MAX_LINE: usize = 8 * 1024;
/// How many of the last lines of a log go with an error.
const KEPT_LINES: usize = 12;
/// The longest description that is accepted.
const MAX_DESCRIPTION: u64 = 4 << 20;

/// A plugin program that was started, and the connection to it. Dropping it kills the program and
/// all that it started.
pub struct PluginProcess {
    /// What errors call it.
    name: String,
    mux: Mux,
    log: Log,
    ended: watch::Receiver<Option<End>>,
    group: Option<Pid>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy)]
enum End {
    /// By itself, or by a signal.
    Exited(ExitStatus),
    /// It was ended, as it wanted to use the terminal.
    WantedTerminal,
}

/// The last lines that a program wrote to standard error; of a Go program that crashed, those that
/// say why rather than the end of the stack.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<LogLines>>);

#[derive(Default)]
struct LogLines {
    lines: VecDeque<String>,
    crashed: bool,
}

impl Log {
    fn push(&self, line: String) {
        let mut log = self.0.lock();
        if ["panic: ", "fatal error: "].iter().any(|start| line.starts_with(start)) && !log.crashed
        {
            log.crashed = true;
            log.lines.clear();
        }
        if log.lines.len() == KEPT_LINES {
            if log.crashed {
                return;
            }
            log.lines.pop_front();
        }
        log.lines.push_back(line);
    }

    fn lines(&self) -> Vec<String> {
        let log = self.0.lock();
        log.lines.iter().cloned().collect()
    }
}

/// The name of a program, for errors and the log.
pub(crate) fn program_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    // packer-plugin-NAME_vX.Y.Z_x5.0_linux_amd64
    name.split('_').next().unwrap_or(&name).to_owned()
}

fn command(path: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .env(COOKIE.0, COOKIE.1)
        .envs(PORTS)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Asks the program at `path` what it is.
///
/// # Errors
/// It cannot be run, takes too long, or answers with something else.
pub(crate) async fn describe(
    programs: &StartedPrograms,
    path: &Path,
) -> Result<Description, HostError> {
    let name = program_name(path);
    let log = Log::default();
    let fail = |failure| HostError { program: name.clone(), failure, log: log.lines() };
    let unstarted = |source| fail(Failure::Start { path: path.to_owned(), source });
    let during = || "describing itself".to_owned();
    let mut command = command(path);
    command.arg("describe");
    let (mut child, _group) = programs.spawn(command).await.map_err(unstarted)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let answer = async {
        let reading = async {
            let mut text = Vec::new();
            match stdout {
                Some(stdout) => stdout.take(MAX_DESCRIPTION).read_to_end(&mut text).await,
                None => Ok(0),
            }
            .map(|_| text)
        };
        let (text, ()) = tokio::join!(reading, keep_log(&name, stderr, &log));
        (text, child.wait().await)
    };
    let answered = tokio::time::timeout(START_TIMEOUT, answer).await;
    let (text, status) =
        answered.map_err(|_| fail(Failure::Timeout { limit: START_TIMEOUT, during: during() }))?;
    let text = text.map_err(unstarted)?;
    match (serde_json::from_slice(&text), status) {
        (Ok(description), Ok(status)) if status.success() => Ok(description),
        (_, Ok(status)) if !status.success() => {
            Err(fail(Failure::Exited { status: ended(status), during: during() }))
        }
        (Err(error), _) => {
            Err(fail(Failure::Protocol { during: during(), problem: error.to_string() }))
        }
        (_, Ok(_)) => Err(fail(Failure::Closed { during: during() })),
        (_, Err(error)) => Err(unstarted(error)),
    }
}

/// How a program ended, for people.
fn ended(status: ExitStatus) -> String {
    match (status.code(), std::os::unix::process::ExitStatusExt::signal(&status)) {
        (Some(code), _) => format!("with exit code {code}"),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => "abnormally".to_owned(),
    }
}

impl PluginProcess {
    /// Starts a component of the program at `path`, which has to listen within `limit`, and connects to
    /// it.
    ///
    /// # Errors
    /// The program cannot be started, or does not behave like a plugin.
    pub async fn start<S: AsRef<OsStr>>(
        programs: &StartedPrograms,
        path: &Path,
        arguments: &[S],
        environment: &[(String, String)],
        limit: Duration,
    ) -> Result<PluginProcess, HostError> {
        let name = program_name(path);
        let log = Log::default();
        tracing::info!(plugin = name, path = %path.display(), "starting a plugin");
        let mut command = command(path);
        command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
        let unstarted = |source| Failure::Start { path: path.to_owned(), source };
        let started = programs.spawn(command).await;
        let (mut child, mut group) = started.map_err(|error| HostError {
            program: name.clone(),
            failure: unstarted(error),
            log: Vec::new(),
        })?;
        let stderr = child.stderr.take();
        let logging = tokio::spawn({
            let (name, log) = (name.clone(), log.clone());
            async move { keep_log(&name, stderr, &log).await }
        });
        let mut stdout = child.stdout.take().map(BufReader::new);
        let line = async {
            let mut line = Vec::new();
            if let Some(stdout) = &mut stdout {
                next_line(stdout, &mut line).await?;
            }
            std::io::Result::Ok(String::from_utf8_lossy(&line).trim().to_owned())
        };
        let line = tokio::time::timeout(limit, line).await;
        let during = || STARTING.to_owned();
        let failure = match line {
            Err(_) => Some(Failure::Timeout { limit, during: during() }),
            Ok(Err(error)) => Some(unstarted(error)),
            Ok(Ok(line)) if line.is_empty() => {
                match tokio::time::timeout(END_TIMEOUT, child.wait()).await {
                    Ok(Ok(status)) => {
                        Some(Failure::Exited { status: ended(status), during: during() })
                    }
                    _ => Some(Failure::Closed { during: during() }),
                }
            }
            Ok(Ok(line)) => match connect(&line).await {
                Err(failure) => Some(failure),
                Ok(mux) => {
                    let (sender, ended) = watch::channel(None);
                    // What a plugin prints after its address is of no use, but must be read.
                    tokio::spawn(async move {
                        if let Some(mut stdout) = stdout {
                            let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
                        }
                    });
                    let pid = group.id();
                    tokio::spawn({
                        let mux = mux.clone();
                        async move {
                            let end = tokio::select! {
                                status = child.wait() => End::Exited(status.unwrap_or_default()),
                                () = group.wants_terminal() => {
                                    // Before the plugin can say what its program was ended by.
                                    sender.send_replace(Some(End::WantedTerminal));
                                    group.end();
                                    let _ = tokio::time::timeout(END_TIMEOUT, child.wait()).await;
                                    End::WantedTerminal
                                }
                            };
                            // What it left running.
                            drop(group);
                            let _ = tokio::time::timeout(END_TIMEOUT, logging).await;
                            sender.send_replace(Some(end));
                            mux.close();
                        }
                    });
                    return Ok(PluginProcess { name, mux, log, ended, group: pid });
                }
            },
        };
        drop(group);
        let _ = tokio::time::timeout(END_TIMEOUT, logging).await;
        let failure = failure.unwrap_or(Failure::Closed { during: during() });
        Err(HostError { program: name, failure, log: log.lines() })
    }

    /// What errors call the program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The connection.
    pub fn mux(&self) -> &Mux {
        &self.mux
    }

    /// Whether it has ended, or nothing can be asked of it any more.
    pub fn is_over(&self) -> bool {
        self.mux.is_closed() || self.ended.borrow().is_some()
    }

    /// Whether it was ended because it wanted to use the terminal. What it responds with from then on
    /// comes of that.
    pub fn wanted_terminal(&self) -> bool {
        matches!(*self.ended.borrow(), Some(End::WantedTerminal))
    }

    /// Sends SIGINT to the program and to what it started, as the terminal does at Ctrl-C where Packer
    /// runs plugins. Programs on packer-plugin-sdk ignore it, and what they started ends.
    pub fn interrupt(&self) {
        if let Some(group) = self.running_group() {
            interrupt_group(group);
        }
    }

    /// Its process group; none once it has ended, as the number may be another's by then.
    fn running_group(&self) -> Option<Pid> {
        self.group.filter(|_| self.ended.borrow().is_none())
    }

    /// Why the connection ended, which may take a moment to be known.
    pub async fn lost(&self, during: &str) -> HostError {
        let mut ended_receiver = self.ended.clone();
        let end = tokio::time::timeout(END_TIMEOUT, ended_receiver.wait_for(Option::is_some));
        let end = match end.await {
            Ok(Ok(end)) => *end,
            _ => None,
        };
        let during = during.to_owned();
        self.failed(match end {
            Some(End::Exited(status)) => Failure::Exited { status: ended(status), during },
            Some(End::WantedTerminal) => Failure::Terminal { during },
            None => Failure::Closed { during },
        })
    }

    /// An error of this program, with the last lines of its log.
    pub fn failed(&self, failure: Failure) -> HostError {
        let log = match failure {
            Failure::Remote(_) | Failure::Cancelled => Vec::new(),
            _ => self.log.lines(),
        };
        HostError { program: self.name.clone(), failure, log }
    }
}

impl Drop for PluginProcess {
    fn drop(&mut self) {
        self.mux.close();
        if let Some(group) = self.running_group() {
            kill_group(group);
        }
    }
}

/// Connects to the address in the line that a plugin prints: `MAJOR|MINOR|NETWORK|ADDRESS`.
async fn connect(line: &str) -> Result<Mux, Failure> {
    let parts: Vec<&str> = line.split('|').collect();
    let number = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let (major, minor, network, address) = match parts[..] {
        [major, minor, network, address, ..] if number(&major) && number(&minor) => {
            (major, minor, network, address)
        }
        // Version 4 and before had no second number.
        [major, _, _] if number(&major) => {
            return Err(Failure::Version { spoken: major.to_owned() });
        }
        _ => return Err(Failure::Handshake { line: line.to_owned() }),
    };
    if major != "5" || minor != "0" {
        return Err(Failure::Version { spoken: format!("{major}.{minor}") });
    }
    let refused = |source| Failure::Connect { address: address.to_owned(), source };
    let connecting = async {
        match network {
            "unix" => UnixStream::connect(PathBuf::from(address)).await.map(Mux::start),
            "tcp" => TcpStream::connect(address).await.map(|stream| {
                // Small messages must not wait for more.
                let _ = stream.set_nodelay(true);
                Mux::start(stream)
            }),
            _ => Err(std::io::Error::other("the kind of network is not known")),
        }
    };
    match tokio::time::timeout(START_TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(refused),
        Err(_) => Err(refused(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Reads a line, and forgets what is more than [`MAX_LINE`] bytes of it. Whether there was one.
async fn next_line(
    source: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let piece = source.fill_buf().await?;
        if piece.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = piece.iter().position(|&byte| byte == b'\n');
        let taken = end.unwrap_or(piece.len());
        let room = MAX_LINE.saturating_sub(line.len());
        line.extend_from_slice(&piece[..taken.min(room)]);
        source.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Writes a plugin's log to the log of this program and keeps its last lines.
async fn keep_log(name: &str, stderr: Option<impl AsyncRead + Unpin>, log: &Log) {
    let Some(stderr) = stderr else { return };
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(true) = next_line(&mut stderr, &mut line).await {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        tracing::debug!("{name} plugin: {text}");
        log.push(text.to_owned());
    }
}
