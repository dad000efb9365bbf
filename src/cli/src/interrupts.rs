//! What Ctrl-C, and other signals that ask a run to end, do to `ingot build`.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ingot_engine::Interrupts;
use ingot_engine::signals::Signals;
use ingot_publish::Publication;
use ingot_sdk::Ui;
use ingot_sdk::process_group::kill_live_groups;
use ingot_ui::Renderer;
use parking_lot::Mutex;

use super::run_report::RunReport;
use crate::build_logs::Slot;

/// How long whoever reads the output is waited for where something else must not wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// What tells that a run is interrupted, and ends then.
pub(super) struct Interrupted {
    pub ui: Ui,
    pub renderer: Arc<Renderer>,
    pub report: Arc<RunReport>,
    /// The logs of the builds, once there are some.
    pub logs: Option<Slot>,
}

/// A run whose signals are listened for. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Listening {
    /// What the signals ask for.
    pub interrupts: Interrupts,
    /// The version that is open before any build has begun, when nothing can be asked to stop yet. Held
    /// while the first interrupt is reported, and from the last one on.
    open: Arc<Mutex<Option<Arc<Publication>>>>,
}

impl Listening {
    /// From now on the first signal ends the process, and tells what the version of `publication` lacks.
    pub(super) fn opened(&self, publication: &Arc<Publication>) {
        *self.open.lock() = Some(Arc::clone(publication));
    }

    /// From now on the first signal asks the builds to stop.
    pub(super) fn builds_begin(&self) {
        *self.open.lock() = None;
    }

    /// Waits until an interrupt, if there was one, is reported: the end of the run is reported after
    /// that. Does not return where the interrupt ends the process.
    pub(super) fn wait_until_reported(&self) {
        drop(self.open.lock());
    }
}

impl Interrupted {
    /// Listens for signals from now on, on a thread of its own: those that builds run on may all be
    /// waiting for whoever reads the output.
    pub(super) fn listen(self) -> Listening {
        let listening = Listening::default();
        if let Err(error) = self.listen_as(listening.clone()) {
            tracing::warn!(%error, "signals cannot be listened for");
        }
        listening
    }

    fn listen_as(self, listening: Listening) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        let listen = move || runtime.block_on(self.stop(signals, listening));
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop)
    }

    /// The first signal asks the builds to stop and clean up; where a version is open for them and none
    /// has begun, it ends the process. The next stops the error-cleanup-provisioners, if there are some,
    /// and lets the builders clean up. The next ends the process; what is then left is in the journal.
    async fn stop(self, mut signals: Signals, listening: Listening) {
        let Listening { interrupts, open } = listening;
        let signal = signals.next().await;
        // Asked once: what an interrupt does is what was announced, even if the error-cleanup-provisioner
        // has ended meanwhile.
        let expects_cleanup = interrupts.expects_cleanup();
        let again = match expects_cleanup {
            true => {
                "Interrupt again to stop the error-cleanup-provisioner, and then once more to stop at \
                 once, without cleaning up."
            }
            false => "Interrupt again to stop at once, without cleaning up.",
        };
        {
            let open = open.lock();
            if let Some(publication) = &*open {
                self.end_before_builds(signal, publication);
            }
            // Nobody may read the output.
            interrupts.cancel.cancel();
            let ui = self.ui.clone();
            say_in_time(move || {
                ui.error(format!("Cancelling build after receiving {signal}"));
                ui.error(again);
            });
        }
        signals.next().await;
        if expects_cleanup {
            let what = match interrupts.expects_cleanup() {
                true => "Stopping the error-cleanup-provisioner. ",
                // It has ended.
                false => "",
            };
            interrupts.stop_cleanup();
            let ui = self.ui.clone();
            say_in_time(move || {
                let again = "Interrupt again to stop at once, without cleaning up.";
                ui.error(format!("{what}{again}"));
            });
            signals.next().await;
        }
        // Builds that end now must not report the run's end after this message.
        let _telling = open.lock();
        let (ui, renderer) = (self.ui.clone(), self.renderer);
        say_in_time(move || {
            renderer.end_view();
            ui.error("Stopping at once. `ingot cleanup` removes what is left.");
        });
        let logs = self.logs.and_then(|slot| slot.get().cloned());
        self.report.write_now(logs, self.ui);
        // Ctrl-C has not reached the scripts and plugins. Only now, and with nothing before the exit: the
        // builds would go on where one ends. The journal keeps the records of plugins, as what these
        // started in other process groups may still run.
        kill_live_groups();
        std::process::exit(1);
    }

    /// Ends the process while a version is open and before anything is built: there is nothing to clean
    /// up, and whoever goes on with the version needs to know how.
    fn end_before_builds(&self, signal: &'static str, publication: &Arc<Publication>) -> ! {
        let (ui, publication) = (self.ui.clone(), Arc::clone(publication));
        say_in_time(move || {
            ui.error(format!("Cancelling build after receiving {signal}"));
            publication.report_known_missing(&ui);
        });
        self.report.write_now(None, self.ui.clone());
        ingot_sdk::signals::end(1)
    }
}

/// Says something, and waits for whoever reads it for a moment at most.
pub(super) fn say_in_time(say: impl FnOnce() + Send + 'static) {
    let (done, waiting) = mpsc::channel();
    std::thread::spawn(move || {
        say();
        let _ = done.send(());
    });
    let _ = waiting.recv_timeout(PATIENCE);
}
