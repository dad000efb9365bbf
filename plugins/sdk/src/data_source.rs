//! Data sources fetch a value that a template builds on.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use crate::component::{Component, Erase, Prepare};
use crate::{Error, Result, Schema, Ui};

/// A data source without its options: `data "NAME"`.
pub trait DataSource: Prepare<dyn FetchValue> {
    /// The attributes of the value, so that `validate` can check references without asking.
    fn output(&self) -> Schema;
}

impl<C: Component<Ready: Fetch>> DataSource for C {
    fn output(&self) -> Schema {
        Schema::of::<<C::Ready as Fetch>::Output>()
    }
}

/// A data source that has its options.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// The value. Its schema, by which `validate` checks references without asking, is derived
    /// from this type. What is marked `#[schemars(extend("sensitive" = true))]` is never shown.
    type Output: Serialize + JsonSchema + Send;

    /// Fetches the value. Creates nothing that would have to be removed. The engine races this
    /// future against cancellation.
    ///
    /// # Errors
    /// What failed.
    async fn fetch(&self, ui: &Ui) -> Result<Self::Output>;
}

/// [`Fetch`] without the type of its value.
#[async_trait]
pub trait FetchValue: Send + Sync {
    /// Fetches the value, a JSON object.
    ///
    /// # Errors
    /// What failed.
    async fn fetch_value(&self, ui: &Ui) -> Result<serde_json::Value>;
}

#[async_trait]
impl<F: Fetch> FetchValue for F {
    async fn fetch_value(&self, ui: &Ui) -> Result<serde_json::Value> {
        let output = self.fetch(ui).await?;
        serde_json::to_value(output).map_err(|error| Error::new(error.to_string()))
    }
}

impl<F: Fetch + 'static> Erase<F> for dyn FetchValue {
    fn erase(ready: F) -> Box<Self> {
        Box::new(ready)
    }
}
