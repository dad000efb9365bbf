//! Data sources of plugins.

use async_trait::async_trait;
use ingot_sdk::{
    Config, ConfigErrors, DataSource, FetchValue, PrepareContext, Prepared, Result, Schema, Ui,
};
use rmpv::Value;

use super::{Component, Configure, Facts, Hosted};
use crate::cty::CtyValue;
use crate::error::Failure;
use crate::gob;
use crate::host::Instance;
use crate::message::field;
use crate::spec::SpecKind;

/// A data source of a plugin.
pub type HostedDataSource = Hosted<HostedFetch>;

/// The same in a process that has the options.
pub struct HostedFetch {
    protobuf: bool,
    instance: Instance,
}

impl DataSource for HostedDataSource {
    fn output(&self) -> Schema {
        self.component.schema(SpecKind::Output)
    }
}

impl Configure for HostedFetch {
    type Ready = dyn FetchValue;

    fn configure(
        component: &Component,
        config: &Config,
        ctx: &PrepareContext,
    ) -> Result<Prepared<Self>, ConfigErrors> {
        let facts = Facts::default();
        let (instance, _) = component.configure(config, &facts, "Configure", &ctx.cancel)?;
        Ok(Prepared::new(HostedFetch { protobuf: component.id.protobuf, instance }))
    }

    fn erase(self) -> Box<dyn FetchValue> {
        Box::new(self)
    }
}

#[async_trait]
impl FetchValue for HostedFetch {
    async fn fetch_value(&self, _: &Ui) -> Result<serde_json::Value> {
        let instance = &self.instance;
        let during = "fetching data";
        // Whoever gives up waiting drops this, and the process with it.
        let response = instance.call("Execute", Value::Nil, during).await?;
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
