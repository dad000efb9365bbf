//! What a plan's data sources of a registry say: by which channel an image was found.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::configuration::unindexed;
use super::kinds;
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
    /// The digest by which docker pulls the image, which is not its id; empty where there is none. It
    /// is in a label.
    pub digest: String,
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
            digest: match is_image {
                true => image_digest(&planned.after["labels"]),
                false => String::new(),
            },
            is_image,
        })
    }

    /// What the image is called.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [&self.image, &self.digest].into_iter().map(String::as_str).filter(|name| !name.is_empty())
    }

    /// What stands for the version: sources that share one of these stand for the same.
    fn version_keys(&self) -> impl Iterator<Item = (&'static str, String, String)> + use<> {
        let key = |kind, key: &str| (kind, self.bucket.clone(), key.to_owned());
        let keys = [key("fingerprint", &self.fingerprint), key("id", &self.version_id)];
        keys.into_iter().filter(|(.., key)| !key.is_empty())
    }

    /// The address without indexes, as references have it.
    pub(crate) fn reference(&self) -> String {
        unindexed(&self.address)
    }
}

/// The digest that the labels of a build of docker have of its image.
fn image_digest(labels: &Value) -> String {
    let name = labels["ImageDigest"].as_str().unwrap_or_default();
    let digest = kinds::digest(name).unwrap_or(name);
    if digest.starts_with("sha256:") { digest.to_owned() } else { String::new() }
}

/// All data sources of a plan that are of a registry.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    pub sources: Vec<Source>,
    /// By an image's name and its bucket: those with a channel first.
    images: HashMap<(String, String), usize>,
    references: HashMap<String, Vec<usize>>,
}

impl Evidence {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut sources: Vec<Source> = Vec::new();
        let mut known = HashSet::new();
        for planned in plan.data_read().iter().chain(plan.planned().iter()) {
            let Some(source) = Source::read(planned) else { continue };
            if known.insert(source.address.clone()) {
                sources.push(source);
            }
        }
        // One that was found by a fingerprint came from the channel that the fingerprint came from.
        let mut channels = HashMap::new();
        for source in sources.iter().filter(|source| !source.channel.is_empty()) {
            for key in source.version_keys() {
                channels.entry(key).or_insert_with(|| source.channel.clone());
            }
        }
        for source in sources.iter_mut().filter(|source| source.channel.is_empty()) {
            if let Some(channel) = source.version_keys().find_map(|key| channels.get(&key)) {
                source.channel = channel.clone();
            }
        }
        let (mut images, mut references) = (HashMap::new(), HashMap::<String, Vec<usize>>::new());
        for (index, source) in sources.iter().enumerate() {
            references.entry(source.reference()).or_default().push(index);
            for name in source.names() {
                let key = (kinds::key(name).into_owned(), source.bucket.clone());
                let first = images.entry(key).or_insert(index);
                if sources[*first].channel.is_empty() && !source.channel.is_empty() {
                    *first = index;
                }
            }
        }
        Evidence { sources, images, references }
    }

    /// The data source that an image's id was read by.
    pub(crate) fn of_image(&self, image: &str, bucket: &str) -> Option<&Source> {
        let found = |name: &str| {
            let key = (kinds::key(name).into_owned(), bucket.to_owned());
            self.images.get(&key).map(|index| &self.sources[*index])
        };
        found(image).or_else(|| found(kinds::digest(image)?))
    }

    /// The data source that has an image's digest in its labels, which registries need not know an image
    /// by.
    pub(crate) fn of_digest(&self, image: &str) -> Option<&Source> {
        let digest = kinds::digest(image)?;
        self.sources.iter().find(|source| source.digest == digest)
    }

    /// The data sources that a reference, without indexes, is to.
    pub(crate) fn of_reference(&self, reference: &str) -> impl Iterator<Item = &Source> {
        let indexes = self.references.get(reference).into_iter().flatten();
        indexes.map(|index| &self.sources[*index])
    }

    /// These data sources, by their addresses, and those that stand for the same versions.
    pub(crate) fn with_versions(&self, addresses: &BTreeSet<String>) -> BTreeSet<String> {
        let all = || self.sources.iter();
        let own = all().filter(|source| addresses.contains(&source.address));
        let versions: HashSet<_> = own.flat_map(Source::version_keys).collect();
        // Another image of the version is another image.
        let same = |source: &&Source| {
            !source.is_image && source.version_keys().any(|key| versions.contains(&key))
        };
        let same = all().filter(same).map(|source| source.address.clone());
        same.chain(addresses.iter().cloned()).collect()
    }
}
