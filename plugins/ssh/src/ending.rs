//! Ends commands on the machine that nobody waits for any more, as after a timeout.
//!
//! Closing a channel does not end what runs behind it, and libssh2 has no call for the protocol's
//! signals (RFC 4254, 6.9). So another command on the same connection looks for what the server
//! runs for this connection besides itself: sshd gives each command a session of its own below the
//! process that serves the connection. Nothing is added to the commands themselves, whatever shell
//! they are for; where there is no Bourne shell, as on Windows, nothing is ended.

use std::sync::Arc;
use std::time::Duration;

use ingot_sdk::{Error, Result};
use tokio_util::task::TaskTracker;

use crate::link::Link;
use crate::path::sh;

/// How long ending a command may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Asks the process groups of the connection's other commands to end (TERM), and kills after five
/// seconds those that do not. `list` prints number, parent, process group and name of all
/// processes but those that have ended already. Other servers than OpenSSH and dropbear may run the
/// sessions of all their users below one process: there nothing is ended. What `sudo` has started
/// belongs to root, and so
/// may `sudo` have to end it.
const SCRIPT: &str = "\
list() { if [ -r /proc/self/stat ]; then for f in /proc/[0-9]*/stat; do \
{ read -r s <\"$f\"; } 2>/dev/null || continue; c=${s#*\\(}; c=${c%\\)*}; set -- ${s##*\\) }; \
[ \"$1\" = Z ] || echo \"${s%% *} $2 $3 $c\"; done; \
else ps -A -o pid= -o ppid= -o pgid= -o comm=; fi; }; \
own=$(list | while read -r p u g c; do if [ \"$p\" = $$ ]; then echo $g; fi; done); \
up=$(list | while read -r p u g c; do if [ \"$p\" = \"$own\" ]; then echo $u; fi; done); \
if [ \"${up:-1}\" -le 1 ]; then exit 0; fi; \
case $(list | while read -r p u g c; do if [ \"$p\" = \"$up\" ]; then echo \"$c\"; fi; done) in \
(*sshd*|*dropbear*) ;; (*) exit 0;; esac; \
old=$(list | while read -r p u g c; do \
if [ \"$u\" = \"$up\" ] && [ \"$p\" = \"$g\" ] && [ \"$g\" != \"$own\" ]; then \
case $c in (*sftp*|*sshd*) ;; (*) echo $g;; esac; fi; done); \
left() { list | while read -r p u g c; do \
for o in $old; do if [ \"$g\" = \"$o\" ]; then echo $o; fi; done; done; }; \
end() { for g in $old; do $2 kill -s $1 -- -$g; done; }; \
n=0; while [ -n \"$(left)\" ] && [ $n -lt 8 ]; do \
case $n in (0) end TERM;; (1) end TERM \"sudo -n\";; (5) end KILL;; (6) end KILL \"sudo -n\";; esac; \
n=$((n+1)); sleep 1; done";

/// The commands that are being ended. Clones share them.
#[derive(Clone)]
pub(crate) struct Ending(TaskTracker);

impl Ending {
    /// None yet.
    pub(crate) fn new() -> Self {
        let tasks = TaskTracker::new();
        // Closed only means that [`TaskTracker::wait`] returns once there are none.
        tasks.close();
        Ending(tasks)
    }

    /// Waits until no command is being ended any more, so that the next finds it gone, and is not
    /// taken for it.
    pub(crate) async fn over(&self) {
        self.0.wait().await;
    }

    /// Guards a command that is about to start.
    pub(crate) fn guard(&self) -> Ender {
        Ender { ending: self.clone(), link: None }
    }
}

/// Ends a command when dropped, unless it has ended.
pub(crate) struct Ender {
    ending: Ending,
    /// What it runs over, once it runs.
    link: Option<Arc<Link>>,
}

impl Ender {
    /// The command runs.
    pub(crate) fn runs(&mut self, link: Arc<Link>) {
        self.link = Some(link);
    }

    /// It has ended.
    pub(crate) fn ended(mut self) {
        self.link = None;
    }
}

impl Drop for Ender {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        // Of several commands it is not known which is which.
        if link.is_lost() || link.running() > 0 {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let ending = async move {
            let ended = tokio::time::timeout(TIMEOUT, end_others(&link)).await;
            let ended = ended.unwrap_or_else(|_| Err(Error::new("it takes too long")));
            tracing::debug!(?ended, "ended a command that nobody waits for");
        };
        self.ending.0.spawn_on(ending, &runtime);
    }
}

/// Ends what the server runs for this connection.
async fn end_others(link: &Link) -> Result<()> {
    let mut process = link.run(&sh(SCRIPT), false).await?;
    // What it says is for nobody, but has to be read for it to go on.
    tokio::io::copy(&mut process.data, &mut tokio::io::sink()).await?;
    process.status().await;
    Ok(())
}
