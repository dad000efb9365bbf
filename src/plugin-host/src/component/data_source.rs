//! Data sources of plugins.

use async_trait::async_trait;
use ingot_sdk::{
    Config, ConfigErrors, DataSource, Error, PrepareContext, Prepared, Result, Schema, Ui,
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
    prepared: Option<Instance>,
}

impl HostedDataSource {
    /// A data source that has no options yet.
    pub fn new(component: Component) -> Self {
        HostedDataSource { component, prepared: None }
    }
}

#[async_trait]
impl DataSource for HostedDataSource {
    fn schema(&self) -> Schema {
        self.component.schema(SpecKind::Config)
    }

    fn output(&self) -> Schema {
        self.component.schema(SpecKind::Output)
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        let component = &self.component;
        let (instance, _) =
            component.configure(self.prepared.take(), config, Vec::new(), "Configure")?;
        self.prepared = Some(instance);
        Ok(Prepared::default())
    }

    async fn execute(&self, _: &Ui) -> Result<serde_json::Value> {
        let Some(instance) = &self.prepared else {
            return Err(Error::new("the data source has no options"));
        };
        let during = "fetching data";
        // Whoever gives up waiting drops this, and the process with it.
        let never = CancellationToken::new();
        let response = instance.work("Execute", Value::Nil, &never, during).await?;
        let response = instance.checked(response, "Error")?;
        let bytes = field(&response, "Value").as_slice().unwrap_or_default();
        let value = match self.component.id.protobuf {
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
