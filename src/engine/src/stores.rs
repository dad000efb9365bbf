//! The outside stores that functions read from: Consul, Vault and AWS Secrets Manager.

use std::collections::BTreeMap;
use std::time::Duration;

use ingot_hcl::functions::{StoredValue, Stores};
use ingot_sdk::{AwsSecrets, Error, PluginSet, Result, Ui};
use ingot_secret_stores::{Environment, consul_key, vault};
use parking_lot::Mutex;

use super::signals::or_cancelled;

/// How long one value may take with all tries.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Stores that are asked for each value once in a run, if there is a user interface for what is
/// fetched; else none is asked. `plugins` says what reads secrets of AWS.
pub(super) fn stores(ui: Option<&Ui>, plugins: &PluginSet) -> Stores {
    let Some(ui) = ui.cloned() else { return Stores::default() };
    let aws = plugins.aws_secrets.clone();
    let known: Mutex<BTreeMap<StoredValue, Result<String, String>>> = Mutex::default();
    Stores::new(move |wanted| {
        // Held while asking, so that two who want the same ask once.
        let mut known = known.lock();
        if let Some(found) = known.get(wanted) {
            return found.clone();
        }
        let found = read(wanted, aws.as_deref(), &ui).map_err(|error| match error.advice() {
            Some(advice) => format!("{error}; {advice}"),
            None => error.to_string(),
        });
        known.insert(wanted.clone(), found.clone());
        found
    })
}

/// Asks on a thread of its own: expressions are evaluated outside of a runtime, before builds
/// start, as well as inside of one.
fn read(wanted: &StoredValue, aws: Option<&dyn AwsSecrets>, ui: &Ui) -> Result<String> {
    let asking = std::thread::scope(|scope| {
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(Error::caused_by)?;
            runtime.block_on(or_cancelled(async {
                let found = tokio::time::timeout(LIMIT, ask(wanted, aws, ui)).await;
                found.unwrap_or_else(|_| Err(Error::new("it takes too long")))
            }))
        };
        scope.spawn(work).join()
    });
    asking.unwrap_or_else(|_| Err(Error::new("reading it failed")))
}

async fn ask(wanted: &StoredValue, aws: Option<&dyn AwsSecrets>, ui: &Ui) -> Result<String> {
    let environment = Environment::of_process();
    match wanted {
        StoredValue::ConsulKey(key) => consul_key(key, &environment).await,
        StoredValue::Vault { path, key } => vault(path, key, &environment).await,
        StoredValue::AwsSecret { name, key } => {
            secrets(aws)?.read(name, key.as_deref(), false, ui).await
        }
        StoredValue::AwsSecretRaw(name) => secrets(aws)?.read(name, None, true, ui).await,
    }
}

fn secrets(aws: Option<&dyn AwsSecrets>) -> Result<&dyn AwsSecrets> {
    aws.ok_or_else(|| Error::new("this program was built without the feature `amazon`"))
}
