//! What a build does that the run of a family started. Its standard input is one end of a pair of
//! sockets: what it finds to be secret goes to the family, which hides it in what it shows of all; and
//! when the family's process is gone, it ends and cleans up.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use ingot_ui::Redactor;
use parking_lot::Mutex;
use rustix::process::{Signal, getpid, getppid, kill_process};

/// The variable by which a family tells a run that it is of it: the id of the family's process, the
/// channel that the version will be assigned to, if any, and the bucket, with colons between them. What
/// the run itself starts has it too and is not of the family, which is not its parent.
pub const MEMBER_VARIABLE: &str = "INGOT_FAMILY_MEMBER";

/// What [`MEMBER_VARIABLE`] is for runs that this process starts.
pub(super) fn member_of_this(bucket: &str, channel: Option<&str>) -> String {
    format!("{}:{}:{bucket}", std::process::id(), channel.unwrap_or_default())
}

/// The channel and the bucket that the family says, each empty if it says none; nothing if this run is of
/// no family.
fn membership() -> Option<(String, String)> {
    let value = std::env::var(MEMBER_VARIABLE).ok()?;
    let (family, rest) = value.split_once(':')?;
    let (channel, bucket) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let parent = getppid()?.as_raw_nonzero().get();
    (family == parent.to_string()).then(|| (channel.to_owned(), bucket.to_owned()))
}

/// The channel that the family of this run assigns the version to, if it is of one that does.
pub fn promoted_channel() -> Option<String> {
    membership().map(|(channel, _)| channel).filter(|channel| !channel.is_empty())
}

/// The bucket of this run, by which its family tells it from others, if it is of one.
pub fn member_bucket() -> Option<String> {
    membership().map(|(_, bucket)| bucket).filter(|bucket| !bucket.is_empty())
}

/// Connects this run with its family, if it is of one.
pub fn attach(redactor: &Arc<Redactor>) {
    if membership().is_none() {
        return;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let pair = socket.and_then(|socket| Ok((socket.try_clone()?, socket)));
    let (mut reading, writing) = match pair {
        Ok(pair) => pair,
        Err(error) => return tracing::warn!(%error, "the family cannot be reached"),
    };
    let writing = Mutex::new(writing);
    redactor.observe(Arc::new(move |secret| {
        if let Ok(mut line) = serde_json::to_vec(secret) {
            line.push(b'\n');
            // Where the family is gone the run ends anyway.
            let _ = writing.lock().write_all(&line);
        }
    }));
    std::thread::spawn(move || {
        // Nothing is ever sent: reading ends when the family does.
        let mut byte = [0];
        while matches!(reading.read(&mut byte), Ok(1)) {}
        let _ = kill_process(getpid(), Signal::TERM);
    });
}
