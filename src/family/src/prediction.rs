//! Which members are to be built, as far as that is known before.

use super::arrange::Family;
use super::standing::Standing;

/// Why each member is to be built, if it is: for reasons of its own, or since building or promoting a
/// parent moves a channel that it is built from.
pub fn predicted_reasons(family: &Family, standings: &[Standing]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for (place, member) in family.members.iter().enumerate() {
        let standing = &standings[place];
        let mut reasons = standing.reasons.clone();
        for &parent in &family.parents[place] {
            let above = &family.members[parent];
            let bucket = &above.bucket;
            reasons.extend(match all[parent].is_empty() {
                false => member.follows(above).then(|| format!("{bucket} is built before it")),
                true => promoted_before(bucket, &standings[parent], standing),
            });
        }
        all.push(reasons);
    }
    all
}

/// Why a member is to be built if the last version of its parent `bucket` is still to be promoted.
fn promoted_before(bucket: &str, parent: &Standing, child: &Standing) -> Option<String> {
    let (channel, last) = (parent.promotion.as_ref()?, parent.last.as_ref()?);
    let mut links = child.parents.iter().filter(|link| link.bucket == bucket);
    let moves = links.any(|link| {
        link.channel.as_ref() == Some(channel) && link.built_from.as_ref() != Some(&last.name)
    });
    moves.then(|| format!("{bucket} {} is promoted before it", last.name))
}
