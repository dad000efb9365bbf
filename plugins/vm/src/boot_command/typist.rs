//! Keys that are moved.

use std::time::Duration;

use ingot_sdk::{Context, Error, Result, RunContext, async_trait};

use super::keys::Key;
use super::parser::Action;

/// A way to a machine's keyboard.
#[async_trait]
pub trait KeySink: Send {
    /// Moves a key: [`Key::qcode`] names it for QMP, [`Key::keysym`] for VNC. Shift is moved
    /// apart from the key that needs it.
    ///
    /// # Errors
    /// The machine cannot be reached, or its keyboard does not have the key.
    async fn key(&mut self, key: Key, down: bool) -> Result<()>;
}

pub(super) async fn pause(ctx: &RunContext, duration: Duration) -> Result<()> {
    if duration.is_zero() {
        return Ok(());
    }
    tokio::select! {
        () = ctx.cancel.cancelled() => Err(Error::Cancelled),
        () = tokio::time::sleep(duration) => Ok(()),
    }
}

/// Moves keys, with a pause after each.
pub(super) struct Typist<'a> {
    pub(super) ctx: &'a RunContext,
    pub(super) keyboard: &'a mut dyn KeySink,
    pub(super) interval: Duration,
}

impl Typist<'_> {
    pub(super) async fn act(&mut self, key: Key, action: Action) -> Result<()> {
        let shift = key.needs_shift();
        if action != Action::Release {
            if shift {
                self.turn(Key::SHIFT, true).await?;
            }
            self.turn(key, true).await?;
        }
        if action != Action::Hold {
            self.turn(key, false).await?;
            if shift {
                self.turn(Key::SHIFT, false).await?;
            }
        }
        Ok(())
    }

    async fn turn(&mut self, key: Key, down: bool) -> Result<()> {
        self.keyboard.key(key, down).await.context("typing the boot command")?;
        pause(self.ctx, self.interval).await
    }
}
