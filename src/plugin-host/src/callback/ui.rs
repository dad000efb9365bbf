//! The user interface, as plugins see it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use ingot_sdk::{Progress, Ui};
use parking_lot::{Mutex, MutexGuard};
use rmpv::Value;

use crate::message::{field, string, strings, text};
use crate::rpc::{done, unknown_method};

/// How many progress bars a plugin may show at once.
const MAX_BARS: usize = 256;

/// Serves `Ui.*`.
pub(crate) struct UiService {
    ui: Ui,
    bars: Mutex<HashMap<String, Bar>>,
    next: AtomicU64,
}

struct Bar {
    progress: Progress,
    position: u64,
    total: Option<u64>,
}

impl UiService {
    /// Shows what the plugin says in `ui`.
    pub(crate) fn new(ui: Ui) -> Self {
        UiService { ui, bars: Mutex::default(), next: AtomicU64::new(1) }
    }

    fn bars(&self) -> MutexGuard<'_, HashMap<String, Bar>> {
        self.bars.lock()
    }

    /// Runs `method`, with its endpoint.
    ///
    /// # Errors
    /// There is nobody to ask, or no such method.
    pub(crate) async fn call(&self, method: &str, argument: &Value) -> Result<Value, String> {
        match method {
            "Ui.Say" => self.ui.say(text(argument)),
            "Ui.Message" => self.ui.message(text(argument)),
            "Ui.Error" => self.ui.error(text(argument)),
            "Ui.Machine" => {
                let arguments = strings(argument, "Args");
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                self.ui.machine(&string(argument, "Category"), &arguments);
            }
            "Ui.Ask" => {
                let line = self.ui.ask(&text(argument)).await;
                return line.map(Value::from).map_err(|error| error.to_string());
            }
            "Ui.NewTrackProgress" => return self.new_bar(argument),
            method => return self.bar(method, argument),
        }
        done()
    }

    fn new_bar(&self, argument: &Value) -> Result<Value, String> {
        let size = |name| field(argument, name).as_u64();
        let label = string(argument, "Src");
        let total = size("TotalSize").filter(|&total| total > 0);
        let position = size("CurrentSize").unwrap_or(0);
        let mut bars = self.bars();
        if bars.len() >= MAX_BARS {
            return Err("too many progress bars".to_owned());
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let progress = self.ui.progress(label, total);
        progress.at(position, total);
        bars.insert(id.clone(), Bar { progress, position, total });
        Ok(id.into())
    }

    fn bar(&self, method: &str, argument: &Value) -> Result<Value, String> {
        let parts = method.strip_prefix("Ui").and_then(|rest| rest.rsplit_once('.'));
        let mut bars = self.bars();
        match parts {
            Some((id, "Add")) => {
                let Some(bar) = bars.get_mut(id) else { return unknown_method(method) };
                bar.position = bar.position.saturating_add(argument.as_u64().unwrap_or(0));
                bar.progress.at(bar.position, bar.total);
                done()
            }
            Some((id, "Close")) => {
                bars.remove(id);
                done()
            }
            _ => unknown_method(method),
        }
    }
}
