//! What must never be shown, as it comes to light: the sensitive values of a template, and what is
//! made of them before and during the run.

use std::collections::{BTreeMap, BTreeSet};
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
    found: Mutex<BTreeMap<String, Extent>>,
    ui: OnceLock<Ui>,
}

/// What is hidden of a secret.
#[derive(Clone)]
enum Extent {
    /// The text, and each of its lines.
    Lines,
    /// The text as a whole, and these of its lines.
    Whole(BTreeSet<String>),
}

impl Secrets {
    /// From now on, hides `secret` wherever it would be shown, and each of its lines, unless it is a
    /// text that was composed.
    pub fn add(&self, secret: &str) {
        if !self.found().contains_key(secret) {
            self.add_lines(secret);
        }
    }

    /// From now on, hides `secret` and each of its lines, even if it is a text that was composed.
    pub fn add_lines(&self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let before = self.found().insert(secret.to_owned(), Extent::Lines);
        if let Some(ui) = self.0.ui.get()
            && !matches!(before, Some(Extent::Lines))
        {
            ui.mask(secret);
        }
    }

    /// From now on, hides a text that is composed of literal text and secrets, and those of its
    /// lines that secrets are part of. The other lines are what its author wrote, such as `done`.
    pub fn add_composed(&self, text: &str, lines: &[&str]) {
        if text.len() < SHORTEST {
            return;
        }
        {
            let mut found = self.found();
            let extent =
                found.entry(text.to_owned()).or_insert_with(|| Extent::Whole(BTreeSet::new()));
            if let Extent::Whole(known) = extent {
                known.extend(lines.iter().map(|&line| line.to_owned()));
            }
        }
        if let Some(ui) = self.0.ui.get() {
            ui.mask_whole(text);
            lines.iter().for_each(|line| ui.mask(line));
        }
    }

    /// Hides all secrets, those found so far and those to come, in what `ui` shows. The first
    /// call counts.
    pub fn hide_in(&self, ui: &Ui) {
        self.0.ui.get_or_init(|| ui.clone());
        self.hide(|secret| ui.mask(secret), |text| ui.mask_whole(text));
    }

    /// Hands those found so far to `mask`, which hides each of their lines too, or to `mask_whole`,
    /// which does not.
    pub fn hide(&self, mask: impl Fn(&str), mask_whole: impl Fn(&str)) {
        let found = self.found().clone();
        for (secret, extent) in &found {
            match extent {
                Extent::Lines => mask(secret),
                Extent::Whole(lines) => {
                    mask_whole(secret);
                    lines.iter().for_each(|line| mask(line));
                }
            }
        }
    }

    /// All that were found so far.
    pub fn all(&self) -> Vec<String> {
        self.found().keys().cloned().collect()
    }

    /// Whether one of them is part of `text`.
    pub fn occur_in(&self, text: &str) -> bool {
        text.len() >= SHORTEST && self.found().keys().any(|secret| text.contains(secret.as_str()))
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<String, Extent>> {
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

    #[test]
    fn a_composed_text_is_hidden_by_line_only_where_it_holds_a_secret() {
        let hidden = |secrets: &Secrets| {
            let (lines, whole) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
            secrets.hide(
                |secret| lines.lock().push(secret.to_owned()),
                |text| whole.lock().push(text.to_owned()),
            );
            (lines.into_inner(), whole.into_inner())
        };
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let secrets = Secrets::default();
        secrets.add_composed("pin=42\ndone", &["pin=42"]);
        // It becomes the value of an option.
        secrets.add("pin=42\ndone");
        assert_eq!(hidden(&secrets), (texts(&["pin=42"]), texts(&["pin=42\ndone"])));
        assert_eq!(secrets.all(), ["pin=42\ndone"]);
        // It is marked as sensitive as a whole.
        secrets.add_lines("pin=42\ndone");
        secrets.add_composed("pin=42\ndone", &["pin=42"]);
        assert_eq!(hidden(&secrets), (texts(&["pin=42\ndone"]), texts(&[])));
    }
}
