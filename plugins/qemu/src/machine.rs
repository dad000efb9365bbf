//! The running machine.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::file_work::blocking;
use ingot_sdk::{Context, Error, OutputFile, Result, RunContext, async_trait};
use ingot_vm::boot_command::{Key, KeySink};
use ingot_vm::scratch::Scratch;
use serde_json::{Value, json};

use crate::process::Process;
use crate::qmp::Qmp;

/// How long QEMU may take until it listens where it has no state to load.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often QEMU is asked whether it listens yet.
const START_POLL: Duration = Duration::from_millis(20);
/// The name of the socket that QEMU is asked through.
const SOCKET: &str = "qmp";
/// How often the machine is asked how it is.
const STATE_POLL: Duration = Duration::from_secs(1);

/// A machine and the QEMU that runs it.
pub(crate) struct Machine {
    process: Process,
    socket: PathBuf,
    scratch: Scratch,
}

/// Why the machine does not run, when QEMU does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Halt {
    /// It turned itself off, and QEMU keeps running, as asked.
    Off,
    /// Something is wrong: QEMU's name for it.
    Fault(String),
}

/// Why QEMU cannot be asked.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// It has ended by itself or crashed.
    Ended(Error),
    /// It has not answered in time, or was killed, which says nothing of what it was to start from.
    Interrupted(Error),
}

impl Machine {
    /// Starts QEMU. The machine must be kept where cleanup finds it before anything is waited
    /// for. `secrets` are what the arguments refer to by these names.
    ///
    /// # Errors
    /// It cannot be written down.
    pub(crate) fn start(
        ctx: &RunContext,
        program: &str,
        arguments: Vec<String>,
        secrets: &[(&str, &str)],
    ) -> Result<Machine> {
        let scratch = Scratch::create_for_socket(ctx, SOCKET)?;
        let socket = scratch.path().join(SOCKET);
        // One of our own besides the user's, whose place others may have taken.
        let path = socket.display().to_string();
        let mut argv = vec![program.to_owned()];
        argv.extend(arguments);
        argv.extend(["-qmp".to_owned(), format!("unix:{path},server=on,wait=off")]);
        for (name, secret) in secrets {
            // Command lines can be seen by all users of this machine; the directory is this one's.
            let file = scratch.path().join(name);
            std::fs::write(&file, secret).with_context(|| format!("writing {}", file.display()))?;
            let secret = format!("secret,id={name},format=raw,file={}", file.display());
            argv.extend(["-object".to_owned(), secret]);
        }
        let process = Process::start(ctx, "QEMU", argv, &path)?;
        Ok(Machine { process, socket, scratch })
    }

    /// The machine that an earlier run left running, whose temporary files are in `scratch`. One that
    /// was halted goes on.
    ///
    /// # Errors
    /// It does not run any more.
    pub(crate) async fn resume(ctx: &RunContext, scratch: &Path) -> Result<Machine> {
        let socket = scratch.join(SOCKET);
        let mut qmp = Qmp::connect(&socket).await?;
        let status = qmp.execute("query-status", Value::Null).await?;
        match status["status"].as_str().unwrap_or_default() {
            "running" => {}
            "paused" | "suspended" => drop(qmp.execute("cont", Value::Null).await?),
            "shutdown" => return Err(Error::new("it has turned itself off")),
            other => return Err(fault(other, "")),
        }
        drop(qmp);
        let process = Process::resume(ctx, "QEMU", &socket.display().to_string())?;
        Ok(Machine { process, scratch: Scratch::resume(ctx, scratch)?, socket })
    }

