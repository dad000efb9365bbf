//! What must never be shown, as it comes to light: the sensitive values of a template, and what is
//! made of them before and during the run.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};

use crate::Ui;

/// Shorter texts are not hidden: "1" or "no" is everywhere, and hiding it hides everything else.
const SHORTEST: usize = 3;

/// The secrets of a run. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Inner>);

#[derive(Default)]
struct Inner {
    found: Mutex<BTreeSet<String>>,
    ui: OnceLock<Ui>,
}

impl Secrets {
    /// From now on, hides `secret` wherever it would be shown.
    pub fn add(&self, secret: &str) {
        if secret.len() < SHORTEST || !self.found().insert(secret.to_owned()) {
            return;
        }
        if let Some(ui) = self.0.ui.get() {
            ui.mask(secret);
        }
    }

    /// Hides all secrets, those found so far and those to come, in what `ui` shows. The first
    /// call counts.
    pub fn hide_in(&self, ui: &Ui) {
        self.0.ui.get_or_init(|| ui.clone());
        self.all().iter().for_each(|secret| ui.mask(secret));
    }

    /// All that were found so far.
    pub fn all(&self) -> Vec<String> {
        self.found().iter().cloned().collect()
    }

    /// Whether one of them is part of `text`.
    pub fn occur_in(&self, text: &str) -> bool {
        text.len() >= SHORTEST && self.found().iter().any(|secret| text.contains(secret.as_str()))
    }

    fn found(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.found.lock()
    }
}

/// Without the secrets.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.found().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_shared_and_not_printed() {
        let secrets = Secrets::default();
        secrets.clone().add("hunter2");
        secrets.add("no");
        assert_eq!(secrets.all(), ["hunter2"]);
        assert!(secrets.occur_in("pw=hunter2") && !secrets.occur_in("no"));
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }
}
