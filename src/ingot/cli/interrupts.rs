//! What Ctrl-C, and other signals that ask a run to end, do to `ingot build`.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use ingot_sdk::Ui;
use ingot_sdk::process_group::kill_live_groups;
use parking_lot::Mutex;

use super::run_report::RunReport;
use crate::build_logs::BuildLogs;
use crate::engine::Interrupts;
use crate::engine::signals::Signals;
use crate::ui::Renderer;

/// How long whoever reads the output is waited for where something else must not wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// What ends when a run is interrupted.
pub(super) struct Interrupted {
    pub interrupts: Interrupts,
    pub ui: Ui,
    pub renderer: Arc<Renderer>,
    pub report: Arc<RunReport>,
    pub logs: Option<Arc<BuildLogs>>,
    /// Held while the first interrupt is reported, and from the last one on: the end of the run is
    /// reported when it is free.
    pub telling: Arc<Mutex<()>>,
}

impl Interrupted {
    /// Listens for signals from now on, on a thread of its own: those that builds run on may all be
    /// waiting for whoever reads the output.
    ///
    /// # Errors
    /// Signals cannot be listened for.
    pub(super) fn listen(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        let listen = move || runtime.block_on(self.stop(signals));
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop)
    }

    /// The first signal asks the builds to stop and clean up. The next stops the
    /// error-cleanup-provisioners, if there are some, and lets the builders clean up. The next ends the
    /// process; what is then left is in the journal.
    async fn stop(self, mut signals: Signals) {
        let signal = signals.next().await;
        // Asked once: what an interrupt does is what was announced, even if the error-cleanup-provisioner
        // has ended meanwhile.
        let expects_cleanup = self.interrupts.expects_cleanup();
        let again = match expects_cleanup {
            true => {
                "Interrupt again to stop the error-cleanup-provisioner, and then once more to stop at \
                 once, without cleaning up."
            }
            false => "Interrupt again to stop at once, without cleaning up.",
        };
        {
            let _telling = self.telling.lock();
            // Nobody may read the output.
            self.interrupts.cancel.cancel();
            let ui = self.ui.clone();
            say_in_time(move || {
                ui.error(format!("Cancelling build after receiving {signal}"));
                ui.error(again);
            });
        }
        signals.next().await;
        if expects_cleanup {
            let what = match self.interrupts.expects_cleanup() {
                true => "Stopping the error-cleanup-provisioner. ",
                // It has ended.
                false => "",
            };
            self.interrupts.stop_cleanup();
            let ui = self.ui.clone();
            say_in_time(move || {
                let again = "Interrupt again to stop at once, without cleaning up.";
                ui.error(format!("{what}{again}"));
            });
            signals.next().await;
        }
        // Builds that end now must not report the run's end after this message.
        let _telling = self.telling.lock();
        let (ui, renderer) = (self.ui.clone(), self.renderer);
        say_in_time(move || {
            renderer.end_view();
            ui.error("Stopping at once. `ingot cleanup` removes what is left.");
        });
        self.report.write_now(self.logs, self.ui);
        // Ctrl-C has not reached the scripts and plugins. Only now, and with nothing before the exit: the
        // builds would go on where one ends. The journal keeps the records of plugins, as what these
        // started in other process groups may still run.
        kill_live_groups();
        std::process::exit(1);
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
