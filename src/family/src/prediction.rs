//! Which members are to be built, as far as that is known before.

use super::arrange::Family;
use super::standing::Standing;

/// Why each member is to be built, if it is: for reasons of its own, or since building a parent moves a
/// channel that it is built from.
pub fn predicted_reasons(family: &Family, standings: &[Standing]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for (place, member) in family.members.iter().enumerate() {
        let mut reasons = standings[place].reasons.clone();
        for &parent in &family.parents[place] {
            let bucket = &family.members[parent].bucket;
            if !all[parent].is_empty() && member.follows(&family.members[parent]) {
                reasons.push(format!("{bucket} is built before it"));
            }
        }
        all.push(reasons);
    }
    all
}
