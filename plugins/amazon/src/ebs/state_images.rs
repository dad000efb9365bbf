//! The AMIs that keep states of the step cache, as EC2 describes them.

use aws_sdk_ec2::types::{Image, ImageState};
use ingot_sdk::{Result, StateKey};

use super::removal::all_images;
use crate::access::Ec2;
use crate::failure::Failure;
use crate::filter::filter;

/// The tag of an AMI that keeps a state, and of its snapshots; its value is the state's key.
pub(super) const STATE_TAG: &str = "ingot-state";
/// How the names of these AMIs begin; 16 digits of the key, a hyphen and 12 other digits follow.
const NAME_PREFIX: &str = "ingot-state-";
/// How many digits of the key are in the name.
const NAME_DIGITS: usize = 16;
/// How many digits follow, which no other AMI has.
const UNIQUE_DIGITS: usize = 12;
/// How many states are asked for at once: EC2 takes 200 values of a filter.
pub(super) const AT_ONCE: usize = 100;

/// Whether an AMI keeps the state of `key`: it has the tag and such a name. Tags alone may have come
/// with a copy, which is somebody's own.
pub(super) fn is_state_of(image: &Image, key: &StateKey) -> bool {
    let mut tags = image.tags().iter();
    let tagged = tags.any(|tag| tag.key() == Some(STATE_TAG) && tag.value() == Some(key.as_str()));
    let unique = || {
        let rest = image.name()?.strip_prefix(NAME_PREFIX)?;
        rest.strip_prefix(&key.as_str()[..NAME_DIGITS])?.strip_prefix('-')
    };
    let is_unique = |text: &str| {
        text.len() == UNIQUE_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    tagged && unique().is_some_and(is_unique)
}

/// The account's AMIs in a region that keep one of these states and are whole, the newest first.
///
/// # Errors
/// EC2 does not say.
pub(super) async fn find_states(ec2: &Ec2, keys: &[StateKey]) -> Result<Vec<Image>, Failure> {
    let mut images = Vec::new();
    for keys in keys.chunks(AT_ONCE) {
        let values: Vec<&str> = keys.iter().map(StateKey::as_str).collect();
        let request = ec2.describe_images().owners("self").include_deprecated(true);
        let request = request.filters(filter(&format!("tag:{STATE_TAG}"), &values.join(",")));
        let mut found = all_images(request, "looking for AMIs that keep states").await?;
        found.retain(|image| keys.iter().any(|key| is_state_of(image, key)));
        images.extend(found);
    }
    images.retain(|image| image.state() == Some(&ImageState::Available));
    // Dates of AWS are of one form and in UTC, so that text sorts as time.
    images.sort_by(|one, other| other.creation_date().cmp(&one.creation_date()));
    Ok(images)
}

/// The account's own AMIs of these ids that are there.
///
/// # Errors
/// EC2 does not say.
pub(super) async fn find_own(ec2: &Ec2, ids: &[&str]) -> Result<Vec<Image>, Failure> {
    let request = ec2.describe_images().owners("self").include_deprecated(true);
    // An id that is gone is an error if it is asked for by itself.
    let request = request.filters(filter("image-id", &ids.join(",")));
    all_images(request, "looking for AMIs that keep states").await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebs::tags::tag;

    #[test]
    fn tags_alone_make_no_state() {
        let key = StateKey::of("test", ["a"]);
        let digits = &key.as_str()[..NAME_DIGITS];
        let (own, other) = (tag(STATE_TAG, key.as_str()), tag(STATE_TAG, "another"));
        let name = format!("ingot-state-{digits}-0123456789ab");
        for (name, tag, expected) in [
            (name.as_str(), &own, true),
            (name.as_str(), &other, false),
            ("a copy", &own, false),
            (&format!("{name}c"), &own, false),
            ("ingot-state-0000000000000000-0123456789ab", &own, false),
        ] {
            let image = Image::builder().name(name).tags(tag.clone()).build();
            assert_eq!(is_state_of(&image, &key), expected, "{name} {tag:?}");
        }
    }
}
