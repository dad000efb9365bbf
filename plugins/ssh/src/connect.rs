//! What builders call once their machine is under way.

use std::sync::Arc;

use ingot_sdk::{Communicator, Result, RunContext};

use crate::communicator::SshCommunicator;
use crate::connector::{Connector, Target};
use crate::key_pair::mask;
use crate::machine::Machine;
use crate::settings::SshSettings;

impl SshSettings {
    /// Waits until the machine takes connections, and connects.
    ///
    /// # Errors
    /// What kept it from connecting, when the time or the number of attempts allowed is used up
    /// or trying again makes no sense; [`ingot_sdk::Error::Cancelled`] when the build is cancelled.
    pub async fn connect(
        &self,
        ctx: &RunContext,
        target: &Target,
    ) -> Result<Arc<dyn Communicator>> {
        let connector = Connector::new(self, target)?;
        // A password is a secret if the template says so; a key always is.
        for credentials in connector.credentials() {
            credentials.keys.iter().for_each(|key| mask(&ctx.ui, &key.text));
        }
        let link = connector.wait_aloud(ctx).await?;
        Ok(Arc::new(SshCommunicator(Machine::new(connector, link, ctx.ui.clone()))))
    }
}
