//! Leaving no trace of a build's own key: `ssh_clear_authorized_keys`.

use ingot_sdk::communicator::CapturedOutput;
use ingot_sdk::{Communicator, RemoteCommand, RunContext};

use crate::key_pair::KeyPair;
use crate::path::sh;
use crate::settings::SshSettings;

impl SshSettings {
    /// Removes the build's own public key from the `authorized_keys` files of the user and of
    /// root, if the options ask for it. Builders call it last, as the key then opens no more
    /// connections. A problem is reported and does not fail the build.
    pub async fn clear_authorized_keys(
        &self,
        ctx: &RunContext,
        communicator: &dyn Communicator,
        pair: &KeyPair,
    ) {
        if self.clear_authorized_keys {
            ctx.ui.say("Trying to remove ephemeral keys from authorized_keys files");
            remove_authorized_key(communicator, &pair.public).await;
        }
    }
}

/// Removes a public key, written as in these files, from the `authorized_keys` files of the user and of
/// root. A problem goes to the log.
pub async fn remove_authorized_key(communicator: &dyn Communicator, public: &str) {
    // The key without its kind and comment, which platforms change.
    let plain = |key: &&str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let Some(key) = public.split(' ').nth(1).filter(plain) else { return };
    // Written over rather than replaced, so that owner and mode stay.
    let clear = format!(
        r#"if test -f "$f" && grep -qF {key} "$f"; then
n=$(mktemp) && {{ grep -vF {key} "$f" >"$n" || test $? = 1; }} && cat "$n" >"$f"; r=$?
rm -f "$n"; exit $r
fi"#
    );
    let own = sh(&format!("f=$HOME/.ssh/authorized_keys\n{clear}"));
    let roots = sh(&format!("f=/root/.ssh/authorized_keys\n{clear}"));
    let roots = format!("test \"$(id -u)\" = 0 || sudo -n {roots}");
    for (command, file) in
        [(own, "~/.ssh/authorized_keys"), (sh(&roots), "/root/.ssh/authorized_keys")]
    {
        let output = CapturedOutput::default();
        let status = communicator.exec(&RemoteCommand::new(command), &output).await;
        if !matches!(status, Ok(status) if status.success()) {
            let said = output.stderr_text();
            tracing::warn!(file, said = said.trim(), "a build's key may be left there");
        }
    }
}
