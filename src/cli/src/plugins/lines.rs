//! The lines of a list.

use ingot_sdk::Ui;

/// Where the lines of a list go. For programs they are messages, as in Packer.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub(super) ui: &'a Ui,
    pub(super) machine_readable: bool,
}

impl Lines<'_> {
    pub(super) fn line(self, text: &str) {
        match self.machine_readable {
            true => self.ui.machine("ui", &["message", text]),
            false => self.ui.message(text),
        }
    }
}
