//! Asking the registry about the images of a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::evidence::{Evidence, Source};
use super::image_version::{ImageVersion, PAGES, search};
use super::kinds;
use super::report::{Finding, Level, Replacement, Report, Status};
use super::uses::{Inventory, Origin, Use};
use super::{Behaviour, Rules};
use ingot_registry::api::*;
use ingot_registry::client::Registry;
use ingot_registry::first_pages;

/// How many strings that may or may not be images the registry is asked for at most.
const MOST: usize = 5_000;

/// Checks every image that a plan uses against the registry.
///
/// # Errors
/// The registry failed. That something is not in it is no error.
pub async fn check(plan: Inventory, registry: &dyn Registry, rules: &Rules) -> Result<Report> {
    let Inventory { mut uses, mut notes, evidence } = plan;
    let any: BTreeSet<&str> = uses
        .iter()
        .filter(|it| it.origin == Origin::Any)
        .filter_map(|it| it.value.as_deref())
        .collect();
    let count = any.len();
    if count > MOST {
        uses.retain(|it| it.origin != Origin::Any);
        notes.push(format!(
            "the plan has {count} different strings, too many to ask the registry for each; only \
             those that are known to be images were looked up"
        ));
    }
    let mut evaluator = Evaluator {
        registry,
        rules,
        evidence,
        places: search(registry, &uses).await?,
        channels: HashMap::new(),
        histories: HashMap::new(),
        versions: HashMap::new(),
        parents: HashMap::new(),
    };
    let mut findings = Vec::new();
    for found in &uses {
        // What is known already is answered without waiting, and others want their turn.
        tokio::task::consume_budget().await;
        findings.extend(evaluator.evaluate(found).await?);
    }
    findings.sort_by(|one, other| {
        let key = |finding: &Finding| {
            (std::cmp::Reverse((finding.level, finding.status)), finding.place())
        };
        key(one).cmp(&key(other))
    });
    Ok(Report { images: findings, notes })
}

/// A verdict on a version.
struct Verdict {
    status: Status,
    message: String,
    channel: Option<Channel>,
}

struct Evaluator<'a> {
    registry: &'a dyn Registry,
    rules: &'a Rules,
    evidence: Evidence,
    places: HashMap<String, Vec<ExternalArtifact>>,
    channels: HashMap<String, Vec<Channel>>,
    histories: HashMap<(String, String), BTreeSet<String>>,
    versions: HashMap<(String, String), Option<Version>>,
    parents: HashMap<(String, String), Option<String>>,
}