    /// Where QEMU is asked.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where its temporary files are.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Waits until QEMU answers, for as long as `limit`. Before it does, it loads the state that it is
    /// to start from.
    ///
    /// # Errors
    /// It ended, with what it said; or it does not answer.
    pub(crate) async fn started(&self, limit: Duration) -> Result<(), NotStarted> {
        tokio::select! {
            biased;
            error = self.process.unexpected_end() => {
                let error = advised(error, &self.process.last_lines());
                Err(match self.process.was_killed() {
                    true => NotStarted::Interrupted(error),
                    false => NotStarted::Ended(error),
                })
            }
            ready = tokio::time::timeout(limit, self.ready()) => ready.map_err(|_| {
                NotStarted::Interrupted(Error::new(format!(
                    "QEMU has not responded for {} seconds: {}",
                    limit.as_secs(),
                    self.process.last_lines()
                )))
            }),
        }
    }

    async fn ready(&self) {
        while let Err(error) = self.qmp().await {
            tracing::trace!(%error, "QEMU does not listen yet");
            tokio::time::sleep(START_POLL).await;
        }
    }

    /// A new connection to QEMU. It takes one at a time; others wait for its end.
    ///
    /// # Errors
    /// QEMU does not listen.
    pub(crate) async fn qmp(&self) -> Result<Qmp> {
        Qmp::connect(&self.socket).await
    }

    /// Waits until the machine is off.
    ///
    /// # Errors
    /// It stopped because something is wrong, or QEMU was killed.
    pub(crate) async fn off(&self) -> Result<()> {
        tokio::select! {
            ended = self.process.end() => ended,
            halt = self.halted() => match halt {
                Halt::Off => Ok(()),
                Halt::Fault(state) => Err(fault(&state, &self.process.last_lines())),
            },
        }
    }

    /// Waits until something is wrong with the machine. That it turns itself off is not.
    pub(crate) async fn fault(&self) -> Error {
        let faulty = async {
            loop {
                if let Halt::Fault(state) = self.halted().await {
                    return fault(&state, &self.process.last_lines());
                }
                tokio::time::sleep(STATE_POLL).await;
            }
        };
        tokio::select! {
            error = faulty => error,
            error = self.process.crash() => error,
        }
    }

    /// Waits until the machine does not run any more, and says why.
    pub(crate) async fn lost(&self) -> Error {
        tokio::select! {
            error = self.process.unexpected_end() => error,
            halt = self.halted() => match halt {
                Halt::Off => Error::new("the machine turned itself off"),
                Halt::Fault(state) => fault(&state, &self.process.last_lines()),
            },
        }
    }

    async fn halted(&self) -> Halt {
        loop {
            tokio::time::sleep(STATE_POLL).await;
            let asked = async { self.qmp().await?.execute("query-status", Value::Null).await };
            // Without an answer QEMU is ending, or somebody else asks it something.
            let Ok(answer) = asked.await else { continue };
            match answer["status"].as_str().unwrap_or_default() {
                "shutdown" => return Halt::Off,
                state @ ("internal-error" | "io-error" | "guest-panicked") => {
                    return Halt::Fault(state.to_owned());
                }
                _ => {}
            }
        }
    }

    /// Writes what the machine shows on its screen to the file `target` and its extension, and
    /// returns that path: PNG where QEMU can, else PPM. A file that is there already is replaced by
    /// a whole one only.
    ///
    /// # Errors
    /// QEMU does not answer, or the file cannot be written.
    pub(crate) async fn screenshot(&self, ctx: &RunContext, target: &Path) -> Result<PathBuf> {
        let mut qmp = self.qmp().await?;
        let file = self.scratch.path().join("screen");
        let mut arguments = json!({ "filename": file, "format": "png" });
        let mut extension = "png";
        if qmp.execute("screendump", arguments.clone()).await.is_err() {
            // Before QEMU 7.1, or built without PNG.
            arguments = json!({ "filename": file });
            extension = "ppm";
            qmp.execute("screendump", arguments).await?;
        }
        let target = target.with_extension(extension);
        let (journal, path) = (Arc::clone(&ctx.journal), target.clone());
        blocking(ctx, move |_| {
            let mut shot = std::fs::File::open(&file).context("reading what QEMU wrote")?;
            let output = OutputFile::create(&journal, &path, 0o666)?;
            std::io::copy(&mut shot, &mut output.writer()?)
                .with_context(|| format!("writing {}", path.display()))?;
            output.finish()
        })
        .await?;
        Ok(target)
    }

