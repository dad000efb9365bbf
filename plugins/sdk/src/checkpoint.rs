//! States of a machine between its provisioners, from which a later build goes on: kept under a key
//! of all they came from (the step cache), or left by a build that failed (`-resume`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::hash::Sha256;
use crate::{Error, GeneratedData, Result, RunContext};

/// Names the state of a machine by everything that it came from: a SHA-256, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateKey(String);

impl StateKey {
    /// The key of a machine that depends on `parts` and nothing else. `kind` tells keys of
    /// different things and forms apart, such as `docker 1`.
    pub fn of<P: AsRef<[u8]>>(kind: &str, parts: impl IntoIterator<Item = P>) -> StateKey {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            // With its length, so that no two lists of parts are the same bytes.
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        add(kind.as_bytes());
        parts.into_iter().for_each(|part| add(part.as_ref()));
        StateKey(hash.finish())
    }

    /// The key of the state that a step of which `parts` are all inputs makes of this one.
    pub fn then<P: AsRef<[u8]>>(&self, parts: impl IntoIterator<Item = P>) -> StateKey {
        let parts: Vec<P> = parts.into_iter().collect();
        let before = std::iter::once(self.0.as_bytes());
        StateKey::of("step 1", before.chain(parts.iter().map(AsRef::as_ref)))
    }

    /// Its hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StateKey {
    type Err = Error;

    /// Takes 64 lower-case hexadecimal digits only, so that a key is a safe name of a file.
    fn from_str(text: &str) -> Result<StateKey> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match digits && text.len() == 64 {
            true => Ok(StateKey(text.to_owned())),
            false => Err(Error::new(format!("{text:?} is not the key of a state"))),
        }
    }
}

/// Keeps states of a running machine. A builder that can implements it.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// Keeps the machine as it is now under `key`. The machine goes on afterwards, at the latest with
    /// [`Snapshots::go_on`].
    ///
    /// # Errors
    /// What went wrong. The build goes on, and caches nothing from here on.
    async fn save(&self, ctx: &RunContext, key: &StateKey) -> Result<()>;

    /// Brings the machine back where keeping its state took it away. Called before whatever runs on
    /// it next, so that nobody waits for a machine that is only to be stopped. Returns the values
    /// for `build.*` that are other ones from now on. By default it never went away.
    ///
    /// # Errors
    /// The machine does not come back.
    async fn go_on(&self, _ctx: &RunContext) -> Result<GeneratedData> {
        Ok(GeneratedData::new())
    }
}

/// How far the provisioners of a machine are, and what is kept on the way.
#[derive(Clone, Default)]
pub struct Provisioning {
    /// How many provisioners, from the first on, have run on this machine already.
    pub done: usize,
    /// Under what to keep the states after the provisioners, from the first on; fewer than there
    /// are provisioners where later states must not be kept (see [`crate::Hook::state_keys`]).
    pub keys: Vec<StateKey>,
    /// Keeps them; none where nothing is to be kept.
    pub snapshots: Option<Arc<dyn Snapshots>>,
    /// Where the state was that the machine started from, for people, such as a directory; none
    /// where it started anew.
    pub found_in: Option<String>,
}

impl Provisioning {
    /// The key to keep the machine under once the provisioner at `index` has run.
    pub fn key_after(&self, index: usize) -> Option<&StateKey> {
        self.snapshots.as_ref().and_then(|_| self.keys.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_every_part_and_where_it_ends() {
        let key = |parts: &[&str]| StateKey::of("test", parts);
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["ab"]));
        assert_ne!(key(&["a", "b"]), key(&["ab", ""]));
        assert_ne!(key(&["a"]), StateKey::of("other", ["a"]));
        assert_ne!(key(&["a"]).then(["b"]), key(&["b"]).then(["a"]));
    }

    #[test]
    fn only_a_key_is_read_as_one() {
        let key = StateKey::of("test", ["a"]);
        assert_eq!(key.as_str().parse::<StateKey>().unwrap(), key);
        for wrong in ["", "abc", "../../etc", &key.as_str().to_uppercase()] {
            assert!(wrong.parse::<StateKey>().is_err(), "{wrong}");
        }
    }
}
