//! `data "amazon-ami"`: an AMI that is there already.

use std::collections::BTreeMap;

use ingot_sdk::{
    Config, ConfigErrors, DataSource, PrepareContext, Prepared, Result, Schema, Ui, async_trait,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::access::{Access, AccessOptions};
use crate::failure::Failure;
use crate::filter::AmiFilter;

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct Options {
    #[serde(flatten)]
    access: AccessOptions,
    #[serde(flatten)]
    filter: AmiFilter,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Output {
    /// The id of the AMI.
    id: String,
    /// The name of the AMI.
    name: String,
    /// When the AMI was made.
    creation_date: String,
    /// The id of the account that owns it.
    owner: String,
    /// The alias of its owner, such as `amazon`.
    owner_name: String,
    /// Its tags.
    tags: BTreeMap<String, String>,
}

/// Looks for an AMI.
#[derive(Default)]
pub struct AmiData {
    options: Options,
}

#[async_trait]
impl DataSource for AmiData {
    fn schema(&self) -> Schema {
        Schema::of::<Options>()
    }

    fn output(&self) -> Schema {
        Schema::of::<Output>()
    }

    fn prepare(&mut self, config: &Config, _: &PrepareContext) -> Result<Prepared, ConfigErrors> {
        self.options = config.decode()?;
        let mut errors = ConfigErrors::default();
        self.options.access.check(&mut errors);
        self.options.filter.check(None, &mut errors);
        errors.into_result(Prepared::default())
    }

    async fn execute(&self, ui: &Ui) -> Result<serde_json::Value> {
        let access = Access::open(&self.options.access, ui).await?;
        let ec2 = access.client(access.region());
        let image = match self.options.filter.find(&ec2, None).await {
            Ok(image) => image,
            Err(failure) => return Err(access.explain(Failure::into(failure)).await),
        };
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let tags = image.tags().iter();
        let tags = tags.map(|tag| (text(tag.key()), text(tag.value())));
        Ok(json!({
            "id": text(image.image_id()),
            "name": text(image.name()),
            "creation_date": text(image.creation_date()),
            "owner": text(image.owner_id()),
            "owner_name": text(image.image_owner_alias()),
            "tags": tags.collect::<BTreeMap<_, _>>(),
        }))
    }
}
