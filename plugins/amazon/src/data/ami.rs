//! `data "amazon-ami"`: an AMI that is there already.

use std::collections::BTreeMap;

use ingot_sdk::{
    Component, ConfigErrors, Decoded, Fetch, PrepareContext, Prepared, Result, Ui, async_trait,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, AccessOptions};
use crate::failure::Failure;
use crate::filter::AmiFilter;

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Options {
    #[serde(flatten)]
    access: AccessOptions,
    #[serde(flatten)]
    filter: AmiFilter,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
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

/// `data "amazon-ami"`
pub struct AmiData;

/// Looks for an AMI.
pub struct FindAmi {
    options: Options,
}

impl Component for AmiData {
    const NAME: &'static str = "amazon-ami";
    type Options = Options;
    type Ready = FindAmi;

    fn prepare(
        &self,
        Decoded { options, .. }: Decoded<'_, Options>,
        _: &PrepareContext,
    ) -> Result<Prepared<FindAmi>, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        options.access.check(&mut errors);
        options.filter.check(None, &mut errors);
        errors.into_result(Prepared::new(FindAmi { options }))
    }
}

#[async_trait]
impl Fetch for FindAmi {
    type Output = Output;

    async fn fetch(&self, ui: &Ui) -> Result<Output> {
        let access = Access::open(&self.options.access, ui).await?;
        let ec2 = access.client(access.region());
        let image = match self.options.filter.find(&ec2, None).await {
            Ok(image) => image,
            Err(failure) => return Err(access.explain(Failure::into(failure)).await),
        };
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let tags = image.tags().iter();
        let tags = tags.map(|tag| (text(tag.key()), text(tag.value())));
        Ok(Output {
            id: text(image.image_id()),
            name: text(image.name()),
            creation_date: text(image.creation_date()),
            owner: text(image.owner_id()),
            owner_name: text(image.image_owner_alias()),
            tags: tags.collect(),
        })
    }
}
