//! What a plan's data sources of a registry say: by which channel an image was found.

use super::configuration::split;
use super::plan::{Mode, Plan, Planned};

/// A data source of a registry: `hcp_packer_version` and `hcp_packer_artifact`, and the older
/// `hcp_packer_iteration` and `hcp_packer_image`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub address: String,
    pub kind: String,
    pub bucket: String,
    /// Empty: found by its version's fingerprint or id.
    pub channel: String,
    /// Empty: not known yet.
    pub fingerprint: String,
    /// An older iteration's or version's id; empty where it is not known.
    pub version_id: String,
    pub platform: String,
    pub region: String,
    /// The image's id; empty for versions, and where it is not known yet.
    pub image: String,
    /// Whether it stands for an image, and not for a version.
    pub is_image: bool,
}

impl Source {
    fn read(planned: &Planned) -> Option<Self> {
        let text = |name: &str| planned.after[name].as_str().unwrap_or_default().to_owned();
        let first = |names: &[&str]| {
            names.iter().map(|name| text(name)).find(|text| !text.is_empty()).unwrap_or_default()
        };
        let is_image = match planned.kind {
            "hcp_packer_version" | "hcp_packer_iteration" => false,
            "hcp_packer_artifact" | "hcp_packer_image" => true,
            _ => return None,
        };
        if planned.mode != Mode::Data {
            return None;
        }
        Some(Source {
            address: planned.address.to_owned(),
            kind: planned.kind.to_owned(),
            bucket: text("bucket_name"),
            channel: first(&["channel_name", "channel"]),
            fingerprint: first(&["version_fingerprint", "fingerprint"]),
            version_id: match is_image {
                true => text("iteration_id"),
                false => first(&["ulid", "id"]),
            },
            platform: first(&["platform", "cloud_provider"]),
            region: text("region"),
            image: first(&["external_identifier", "cloud_image_id"]),
            is_image,
        })
    }

    /// Whether two stand for the same version.
    fn same_version(&self, other: &Source) -> bool {
        let same = |one: &str, other: &str| !one.is_empty() && one == other;
        self.bucket == other.bucket
            && (same(&self.fingerprint, &other.fingerprint)
                || same(&self.version_id, &other.version_id))
    }

    /// The address without indexes, as references have it.
    fn reference(&self) -> String {
        let (modules, rest) = split(&self.address);
        let modules = modules.iter().map(|name| format!("module.{name}."));
        modules.chain([rest]).collect()
    }
}

/// All data sources of a plan that are of a registry.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence(pub Vec<Source>);

impl Evidence {
    pub fn of(plan: &Plan) -> Self {
        let mut sources: Vec<Source> = Vec::new();
        for planned in plan.data_read().iter().chain(plan.planned().iter()) {
            let Some(source) = Source::read(planned) else { continue };
            if !sources.iter().any(|known| known.address == source.address) {
                sources.push(source);
            }
        }
        // One that was found by a fingerprint came from the channel that the fingerprint came from.
        let all = sources.clone();
        for source in sources.iter_mut().filter(|source| source.channel.is_empty()) {
            let from = |it: &&Source| !it.channel.is_empty() && it.same_version(source);
            if let Some(from) = all.iter().find(from) {
                source.channel = from.channel.clone();
            }
        }
        Evidence(sources)
    }

    /// The data source that an image's id was read by.
    pub fn of_image(&self, image: &str, bucket: &str) -> Option<&Source> {
        let mut found = self.0.iter().filter(|it| it.image == image && it.bucket == bucket);
        let first = found.clone().next();
        found.find(|source| !source.channel.is_empty()).or(first)
    }

    /// The images of a version that were read by data sources; none for one that is not known yet.
    pub fn images_of(&self, version: &Source) -> Vec<Option<String>> {
        let own = self.0.iter().filter(|it| it.is_image && it.same_version(version));
        own.map(|it| Some(it.image.clone()).filter(|image| !image.is_empty())).collect()
    }

    /// The data sources that a reference, without indexes, is to.
    pub fn of_reference(&self, reference: &str) -> Vec<&Source> {
        self.0.iter().filter(|source| source.reference() == reference).collect()
    }
}
