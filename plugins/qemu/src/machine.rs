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
    /// Whether QEMU stays when the machine turns itself off: if it is gone, it was killed or has crashed.
    stays: bool,
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
    /// It cannot load the state that it was to start from.
    StateRefused(Error),
    /// It has ended before or meanwhile, or has not answered in time, which says nothing of the state:
    /// there may be too little memory here, or another program has its port.
    Failed(Error),
}

/// What QEMU says last where it cannot load a state; before that it says which part of it is why.
const STATE_REFUSED: [&str; 5] = [
    "while loading VM state",
    "while loading state for instance",
    "Could not open VM state file",
    "Could not load snapshot",
    "does not exist in one or more devices",
];
/// What it says with that where this machine is why. The numbers are of too little memory and of a full
/// disk.
const HOST_FAILED: [&str; 7] = [
    "Cannot allocate memory",
    "Error -12 while",
    "No space left on device",
    "Error -28 while",
    "Disk quota exceeded",
    "Permission denied",
    "KVM",
];

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
        Ok(Machine { process, socket, scratch, stays: false })
    }

    /// The machine that an earlier run left running, whose temporary files are in `scratch`. One that
    /// was halted goes on.
    ///
    /// # Errors
    /// It does not run any more.
    pub(crate) async fn resume(ctx: &RunContext, scratch: &Path) -> Result<Machine> {
        let socket = scratch.join(SOCKET);
        let mut qmp = Qmp::connect(&socket).await?;
        // How QEMU ends is known to the run only that has started it, so it is to stay when the machine is
        // off. Before 6.0 it cannot.
        let set = qmp.execute("set-action", json!({ "shutdown": "pause" })).await;
        tracing::debug!(?set, "asking QEMU to stay when the machine is off");
        let status = qmp.execute("query-status", Value::Null).await?;
        match status["status"].as_str().unwrap_or_default() {
            "running" => {}
            "paused" | "suspended" => drop(qmp.execute("cont", Value::Null).await?),
            "shutdown" => return Err(Error::new("it has turned itself off")),
            other => return Err(fault(other, "")),
        }
        drop(qmp);
        let process = Process::resume(ctx, "QEMU", &socket.display().to_string())?;
        let scratch = Scratch::resume(ctx, scratch)?;
        Ok(Machine { process, socket, scratch, stays: set.is_ok() })
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
                let said = self.process.last_lines();
                let says_one_of = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
                let error = advised(error, &said);
                // QEMU aborts where this processor does not take what the state has for it.
                let refused = says_one_of(&STATE_REFUSED) || self.process.crashed();
                Err(match refused && !says_one_of(&HOST_FAILED) {
                    true => NotStarted::StateRefused(error),
                    false => NotStarted::Failed(error),
                })
            }
            ready = tokio::time::timeout(limit, self.ready()) => ready.map_err(|_| {
                NotStarted::Failed(Error::new(format!(
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
            ended = self.end() => ended,
            halt = self.halted() => match halt {
                Halt::Off => Ok(()),
                Halt::Fault(state) => Err(fault(&state, &self.process.last_lines())),
            },
        }
    }

    /// Waits until QEMU has ended because the machine is off.
    ///
    /// # Errors
    /// It ended otherwise.
    async fn end(&self) -> Result<()> {
        match self.stays {
            true => Err(self.process.unexpected_end().await),
            false => self.process.end().await,
        }
    }

    /// Waits until something is wrong with the machine. That it turns itself off is not.
    pub(crate) async fn fault(&self) -> Error {
        let crashed = async {
            match self.end().await {
                Err(error) => error,
                Ok(()) => std::future::pending().await,
            }
        };
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
            error = crashed => error,
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
            OutputFile::create(&journal, &path, 0o666)?.fill(|mut file| {
                let copied = std::io::copy(&mut shot, &mut file);
                copied.map(drop).with_context(|| format!("writing {}", path.display()))
            })
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
        ("cannot set up guest memory", "give the machine less memory, or build less at a time"),
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
            Err(NotStarted::Failed(error)) => {
                let expected = "starting the machine: QEMU ended with code 3:\nno luck";
                assert_eq!(error.to_string(), expected);
            }
            other => panic!("{other:?}"),
        }
        match start("kill -9 $$", START_TIMEOUT).await {
            Err(NotStarted::Failed(error)) => {
                assert_eq!(error.to_string(), "starting the machine: QEMU was killed");
                assert!(
                    error.advice().is_some_and(|advice| advice.contains("memory")),
                    "{error:?}"
                );
            }
            other => panic!("{other:?}"),
        }
        let silent = start("exec sleep 60", Duration::from_millis(300)).await;
        assert!(matches!(silent, Err(NotStarted::Failed(_))), "{silent:?}");
    }

    #[tokio::test]
    async fn a_state_is_to_blame_only_where_qemu_says_so_or_crashes() {
        let ended = async |lines: &str| {
            start(&format!("printf '%s\\n' \"{lines}\" >&2; exit 1"), START_TIMEOUT).await
        };
        for lines in [
            "error while loading state for instance 0x0 of device 'kvmclock'\n\
             Error -22 while loading VM state",
            "Snapshot 'ingot-a' does not exist in one or more devices",
        ] {
            let started = ended(lines).await;
            assert!(matches!(started, Err(NotStarted::StateRefused(_))), "{started:?}");
        }
        let crashed = start("kill -ABRT $$", START_TIMEOUT).await;
        assert!(matches!(crashed, Err(NotStarted::StateRefused(_))), "{crashed:?}");
        for (line, advice) in [
            ("cannot set up guest memory 'pc.ram': Cannot allocate memory", "less memory"),
            ("-nic user: Could not set up host forwarding rule 'tcp::2222-:22'", "took the port"),
            ("-monitor tcp:127.0.0.1:4444: Address already in use", "took the port"),
            ("Display 'gtk' is not available.", "headless"),
            ("Could not access KVM kernel module: Permission denied", ""),
            ("-drive file=disk: Failed to get 'write' lock", ""),
            ("Error -12 while loading VM state", ""),
        ] {
            match ended(line).await {
                Err(NotStarted::Failed(error)) => {
                    let given = error.advice().unwrap_or_default();
                    assert!(given.contains(advice), "{error:?}");
                    assert!(error.to_string().ends_with(line), "{error}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