    /// Cuts the machine's power. QEMU still writes what it has for the disks.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.process.stop().await
    }

    /// Waits until QEMU has ended, and makes an error of that.
    pub(crate) async fn ended(&self) -> Error {
        self.process.unexpected_end().await
    }

    /// Whether QEMU runs.
    pub(crate) fn runs(&self) -> bool {
        self.process.runs()
    }
}

/// QEMU's names of what may be wrong, in words.
fn fault(state: &str, said: &str) -> Error {
    let said = said.lines().find(|line| line.contains("error")).unwrap_or_default();
    let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
    match state {
        "io-error" => Error::new(format!("the machine stopped: a disk could not be written{said}"))
            .hint("the file system of output_directory may be full"),
        "guest-panicked" => Error::new("the machine stopped: its kernel panicked"),
        _ => {
            Error::new(format!("the machine stopped: the accelerator could not run its code{said}"))
                .hint("KVM inside a virtual machine may do this; try accelerator = \"tcg\"")
        }
    }
}

/// Adds what to do to why QEMU does not start, of which it `said` what it could.
fn advised(error: Error, said: &str) -> Error {
    let hints = [
        ("gtk initialization failed", "there is no screen here; set headless = true"),
        ("isplay", "set headless = true, or another display"),
        ("host forwarding rule", "another program took the port; run the build again"),
        ("Address already in use", "another program took the port; run the build again"),
        ("vhost", "check net_device and qemuargs"),
    ];
    match hints.iter().find(|(sign, _)| said.contains(sign)) {
        _ if error.is_io(ErrorKind::NotFound) => {
            error.hint("install QEMU (apt install qemu-system-x86), or set qemu_binary")
        }
        Some((_, hint)) => error.hint(*hint),
        None => error,
    }
    .context("starting the machine")
}

/// The machine's keyboard, over QMP: keys are named, not drawn on a layout, and QEMU says when
/// it has taken them.
pub(crate) struct Keyboard(pub Qmp);

#[async_trait]
impl KeySink for Keyboard {
    async fn key(&mut self, key: Key, down: bool) -> Result<()> {
        let Some(name) = key.qcode() else {
            return Err(Error::new(format!("a US keyboard has no key for {key}")));
        };
        let key = json!({ "down": down, "key": { "type": "qcode", "data": name } });
        let events = json!({ "events": [{ "type": "key", "data": key }] });
        self.0.execute("input-send-event", events).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of the start of a machine whose QEMU is a script.
    async fn start(script: &str, limit: Duration) -> Result<(), NotStarted> {
        let ctx = ingot_sdk::testing::context(Default::default(), &Default::default());
        let arguments = ["-c", script, "qemu"].map(str::to_owned).to_vec();
        let mut machine = Machine::start(&ctx, "sh", arguments, &[]).unwrap();
        let started = machine.started(limit).await;
        machine.stop().await.unwrap();
        started
    }

    #[tokio::test]
    async fn a_program_that_ended_differs_from_one_that_does_not_respond_yet() {
        match start("echo no luck; exit 3", START_TIMEOUT).await {
            Err(NotStarted::Ended(error)) => {
                let expected = "starting the machine: QEMU ended with code 3:\nno luck";
                assert_eq!(error.to_string(), expected);
            }
            other => panic!("{other:?}"),
        }
        match start("kill -9 $$", START_TIMEOUT).await {
            Err(NotStarted::Interrupted(error)) => {
                assert_eq!(error.to_string(), "starting the machine: QEMU was killed");
                assert!(
                    error.advice().is_some_and(|advice| advice.contains("memory")),
                    "{error:?}"
                );
            }
            other => panic!("{other:?}"),
        }
        let silent = start("exec sleep 60", Duration::from_millis(300)).await;
        assert!(matches!(silent, Err(NotStarted::Interrupted(_))), "{silent:?}");
    }
}
