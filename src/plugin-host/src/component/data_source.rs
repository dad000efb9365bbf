//! Data sources of plugins.

use async_trait::async_trait;
use ingot_sdk::{
    Config, ConfigErrors, DataSource, FetchValue, Prepare, PrepareContext, Prepared, Result,
    Schema, Ui,
};
use rmpv::Value;
use tokio_util::sync::CancellationToken;

use super::{Component, SpecKind};
use crate::cty::CtyValue;
use crate::error::Failure;
use crate::gob;
use crate::host::Instance;
use crate::message::field;

/// A data source of a plugin.
pub struct HostedDataSource {
    component: Component,
}

/// The same in a process that has the options.
struct HostedFetch {
    protobuf: bool,
    instance: Instance,
}

impl HostedDataSource {
    /// A data source that has no options yet.
    pub fn new(component: Component) -> Self {
        HostedDataSource { component }
    }
}

impl DataSource for HostedDataSource {
    fn output(&self) -> Schema {
        self.component.schema(SpecKind::Output)
    }
}

impl Prepare<dyn FetchValue> for HostedDataSource {
    fn schema(&self) -> Schema {
        self.component.schema(SpecKind::Config)
    }

    fn check(&self, config: &Config, ctx: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        Ok(self.prepare(config, ctx)?.with(()))
    }

    fn prepare(
        &self,
        config: &Config,
        _: &PrepareContext,
    ) -> Result<Prepared<Box<dyn FetchValue>>, ConfigErrors> {
        let (instance, _) = self.component.configure(config, Vec::new(), "Configure")?;
        let protobuf = self.component.id.protobuf;
        Ok(Prepared::new(Box::new(HostedFetch { protobuf, instance })))
    }
}

#[async_trait]
impl FetchValue for HostedFetch {
    async fn fetch_value(&self, _: &Ui) -> Result<serde_json::Value> {
        let instance = &self.instance;
        let during = "fetching data";
        // Whoever gives up waiting drops this, and the process with it.
        let never = CancellationToken::new();
        let response = instance.work("Execute", Value::Nil, &never, during).await?;
        let response = instance.checked(response, "Error")?;
        let bytes = field(&response, "Value").as_slice().unwrap_or_default();
        let value = match self.protobuf {
            true => CtyValue::from_message(bytes),
            false => gob::cty_value(bytes),
        };
        let value = value.map_err(|problem| {
            let (during, problem) = (during.to_owned(), problem.to_string());
            instance.process().failed(Failure::Protocol { during, problem })
        })?;
        Ok(value.to_json())
    }
}