impl Evaluator<'_> {
    /// The finding about a use; none if it turns out not to be one.
    async fn evaluate(&mut self, found: &Use) -> Result<Option<Finding>> {
        let mut finding = Finding {
            address: found.address.clone(),
            attribute: found.attribute.clone(),
            image: found.value.clone().filter(|_| !found.sensitive),
            sensitive: found.sensitive,
            region: found.region.clone(),
            platform: None,
            status: Status::Fine,
            level: Level::Pass,
            bucket: None,
            version: None,
            fingerprint: None,
            channel: None,
            revoke_at: None,
            message: String::new(),
            replacement: None,
        };
        let places = match &found.value {
            Some(value) => self.places_of(value, found),
            None => Vec::new(),
        };
        let (place, verdict) = match self.worst(found, places).await? {
            Some(judged) => judged,
            None => match self.by_source(found).await? {
                Some(judged) => judged,
                None => match self.nothing_known(found) {
                    Some((status, message)) => {
                        finding.status = status;
                        finding.message = message;
                        finding.level = self.level(status, true);
                        return Ok(Some(finding));
                    }
                    None => return Ok(None),
                },
            },
        };
        finding.status = verdict.status;
        finding.message = verdict.message;
        if let (false, Some(value)) = (found.sensitive, &found.value) {
            finding.message = format!("{value} is {}", finding.message);
        } else if found.sensitive {
            finding.message = format!("the image, which is sensitive, is {}", finding.message);
        } else if found.source.as_ref().is_some_and(|source| !source.is_image) {
            finding.message = format!("it is {}", finding.message);
        } else {
            finding.message = format!("the image will be {}", finding.message);
        }
        finding.level = self.level(verdict.status, found.introduces);
        if verdict.status == Status::Revoked {
            match (&found.created_from_it, found.origin) {
                (Some(created), _) => {
                    finding.message.push_str(&format!("; {created} is to be created from it"));
                }
                (None, _) if found.introduces => {}
                (None, Origin::DataSource) => {
                    finding.message.push_str("; nothing in the plan starts to use it");
                    // A resource that has it and keeps it has a finding of its own.
                    finding.level = finding.level.min(Level::Warn);
                }
                (None, _) => finding.message.push_str("; the resource has it already"),
            }
        }
        if let (Origin::Any, Some(value)) = (found.origin, &found.value)
            && !kinds::is_unambiguous(value, &found.kind)
        {
            finding.level = finding.level.min(Level::Warn);
            if finding.level > Level::Pass {
                finding.message.push_str("; only its name suggests that it is this image");
            }
        }
        finding.platform = Some(place.platform.clone()).filter(|it| !it.is_empty());
        if let Some(channel) = verdict.channel {
            let now = channel.version.as_ref().filter(|version| version.id != place.id);
            finding.replacement = now.map(|version| Replacement {
                channel: channel.name.clone(),
                version: version.name.clone(),
                image: replacement(version, &place).filter(|_| !found.sensitive),
            });
            finding.channel = Some(channel.name);
        }
        finding.bucket = Some(place.bucket);
        finding.version = Some(place.name).filter(|it| !it.is_empty());
        finding.fingerprint = Some(place.fingerprint).filter(|it| !it.is_empty());
        finding.revoke_at = Some(place.revoke_at).filter(|at| at.is_set());
        Ok(Some(finding))
    }

    /// Where an image is from: only places of the region it is used in, if there are such.
    fn places_of(&self, value: &str, found: &Use) -> Vec<ImageVersion> {
        let mut places: Vec<ImageVersion> = Vec::new();
        for name in kinds::names(value, found.caller()) {
            let artifacts = self.places.get(&*name.text).into_iter().flatten();
            let short = kinds::may_be_short(value, &found.kind);
            let own = |place: &ImageVersion| {
                (name.exact || (short && kinds::is_google(&place.platform)))
                    && (found.origin != Origin::Any
                        || kinds::can_be_of(&place.platform, &found.kind))
            };
            for place in artifacts.filter_map(ImageVersion::of_artifact).filter(own) {
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        let here: Vec<ImageVersion> =
            places.iter().filter(|it| found.region.as_ref() == Some(&it.region)).cloned().collect();
        if here.is_empty() { places } else { here }
    }

    /// The verdict on an image that is known from several places: that it is revoked in one counts
    /// wherever else it is, that it is out of date in one does not if it is fine in another.
    async fn worst(
        &mut self,
        found: &Use,
        places: Vec<ImageVersion>,
    ) -> Result<Option<(ImageVersion, Verdict)>> {
        let mut judged: Vec<(ImageVersion, Verdict)> = Vec::new();
        for place in places {
            let source = match (&found.source, &found.value) {
                (Some(source), _) => Some(source.clone()),
                (None, Some(value)) => self.evidence.of_image(value, &place.bucket).cloned(),
                (None, None) => None,
            };
            let channel = source.map(|source| source.channel).filter(|name| !name.is_empty());
            let verdict = self.verdict(&place, channel.as_deref()).await?;
            judged.push((place, verdict));
        }
        let stops = |status| matches!(status, Status::Revoked | Status::RevocationScheduled);
        if let Some(index) = (0..judged.len())
            .filter(|index| stops(judged[*index].1.status))
            .max_by_key(|index| judged[*index].1.status)
        {
            return Ok(Some(judged.swap_remove(index)));
        }
        let best = (0..judged.len()).min_by_key(|index| judged[*index].1.status);
        Ok(best.map(|index| judged.swap_remove(index)))
    }

    /// What the data source says that a use is, or refers to: its version, or its channel's.
    async fn by_source(&mut self, found: &Use) -> Result<Option<(ImageVersion, Verdict)>> {
        let Some(source) = found.source.clone() else { return Ok(None) };
        if source.bucket.is_empty() {
            return Ok(None);
        }
        let channel = Some(source.channel.as_str()).filter(|name| !name.is_empty());
        let version = match (source.fingerprint.as_str(), source.version_id.as_str(), channel) {
            ("", "", None) => None,
            ("", "", Some(name)) => {
                let channels = self.channels(&source.bucket).await?;
                let channel = channels.iter().find(|channel| channel.name == name);
                channel.and_then(|channel| channel.version.clone())
            }
            ("", id, _) => self.version(&source.bucket, id, true).await?,
            (fingerprint, ..) => self.version(&source.bucket, fingerprint, false).await?,
        };
        let Some(version) = version else { return Ok(None) };
        let place = ImageVersion {
            platform: source.platform.clone(),
            region: source.region.clone(),
            ..ImageVersion::of_version(&version)
        };
        let verdict = self.verdict(&place, channel).await?;
        Ok(Some((place, verdict)))
    }

    /// What to say of an image that the registry does not know.
    fn nothing_known(&self, found: &Use) -> Option<(Status, String)> {
        let name = self.registry.address();
        match (&found.value, &found.source, found.origin) {
            (_, _, Origin::Any) => None,
            (Some(value), _, _) if kinds::resolved_later(value, &found.kind).is_some() => {
                let why = kinds::resolved_later(value, &found.kind).unwrap_or_default();
                let what = if found.sensitive { "the image, which is sensitive," } else { value };
                Some((Status::Unknown, format!("{what} is {why}")))
            }
            (Some(_), _, _) if found.sensitive => Some((
                Status::Untracked,
                format!("the image, which is sensitive, is not in the registry {name}"),
            )),
            (Some(value), _, _) => {
                Some((Status::Untracked, format!("{value} is not in the registry {name}")))
            }
            // A version that no image is asked of, of a registry that is not this one.
            (None, Some(Source { is_image: false, bucket, .. }), Origin::DataSource) => Some((
                Status::Untracked,
                format!("the version of {bucket} is not in the registry {name}"),
            )),
            (None, _, _) if found.cut => Some((
                Status::Unknown,
                "which image this is will be known only when the plan is applied; it refers to \
                 more than could be followed"
                    .into(),
            )),
            (None, _, _) if found.references.is_empty() => Some((
                Status::Unknown,
                "which image this is will be known only when the plan is applied".into(),
            )),
            (None, _, _) => Some((
                Status::Unknown,
                format!(
                    "which image this is will be known only when the plan is applied; it comes \
                     from {}",
                    found.references.join(", ")
                ),
            )),
        }
    }

    fn level(&self, status: Status, introduces: bool) -> Level {
        let behaviour = match status {
            Status::Fine => Behaviour::Ignore,
            Status::Unknown => self.rules.unknown,
            Status::Untracked => self.rules.untracked,
            Status::Outdated | Status::Incomplete => self.rules.outdated,
            Status::RevocationScheduled => self.rules.scheduled,
            Status::Revoked if introduces => Behaviour::Fail,
            Status::Revoked => self.rules.existing,
        };
        match behaviour {
            Behaviour::Ignore => Level::Pass,
            Behaviour::Warn => Level::Warn,
            Behaviour::Fail => Level::Fail,
        }
    }

    /// The verdict on a version, that was found by a channel if that is known.
    async fn verdict(&mut self, place: &ImageVersion, channel: Option<&str>) -> Result<Verdict> {
        let from = self.came_from(place, channel).await?;
        let (shown, at) = (place.shown(), moment(place.revoke_at));
        let because = match place.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let (status, message) = match place.status {
            VersionStatus::Revoked => {
                (Status::Revoked, format!("{shown}, which was revoked at {at}{because}"))
            }
            VersionStatus::RevocationScheduled => (
                Status::RevocationScheduled,
                format!("{shown}, which is to be revoked at {at}{because}"),
            ),
            VersionStatus::Active => match &from {
                Some(channel) if !points_at(channel, place) => (
                    Status::Outdated,
                    match &channel.version {
                        Some(now) => {
                            format!("{shown}, and channel {} is at {}", channel.name, now.name)
                        }
                        None => format!("{shown}, and channel {} was cleared", channel.name),
                    },
                ),
                _ => match self.outdated_parent(place).await? {
                    Some(parent) => (Status::Outdated, format!("{shown}, built from {parent}")),
                    None => (Status::Fine, shown),
                },
            },
            _ => (
                Status::Incomplete,
                format!("of a version of {} that is not complete", place.bucket),
            ),
        };
        Ok(Verdict { status, message, channel: from })
    }

    /// The channel that a version came from: the one that the plan names, else one that points at
    /// it, else one that did, else the newest version's.
    async fn came_from(
        &mut self,
        place: &ImageVersion,
        named: Option<&str>,
    ) -> Result<Option<Channel>> {
        let channels = self.channels(&place.bucket).await?;
        if let Some(channel) = channels.iter().find(|channel| Some(channel.name.as_str()) == named)
        {
            return Ok(Some(channel.clone()));
        }
        let own = |channel: &&Channel| !channel.managed;
        if let Some(channel) = channels.iter().filter(own).find(|it| points_at(it, place)) {
            return Ok(Some(channel.clone()));
        }
        for channel in channels.iter().filter(own) {
            if self.history(&place.bucket, &channel.name).await?.contains(&place.id) {
                return Ok(Some(channel.clone()));
            }
        }
        let latest = channels.iter().find(|channel| channel.managed);
        // A channel that is behind says nothing of a version that never was in it.
        let newer = |channel: &&Channel| {
            channel.version.as_ref().is_some_and(|now| number(&now.name) >= number(&place.name))
        };
        Ok(latest.filter(newer).cloned())
    }

    async fn channels(&mut self, bucket: &str) -> Result<Vec<Channel>> {
        if let Some(known) = self.channels.get(bucket) {
            return Ok(known.clone());
        }
        let channels = match self.registry.list_channels(bucket).await {
            Err(error) if error.code == Code::NotFound => Vec::new(),
            answer => answer?.channels,
        };
        self.channels.insert(bucket.to_owned(), channels.clone());
        Ok(channels)
    }

    /// The ids of the versions that a channel pointed at.
    async fn history(&mut self, bucket: &str, channel: &str) -> Result<BTreeSet<String>> {
        let key = (bucket.to_owned(), channel.to_owned());
        if let Some(known) = self.histories.get(&key) {
            return Ok(known.clone());
        }
        let registry = self.registry;
        let ask = |page| async move { registry.channel_history(bucket, channel, &page).await };
        let history = match first_pages(PAGES, ask).await {
            Err(error) if error.code == Code::NotFound => Vec::new(),
            history => history?,
        };
        let ids: BTreeSet<String> =
            history.into_iter().filter_map(|entry| Some(entry.version?.id)).collect();
        self.histories.insert(key, ids.clone());
        Ok(ids)
    }

    async fn version(&mut self, bucket: &str, name: &str, by_id: bool) -> Result<Option<Version>> {
        let key = (bucket.to_owned(), name.to_owned());
        if let Some(known) = self.versions.get(&key) {
            return Ok(known.clone());
        }
        let answer = match by_id {
            true => self.registry.get_version_by_id(bucket, name).await,
            false => self.registry.get_version(bucket, name).await,
        };
        let version = match answer {
            Err(error) if error.is_absent() => None,
            answer => Some(answer?),
        };
        self.versions.insert(key, version.clone());
        Ok(version)
    }

    /// What a version was built from and should not be any more, in words.
    async fn outdated_parent(&mut self, place: &ImageVersion) -> Result<Option<String>> {
        let key = (place.bucket.clone(), place.fingerprint.clone());
        if let Some(known) = self.parents.get(&key) {
            return Ok(known.clone());
        }
        let query = AncestryQuery {
            kind: BucketAncestryType::Parents,
            version_fingerprint: place.fingerprint.clone(),
            ..Default::default()
        };
        let answer = self.registry.list_ancestry(&place.bucket, &query, &Page::default()).await;
        let relations = match answer {
            Err(error) if error.code == Code::NotFound => Vec::new(),
            answer => answer?.relations,
        };
        let outdated = relations.into_iter().find(|it| it.status == AncestryStatus::OutOfDate);
        let reported = outdated.and_then(|relation| relation.parent).map(|parent| {
            let now = parent.channel_version.unwrap_or_default().name;
            let (bucket, version) = (&parent.bucket_name, &parent.version_name);
            format!("{bucket} {version}, whose channel {} is at {now}", parent.channel_name)
        });
        self.parents.insert(key, reported.clone());
        Ok(reported)
    }
}

fn points_at(channel: &Channel, place: &ImageVersion) -> bool {
    channel.version.as_ref().is_some_and(|version| version.id == place.id)
}

/// The image of a version for the platform and region of another.
fn replacement(version: &Version, place: &ImageVersion) -> Option<String> {
    let builds = version.builds.iter().filter(|build| build.platform == place.platform);
    let artifacts = builds.flat_map(|build| &build.artifacts);
    let mut found: BTreeMap<&str, &Artifact> = BTreeMap::new();
    for artifact in artifacts.filter(|artifact| artifact.region == place.region) {
        found.insert(&artifact.external_identifier, artifact);
    }
    // Of several, who is to say which.
    let only = found.len() == 1;
    found.into_keys().next().filter(|_| only).map(str::to_owned)
}

/// A moment, to the second.
fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.').map(|(seconds, _)| format!("{seconds}Z")).unwrap_or(text)
}

/// 3 of `v3`.
fn number(name: &str) -> u64 {
    name.strip_prefix('v').and_then(|number| number.parse().ok()).unwrap_or_default()
}
